"""A clock that stands still until a test moves it, and a sleep by that clock."""

from __future__ import annotations

import asyncio

SETTLE_TURNS = 20
"""Turns of the event loop in which the tasks that were woken go on to their next wait."""


class ManualClock:
    """Seconds; call it for the time."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now
        self.sleeps: list[float] = []
        """Every pause asked for, in order."""
        self.moves_by_itself = False
        """A sleep moves the clock at once, instead of waiting for the test."""
        self._sleepers: list[tuple[float, asyncio.Future[None]]] = []
        self._reads = 0
        self._read = asyncio.Event()

    def __call__(self) -> float:
        self._reads += 1
        self._read.set()
        return self.now

    async def sleep(self, seconds: float) -> None:
        """Wait until the clock has moved by `seconds`."""
        self.sleeps.append(seconds)
        if self.moves_by_itself or seconds <= 0:
            self.now += max(0.0, seconds)
            await asyncio.sleep(0)
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sleepers.append((self.now + seconds, future))
        await future

    async def advance(self, seconds: float) -> None:
        """Move the clock, waking sleepers in their order, each at its own time."""
        end = self.now + seconds
        while due := [sleeper for sleeper in self._sleepers if sleeper[0] <= end]:
            sleeper = min(due, key=lambda one: one[0])
            self._sleepers.remove(sleeper)
            self.now = max(self.now, sleeper[0])
            if not sleeper[1].done():
                sleeper[1].set_result(None)
            for _ in range(SETTLE_TURNS):
                await asyncio.sleep(0)
        self.now = end

    async def wait_for_reads(self, count: int) -> None:
        """Wait until the time was read `count` more times."""
        wanted = self._reads + count
        async with asyncio.timeout(30):
            while self._reads < wanted:
                self._read.clear()
                await self._read.wait()
