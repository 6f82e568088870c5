"""Usage drain: cancels the responses that are active when a session ends, and waits for their reported usage."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress

from websockets.exceptions import ConnectionClosed

from voicechat.protocol.failures import ConnectionFailed

USAGE_DRAIN_TIMEOUT_S = 0.8
"""Seconds to wait for the usage of the last responses. A server reports it as soon as they are cancelled."""


async def drain_usage(
    *,
    is_pending: Callable[[], bool],
    active_ids: Callable[[], Iterable[str]],
    cancel: Callable[[str], Awaitable[None]],
    handle_next_event: Callable[[], Awaitable[None]],
) -> None:
    """Cancel each active response once, and handle events while usage is pending.

    `active_ids`: responses that the server is making now. `handle_next_event`: wait for one event and bill it.
    Stops after `USAGE_DRAIN_TIMEOUT_S`, or when the connection ends.
    """
    cancelled: set[str] = set()
    with suppress(TimeoutError, ConnectionClosed, ConnectionFailed):
        async with asyncio.timeout(USAGE_DRAIN_TIMEOUT_S):
            while is_pending():
                for response_id in active_ids():
                    if response_id not in cancelled:
                        cancelled.add(response_id)
                        await cancel(response_id)
                await handle_next_event()
