"""Seconds of each visitor's calls in a day, over all replicas."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress

from voicechat.limits.daily_quota import MAX_TRACKED_VISITORS
from voicechat.limits.pricing import DAY_S

from .redis_connection import RedisConnection, SharedStateUnavailable
from .shared_sum import SharedSum, day_name
from .sum_exchange import KeyedSum, SumExchange
from .visitor_names import VisitorNames

MS_PER_S = 1000


class SharedDailyQuota:
    """Used seconds of all visitors since midnight UTC, over all replicas: `DailyQuotaLedger`. For one event loop.

    While Redis does not answer, seconds at this replica count, and those of others as far as they were known.
    """

    def __init__(
        self,
        connection: RedisConnection,
        exchange: SumExchange,
        names: VisitorNames,
        replica_id: str,
        limit_s: float,
        clock: Callable[[], float] = time.time,
        max_visitors: int = MAX_TRACKED_VISITORS,
    ) -> None:
        """`limit_s`: seconds per visitor and day; 0: no limit. `clock`: seconds since 1970."""
        self._connection = connection
        self._exchange = exchange
        self._names = names
        self._replica_id = replica_id
        self._limit_ms = limit_s * MS_PER_S
        self._clock = clock
        self._max_visitors = max_visitors
        self._day = self._current_day()
        self._sums: OrderedDict[str, SharedSum] = OrderedDict()
        """Sums of the visitors seen today. The least recently active one is dropped first."""
        self._due: dict[str, None] = {}
        """Visitors whose sums Redis may not have, in order."""
        self._dropped = 0
        exchange.add_source(self)

    def _current_day(self) -> int:
        return int(self._clock() // DAY_S)

    def _roll_over(self) -> None:
        if self._current_day() > self._day:  # never back; what was not sent yesterday limits no visitor today
            self._day = self._current_day()
            self._sums.clear()
            self._due.clear()

    def _sum_of(self, visitor: str) -> SharedSum:
        found = self._sums.get(visitor)
        if found is None:
            # A visitor who was dropped and returns gets a new part: how much is in the old one is unknown here.
            found = self._sums[visitor] = SharedSum(f"{self._replica_id}.{self._dropped}")
        self._sums.move_to_end(visitor)
        while len(self._sums) > self._max_visitors:
            dropped, _ = self._sums.popitem(last=False)
            self._due.pop(dropped, None)
            self._dropped += 1
        return found

    def add(self, visitor: str, seconds: float) -> None:
        """Add seconds of a call. The visitor "" is unknown and not counted."""
        if not visitor or not self._limit_ms:
            return
        self._roll_over()
        self._sum_of(visitor).add(seconds * MS_PER_S)
        self._due[visitor] = None

    def is_exhausted(self, visitor: str) -> bool:
        """Return True if this visitor has no seconds left today, as far as it is known here."""
        if not visitor or not self._limit_ms:
            return False
        self._roll_over()
        found = self._sums.get(visitor)
        return found is not None and found.known >= self._limit_ms

    async def refresh(self, visitor: str) -> None:
        """Learn what this visitor has used at other replicas. Without an answer nothing changes."""
        if not visitor or not self._limit_ms:
            return
        with suppress(SharedStateUnavailable):
            await self._names.agree()
            self._roll_over()
            await self._exchange.exchange([(self._key(visitor), self._sum_of(visitor))])

    def _key(self, visitor: str) -> str:
        return self._connection.key("ms", day_name(self._day), self._names.name(visitor))

    async def list_due_sums(self) -> Sequence[KeyedSum]:
        """Return the sums that Redis may not have. Raises `SharedStateUnavailable`."""
        if not self._due:
            return []
        await self._names.agree()
        self._roll_over()
        for visitor in [visitor for visitor in self._due if self._sums[visitor].is_sent]:
            del self._due[visitor]
        return [(self._key(visitor), self._sums[visitor]) for visitor in self._due]

    def restore_all(self) -> None:
        """Send all known parts of all visitors next time, under their names of then."""
        self._names.renew()
        for visitor, each in self._sums.items():
            each.restore()
            self._due[visitor] = None
