"""Timers of one conversation: set, listed, cancelled, and rung by a clock that is passed in."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

MAX_TIMERS = 8
"""Timers of one conversation that run at a time."""
MAX_SECONDS = 24 * 3600
"""Longest timer, in seconds."""


class PendingRing(Protocol):
    """A call of the clock that has not happened yet."""

    def cancel(self) -> None: ...


class TimerClock(Protocol):
    """Source of the time and of later calls. A running asyncio loop is one."""

    def time(self) -> float:
        """Return the time in seconds."""
        ...

    def call_later(self, delay: float, callback: Callable[[], object], /) -> PendingRing:
        """Call back after `delay` seconds."""
        ...

    def call_soon_threadsafe(self, callback: Callable[[], object], /) -> object:
        """Call back soon, in the clock's own thread."""
        ...


@dataclass(frozen=True, slots=True)
class RunningTimer:
    """One timer that will ring."""

    number: int
    """Number within the conversation, from 1."""
    name: str
    """Name that the visitor gave it, or ""."""
    seconds: float
    """Whole length."""
    ends_at: float
    """Time of the ring by the board's clock."""


class TimerBoard:
    """Timers of one conversation. All methods but `close` belong to the clock's thread."""

    def __init__(self, clock: TimerClock) -> None:
        self.clock = clock
        self._running: dict[int, tuple[RunningTimer, PendingRing]] = {}
        self._last_number = 0
        self._closed = threading.Event()

    @property
    def running(self) -> list[RunningTimer]:
        """Timers that have not rung, the next one first."""
        return sorted((timer for timer, _ in self._running.values()), key=lambda timer: (timer.ends_at, timer.number))

    @property
    def is_full(self) -> bool:
        """Whether another timer must wait until one has rung."""
        return len(self._running) >= MAX_TIMERS

    def set(self, seconds: float, name: str, ring: Callable[[RunningTimer], None]) -> RunningTimer:
        """Start a timer; `ring` is called at its end, unless it is cancelled or the board is closed."""
        self._last_number += 1
        number = self._last_number
        timer = RunningTimer(number, name, seconds, self.clock.time() + seconds)
        self._running[number] = (timer, self.clock.call_later(seconds, lambda: self._ring(number, ring)))
        return timer

    def find(self, name: str) -> list[RunningTimer]:
        """Return the timers with this name, in any case; all of them for ""."""
        wanted = name.strip().casefold()
        if not wanted:
            return self.running
        exact = [timer for timer in self.running if timer.name.casefold() == wanted]
        return exact or [timer for timer in self.running if timer.name and _is_part(timer.name.casefold(), wanted)]

    def cancel(self, timers: list[RunningTimer]) -> None:
        """Cancel timers; those that have rung are left out."""
        for timer in timers:
            if found := self._running.pop(timer.number, None):
                found[1].cancel()

    def close(self) -> None:
        """Cancel all timers: nothing rings after this. Callable from any thread."""
        self._closed.set()
        try:
            self.clock.call_soon_threadsafe(lambda: self.cancel(self.running))
        except RuntimeError:  # the clock's loop has ended, and every timer with it
            self._running.clear()

    def _ring(self, number: int, ring: Callable[[RunningTimer], None]) -> None:
        found = self._running.pop(number, None)
        if found and not self._closed.is_set():
            ring(found[0])


def _is_part(name: str, wanted: str) -> bool:
    return wanted in name or name in wanted
