"""Order of an event and the end of its page's stream (in a browser: `tests/browser/page/test_event_stream_end.py`)."""

from __future__ import annotations

import asyncio
import inspect
import json
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractContextManager
from queue import Queue as ThreadQueue

import gradio as gr
import gradio.routes
import httpx
import pytest
from fastapi import HTTPException
from gradio.queueing import Queue
from gradio.server_messages import CloseStreamMessage, UnexpectedErrorMessage
from starlette.responses import StreamingResponse

from voicechat.server.gradio_patches import stream_close
from voicechat.server.gradio_patches.stream_close import CLOSE_MESSAGE_PREFIX, StreamCloseBarrier

CLOSE_MESSAGE = f"data: {CloseStreamMessage().model_dump_json()}\n\n"
SESSION_NOT_FOUND = f"data: {UnexpectedErrorMessage(message='404', session_not_found=True).model_dump_json()}\n\n"


class FakeStreamReader:
    """One page's stream, read as Starlette reads it: by a task that is cancelled when the browser closes it."""

    def __init__(
        self,
        words: StreamCloseBarrier,
        *messages: str,
        name: str = "page",
        is_endless: bool = False,
        source: AsyncIterator[str] | None = None,
        number: str = "",
    ) -> None:
        """`source`: Gradio's messages instead of `messages`."""
        self.received: list[str] = []
        self._is_endless = is_endless
        self.gradio_ended = False
        self._changed = asyncio.Condition()
        self._reading = asyncio.create_task(self._read(words.hold_open(name, source or self._stream(messages), number)))

    async def _stream(self, messages: tuple[str, ...]) -> AsyncIterator[str]:
        for message in messages:
            yield message
        if self._is_endless:
            await asyncio.Event().wait()
        self.gradio_ended = True

    async def _read(self, stream: AsyncIterator[str]) -> None:
        async for message in stream:
            async with self._changed:
                self.received.append(message)
                self._changed.notify_all()

    async def wait_for_messages(self, count: int) -> None:
        async with self._changed:
            await self._changed.wait_for(lambda: len(self.received) >= count)

    async def close(self) -> None:
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)

    async def wait_until_finished(self) -> None:
        await self._reading


def test_close_message_is_recognised_by_its_prefix() -> None:
    assert CLOSE_MESSAGE.startswith(CLOSE_MESSAGE_PREFIX)


async def test_event_is_acknowledged_after_the_page_has_closed_its_stream() -> None:
    words = StreamCloseBarrier()
    await words.wait_closed("page")  # nothing has ended
    page = FakeStreamReader(words, "data: {}", CLOSE_MESSAGE)
    await page.wait_for_messages(2)
    assert page.gradio_ended, "it is not to be cancelled in its middle"
    acknowledged = asyncio.create_task(words.wait_closed("page"))
    await words.wait_closed("another page")
    for _ in range(20):
        await asyncio.sleep(0)
    assert not acknowledged.done()
    await page.close()
    await asyncio.wait_for(acknowledged, 1)
    await asyncio.wait_for(words.wait_closed("page"), 0.1)
    assert page.received == ["data: {}", CLOSE_MESSAGE]


async def test_another_stream_of_a_page_ends_the_wait() -> None:
    words = StreamCloseBarrier()
    first = FakeStreamReader(words, CLOSE_MESSAGE)
    await first.wait_for_messages(1)
    acknowledged = asyncio.create_task(words.wait_closed("page"))
    second = FakeStreamReader(words, "data: {}", CLOSE_MESSAGE)
    await second.wait_for_messages(2)
    await asyncio.wait_for(acknowledged, 1)
    await first.close()  # which comes late, and does not show that the second was read
    again = asyncio.create_task(words.wait_closed("page"))
    for _ in range(20):
        await asyncio.sleep(0)
    assert not again.done()
    await second.close()
    await asyncio.wait_for(again, 1)


async def test_wait_behind_a_proxy_that_hides_the_close_is_short(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stream_close, "CLOSE_TIMEOUT_S", 0.05)
    words = StreamCloseBarrier()
    page = FakeStreamReader(words, CLOSE_MESSAGE)
    await page.wait_for_messages(1)
    await asyncio.wait_for(words.wait_closed("page"), 1)
    await asyncio.wait_for(page.wait_until_finished(), 1)
    assert not words._pending_closes


async def test_stream_without_a_closing_message_is_not_changed() -> None:
    words = StreamCloseBarrier()
    page = FakeStreamReader(words, "data: {}")
    await asyncio.wait_for(page.wait_until_finished(), 1)
    assert page.received == ["data: {}"]
    assert not words._pending_closes


async def test_stream_of_a_forgotten_page_ends_after_gradios_message_without_an_error() -> None:
    """Gradio raises a 404 in the middle of a stream whose page another stream has closed meanwhile."""

    async def stream() -> AsyncIterator[str]:
        yield "data: {}"
        yield SESSION_NOT_FOUND
        raise HTTPException(status_code=404)

    received = [message async for message in StreamCloseBarrier().hold_open("page", stream())]
    assert received == ["data: {}", SESSION_NOT_FOUND]


async def test_cancelled_stream_of_a_forgotten_page_is_cancelled() -> None:
    """Gradio deletes the page's messages when it is cancelled, and another stream may have deleted them."""
    started = asyncio.Event()

    async def stream() -> AsyncIterator[str]:
        try:
            yield "data: {}"
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            messages: dict[str, str] = {}
            del messages["page"]

    async def read() -> None:
        async for _ in StreamCloseBarrier().hold_open("page", stream()):
            started.set()

    reading = asyncio.create_task(read())
    await asyncio.wait_for(started.wait(), 1)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(reading, 1)


class FakeQueue:
    """Gradio's queue, as far as a cut stream concerns it."""

    def __init__(self) -> None:
        self.pending_messages_per_session: dict[str, ThreadQueue[str]] = {"page": ThreadQueue()}
        self.ended_pages: list[str] = []

    async def clean_events(self, *, session_hash: str) -> None:
        self.ended_pages.append(session_hash)


@pytest.mark.parametrize("comes_back", [True, False])
async def test_events_of_a_cut_stream_go_on_only_if_the_page_opens_another(
    monkeypatch: pytest.MonkeyPatch, comes_back: bool
) -> None:
    monkeypatch.setattr(stream_close, "RETURN_TIMEOUT_S", 0.05)
    queue, words = FakeQueue(), StreamCloseBarrier()
    messages = queue.pending_messages_per_session["page"]
    words.note_messages("page", messages)
    del queue.pending_messages_per_session["page"]  # as Gradio does, before it ends the events
    words.forget_unless_back("page", queue, FakeQueue.clean_events)
    assert queue.pending_messages_per_session == {"page": messages}, "another stream would get a 404"
    page = FakeStreamReader(words, "data: {}", is_endless=True) if comes_back else None
    await asyncio.wait_for(asyncio.gather(*words._cut.values(), return_exceptions=True), 1)
    assert queue.ended_pages == ([] if comes_back else ["page"])
    assert ("page" in queue.pending_messages_per_session) is comes_back
    if page is not None:
        await page.close()
    assert not words._streams


async def test_events_of_a_page_that_has_returned_go_on_when_its_stream_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """The page may be between two streams when the time of the cut one is over."""
    monkeypatch.setattr(stream_close, "RETURN_TIMEOUT_S", 0.05)
    queue, words = FakeQueue(), StreamCloseBarrier()
    words.note_messages("page", queue.pending_messages_per_session["page"])
    words.forget_unless_back("page", queue, FakeQueue.clean_events)
    forgetting = words._cut["page"]
    page = FakeStreamReader(words, "data: {}")
    await asyncio.wait_for(page.wait_until_finished(), 1)
    await asyncio.wait([forgetting])
    assert forgetting.cancelled() and not words._streams and not words._cut
    assert queue.ended_pages == [] and "page" in queue.pending_messages_per_session


async def test_late_cut_of_an_older_stream_ends_no_events(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_close, "RETURN_TIMEOUT_S", 0.05)
    queue, words = FakeQueue(), StreamCloseBarrier()
    page = FakeStreamReader(words, "data: {}", is_endless=True)
    await page.wait_for_messages(1)
    words.forget_unless_back("page", queue, FakeQueue.clean_events)
    await asyncio.wait_for(words._cut["page"], 1)
    assert queue.ended_pages == [] and "page" in queue.pending_messages_per_session
    await page.close()


async def test_newest_stream_of_a_page_gets_all_messages() -> None:
    """A browser sent the request for a stream twice, and reads only the second."""
    messages: asyncio.Queue[str] = asyncio.Queue()

    async def gradio() -> AsyncIterator[str]:
        while True:
            yield await messages.get()

    words = StreamCloseBarrier()
    dropped = FakeStreamReader(words, source=gradio())
    messages.put_nowait("first")
    await dropped.wait_for_messages(1)
    page = FakeStreamReader(words, source=gradio())
    await asyncio.wait_for(dropped.wait_until_finished(), 1)
    sent = [f"message {i}" for i in range(20)]
    for message in sent:
        messages.put_nowait(message)
    await asyncio.wait_for(page.wait_for_messages(len(sent)), 1)
    assert page.received == sent and dropped.received == ["first"]
    await page.close()
    assert not words._streams


@pytest.mark.parametrize(("repeated", "received"), [("7", ["first", "second"]), ("8", ["second"])])
async def test_repeated_request_gets_what_the_dropped_one_was_sent(repeated: str, received: list[str]) -> None:
    messages: asyncio.Queue[str] = asyncio.Queue()

    async def gradio() -> AsyncIterator[str]:
        while True:
            yield await messages.get()

    words = StreamCloseBarrier()
    dropped = FakeStreamReader(words, source=gradio(), number="7")
    messages.put_nowait("first")
    await dropped.wait_for_messages(1)
    page = FakeStreamReader(words, source=gradio(), number=repeated)
    await asyncio.wait_for(dropped.wait_until_finished(), 1)
    messages.put_nowait("second")
    await asyncio.wait_for(page.wait_for_messages(len(received)), 1)
    assert page.received == received
    await page.close()


@pytest.mark.parametrize("steps", range(12))
async def test_message_that_comes_when_a_newer_stream_opens_is_sent_once(steps: int) -> None:
    words, ready = StreamCloseBarrier(), asyncio.Event()

    async def gradio() -> AsyncIterator[str]:
        await ready.wait()
        yield "the only one"
        await asyncio.Event().wait()

    older = FakeStreamReader(words, source=gradio())
    for _ in range(5):
        await asyncio.sleep(0)
    newer = FakeStreamReader(words, is_endless=True)
    for _ in range(steps):
        await asyncio.sleep(0)
    ready.set()
    await asyncio.wait_for(older.wait_until_finished(), 1)
    for _ in range(20):
        await asyncio.sleep(0)
    # Gradio reads nothing after it was cancelled: then the message stays in its queue for the newer stream.
    assert older.received + newer.received in ([], ["the only one"])
    await newer.close()


@pytest.mark.parametrize("error", [ValueError, KeyError])
async def test_other_errors_of_a_stream_are_raised(error: type[Exception]) -> None:
    async def stream() -> AsyncIterator[str]:
        yield "data: {}"
        raise error

    with pytest.raises(error):
        _ = [message async for message in StreamCloseBarrier().hold_open("page", stream())]


# ---------------------------------------------------------------- in a page that is served


@pytest.fixture
def held_page(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[httpx.Client, threading.Event]]:
    """Yield a client of a served page whose only function waits for the event."""
    for owner, name in ((gradio.routes, "StreamingResponse"), (Queue, "push"), (Queue, "clean_events")):
        monkeypatch.setattr(owner, name, inspect.unwrap(getattr(owner, name)))  # put back what is installed here
    monkeypatch.setattr(gradio.routes, "StreamingResponse", StreamingResponse)
    stream_close.install()
    released = threading.Event()

    def answer(text: str) -> str:
        released.wait(20)
        return text.upper()

    with gr.Blocks(analytics_enabled=False) as page:
        said = gr.Textbox()
        said.submit(answer, said, said)
    page.queue().launch(prevent_thread_lock=True, server_name="127.0.0.1", quiet=True, ssr_mode=False)
    with httpx.Client(base_url=f"{page.local_url}gradio_api", timeout=20) as http:
        yield http, released
    released.set()
    page.close(verbose=False)


def test_page_whose_stream_was_cut_gets_the_outcome_from_its_next_stream(
    held_page: tuple[httpx.Client, threading.Event],
) -> None:
    http, released = held_page
    http.post("/queue/join", json={"data": ["hello"], "fn_index": 0, "session_hash": "page"}).raise_for_status()

    def open_stream() -> AbstractContextManager[httpx.Response]:
        return http.stream("GET", "/queue/data", params={"session_hash": "page"})

    with open_stream() as stream:
        next(line for line in stream.iter_lines() if "process_starts" in line)
    with open_stream() as stream:
        released.set()
        found = [json.loads(line[5:]) for line in stream.iter_lines() if line]
    assert [each["output"]["data"] for each in found if each["msg"] == "process_completed"] == [["HELLO"]], found
