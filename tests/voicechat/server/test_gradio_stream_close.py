"""Order of an event and the end of its page's stream (in a browser: `tests/browser/page/test_event_stream_end.py`)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from fastapi import HTTPException
from gradio.server_messages import CloseStreamMessage, UnexpectedErrorMessage

from voicechat.server.gradio_patches import stream_close
from voicechat.server.gradio_patches.stream_close import CLOSE_MESSAGE_PREFIX, StreamCloseBarrier

CLOSE_MESSAGE = f"data: {CloseStreamMessage().model_dump_json()}\n\n"
SESSION_NOT_FOUND = f"data: {UnexpectedErrorMessage(message='404', session_not_found=True).model_dump_json()}\n\n"


class FakeStreamReader:
    """One page's stream, read as Starlette reads it: by a task that is cancelled when the browser closes it."""

    def __init__(self, words: StreamCloseBarrier, *messages: str, name: str = "page") -> None:
        self.received: list[str] = []
        self.gradio_ended = False
        self._changed = asyncio.Condition()
        self._reading = asyncio.create_task(self._read(words.hold_open(name, self._stream(messages))))

    async def _stream(self, messages: tuple[str, ...]) -> AsyncIterator[str]:
        for message in messages:
            yield message
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


async def test_other_errors_of_a_stream_are_raised() -> None:
    async def stream() -> AsyncIterator[str]:
        yield "data: {}"
        raise ValueError

    with pytest.raises(ValueError):
        _ = [message async for message in StreamCloseBarrier().hold_open("page", stream())]
