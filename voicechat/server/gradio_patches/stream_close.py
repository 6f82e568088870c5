"""Gradio ends the stream on which a page learns the outcome of its events when nothing is under way, and the page opens
another for its next event. But an event that is sent while the stream's last word is still on its way finds the stream
open at the page and ended here: of that event the page would hear nothing until it sends one more, and a call would say
"connecting" to its end.

Here an event that comes in that moment runs at once, but is acknowledged only when the page has read the last word,
which it shows by closing the stream: then it knows that it needs another. Gradio 5.50 is pinned.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterable, AsyncIterator
from contextlib import suppress
from typing import Any

import gradio.routes
from gradio.queueing import Queue
from starlette.datastructures import QueryParams
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from voicechat.dependency_checks import DependencyChanged, find_target, require_function

QUEUE_PUSH, STREAMING_RESPONSE = "gradio.queueing:Queue.push", "gradio.routes:StreamingResponse"
STREAM_PATH = "/queue/data"
CLOSE_MESSAGE_PREFIX = 'data: {"msg":"close_stream"'
CLOSE_TIMEOUT_S = 2.0
"""At most so long a page is waited for: not every proxy says that a browser has closed something."""


class StreamCloseBarrier:
    """The pages that have yet to read the last word of their stream, by Gradio's session hash. In one event loop."""

    def __init__(self) -> None:
        self._pending_closes: dict[str, asyncio.Event] = {}

    async def wait_closed(self, session_hash: str) -> None:
        """Wait until that page has read it, if it is to."""
        if unread := self._pending_closes.get(session_hash):
            with suppress(TimeoutError):
                await asyncio.wait_for(unread.wait(), CLOSE_TIMEOUT_S)

    async def hold_open(self, session_hash: str, stream: AsyncIterable[Any]) -> AsyncIterator[Any]:
        """A stream of Gradio's, kept open after its last word until the page closes it: whoever reads this is cancelled
        then."""
        self._mark_closed(session_hash)  # it opens another
        last = None
        async for message in stream:
            if isinstance(message, str) and message.startswith(CLOSE_MESSAGE_PREFIX):
                last = message  # Gradio's stream ends now: not in its middle, where it would drop the page's events
                mine = self._pending_closes[session_hash] = asyncio.Event()
            else:
                yield message
        if last is None:
            return
        try:
            yield last
            await asyncio.sleep(CLOSE_TIMEOUT_S)
        finally:
            mine.set()
            if self._pending_closes.get(session_hash) is mine:
                del self._pending_closes[session_hash]

    def _mark_closed(self, session_hash: str) -> None:
        if unread := self._pending_closes.pop(session_hash, None):
            unread.set()


def install() -> None:
    """Replace `Queue.push` and the event stream's response in this process. A second call does nothing.

    Raise DependencyChanged, with nothing replaced, when Gradio is not as expected.
    """
    push = require_function(QUEUE_PUSH, ("self", "body", "request", "username"))
    if hasattr(push, "__wrapped__"):
        return
    if find_target(STREAMING_RESPONSE) is not StreamingResponse:
        raise DependencyChanged(STREAMING_RESPONSE, "not Starlette's own")
    barrier = StreamCloseBarrier()

    class HeldOpenResponse(StreamingResponse):
        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            session_hash = QueryParams(scope["query_string"]).get("session_hash", "")
            if scope["path"].endswith(STREAM_PATH) and session_hash:
                self.body_iterator = barrier.hold_open(session_hash, self.body_iterator)
            await super().__call__(scope, receive, send)

    @functools.wraps(push)
    async def acknowledge_when_closed(queue: Queue, body: Any, *others: Any, **more: Any) -> Any:
        outcome = await push(queue, body, *others, **more)
        await barrier.wait_closed(body.session_hash)
        return outcome

    gradio.routes.StreamingResponse = HeldOpenResponse
    Queue.push = acknowledge_when_closed
