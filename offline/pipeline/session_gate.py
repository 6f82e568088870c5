"""Session gate: background work waits until no session is open, and is interrupted when one opens."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress


class SessionGate:
    """Count of open sessions. All methods belong to the event loop's thread. `clock` returns seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._open_sessions = 0
        self._clock = clock
        self._idle_since_s = clock()
        self._idle, self._busy = asyncio.Event(), asyncio.Event()
        self._idle.set()
        self._interrupts: set[threading.Event] = set()

    @property
    def is_idle(self) -> bool:
        """Whether no session is open."""
        return self._open_sessions == 0

    def enter(self) -> None:
        """Count a session that opens, and interrupt the work that must not run beside it."""
        self._open_sessions += 1
        self._idle.clear()
        self._busy.set()
        for interrupt in self._interrupts:
            interrupt.set()

    def leave(self) -> None:
        """Count a session that has ended."""
        self._open_sessions -= 1
        if self.is_idle:
            self._idle_since_s = self._clock()
            self._busy.clear()
            self._idle.set()

    async def wait_until_idle(self, quiet_s: float = 0.0) -> None:
        """Return when no session is open, and none was for `quiet_s` seconds. None opens before the caller goes on."""
        while True:
            await self._idle.wait()
            if not self.is_idle:
                continue
            remaining_s = self._idle_since_s + quiet_s - self._clock()
            if remaining_s <= 0:
                return
            with suppress(TimeoutError):
                async with asyncio.timeout(remaining_s):
                    await self._busy.wait()

    async def wait_for_end_of_sessions(self) -> None:
        """Return when no session is open any more, once one is open."""
        await self._busy.wait()
        await self._idle.wait()

    @contextmanager
    def interrupted_by_session(self) -> Iterator[threading.Event]:
        """Yield an event that is set when a session is or becomes open, and at the end of the context."""
        interrupt = threading.Event()
        if not self.is_idle:
            interrupt.set()
        self._interrupts.add(interrupt)
        try:
            yield interrupt
        finally:
            interrupt.set()
            self._interrupts.discard(interrupt)
