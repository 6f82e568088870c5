"""Offers of WebRTC connections that nobody has connected yet: few at a time, and gone in seconds when nothing comes of
them. Only connections that stand count as calls."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress

from ..rtc_page import MOST_OFFERS, Connection

MOST_EACH = 4
"""Of one visitor: a call, its second try, and the same in another tab."""
LIFE_S = 10.0
"""Seconds until a connection has to stand. The page gives up after three and takes its other way."""


class Offers:
    """Owner of the offers that wait."""

    def __init__(
        self,
        connection: Callable[[str], Connection | None],
        *,
        most: int = MOST_OFFERS,
        most_each: int = MOST_EACH,
        life_s: float = LIFE_S,
    ) -> None:
        """`connection`: finds one by its id."""
        self._connection = connection
        self._most, self._most_each, self._life_s = most, most_each, life_s
        self._waiting: dict[str, str] = {}
        """By the connection's id, whose it is."""
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def waiting(self) -> int:
        """Offers of which nothing has come yet."""
        return len(self._waiting)

    def begin(self, word: str, visitor: str) -> bool:
        """Take a place for an offer; False when too many wait. `visitor`: "" for one that nothing is known of."""
        mine = sum(1 for each in self._waiting.values() if each == visitor) if visitor else 0
        if len(self._waiting) >= self._most or mine >= self._most_each or word in self._waiting:
            return False
        self._waiting[word] = visitor
        return True

    def drop(self, word: str) -> None:
        """Nothing will come of it: whatever was begun is closed."""
        self._spawn(self._close(word))

    def answered(self, word: str) -> None:
        """It was answered: now the connection has to stand in time."""
        self._spawn(self._watch(word))

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _watch(self, word: str) -> None:
        connection = self._connection(word)
        if connection is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._life_s):
                    if await connection.settled():
                        del self._waiting[word]
                        return
        await self._close(word)

    async def _close(self, word: str) -> None:
        try:
            connection = self._connection(word)
            if connection is not None:
                await connection.drop()
        finally:
            self._waiting.pop(word, None)
