"""A clock of timers that stands still until a test moves it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(eq=False)
class ManualRing:
    """A call that the clock will make."""

    due: float
    callback: Callable[[], object]
    is_cancelled: bool = False

    def cancel(self) -> None:
        self.is_cancelled = True


class ManualTimerClock:
    """Clock of a `TimerBoard`: `advance` makes the calls that are due, in order."""

    def __init__(self) -> None:
        self.now = 100.0
        self.pending: list[ManualRing] = []
        self.is_closed = False

    def time(self) -> float:
        return self.now

    def call_later(self, delay: float, callback: Callable[[], object], /) -> ManualRing:
        ring = ManualRing(self.now + delay, callback)
        self.pending.append(ring)
        return ring

    def call_soon_threadsafe(self, callback: Callable[[], object], /) -> None:
        if self.is_closed:
            raise RuntimeError("Event loop is closed")
        callback()

    @property
    def waiting(self) -> list[ManualRing]:
        """Calls that are neither made nor cancelled."""
        return [ring for ring in self.pending if not ring.is_cancelled]

    def advance(self, seconds: float) -> None:
        """Move the time, and make the calls that fall due."""
        end = self.now + seconds
        while due := [ring for ring in self.waiting if ring.due <= end]:
            ring = min(due, key=lambda one: one.due)
            self.pending.remove(ring)
            self.now = max(self.now, ring.due)
            ring.callback()
        self.now = end
