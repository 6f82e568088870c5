"""What the page is told, when nobody fetches it."""

from __future__ import annotations

from collections.abc import AsyncIterator

from voicechat.ui.tabs.stream_liveness import until_unread


async def test_news_end_when_something_is_always_left() -> None:
    now, left = [0.0], [0]

    async def every_second() -> AsyncIterator[int]:
        for number in range(100):
            now[0] = float(number)
            yield number

    told = []
    async for number in until_unread(every_second(), lambda: left[0], lambda: now[0], 5.0):
        told.append(number)
        left[0] = 3 if number % 20 in range(5) or number > 50 else 0  # a slow network, and then nobody
    assert told[-1] == 56
