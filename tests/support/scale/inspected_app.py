"""The app, unchanged, which writes the state of its event loop into a file whenever it gets SIGUSR1.

INSPECTION_FILE=loop.json python -m tests.support.scale.inspected_app
"""

from __future__ import annotations

import asyncio
import functools
import json
import os
import signal
import socket
import time
from pathlib import Path

import uvicorn

STEP_S = 0.005
"""Seconds between two looks at the clock."""
SCHEDULER_STATISTICS = Path("/proc/thread-self/schedstat")


def waited_for_processor_s() -> float:
    """Return the seconds for which this thread was ready, and other programs had the processor."""
    return int(SCHEDULER_STATISTICS.read_text().split()[1]) / 1e9


class LoopInspector:
    """Answers signals in the loop that it is made in, and measures for how long the app has blocked it."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._blocked_s = 0.0
        self._watching = self._loop.create_task(self._watch())
        """Its name is among the tasks, in each process."""

    async def _watch(self) -> None:
        while True:
            due, waited = time.monotonic() + STEP_S, waited_for_processor_s()
            await asyncio.sleep(STEP_S)
            late = time.monotonic() - due - (waited_for_processor_s() - waited)
            self._blocked_s = max(self._blocked_s, late)

    def answer(self) -> None:
        """Write the state, from any thread."""
        self._loop.call_soon_threadsafe(self._write)

    def _write(self) -> None:
        coroutines = [task.get_coro() for task in asyncio.all_tasks()]
        state = {
            "tasks": sorted(getattr(each, "__qualname__", type(each).__name__) for each in coroutines),
            "blocked_s": self._blocked_s,
        }
        self._blocked_s = 0.0
        path = Path(os.environ["INSPECTION_FILE"])
        unfinished = path.with_suffix(".part")
        unfinished.write_text(json.dumps(state))
        unfinished.replace(path)


def answer_signals() -> None:
    """Answer SIGUSR1 from the start of uvicorn on."""
    startup = uvicorn.Server.startup

    @functools.wraps(startup)
    async def start_answering(self: uvicorn.Server, sockets: list[socket.socket] | None = None) -> None:
        await startup(self, sockets)
        inspector = LoopInspector()
        inspectors.append(inspector)

    inspectors: list[LoopInspector] = []
    signal.signal(signal.SIGUSR1, lambda *_: inspectors[-1].answer())
    uvicorn.Server.startup = start_answering  # type: ignore[method-assign]


if __name__ == "__main__":
    answer_signals()
    import app

    app.main()
