"""Priority executor: blocking calls in threads, ordered by priority and awaited from the event loop."""

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
    """Order of calls: smaller first, and first in first out within a priority, so that sessions alternate."""

    INTERACTIVE = 0
    """The user waits for the result."""
    SPECULATIVE = 1
    """The result will probably be needed soon."""
    BACKGROUND = 2
    """Captions and prefill."""


class PriorityExecutor:
    """Daemon threads that run blocking calls. A call cancelled before its start does not run."""

    def __init__(self, name: str, threads: int = 1) -> None:
        self._condition = threading.Condition()
        self._jobs: list[tuple[int, int, Callable[[], None]]] = []
        self._sequence = itertools.count()
        self._running = 0
        self._is_open = True
        for i in range(threads):
            threading.Thread(target=self._run_thread, name=f"{name}-{i}", daemon=True).start()

    @property
    def is_busy(self) -> bool:
        """Whether a call is running or queued."""
        with self._condition:
            return self._running > 0 or bool(self._jobs)

    async def run(self, priority: Priority, function: Callable[[], T]) -> T:
        """Return the result of `function()`, or raise its exception. Cancellation does not interrupt a running call."""
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
            except Exception as failure:
                error = failure
            if not loop.is_closed():
                loop.call_soon_threadsafe(settle, result, error)

        with self._condition:
            heapq.heappush(self._jobs, (priority, next(self._sequence), job))
            self._condition.notify()
        return await future

    def close(self) -> None:
        """Drop queued calls and let the threads end after their current ones."""
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
                self._running += 1
            job()
            with self._condition:
                self._running -= 1
            del job  # it refers to the models, and the next job may be far away
