"""Token bucket: a rate per second and a burst. Pure: time is passed in."""

from __future__ import annotations


class TokenBucket:
    """Bucket that is full at first. It may go into debt, which has to be waited for."""

    def __init__(self, per_second: float, burst: float, now: float) -> None:
        """`now`, here and below: seconds of a monotonic clock."""
        self._per_second = per_second
        self._burst = burst
        self._available = burst
        self._updated_at = now

    def take(self, now: float, count: float = 1.0) -> float:
        """Take tokens. Return the seconds to wait before the next ones; 0.0 while some are left."""
        self._available = (
            min(self._burst, self._available + max(0.0, now - self._updated_at) * self._per_second) - count
        )
        self._updated_at = max(self._updated_at, now)
        return max(0.0, -self._available / self._per_second)
