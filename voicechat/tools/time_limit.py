"""Time limit of the running call, for a tool that must know why it was cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar

_LIMIT: ContextVar[asyncio.Timeout | None] = ContextVar("time_limit", default=None)


@asynccontextmanager
async def limit_time(seconds: float) -> AsyncIterator[asyncio.Timeout]:
    """Bound the time of a call, which this task runs."""
    async with asyncio.timeout(seconds) as limit:
        token = _LIMIT.set(limit)
        try:
            yield limit
        finally:
            _LIMIT.reset(token)


def is_time_over() -> bool:
    """Return whether the call of this task is cancelled because its time is over. False when a visitor cancelled it."""
    limit = _LIMIT.get()
    return limit is not None and limit.expired()
