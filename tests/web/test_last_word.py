"""An event that crosses the end of its page's stream is heard of (in a browser: `tests/browser/test_stream.py`)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from gradio.server_messages import CloseStreamMessage

from web import last_word
from web.last_word import LAST_WORD, LastWords

BYE = f"data: {CloseStreamMessage().model_dump_json()}\n\n"


class Page:
    """One page's stream, read as Starlette reads it: by a task that is cancelled when the browser closes it."""

    def __init__(self, words: LastWords, *messages: str, name: str = "page") -> None:
        self.got: list[str] = []
        self.gradio_ended = False
        self._news = asyncio.Condition()
        self._reading = asyncio.create_task(self._read(words.kept_open(name, self._stream(messages))))

    async def _stream(self, messages: tuple[str, ...]) -> AsyncIterator[str]:
        for message in messages:
            yield message
        self.gradio_ended = True

    async def _read(self, stream: AsyncIterator[str]) -> None:
        async for message in stream:
            async with self._news:
                self.got.append(message)
                self._news.notify_all()

    async def has(self, count: int) -> None:
        async with self._news:
            await self._news.wait_for(lambda: len(self.got) >= count)

    async def close(self) -> None:
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)

    async def end(self) -> None:
        await self._reading


def test_it_is_known_by_its_looks() -> None:
    assert BYE.startswith(LAST_WORD)


async def test_an_event_is_acknowledged_when_the_page_has_closed_its_stream() -> None:
    words = LastWords()
    await words.read("page")  # nothing has ended
    page = Page(words, "data: {}", BYE)
    await page.has(2)
    assert page.gradio_ended, "it is not to be cancelled in its middle"
    acknowledged = asyncio.create_task(words.read("page"))
    await words.read("another page")
    for _ in range(20):
        await asyncio.sleep(0)
    assert not acknowledged.done()
    await page.close()
    await asyncio.wait_for(acknowledged, 1)
    await asyncio.wait_for(words.read("page"), 0.1)
    assert page.got == ["data: {}", BYE]


async def test_a_page_that_opens_another_stream_has_read_it() -> None:
    words = LastWords()
    first = Page(words, BYE)
    await first.has(1)
    acknowledged = asyncio.create_task(words.read("page"))
    second = Page(words, "data: {}", BYE)
    await second.has(2)
    await asyncio.wait_for(acknowledged, 1)
    await first.close()  # which comes late, and is no sign that the second was read
    again = asyncio.create_task(words.read("page"))
    for _ in range(20):
        await asyncio.sleep(0)
    assert not again.done()
    await second.close()
    await asyncio.wait_for(again, 1)


async def test_nobody_waits_long_where_a_proxy_hides_that_the_browser_closed_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(last_word, "READ_S", 0.05)
    words = LastWords()
    page = Page(words, BYE)
    await page.has(1)
    await asyncio.wait_for(words.read("page"), 1)
    await asyncio.wait_for(page.end(), 1)
    assert not words._unread


async def test_a_stream_that_breaks_off_is_passed_on_as_it_is() -> None:
    words = LastWords()
    page = Page(words, "data: {}")
    await asyncio.wait_for(page.end(), 1)
    assert page.got == ["data: {}"]
    assert not words._unread
