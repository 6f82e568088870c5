"""End of a page's event stream: no event of a page that opens another stream is lost.

Gradio ends the stream of a page without pending events, and the page opens another for its next event. An event that is
sent while the closing message is in transit finds the stream open at the page and ended here. The page would receive no
outcome of it until its next event, and a call would show "connecting" to its end.

Here such an event runs at once, but it is acknowledged only when the page has closed the stream. The page then knows
that it needs another.

Gradio also ends and forgets all events of a page whose stream is cut while some are under way. The page answers a cut
with another stream, where it would get a 404 for all of them, and nothing that is pressed would be answered any more.
Here the events are forgotten only when no other stream comes.

A browser may send a request for a stream twice, and drop one without closing it: Chromium does when the last stream
ended a moment ago. Gradio would give each message to either of them. Here the newest stream of a page gets them all,
and of the same request also those that the dropped one was sent. The page numbers its requests (event_streams.js).
"""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator
from contextlib import aclosing, suppress
from typing import Any
from weakref import WeakValueDictionary

import gradio.routes
from fastapi import HTTPException
from gradio.queueing import Queue
from starlette.datastructures import QueryParams
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from voicechat.dependency_checks import DependencyChanged, find_target, require_function, require_names

log = logging.getLogger(__name__)

QUEUE_PUSH, STREAMING_RESPONSE = "gradio.queueing:Queue.push", "gradio.routes:StreamingResponse"
CLEAN_EVENTS = "gradio.queueing:Queue.clean_events"
STREAM_PATH = "/queue/data"
CLOSE_MESSAGE_PREFIX = 'data: {"msg":"close_stream"'
CLOSE_TIMEOUT_S = 2.0
"""Seconds to wait for a page: some proxies do not pass on that a browser closed a stream."""
RETURN_TIMEOUT_S = 3.0
"""Seconds within which a page whose stream was cut opens another. Then its events end."""
SUPERSEDED_TIMEOUT_S = 1.0
"""Seconds for the older of two streams to stop: its browser may take a message slowly."""
STREAM_NUMBER = "stream"
"""Query parameter with the number of a page's request."""
MAX_REPEATED = 64
"""Messages of a stream that its repeated request gets again. After more of them, it is surely read."""


class PageStream:
    """One open stream of a page, until a newer one supersedes it."""

    def __init__(self, number: str = "") -> None:
        """`number` is that of the page's request; "" when it has none."""
        self.number = number
        self.sent: list[Any] = []
        """First messages that were sent."""
        self.superseded = asyncio.Event()
        self.stopped = asyncio.Event()
        """Set when it reads no more messages."""
        self.leftover: list[Any] = []
        """Messages that it has read and not sent."""

    def note_sent(self, message: Any) -> None:
        """Keep a message for a repeated request."""
        if self.number and len(self.sent) < MAX_REPEATED:
            self.sent.append(message)
        else:
            self.number = ""
            self.sent.clear()

    def messages_for(self, newer: PageStream) -> list[Any]:
        """Return what `newer` has to send first."""
        is_repeated = self.number and self.number == newer.number
        return [*(self.sent if is_repeated else ()), *self.leftover]

    async def read(self, stream: AsyncIterable[Any]) -> AsyncGenerator[Any, None]:
        """Yield the messages of Gradio's `stream` until a newer stream of the page is there."""
        messages = aiter(stream)
        newer = asyncio.create_task(self.superseded.wait())
        step: asyncio.Task[list[Any]] | None = None
        try:
            while not self.superseded.is_set():
                step = asyncio.create_task(_next_message(messages))
                await asyncio.wait({step, newer}, return_when=asyncio.FIRST_COMPLETED)
                if not step.done():
                    return
                if not (found := step.result()):
                    return
                if self.superseded.is_set():
                    self.leftover += found
                else:
                    yield found[0]
        finally:
            newer.cancel()
            try:
                if step is not None and not step.done():
                    step.cancel()  # Gradio's answer to it is a message, which has no reader
                    await asyncio.gather(step, return_exceptions=True)
            finally:
                self.stopped.set()


async def _next_message(messages: AsyncIterator[Any]) -> list[Any]:
    """Return the next message in a list, which is empty at the end."""
    try:
        return [await anext(messages)]
    except StopAsyncIteration:
        return []


class StreamCloseBarrier:
    """Streams of all pages, by Gradio's session hash. Lives in one event loop."""

    def __init__(self) -> None:
        self._pending_closes: dict[str, asyncio.Event] = {}
        """Streams whose closing message is in transit."""
        self._streams: dict[str, PageStream] = {}
        """Newest open stream of each page."""
        self._cut: dict[str, asyncio.Task[None]] = {}
        """Pages whose stream was cut, with the task that ends their events. A page that returns cancels it."""
        self._messages: WeakValueDictionary[str, Any] = WeakValueDictionary()
        """Gradio's queues of messages, which it deletes when a stream is cut."""

    def note_messages(self, session_hash: str, messages: Any) -> None:
        """Note the queue of a page's messages."""
        self._messages[session_hash] = messages

    def forget_unless_back(self, session_hash: str, queue: Queue, clean_events: Any) -> None:
        """Keep the messages of a page whose stream was cut, and end its events unless it opens another stream."""
        kept = self._messages.get(session_hash)
        if kept is not None and session_hash not in queue.pending_messages_per_session:
            queue.pending_messages_per_session[session_hash] = kept
        self._keep_cut_page(session_hash)
        forgetting = self._forget(session_hash, queue, clean_events)
        self._cut[session_hash] = asyncio.get_running_loop().create_task(forgetting)

    def _keep_cut_page(self, session_hash: str) -> None:
        if task := self._cut.pop(session_hash, None):
            task.cancel()

    async def _forget(self, session_hash: str, queue: Queue, clean_events: Any) -> None:
        await asyncio.sleep(RETURN_TIMEOUT_S)
        del self._cut[session_hash]
        if session_hash in self._streams:  # the cut one was not the newest
            return
        queue.pending_messages_per_session.pop(session_hash, None)
        await clean_events(queue, session_hash=session_hash)

    async def wait_closed(self, session_hash: str) -> None:
        """Wait until this page has closed its stream, if one is closing."""
        if closed := self._pending_closes.get(session_hash):
            with suppress(TimeoutError):
                await asyncio.wait_for(closed.wait(), CLOSE_TIMEOUT_S)

    async def hold_open(self, session_hash: str, stream: AsyncIterable[Any], number: str = "") -> AsyncIterator[Any]:
        """Yield Gradio's stream, and keep it open after the closing message until the page closes it.

        The reader of this generator is cancelled then. When another stream of the same page has ended and taken the
        page's messages along, Gradio raises a 404. The response has started by then: the stream only ends.
        """
        self._mark_closed(session_hash)  # the page has opened another stream
        own, older = PageStream(number), self._streams.get(session_hash)
        self._streams[session_hash] = own
        try:
            if older is not None:
                older.superseded.set()
                with suppress(TimeoutError):
                    await asyncio.wait_for(older.stopped.wait(), SUPERSEDED_TIMEOUT_S)
                for message in older.messages_for(own):
                    own.note_sent(message)
                    yield message
            self._keep_cut_page(session_hash)
            async with aclosing(self._hold_open(session_hash, own.read(stream))) as messages:
                async for message in messages:
                    own.note_sent(message)
                    yield message
        finally:
            own.stopped.set()
            if self._streams.get(session_hash) is own:
                del self._streams[session_hash]

    async def _hold_open(self, session_hash: str, stream: AsyncGenerator[Any, None]) -> AsyncGenerator[Any, None]:
        closing = None
        try:
            async with aclosing(stream):
                async for message in stream:
                    if isinstance(message, str) and message.startswith(CLOSE_MESSAGE_PREFIX):
                        closing = message  # sent after Gradio's stream has ended: it drops events if it is cancelled
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
    """Replace `Queue.push`, `Queue.clean_events` and the event stream's response in this process.

    A second call does nothing.

    Raise DependencyChanged, with nothing replaced, when Gradio is not as expected.
    """
    push = require_function(QUEUE_PUSH, ("self", "body", "request", "username"))
    if hasattr(push, "__wrapped__"):
        return
    clean_events = require_function(CLEAN_EVENTS, ("self", "session_hash", "event_id"))
    require_names("gradio.queueing:Queue.__init__", {"pending_messages_per_session"})
    if find_target(STREAMING_RESPONSE) is not StreamingResponse:
        raise DependencyChanged(STREAMING_RESPONSE, "not Starlette's own")
    barrier = StreamCloseBarrier()

    class HeldOpenResponse(StreamingResponse):
        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            query = QueryParams(scope["query_string"])
            if scope["path"].endswith(STREAM_PATH) and (session_hash := query.get("session_hash", "")):
                number = query.get(STREAM_NUMBER, "")
                self.body_iterator = barrier.hold_open(session_hash, self.body_iterator, number)
            await super().__call__(scope, receive, send)

    @functools.wraps(push)
    async def acknowledge_when_closed(queue: Queue, body: Any, *others: Any, **more: Any) -> Any:
        outcome = await push(queue, body, *others, **more)
        if (messages := queue.pending_messages_per_session.get(body.session_hash)) is not None:
            barrier.note_messages(body.session_hash, messages)
        await barrier.wait_closed(body.session_hash)
        return outcome

    @functools.wraps(clean_events)
    async def clean_events_later(queue: Queue, *, session_hash: str | None = None, event_id: str | None = None) -> None:
        if session_hash is None:
            await clean_events(queue, event_id=event_id)
        else:
            barrier.forget_unless_back(session_hash, queue, clean_events)

    gradio.routes.StreamingResponse = HeldOpenResponse
    Queue.push = acknowledge_when_closed
    Queue.clean_events = clean_events_later
