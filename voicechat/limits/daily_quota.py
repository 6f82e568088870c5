"""Daily quota: seconds of calls that each visitor has per day (UTC). The clock is passed in."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Protocol

from .pricing import DAY_S

MAX_TRACKED_VISITORS = 10_000
"""Visitors whose seconds are kept. The least recently active one is dropped first."""
OVERRUN_GRACE_S = 20.0
"""Seconds for a reply to end once the budget or a visitor's quota is exceeded. After them even speech is cut off."""


class DailyQuotaLedger(Protocol):
    """Used seconds of all visitors since midnight UTC, at this process or at all replicas. For one event loop."""

    def add(self, visitor: str, seconds: float) -> None:
        """Add seconds of a call. The visitor "" is unknown and not counted."""

    def is_exhausted(self, visitor: str) -> bool:
        """Return True if this visitor has no seconds left today, as far as it is known here."""

    async def refresh(self, visitor: str) -> None:
        """Learn what this visitor has used at other replicas. Returns soon; without an answer nothing changes."""


class DailyQuota:
    """Used seconds of all visitors of this process since midnight UTC."""

    def __init__(self, limit_s: float, clock: Callable[[], float], max_visitors: int = MAX_TRACKED_VISITORS) -> None:
        """`limit_s`: seconds per visitor and day; 0: no limit. `clock`: seconds since 1970, as `time.time`."""
        self._limit_s = limit_s
        self._clock = clock
        self._max_visitors = max_visitors
        self._day = self._today()
        self._used_s: OrderedDict[str, float] = OrderedDict()

    def _today(self) -> int:
        return int(self._clock() // DAY_S)

    def add(self, visitor: str, seconds: float) -> None:
        """Add seconds of a call. The visitor "" is unknown and not counted."""
        if not visitor or not self._limit_s:
            return
        if self._today() > self._day:  # never back, like the daily spend
            self._day = self._today()
            self._used_s.clear()
        self._used_s[visitor] = self._used_s.get(visitor, 0.0) + max(0.0, seconds)
        self._used_s.move_to_end(visitor)
        while len(self._used_s) > self._max_visitors:
            self._used_s.popitem(last=False)

    def is_exhausted(self, visitor: str) -> bool:
        """Return True if this visitor has no seconds left today."""
        if not visitor or not self._limit_s or self._today() > self._day:
            return False
        return self._used_s.get(visitor, 0.0) >= self._limit_s

    async def refresh(self, visitor: str) -> None:
        """Do nothing: everything is known here."""


class QuotaMeter:
    """Meter of one call; the visitor "" is not counted."""

    def __init__(self, quota: DailyQuotaLedger, visitor: str, now: float) -> None:
        """`now`, here and below: any monotonic clock."""
        self._quota = quota
        self._visitor = visitor
        self._counted_until = now
        self._exhausted_at: float | None = None

    def must_end(self, idle: bool, now: float) -> bool:
        """Count until now, and return True if the call has to end. Unless it is idle, a reply may finish first. Call it
        at least every few seconds."""
        self._quota.add(self._visitor, now - self._counted_until)
        self._counted_until = now
        if not self._quota.is_exhausted(self._visitor):
            self._exhausted_at = None
            return False
        if self._exhausted_at is None:
            self._exhausted_at = now
        return idle or now - self._exhausted_at >= OVERRUN_GRACE_S
