"""When things were said: seconds of call, as the recording counts them. Pure, time handed in."""

from __future__ import annotations

from typing import NamedTuple


class TimeSpan(NamedTuple):
    """From when to when, in seconds of the call clock. Of what is typed, both are the same."""

    start: float
    end: float

    def union(self, other: TimeSpan) -> TimeSpan:
        """The shortest span that holds both."""
        return TimeSpan(min(self.start, other.start), max(self.end, other.end))


class CallClock:
    """Seconds that the calls of one conversation have lasted, one call after the other; what lies between two calls is
    not counted. `now` is any monotonic clock, the same in all methods."""

    def __init__(self) -> None:
        self._previous_calls_s = 0.0
        self._started_at: float | None = None

    def start(self, now: float) -> None:
        """A call begins; one that was not stopped ends here."""
        self.stop(now)
        self._started_at = now

    def stop(self, now: float) -> None:
        """The call is over. Does nothing when none is under way."""
        self._previous_calls_s, self._started_at = self.elapsed_s(now), None

    def restart(self, now: float) -> None:
        """The conversation begins anew, in the same call if one is under way."""
        self._previous_calls_s = 0.0
        if self._started_at is not None:
            self._started_at = now

    def elapsed_s(self, now: float) -> float:
        """The time on this clock."""
        return self._previous_calls_s + (max(0.0, now - self._started_at) if self._started_at is not None else 0.0)
