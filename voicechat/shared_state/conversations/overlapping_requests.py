"""Overlapping requests: one after the other while Redis answers soon, several at once while it is slow."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

SOON_S = 0.01
"""Seconds without any answer after which one more request runs beside the others. With answers after 50 ms, 45 pages
are written in 0.5 s in place of 2.4 s."""
MAX_AT_ONCE = 12
"""Requests under way in all passes of a store: fewer than those of the connection, which admissions need too."""
SCANNED_AT_ONCE = 50
"""Items that are looked at before frames of calls get their turn: about 0.1 ms."""

T = TypeVar("T")


async def request_each(
    items: Iterable[T],
    is_due: Callable[[T], bool],
    request: Callable[[T], Awaitable[None]],
    on_failure: Callable[[T, Exception], bool],
    *,
    slots: asyncio.Semaphore,
    soon_s: float = SOON_S,
) -> None:
    """Run `request` for each item that is due when its turn comes, and wait for all.

    The event loop has a turn between the beginnings of two requests, because what is sent takes milliseconds to build.
    `on_failure` takes an exception of `is_due` or `request`, and returns whether no further request may begin; it must
    not raise. `slots`: limit of the requests under way, of several passes together. They are cancelled with the caller.
    """
    remaining = enumerate(items, 1)
    finished, is_stopped = 0, False
    turn = asyncio.Lock()

    async def request_if_due(item: T) -> None:
        if not is_due(item):
            return
        async with slots:
            async with turn:
                await asyncio.sleep(0)
            if not is_stopped and is_due(item):
                await request(item)

    async def request_remaining() -> None:
        nonlocal finished, is_stopped
        for number, item in remaining:
            if number % SCANNED_AT_ONCE == 0:
                await asyncio.sleep(0)
            try:
                await request_if_due(item)
            except asyncio.CancelledError:
                is_stopped = True
                raise
            except Exception as error:
                is_stopped = on_failure(item, error) or is_stopped
            finished += 1
            if is_stopped:
                return

    async with asyncio.TaskGroup() as group:
        workers = {group.create_task(request_remaining())}
        try:
            while workers:
                before = finished
                _, workers = await asyncio.wait(workers, timeout=soon_s)
                if workers and finished == before and not is_stopped and not slots.locked():
                    workers.add(group.create_task(request_remaining()))
        finally:
            is_stopped = True  # also for a worker whose cancellation was lost (`cancel_tasks`)
