"""Order between the end of a page's event stream and the acknowledgement of its next event.

Gradio ends the stream of a page without pending events, and the page opens another for its next event. An event that is
sent while the closing message is in transit finds the stream open at the page and ended here. The page would receive no
outcome of it until its next event, and a call would show "connecting" to its end.

Here such an event runs at once, but it is acknowledged only when the page has closed the stream. The page then knows
that it needs another.
"""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import AsyncIterable, AsyncIterator
from contextlib import suppress
from typing import Any

import gradio.routes
from fastapi import HTTPException
from gradio.queueing import Queue
from starlette.datastructures import QueryParams
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from voicechat.dependency_checks import DependencyChanged, find_target, require_function

log = logging.getLogger(__name__)

QUEUE_PUSH, STREAMING_RESPONSE = "gradio.queueing:Queue.push", "gradio.routes:StreamingResponse"
STREAM_PATH = "/queue/data"
CLOSE_MESSAGE_PREFIX = 'data: {"msg":"close_stream"'
CLOSE_TIMEOUT_S = 2.0
"""Seconds to wait for a page: some proxies do not pass on that a browser closed a stream."""


class StreamCloseBarrier:
    """Streams whose closing message is in transit, by Gradio's session hash. Lives in one event loop."""

    def __init__(self) -> None:
        self._pending_closes: dict[str, asyncio.Event] = {}

    async def wait_closed(self, session_hash: str) -> None:
        """Wait until this page has closed its stream, if one is closing."""
        if closed := self._pending_closes.get(session_hash):
            with suppress(TimeoutError):
                await asyncio.wait_for(closed.wait(), CLOSE_TIMEOUT_S)

    async def hold_open(self, session_hash: str, stream: AsyncIterable[Any]) -> AsyncIterator[Any]:
        """Yield Gradio's stream, and keep it open after the closing message until the page closes it.

        The reader of this generator is cancelled then. Gradio raises a 404 when another stream of the same page has
        ended and taken the page's messages along. The page has got a message about it by then, and
        the response has started, so the stream only ends.
        """
        self._mark_closed(session_hash)  # the page has opened another stream
        closing = None
        try:
            async for message in stream:
                if isinstance(message, str) and message.startswith(CLOSE_MESSAGE_PREFIX):
                    closing = message  # sent after Gradio's stream has ended, as Gradio drops events if it is cancelled
                    closed = self._pending_closes[session_hash] = asyncio.Event()
                else:
                    yield message
        except HTTPException:
            log.info("page: event stream ended, its page is closed")
            return
        if closing is None:
            return
        try:
            yield closing
            await asyncio.sleep(CLOSE_TIMEOUT_S)
        finally:
            closed.set()
            if self._pending_closes.get(session_hash) is closed:
                del self._pending_closes[session_hash]

    def _mark_closed(self, session_hash: str) -> None:
        if closed := self._pending_closes.pop(session_hash, None):
            closed.set()


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
