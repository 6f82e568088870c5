"""Lag of an event loop: how late it runs what is due, as far as this process is to blame."""

from __future__ import annotations

import asyncio
import time
from types import TracebackType

STEP_S = 0.001
"""Seconds between two looks at the clock."""


class LoopLag:
    """Measures the running loop while it is entered.

    On a busy computer a loop is late because other programs run. A late step therefore counts only as far as this
    process used the processor meanwhile: its threads held up the loop for no longer than that.
    """

    def __init__(self) -> None:
        self.worst_s = 0.0
        self.steps = 0
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> LoopLag:
        self._task = asyncio.create_task(self._measure())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.wait({self._task})

    async def _measure(self) -> None:
        while True:
            due, used = time.perf_counter() + STEP_S, time.process_time()
            await asyncio.sleep(STEP_S)
            late = min(time.perf_counter() - due, time.process_time() - used)
            self.worst_s = max(self.worst_s, late)
            self.steps += 1
