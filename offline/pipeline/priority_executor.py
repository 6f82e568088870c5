"""Threads for the models: blocking work taken in order of urgency, awaited from the event loop."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import threading
from collections.abc import Callable
from enum import IntEnum
from typing import Any, TypeVar

T = TypeVar("T")


class Priority(IntEnum):
    """Smaller goes first; within one urgency, first come, first served, so that sessions take turns."""

    INTERACTIVE = 0
    """Someone waits for this now."""
    SPECULATIVE = 1
    """It will probably be wanted in a moment."""
    BACKGROUND = 2
    """Captions and reading ahead."""


class PriorityExecutor:
    """`threads` threads that run blocking calls. Whoever is cancelled before its turn is not run at all."""

    def __init__(self, name: str, threads: int = 1) -> None:
        self._condition = threading.Condition()
        self._jobs: list[tuple[int, int, Callable[[], None]]] = []
        self._sequence = itertools.count()
        self._is_open = True
        for i in range(threads):
            threading.Thread(target=self._run_thread, name=f"{name}-{i}", daemon=True).start()

    async def run(self, priority: Priority, function: Callable[[], T]) -> T:
        """The result of `call()`, run here. A call already begun when the caller is cancelled ends by itself."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()

        def settle(result: Any, error: BaseException | None) -> None:
            if future.done():
                return
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(result)

        def job() -> None:
            if future.done():
                return
            result, error = None, None
            try:
                result = function()
            except Exception as problem:
                error = problem
            if not loop.is_closed():
                loop.call_soon_threadsafe(settle, result, error)

        with self._condition:
            heapq.heappush(self._jobs, (priority, next(self._sequence), job))
            self._condition.notify()
        return await future

    def close(self) -> None:
        """Lets the threads end after what they are doing."""
        with self._condition:
            self._is_open = False
            self._jobs.clear()
            self._condition.notify_all()

    def _run_thread(self) -> None:
        while True:
            with self._condition:
                while self._is_open and not self._jobs:
                    self._condition.wait()
                if not self._is_open:
                    return
                job = heapq.heappop(self._jobs)[2]
            job()
