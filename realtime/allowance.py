"""How long one visitor may be in calls in a day. Pure, but for the clock that is handed in."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from .usage import DAY_S

MOST_VISITORS = 10_000
"""Whose seconds are kept; those who were heard of least lately are forgotten first."""
POLITE_S = 20.0
"""Seconds in which a reply may be heard to its end once the money or a visitor's day is spent. Someone who goes on
talking is cut off."""


class Allowance:
    """The seconds of all visitors since midnight UTC. Not for threads: it lives in one loop."""

    def __init__(self, seconds: float, clock: Callable[[], float], most: int = MOST_VISITORS) -> None:
        """`seconds`: of one visitor in a day; 0: no limit. `clock`: seconds since 1970, as `time.time`."""
        self._seconds = seconds
        self._clock = clock
        self._most = most
        self._day = self._today()
        self._used: OrderedDict[str, float] = OrderedDict()

    def _today(self) -> int:
        return int(self._clock() // DAY_S)

    def add(self, visitor: str, seconds: float) -> None:
        """This visitor was in a call for so long. "" is nobody, and is not counted."""
        if not visitor or not self._seconds:
            return
        if self._today() > self._day:  # only forwards, as the day's money does
            self._day = self._today()
            self._used.clear()
        self._used[visitor] = self._used.get(visitor, 0.0) + max(0.0, seconds)
        self._used.move_to_end(visitor)
        while len(self._used) > self._most:
            self._used.popitem(last=False)

    def over(self, visitor: str) -> bool:
        """This visitor's day is used up."""
        if not visitor or not self._seconds or self._today() > self._day:
            return False
        return self._used.get(visitor, 0.0) >= self._seconds


class Stay:
    """One call of one visitor, counted while it lasts."""

    def __init__(self, allowance: Allowance, visitor: str, now: float) -> None:
        """`now`, here and below: any monotonic clock."""
        self._allowance = allowance
        self._visitor = visitor
        self._counted_to = now
        self._over_at: float | None = None

    def must_end(self, quiet: bool, now: float) -> bool:
        """Count until now; returns whether the call has to end. Unless all is `quiet`, what is being said may finish
        first. To be called at least every few seconds."""
        self._allowance.add(self._visitor, now - self._counted_to)
        self._counted_to = now
        if not self._allowance.over(self._visitor):
            self._over_at = None
            return False
        if self._over_at is None:
            self._over_at = now
        return quiet or now - self._over_at >= POLITE_S
