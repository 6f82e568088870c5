"""A lane: one thing at a time, the urgent first."""

from __future__ import annotations

import asyncio
import threading
from functools import partial

from offline.lanes import Lane, Urgency
from tests.offline.desks import WAIT_S


async def test_a_lane_takes_the_urgent_first_and_skips_the_cancelled() -> None:
    lane, order, gate, begun = Lane("test"), list[str](), threading.Event(), threading.Event()

    def hold() -> None:
        begun.set()
        gate.wait(WAIT_S)

    holding = asyncio.create_task(lane.run(Urgency.WAITED_FOR, hold))
    await asyncio.to_thread(begun.wait, WAIT_S)
    named = {"helpful": Urgency.HELPFUL, "cancelled": Urgency.WAITED_FOR, "prepared": Urgency.PREPARED}
    tasks = {
        name: asyncio.create_task(lane.run(urgency, partial(order.append, name))) for name, urgency in named.items()
    }
    await asyncio.wait(tasks.values(), timeout=0)
    tasks["cancelled"].cancel()
    await asyncio.wait([tasks["cancelled"]])
    gate.set()
    await asyncio.gather(holding, tasks["helpful"], tasks["prepared"])
    assert order == ["prepared", "helpful"]
    lane.close()
