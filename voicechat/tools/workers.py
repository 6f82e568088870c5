"""BlockingWorkers: threads for tools whose functions block."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import threading
from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar, runtime_checkable

from .definition import Tool, ToolContext, ToolResult

logger = logging.getLogger(__name__)

T = TypeVar("T")

WORKERS = 4
"""Blocking calls that run at the same time."""
MAX_LOST_WORKERS = 16
"""Threads that may hang in calls which ran out of time. With more, further blocking calls are refused."""


@runtime_checkable
class BlockingTool(Tool, Protocol):
    """A tool whose function may block its thread."""

    @property
    def is_blocking(self) -> bool: ...

    def run_blocking(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        """Run one call in this thread."""
        ...


class WorkersExhausted(Exception):
    """Too many workers hang in calls that ran out of time."""


class BlockingJob:
    """One blocking call: it waits, runs in a worker, or was given up."""

    def __init__(self, loop: asyncio.AbstractEventLoop, function: Callable[[], Any]) -> None:
        self.future: asyncio.Future[Any] = loop.create_future()
        self._loop = loop
        self._function = function
        self._lock = threading.Lock()
        self._is_started = False
        self._is_given_up = False

    def run(self) -> bool:
        """Run the call, in a worker. Return whether the worker is still wanted: the call was not given up."""
        with self._lock:
            if self._is_given_up:
                return True
            self._is_started = True
        value: Any = None
        error: BaseException | None = None
        try:
            value = self._function()
        except BaseException as raised:  # also SystemExit: a worker outlives its calls
            error = raised
        with self._lock:
            if self._is_given_up:
                return False
            self._is_started = False
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._settle, value, error)
        return True

    def give_up(self) -> bool:
        """Forget the call. Return whether a worker is lost to it: it runs, and cannot be stopped."""
        with self._lock:
            was_running = self._is_started and not self._is_given_up
            self._is_given_up = True
        return was_running

    def _settle(self, value: Any, error: BaseException | None) -> None:
        if self.future.done():
            return
        if error is None:
            self.future.set_result(value)
        elif isinstance(error, Exception) and not isinstance(error, StopIteration):
            self.future.set_exception(error)
        else:  # a future refuses StopIteration, and SystemExit would end the loop
            self.future.set_exception(RuntimeError(type(error).__name__))


class BlockingWorkers:
    """A few threads for blocking calls. A thread that hangs in an overdue call is replaced."""

    def __init__(self, count: int = WORKERS, max_lost: int = MAX_LOST_WORKERS) -> None:
        self._count = count
        self._max_lost = max_lost
        self._jobs: queue.SimpleQueue[BlockingJob | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._running = 0
        self._lost = 0

    @property
    def lost(self) -> int:
        """Threads that hang in calls which were given up."""
        with self._lock:
            return self._lost

    async def run(self, function: Callable[[], T]) -> T:
        """Return what `function` returns in a worker. A cancelled one is given up, and may run on unseen."""
        if self.lost >= self._max_lost:
            raise WorkersExhausted
        job = BlockingJob(asyncio.get_running_loop(), function)
        self._jobs.put(job)
        self._fill_up()
        try:
            result: T = await job.future
        except asyncio.CancelledError:
            if job.give_up():
                with self._lock:
                    self._running -= 1
                    self._lost += 1
                    lost = self._lost
                logger.warning("tools: worker lost count=%d", lost)
                self._fill_up()
            raise
        return result

    def close(self) -> None:
        """End the idle workers. Those that hang end with the process."""
        with self._lock:
            self._max_lost = 0
            running = self._running
        for _ in range(running):
            self._jobs.put(None)

    def _fill_up(self) -> None:
        """Start the missing workers. They are daemons, so that a hanging one holds up no exit."""
        with self._lock:
            missing = self._count - self._running
            self._running = self._count
        for _ in range(missing):
            threading.Thread(target=self._work, name="tool-worker", daemon=True).start()

    def _work(self) -> None:
        while job := self._jobs.get():
            if not job.run():
                with self._lock:
                    self._lost -= 1
                return
            del job  # holds the arguments
