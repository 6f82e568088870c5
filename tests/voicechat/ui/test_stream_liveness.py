"""Stream liveness: an event ends when the page stops fetching."""

from __future__ import annotations

from collections.abc import AsyncIterator

from voicechat.ui.tabs.stream_liveness import until_unread


async def test_updates_end_when_the_page_stops_fetching() -> None:
    now, left = [0.0], [0]

    async def every_second() -> AsyncIterator[int]:
        for number in range(100):
            now[0] = float(number)
            yield number

    updates = []
    async for number in until_unread(every_second(), lambda: left[0], lambda: now[0], 5.0):
        updates.append(number)
        left[0] = 3 if number % 20 in range(5) or number > 50 else 0  # a slow network, then no fetching at all
    assert updates[-1] == 56
