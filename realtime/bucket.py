"""A token bucket: so many a second, and some at once. Pure, time handed in."""

from __future__ import annotations


class Bucket:
    """Full at first. What is taken beyond what is there has to be waited for."""

    def __init__(self, per_second: float, at_once: float, now: float) -> None:
        """`now`, here and below: seconds of any clock that does not go back."""
        self._per_second = per_second
        self._most = at_once
        self._left = at_once
        self._at = now

    def take(self, now: float, count: float = 1.0) -> float:
        """Take so many. Returns the seconds to wait before the next ones: 0.0 while there is some left."""
        self._left = min(self._most, self._left + max(0.0, now - self._at) * self._per_second) - count
        self._at = max(self._at, now)
        return max(0.0, -self._left / self._per_second)
