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


class Urgency(IntEnum):
    """Smaller goes first; within one urgency, first come, first served, so that sessions take turns."""

    WAITED_FOR = 0
    """Someone waits for this now."""
    PREPARED = 1
    """It will probably be wanted in a moment."""
    HELPFUL = 2
    """Captions and reading ahead."""


class Lane:
    """`threads` threads that run blocking calls. Whoever is cancelled before its turn is not run at all."""

    def __init__(self, name: str, threads: int = 1) -> None:
        self._ready = threading.Condition()
        self._jobs: list[tuple[int, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._open = True
        for i in range(threads):
            threading.Thread(target=self._work, name=f"{name}-{i}", daemon=True).start()

    async def run(self, urgency: Urgency, call: Callable[[], T]) -> T:
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
                result = call()
            except Exception as problem:
                error = problem
            if not loop.is_closed():
                loop.call_soon_threadsafe(settle, result, error)

        with self._ready:
            heapq.heappush(self._jobs, (urgency, next(self._order), job))
            self._ready.notify()
        return await future

    def close(self) -> None:
        """Lets the threads end after what they are doing."""
        with self._ready:
            self._open = False
            self._jobs.clear()
            self._ready.notify_all()

    def _work(self) -> None:
        while True:
            with self._ready:
                while self._open and not self._jobs:
                    self._ready.wait()
                if not self._open:
                    return
                job = heapq.heappop(self._jobs)[2]
            job()
