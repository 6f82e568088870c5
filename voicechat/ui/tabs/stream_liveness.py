"""Whether anybody reads what the page is told. Gradio 5.50.0 is pinned.

Gradio runs an endless event to its end whether its words are fetched or not, and keeps them all until then: a page that
asked for them and fetches none would keep its chat, and fill the memory.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from typing import TypeVar

import gradio as gr

T = TypeVar("T")

UNREAD_TIMEOUT_S = 8.0
"""Seconds in which something was always left unfetched: then nobody fetches any more."""


def count_unread(page: gr.Blocks, session_hash: str | None) -> int:
    """Messages that wait to be fetched by a page's session."""
    waiting = page._queue.pending_messages_per_session
    return waiting[session_hash].qsize() if session_hash in waiting else 0


async def until_unread(
    updates: AsyncIterator[T],
    get_unread_count: Callable[[], int],
    clock: Callable[[], float] = time.monotonic,
    unread_timeout_s: float = UNREAD_TIMEOUT_S,
) -> AsyncIterator[T]:
    """The same, until nobody reads it: `waiting` tells how much is still to be fetched."""
    read_at = clock()
    async for one in updates:
        if not get_unread_count():
            read_at = clock()
        elif clock() - read_at > unread_timeout_s:
            return
        yield one
