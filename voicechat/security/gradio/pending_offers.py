"""Pending offers: WebRTC offers that are not connected yet. Bounded in number and closed after a timeout.

Only established connections count as calls.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Protocol

MAX_PENDING_OFFERS = 24
"""Connections that were offered and are not established yet. Each costs a certificate and a UDP port per network
interface. fastrtc counts them among its calls."""
MAX_OFFERS_PER_VISITOR = 4
"""Pending offers of one visitor: a call, its second attempt, and the same in another tab."""
CONNECT_TIMEOUT_S = 10.0
"""Seconds to establish a connection. The page gives up after three and uses its WebSocket fallback."""


class OfferedConnection(Protocol):
    """One WebRTC connection of this server, from its offer on."""

    async def wait_connected(self) -> bool:
        """Wait until it is established (True) or has ended (False)."""

    async def close(self) -> None:
        """Close it and free what it holds."""


class PendingOffers:
    """Registry of pending offers. Limits their number and closes those that never connect."""

    def __init__(
        self,
        find_connection: Callable[[str], OfferedConnection | None],
        *,
        max_pending: int = MAX_PENDING_OFFERS,
        max_per_visitor: int = MAX_OFFERS_PER_VISITOR,
        connect_timeout_s: float = CONNECT_TIMEOUT_S,
    ) -> None:
        """`find_connection`: returns the connection with this id, or None."""
        self._find_connection = find_connection
        self._max_pending = max_pending
        self._max_per_visitor = max_per_visitor
        self._connect_timeout_s = connect_timeout_s
        self._visitor_by_connection: dict[str, str] = {}
        """Visitor key by connection id."""
        self._tasks: set[asyncio.Task[None]] = set()

    def reserve(self, connection_id: str, visitor: str) -> bool:
        """Register an offer; return False when too many are pending. `visitor`: "" for an unknown visitor."""
        of_visitor = sum(key == visitor for key in self._visitor_by_connection.values()) if visitor else 0
        if (
            len(self._visitor_by_connection) >= self._max_pending
            or of_visitor >= self._max_per_visitor
            or connection_id in self._visitor_by_connection
        ):
            return False
        self._visitor_by_connection[connection_id] = visitor
        return True

    def drop(self, connection_id: str) -> None:
        """Close the connection of a failed offer, and forget the offer."""
        self._spawn(self._close_connection(connection_id))

    def expect_connection(self, connection_id: str) -> None:
        """Wait for the connection of an answered offer; close it after the timeout."""
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
