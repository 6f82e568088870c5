"""How long one visitor may be in calls in a day. Pure, but for the clock that is handed in."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from .pricing import DAY_S

MAX_TRACKED_VISITORS = 10_000
"""Whose seconds are kept; those who were heard of least lately are forgotten first."""
OVERRUN_GRACE_S = 20.0
"""Seconds in which a reply may be heard to its end once the money or a visitor's day is spent. Someone who goes on
talking is cut off."""


class DailyQuota:
    """The seconds of all visitors since midnight UTC. Not for threads: it lives in one loop."""

    def __init__(self, limit_s: float, clock: Callable[[], float], max_visitors: int = MAX_TRACKED_VISITORS) -> None:
        """`seconds`: of one visitor in a day; 0: no limit. `clock`: seconds since 1970, as `time.time`."""
        self._limit_s = limit_s
        self._clock = clock
        self._max_visitors = max_visitors
        self._day = self._today()
        self._used_s: OrderedDict[str, float] = OrderedDict()

    def _today(self) -> int:
        return int(self._clock() // DAY_S)

    def add(self, visitor: str, seconds: float) -> None:
        """This visitor was in a call for so long. "" is nobody, and is not counted."""
        if not visitor or not self._limit_s:
            return
        if self._today() > self._day:  # only forwards, as the day's money does
            self._day = self._today()
            self._used_s.clear()
        self._used_s[visitor] = self._used_s.get(visitor, 0.0) + max(0.0, seconds)
        self._used_s.move_to_end(visitor)
        while len(self._used_s) > self._max_visitors:
            self._used_s.popitem(last=False)

    def is_exhausted(self, visitor: str) -> bool:
        """This visitor's day is used up."""
        if not visitor or not self._limit_s or self._today() > self._day:
            return False
        return self._used_s.get(visitor, 0.0) >= self._limit_s


class QuotaMeter:
    """One call of one visitor, counted while it lasts."""

    def __init__(self, quota: DailyQuota, visitor: str, now: float) -> None:
        """`now`, here and below: any monotonic clock."""
        self._quota = quota
        self._visitor = visitor
        self._counted_until = now
        self._exhausted_at: float | None = None

    def must_end(self, idle: bool, now: float) -> bool:
        """Count until now; returns whether the call has to end. Unless all is `quiet`, what is being said may finish
        first. To be called at least every few seconds."""
        self._quota.add(self._visitor, now - self._counted_until)
        self._counted_until = now
        if not self._quota.is_exhausted(self._visitor):
            self._exhausted_at = None
            return False
        if self._exhausted_at is None:
            self._exhausted_at = now
        return idle or now - self._exhausted_at >= OVERRUN_GRACE_S
