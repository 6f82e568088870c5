"""Spending of a day over all replicas."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence

from voicechat.limits.pricing import DAY_S, MILLION

from .redis_connection import RedisConnection
from .shared_sum import SharedSum, day_name
from .sum_exchange import KeyedSum, SumExchange


class SharedDailySpend:
    """Spending of the operator today (UTC), over all replicas: `DailySpendLedger`. For one event loop.

    While Redis does not answer, each replica takes the others to spend as much as it does. So a limit leaves it its
    share of the money that was left: (limit - last total) / replicas. If one replica alone loses Redis, the total may
    exceed the limit by that share.
    """

    def __init__(
        self,
        connection: RedisConnection,
        exchange: SumExchange,
        replica_id: str,
        count_replicas: Callable[[], int],
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`count_replicas`: returns the replicas last seen, 1 or more. `clock`: seconds since 1970."""
        self._connection = connection
        self._exchange = exchange
        self._replica_id = replica_id
        self._count_replicas = count_replicas
        self._clock = clock
        self._day = self._current_day()
        self._today = SharedSum(replica_id)
        self._yesterday: KeyedSum | None = None
        """Sum of the day before, until Redis has it."""
        exchange.add_source(self)

    def _current_day(self) -> int:
        return int(self._clock() // DAY_S)

    def _roll_over(self) -> None:
        if self._current_day() > self._day:  # never back, like the spending of one process
            self._yesterday = self._key(), self._today
            self._day, self._today = self._current_day(), SharedSum(self._replica_id)

    def _key(self) -> str:
        return self._connection.key("usd", day_name(self._day))

    def add(self, usd: float) -> None:
        """Book an amount. Ignore negative and non-finite ones."""
        self._roll_over()
        if math.isfinite(usd):
            self._today.add(usd * MILLION)

    @property
    def today_usd(self) -> float:
        """USD since midnight UTC: of other replicas as they were last known."""
        self._roll_over()
        if self._exchange.is_current:
            return self._today.known / MILLION
        return self._today.estimate(self._count_replicas()) / MILLION

    async def list_due_sums(self) -> Sequence[KeyedSum]:
        """Return the sum of today, in which others may have spent meanwhile, and yesterday's until it is sent."""
        self._roll_over()
        if self._yesterday is not None and self._yesterday[1].is_sent:
            self._yesterday = None
        today = self._key(), self._today
        return [today] if self._yesterday is None else [self._yesterday, today]

    def restore_all(self) -> None:
        """Send all known parts next time."""
        self._today.restore()
