"""Executor of tool calls: one thread with an event loop of its own, so that no tool holds up the sound of a call."""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import threading
from collections.abc import Callable, Coroutine, Hashable, Mapping
from typing import Any

from voicechat.logs import error_location

from .definition import Tool, ToolContext, ToolResult
from .failure import ToolFailure
from .registry import ToolRegistry
from .time_limit import limit_time
from .workers import BlockingTool, BlockingWorkers, WorkersExhausted

logger = logging.getLogger(__name__)

MAX_RESULT_CHARS = 100_000
"""Characters of a result that leave the executor's thread."""
CLOSE_S = 8.0
"""Seconds that the end of the thread may take: servers of stdio get 2 s, then SIGTERM, then SIGKILL."""
UNKNOWN_TOOL = ToolResult("There is no tool of this name.", is_error=True)
FAILED = ToolResult("The tool failed.", is_error=True)
TIMED_OUT = ToolResult("The tool timed out, and its result is unknown.", is_error=True)
OVERLOADED = ToolResult("The tool cannot run: too many earlier calls have not ended.", is_error=True)
CLOSED = ToolResult("The tool cannot run: the app is closing.", is_error=True)

OnDone = Callable[[ToolResult], None]


class ToolExecutor:
    """Runs calls in its own thread, which starts with the first one. Call its methods in the caller's event loop."""

    def __init__(self, registry: ToolRegistry, *, workers: BlockingWorkers | None = None) -> None:
        self.registry = registry
        self._workers = workers or BlockingWorkers()
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._is_closed = False
        self._calls: dict[Hashable, ExecutorCall] = {}

    @property
    def lost_workers(self) -> int:
        """Threads that hang in blocking calls which ran out of time."""
        return self._workers.lost

    @property
    def is_running(self) -> bool:
        """Whether the executor's thread has started and was not closed."""
        return self._loop is not None and not self._is_closed

    def start(
        self, key: Hashable, name: str, arguments: Mapping[str, Any], context: ToolContext, on_done: OnDone
    ) -> None:
        """Start a call. `on_done` is called once, in the running loop of this caller, unless `cancel` comes first.

        `key` is unique among the calls of all sessions. Raise ValueError for one that is in use.
        """
        call = ExecutorCall(asyncio.get_running_loop(), on_done, lambda: self._calls.pop(key, None))
        if key in self._calls:
            raise ValueError("a call with this key is running")
        self._calls[key] = call
        tool, definition = self.registry.get(name), self.registry.definitions.get(name)
        if tool is None or definition is None:
            call.loop.call_soon(call.finish, UNKNOWN_TOOL)
            return
        try:
            call.future = self.submit(self._run(call, tool, definition.timeout_s, dict(arguments), context))
        except RuntimeError:
            call.loop.call_soon(call.finish, CLOSED)

    def cancel(self, key: Hashable) -> None:
        """Stop a call. Its `on_done` is not called any more. An unknown key is ignored."""
        call = self._calls.pop(key, None)
        if call is not None:
            call.drop()

    def submit(self, work: Coroutine[Any, Any, Any]) -> concurrent.futures.Future[Any]:
        """Run a coroutine in the executor's loop, and start its thread if need be. Raise RuntimeError when closed."""
        with self._lock:
            if self._is_closed:
                work.close()
                raise RuntimeError("the executor is closed")
            if self._loop is None:
                self._loop = self._start_thread()
            return asyncio.run_coroutine_threadsafe(work, self._loop)

    def close(self) -> None:
        """Cancel all calls and wait for the end of the thread, a few seconds at most. It may be called twice."""
        with self._lock:
            self._is_closed = True
            loop, thread = self._loop, self._thread
        for key in tuple(self._calls):
            self.cancel(key)
        self._workers.close()
        if loop is not None and thread is not None and thread.is_alive():
            loop.call_soon_threadsafe(_cancel_all, loop)
            thread.join(CLOSE_S)

    def _start_thread(self) -> asyncio.AbstractEventLoop:
        loop = asyncio.new_event_loop()
        loop.set_exception_handler(_log_loop_error)
        self._thread = threading.Thread(target=_run_loop, args=(loop,), name="tools", daemon=True)
        self._thread.start()
        return loop

    async def _run(
        self, call: ExecutorCall, tool: Tool, timeout_s: float, arguments: dict[str, Any], context: ToolContext
    ) -> None:
        """Run one call, in the executor's loop. Exceptions become results; the log has their kind and place only."""
        name = tool.definition.name
        try:
            async with limit_time(timeout_s) as limit:
                if isinstance(tool, BlockingTool) and tool.is_blocking:
                    result = await self._workers.run(lambda: tool.run_blocking(arguments, context))
                else:
                    result = await tool.run(arguments, context)
            call.report(_bounded(result))
        except TimeoutError as error:
            is_ours = limit.expired()
            logger.warning("tools: call %s name=%s", "timed out" if is_ours else error_location(error), name)
            call.report(TIMED_OUT if is_ours else FAILED)
        except ToolFailure as error:
            logger.info("tools: call failed name=%s error=%s", name, type(error).__name__)
            call.report(ToolResult(str(error), is_error=True))
        except WorkersExhausted:
            logger.error("tools: call refused name=%s lost_workers=%d", name, self.lost_workers)
            call.report(OVERLOADED)
        except Exception as error:
            logger.warning("tools: call failed name=%s error=%s", name, error_location(error))
            call.report(FAILED)


class ExecutorCall:
    """A call between its start and its result. Its methods but `report` run in the caller's loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, on_done: OnDone, forget: Callable[[], object]) -> None:
        self.loop = loop
        self.future: concurrent.futures.Future[Any] | None = None
        self._on_done: OnDone | None = on_done
        self._forget = forget

    def report(self, result: ToolResult) -> None:
        """Hand the result to the caller's loop, from the executor's thread. A closed loop wants none."""
        try:
            self.loop.call_soon_threadsafe(self.finish, result)
        except RuntimeError:
            self._on_done = None

    def finish(self, result: ToolResult) -> None:
        """Give the result to the caller, once."""
        on_done, self._on_done = self._on_done, None
        if on_done is not None:
            self._forget()
            on_done(result)

    def drop(self) -> None:
        """Stop the call and forget its caller."""
        self._on_done = None
        if self.future is not None:
            self.future.cancel()


def _bounded(result: object) -> ToolResult:
    """Return a result whose text is bounded, so that a huge one costs the caller's loop nothing."""
    if not isinstance(result, ToolResult):
        raise TypeError("a tool must return a ToolResult")
    text, speech = result.text[:MAX_RESULT_CHARS], result.speech[:MAX_RESULT_CHARS]
    return ToolResult(text, speech, result.is_error)


def _log_loop_error(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log an error of a background task by its kind. Its message may quote arguments or secrets."""
    error = context.get("exception")
    logger.warning("tools: background error=%s", error_location(error) if error else "unknown")


def _run_loop(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
    finally:
        loop.close()


def _cancel_all(loop: asyncio.AbstractEventLoop) -> None:
    """Cancel every task of the loop, and stop it after the last one."""
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()

    async def stop() -> None:
        await asyncio.wait(tasks) if tasks else None
        await loop.shutdown_asyncgens()
        loop.stop()

    loop.ending = loop.create_task(stop())  # type: ignore[attr-defined]
