"""Manual clock: a callable clock that tests set and advance."""

from __future__ import annotations


class ManualClock:
    """Clock that stands still until a test changes `now`, in seconds."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now
