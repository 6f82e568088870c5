"""Lag-tolerant timeout: a time limit that a busy event loop does not use up.

Redis may have answered long before a busy loop reads the answer. `asyncio.timeout` would end the request then, and the
replica would take its own lag for a Redis that does not answer.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

STEP_S = 0.02
"""Seconds of one step of the limit. A turn of the event loop that takes longer counts as one step."""


@asynccontextmanager
async def lag_tolerant_timeout(seconds: float) -> AsyncIterator[None]:
    """Limit the block to that time. Raises TimeoutError."""
    loop = asyncio.get_running_loop()
    steps_left = math.ceil(seconds / STEP_S)
    timer: asyncio.TimerHandle

    def count_step() -> None:
        nonlocal steps_left, timer
        steps_left -= 1
        if steps_left > 0:
            timer = loop.call_later(STEP_S, count_step)
        else:
            limit.reschedule(loop.time())

    async with asyncio.timeout(None) as limit:
        timer = loop.call_later(STEP_S, count_step)
        try:
            yield
        finally:
            timer.cancel()
