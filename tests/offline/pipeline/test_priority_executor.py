"""Priority executor: one call at a time, by priority."""

from __future__ import annotations

import asyncio
import threading
from functools import partial

from offline.pipeline.priority_executor import Priority, PriorityExecutor
from tests.support.offline.fake_models import RESULT_TIMEOUT_S


async def test_priority_executor_runs_higher_priority_first_and_skips_cancelled() -> None:
    executor, order, release, started = PriorityExecutor("test"), list[str](), threading.Event(), threading.Event()

    def hold() -> None:
        started.set()
        release.wait(RESULT_TIMEOUT_S)

    holding = asyncio.create_task(executor.run(Priority.INTERACTIVE, hold))
    await asyncio.to_thread(started.wait, RESULT_TIMEOUT_S)
    named = {"helpful": Priority.BACKGROUND, "cancelled": Priority.INTERACTIVE, "prepared": Priority.SPECULATIVE}
    tasks = {
        name: asyncio.create_task(executor.run(priority, partial(order.append, name)))
        for name, priority in named.items()
    }
    await asyncio.wait(tasks.values(), timeout=0)
    tasks["cancelled"].cancel()
    await asyncio.wait([tasks["cancelled"]])
    release.set()
    await asyncio.gather(holding, tasks["helpful"], tasks["prepared"])
    assert order == ["prepared", "helpful"]
    executor.close()
