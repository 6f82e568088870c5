"""Stream liveness: ends an endless Gradio event whose messages the page does not fetch. Gradio 5.50.0 is pinned.

Gradio runs such an event to its end and keeps all unfetched messages. A page that fetches none would keep its chat open
and fill the memory.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from typing import TypeVar

import gradio as gr

T = TypeVar("T")

UNREAD_TIMEOUT_S = 8.0
"""Seconds with unfetched messages all the time, after which the page counts as disconnected."""


def count_unread(page: gr.Blocks, session_hash: str | None) -> int:
    """Return the number of unfetched messages of a session."""
    pending = page._queue.pending_messages_per_session
    return pending[session_hash].qsize() if session_hash in pending else 0


async def until_unread(
    updates: AsyncIterator[T],
    get_unread_count: Callable[[], int],
    clock: Callable[[], float] = time.monotonic,
    unread_timeout_s: float = UNREAD_TIMEOUT_S,
) -> AsyncIterator[T]:
    """Yield the updates until the page has stopped fetching them."""
    read_at = clock()
    async for update in updates:
        if not get_unread_count():
            read_at = clock()
        elif clock() - read_at > unread_timeout_s:
            return
        yield update
