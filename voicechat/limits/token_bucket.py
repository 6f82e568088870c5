"""A token bucket: so many a second, and some at once. Pure, time handed in."""

from __future__ import annotations


class TokenBucket:
    """Full at first. What is taken beyond what is there has to be waited for."""

    def __init__(self, per_second: float, burst: float, now: float) -> None:
        """`now`, here and below: seconds of any clock that does not go back."""
        self._per_second = per_second
        self._burst = burst
        self._available = burst
        self._updated_at = now

    def take(self, now: float, count: float = 1.0) -> float:
        """Take so many. Returns the seconds to wait before the next ones: 0.0 while there is some left."""
        self._available = (
            min(self._burst, self._available + max(0.0, now - self._updated_at) * self._per_second) - count
        )
        self._updated_at = max(self._updated_at, now)
        return max(0.0, -self._available / self._per_second)
