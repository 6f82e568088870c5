"""Circuit breaker: keeps turns from waiting for an endpoint that has just failed."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

PAUSES_S = (30.0, 60.0, 120.0)
"""Seconds without requests after one, two, and more failures in a row."""
MAX_RETRY_AFTER_S = 600.0
"""Longest pause that an endpoint may ask for."""


class BreakerState(Enum):
    """State of a circuit breaker."""

    CLOSED = "closed"
    """Requests are sent."""
    OPEN = "open"
    """No request is sent until the pause is over."""
    HALF_OPEN = "half_open"
    """One request is on trial; others are not sent."""


@dataclass(frozen=True, slots=True)
class Lease:
    """Right to send requests until they have an outcome. Give it back with `release`, whatever the outcome was."""

    generation: int
    """Number of trials before the request. What was sent before the latest trial says nothing of the endpoint now."""
    is_trial: bool


class CircuitBreaker:
    """State of one endpoint, shared by all sessions. Belongs to one thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures = 0
        self._open_until = 0.0
        self._state = BreakerState.CLOSED
        self._generation = 0

    @property
    def state(self) -> BreakerState:
        """Present state; `OPEN` until a request is admitted on trial."""
        return self._state

    @property
    def remaining_s(self) -> float:
        """Seconds until the next request is admitted; 0 when one would be now."""
        return max(0.0, self._open_until - self._clock()) if self._state is BreakerState.OPEN else 0.0

    def admit(self) -> Lease | None:
        """Return the right to send a request; None during a pause. After a pause, the first is on trial."""
        if self._state is BreakerState.OPEN and self._clock() >= self._open_until:
            self._state = BreakerState.HALF_OPEN
            self._generation += 1
            return Lease(self._generation, is_trial=True)
        return Lease(self._generation, is_trial=False) if self._state is BreakerState.CLOSED else None

    def record_success(self, lease: Lease) -> None:
        """Close: the endpoint works. A success of a request that was sent before a failure changes nothing."""
        if self._is_current(lease) and self._state is not BreakerState.OPEN:
            self._state, self._failures, self._open_until = BreakerState.CLOSED, 0, 0.0

    def record_failure(self, lease: Lease, retry_after_s: float | None = None) -> None:
        """Open, for `retry_after_s` if the endpoint said so.

        Requests sent at the same time fail together: while open, a failure counts no further, and only prolongs.
        """
        if not self._is_current(lease):
            return
        earlier = self._failures - 1 if self._state is BreakerState.OPEN else self._failures
        pause = PAUSES_S[min(earlier, len(PAUSES_S) - 1)]
        if retry_after_s is not None:
            pause = min(max(retry_after_s, 0.0), MAX_RETRY_AFTER_S)
        self._failures = earlier + 1
        self._open_until = max(self._open_until, self._clock() + pause)
        self._state = BreakerState.OPEN

    def release(self, lease: Lease) -> None:
        """Note that a request has ended. A trial that ended without an outcome is repeated by the next request."""
        if lease.is_trial and self._is_current(lease) and self._state is BreakerState.HALF_OPEN:
            self._state, self._open_until = BreakerState.OPEN, self._clock()

    def _is_current(self, lease: Lease) -> bool:
        return lease.generation == self._generation
