"""Offers of WebRTC connections that nobody has connected yet: few at a time, and gone in seconds when nothing comes of
them. Only connections that stand count as calls."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Protocol

MAX_PENDING_OFFERS = 24
"""Connections that were offered and are not established yet. Each costs a certificate and a UDP port per network
interface. fastrtc counts them among its calls."""
MAX_OFFERS_PER_VISITOR = 4
"""Of one visitor: a call, its second try, and the same in another tab."""
CONNECT_TIMEOUT_S = 10.0
"""Seconds until a connection has to stand. The page gives up after three and takes its other way."""


class OfferedConnection(Protocol):
    """One WebRTC connection of this server, from its offer on."""

    async def wait_connected(self) -> bool:
        """Wait until it is established (True) or has ended (False)."""

    async def close(self) -> None:
        """Close it and free what it holds."""


class PendingOffers:
    """Owner of the offers that wait."""

    def __init__(
        self,
        find_connection: Callable[[str], OfferedConnection | None],
        *,
        max_pending: int = MAX_PENDING_OFFERS,
        max_per_visitor: int = MAX_OFFERS_PER_VISITOR,
        connect_timeout_s: float = CONNECT_TIMEOUT_S,
    ) -> None:
        """`connection`: finds one by its id."""
        self._find_connection = find_connection
        self._max_pending, self._max_per_visitor, self._connect_timeout_s = (
            max_pending,
            max_per_visitor,
            connect_timeout_s,
        )
        self._visitor_by_connection: dict[str, str] = {}
        """By the connection's id, whose it is."""
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def pending_count(self) -> int:
        """Offers of which nothing has come yet."""
        return len(self._visitor_by_connection)

    def reserve(self, connection_id: str, visitor: str) -> bool:
        """Take a place for an offer; False when too many wait. `visitor`: "" for one that nothing is known of."""
        mine = sum(1 for each in self._visitor_by_connection.values() if each == visitor) if visitor else 0
        if (
            len(self._visitor_by_connection) >= self._max_pending
            or mine >= self._max_per_visitor
            or connection_id in self._visitor_by_connection
        ):
            return False
        self._visitor_by_connection[connection_id] = visitor
        return True

    def drop(self, connection_id: str) -> None:
        """Nothing will come of it: whatever was begun is closed."""
        self._spawn(self._close_connection(connection_id))

    def expect_connection(self, connection_id: str) -> None:
        """It was answered: now the connection has to stand in time."""
        self._spawn(self._await_connection(connection_id))

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _await_connection(self, connection_id: str) -> None:
        connection = self._find_connection(connection_id)
        if connection is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._connect_timeout_s):
                    if await connection.wait_connected():
                        del self._visitor_by_connection[connection_id]
                        return
        await self._close_connection(connection_id)

    async def _close_connection(self, connection_id: str) -> None:
        try:
            connection = self._find_connection(connection_id)
            if connection is not None:
                await connection.close()
        finally:
            self._visitor_by_connection.pop(connection_id, None)
