"""Call clock: seconds of calls, as the recording counts them. Pure: time goes in."""

from __future__ import annotations

from typing import NamedTuple


class TimeSpan(NamedTuple):
    """Start and end in seconds of the call clock; the same for a typed message."""

    start: float
    end: float

    def union(self, other: TimeSpan) -> TimeSpan:
        """Return the shortest span that holds both."""
        return TimeSpan(min(self.start, other.start), max(self.end, other.end))


class CallClock:
    """Seconds of all calls of one conversation, without the time between calls. `now`: one monotonic clock."""

    def __init__(self, previous_calls_s: float = 0.0) -> None:
        self._previous_calls_s = previous_calls_s
        self._started_at: float | None = None

    def start(self, now: float) -> None:
        """Start a call; a call that still runs is stopped first."""
        self.stop(now)
        self._started_at = now

    def stop(self, now: float) -> None:
        """Stop the call, if one runs."""
        self._previous_calls_s, self._started_at = self.elapsed_s(now), None

    def restart(self, now: float) -> None:
        """Count from 0 again, in the same call if one runs."""
        self._previous_calls_s = 0.0
        if self._started_at is not None:
            self._started_at = now

    def elapsed_s(self, now: float) -> float:
        """Return the seconds counted so far."""
        return self._previous_calls_s + (max(0.0, now - self._started_at) if self._started_at is not None else 0.0)
