"""Executor: one answer for each call, whatever its function does, and nothing of a call in a log."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from voicechat.tools.definition import ToolContext, ToolResult
from voicechat.tools.executor import FAILED, OVERLOADED, TIMED_OUT, UNKNOWN_TOOL, ToolExecutor
from voicechat.tools.python import PythonTool, ToolFailure, tool
from voicechat.tools.registry import ToolRegistry
from voicechat.tools.workers import BlockingJob, Workers

SHORT_S = 0.05
SECRET = "canary-5f1d"


class Caller:
    """A caller of the executor, in the test's loop."""

    def __init__(self, executor: ToolExecutor) -> None:
        self.executor = executor
        self.results: list[ToolResult] = []
        self._count = 0

    def start(self, name: str, **arguments: Any) -> asyncio.Future[ToolResult]:
        """Start a call and return the future of its result."""
        self._count += 1
        future = asyncio.get_running_loop().create_future()

        def on_done(result: ToolResult) -> None:
            self.results.append(result)
            future.set_result(result)

        self.executor.start(self._count, name, arguments, ToolContext(language="zh"), on_done)
        return future

    async def call(self, name: str, **arguments: Any) -> ToolResult:
        """Return the result of a call."""
        async with asyncio.timeout(20):
            return await self.start(name, **arguments)


Open = Callable[..., Caller]


@pytest.fixture
async def open_caller() -> AsyncIterator[Open]:
    """Give a function that makes a caller of an executor with these tools. The executor is closed at the end."""
    opened: list[ToolExecutor] = []

    def make(*tools: PythonTool[Any, Any], max_seconds: float = 20, max_lost: int = 4) -> Caller:
        executor = ToolExecutor(
            ToolRegistry(tools, max_seconds=max_seconds), workers=Workers(count=2, max_lost=max_lost)
        )
        opened.append(executor)
        return Caller(executor)

    yield make
    for executor in opened:
        executor.close()


class Gate:
    """A blocking tool that waits for its release."""

    def __init__(self) -> None:
        self.entered = threading.Semaphore(0)
        self.opened = threading.Event()
        self.runs = 0

        @tool(name="wait", read_only=True)
        def wait() -> str:
            """Wait."""
            self.runs += 1
            self.entered.release()
            self.opened.wait(20)
            return "late"

        self.tool = wait


@tool(read_only=True)
def language(context: ToolContext, word: str = "x") -> str:
    """Return the language."""
    return f"{context.language} {word} {threading.current_thread().name}"


@tool(read_only=True)
async def language_async(context: ToolContext) -> dict[str, str]:
    """Return the language."""
    return {"language": context.language, "thread": threading.current_thread().name}


async def test_executor_runs_functions_in_workers_and_coroutines_in_its_thread(open_caller: Open) -> None:
    caller = open_caller(language, language_async)
    assert (await caller.call("language", word="a")).text == "zh a tool-worker"
    assert (await caller.call("language_async")).text == '{"language": "zh", "thread": "tools"}'


async def test_executor_without_calls_has_no_thread(open_caller: Open) -> None:
    caller = open_caller(language)
    assert not caller.executor.is_running
    caller.executor.close()
    with pytest.raises(asyncio.TimeoutError):
        async with asyncio.timeout(SHORT_S):
            await asyncio.Event().wait()
    assert not (await caller.call("language")).text.startswith("zh")


async def test_executor_with_an_unknown_name_answers(open_caller: Open) -> None:
    assert await open_caller().call("nothing") == UNKNOWN_TOOL


async def test_executor_with_a_key_in_use_raises(open_caller: Open) -> None:
    gate = Gate()
    caller = open_caller(gate.tool)
    caller.executor.start("key", "wait", {}, ToolContext(), lambda result: None)
    with pytest.raises(ValueError, match="key"):
        caller.executor.start("key", "wait", {}, ToolContext(), lambda result: None)
    gate.opened.set()


@pytest.mark.parametrize("error", [ValueError, KeyError, SystemExit, StopIteration, TimeoutError])
async def test_executor_with_a_failing_function_keeps_its_error_text(
    error: type[BaseException], open_caller: Open, caplog: pytest.LogCaptureFixture
) -> None:
    @tool(read_only=True)
    def fail(word: str) -> str:
        """Fail."""
        raise error(word)

    caplog.set_level(logging.DEBUG)
    caller = open_caller(fail, language)
    assert await caller.call("fail", word=SECRET) == FAILED
    assert (await caller.call("language")).text.startswith("zh")
    assert "tools: call failed name=fail" in caplog.text or error is TimeoutError
    assert SECRET not in caplog.text


async def test_executor_with_a_failure_for_the_model_gives_its_reason(open_caller: Open) -> None:
    @tool(read_only=True)
    async def find() -> str:
        """Find."""
        raise ToolFailure("There is no such city.")

    assert await open_caller(find).call("find") == ToolResult("There is no such city.", is_error=True)


async def test_executor_with_wrong_arguments_names_them_without_values(
    open_caller: Open, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)

    @tool(read_only=True)
    def count(number: int) -> str:
        """Count."""
        return str(number)

    result = await open_caller(count).call("count", number=SECRET)
    assert result.is_error and "number" in result.text
    assert SECRET not in result.text + caplog.text


async def test_executor_with_an_overdue_coroutine_answers_timed_out(open_caller: Open) -> None:
    ended = threading.Event()

    @tool(read_only=True)
    async def hang() -> str:
        """Hang."""
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return ""

    assert await open_caller(hang, max_seconds=SHORT_S).call("hang") == TIMED_OUT
    assert ended.is_set()


async def test_executor_with_overdue_functions_loses_workers_and_replaces_them(
    open_caller: Open, caplog: pytest.LogCaptureFixture
) -> None:
    gate = Gate()
    caller = open_caller(gate.tool, language, max_seconds=SHORT_S)
    assert await asyncio.gather(*(caller.call("wait") for _ in range(2))) == [TIMED_OUT, TIMED_OUT]
    assert caller.executor.lost_workers == 2
    assert "tools: worker lost count=2" in caplog.text
    caller.executor.registry = ToolRegistry([language])
    assert (await caller.call("language")).text.startswith("zh")
    gate.opened.set()


async def test_executor_with_too_many_lost_workers_refuses_functions(open_caller: Open) -> None:
    gate = Gate()
    caller = open_caller(gate.tool, language, language_async, max_seconds=SHORT_S, max_lost=1)
    assert await caller.call("wait") == TIMED_OUT
    assert await caller.call("language") == OVERLOADED
    assert not (await caller.call("language_async")).is_error
    gate.opened.set()


async def test_blocking_job_given_up_while_waiting_never_runs() -> None:
    runs: list[int] = []
    job = BlockingJob(asyncio.get_running_loop(), lambda: runs.append(1))
    assert not job.give_up()
    assert job.run() and not runs


async def test_executor_cancel_ends_a_call_without_an_answer(open_caller: Open) -> None:
    entered, ended = threading.Event(), threading.Event()

    @tool(read_only=True)
    async def hang() -> str:
        """Hang."""
        entered.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return ""

    caller = open_caller(hang, language)
    caller.executor.start("one", "hang", {}, ToolContext(), caller.results.append)
    await asyncio.to_thread(entered.wait, 20)
    caller.executor.cancel("one")
    caller.executor.cancel("one")
    caller.executor.cancel("unknown")
    assert await asyncio.to_thread(ended.wait, 20)
    await caller.call("language")
    assert len(caller.results) == 1


async def test_executor_close_ends_calls_and_thread(open_caller: Open) -> None:
    gate = Gate()
    caller = open_caller(gate.tool, language_async)
    await caller.call("language_async")
    caller.executor.start("one", "wait", {}, ToolContext(), caller.results.append)
    await asyncio.to_thread(gate.entered.acquire)
    await asyncio.to_thread(caller.executor.close)
    assert not caller.executor.is_running
    assert "tools" not in [thread.name for thread in threading.enumerate()]
    gate.opened.set()


async def test_executor_with_a_huge_result_cuts_it(open_caller: Open) -> None:
    @tool(read_only=True)
    def much() -> str:
        """Return much."""
        return "x" * 10**6

    assert len((await open_caller(much).call("much")).text) == 100_000
