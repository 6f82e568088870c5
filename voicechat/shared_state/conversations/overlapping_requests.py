"""Overlapping requests: one after the other while Redis answers soon, several at once while it is slow."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

SOON_S = 0.01
"""Seconds without any answer after which one more request runs beside the others. At a quick Redis they run one by one,
and frames of calls get their turn after each."""
MAX_AT_ONCE = 12
"""Requests under way: fewer than those of the connection, which admissions need too. At 100 ms an answer, 60 pages are
written within half a second."""
SCANNED_AT_ONCE = 50
"""Items that are looked at before frames of calls get their turn: about 0.1 ms."""

T = TypeVar("T")


async def request_each(
    items: Iterable[T],
    is_due: Callable[[T], bool],
    request: Callable[[T], Awaitable[None]],
    on_failure: Callable[[T, Exception], bool],
) -> None:
    """Run `request` for each item that is due when its turn comes, and wait for all.

    `on_failure` takes what `is_due` or `request` has raised, and returns whether no further request may begin. Requests
    under way are cancelled with the caller.
    """
    remaining = enumerate(items, 1)
    finished, is_stopped = 0, False

    async def request_remaining() -> None:
        nonlocal finished, is_stopped
        for number, item in remaining:
            if number % SCANNED_AT_ONCE == 0:
                await asyncio.sleep(0)
            try:
                if is_due(item):
                    await request(item)
                    finished += 1
                    await asyncio.sleep(0)
            except Exception as error:
                is_stopped = on_failure(item, error) or is_stopped
            if is_stopped:
                return

    async with asyncio.TaskGroup() as group:
        workers = {group.create_task(request_remaining())}
        while workers:
            before = finished
            _, workers = await asyncio.wait(workers, timeout=SOON_S)
            if workers and finished == before and len(workers) < MAX_AT_ONCE:
                workers.add(group.create_task(request_remaining()))
