"""Password attempts: limits of wrong passwords, for each visitor and in total."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Protocol

VISITOR_ATTEMPT_BURST = 6
"""Wrong passwords of one visitor at once. A person mistypes a few times; a password of eight letters stays safe."""
VISITOR_ATTEMPT_REFILL_S = 10.0
"""Seconds until one visitor may try once more."""
TOTAL_ATTEMPT_BURST = 60
"""Wrong passwords of all visitors at once: behind a tunnel an attacker can change the address each time."""
TOTAL_ATTEMPT_REFILL_S = 0.5
"""Seconds until one more attempt is accepted. Short, so that a visitor can still log in during an attack."""
MAX_TRACKED_VISITORS = 10_000
"""Visitors whose attempts are counted; the oldest are dropped first."""


class PasswordAttempts(Protocol):
    """Attempts of this process or of all replicas. A visitor is a `ClientIdentity.visitor_key`."""

    async def take(self, visitor: str) -> bool:
        """Count an attempt, as if it were wrong. Return False, and count nothing, after too many."""

    async def forgive(self, visitor: str) -> None:
        """Take an attempt out of the count, and forget the visitor's others: the password was correct."""


class LocalPasswordAttempts:
    """Attempts of this process: token buckets."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._by_visitor: OrderedDict[str, tuple[float, float]] = OrderedDict()
        """Attempts left and the time of the count, by visitor."""
        self._total: tuple[float, float] | None = None
        """The same for all visitors together."""

    async def take(self, visitor: str) -> bool:
        """Count an attempt, as if it were wrong. Return False, and count nothing, after too many."""
        now = self._clock()
        left = _attempts_left(self._by_visitor.pop(visitor, None), now, VISITOR_ATTEMPT_BURST, VISITOR_ATTEMPT_REFILL_S)
        total_left = _attempts_left(self._total, now, TOTAL_ATTEMPT_BURST, TOTAL_ATTEMPT_REFILL_S)
        if left < 1 or total_left < 1:
            if left < VISITOR_ATTEMPT_BURST:
                self._by_visitor[visitor] = left, now
            return False
        self._total = total_left - 1, now
        self._by_visitor[visitor] = left - 1, now
        while len(self._by_visitor) > MAX_TRACKED_VISITORS:
            self._by_visitor.popitem(last=False)
        return True

    async def forgive(self, visitor: str) -> None:
        """Take an attempt out of the count, and forget the visitor's others: the password was correct."""
        self._by_visitor.pop(visitor, None)
        if self._total is not None:
            left, then = self._total
            self._total = left + 1, then

    @property
    def visitor_count(self) -> int:
        """Visitors whose attempts are counted."""
        return len(self._by_visitor)


def _attempts_left(counted: tuple[float, float] | None, now: float, burst: int, refill_s: float) -> float:
    """Return the attempts left now. `counted`: attempts left at an earlier time, and that time."""
    left, then = counted or (burst, now)
    return min(float(burst), left + (now - then) / refill_s)
