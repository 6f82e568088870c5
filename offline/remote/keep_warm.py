"""Keep-warm: a request for one token, before Ollama unloads its model, while a session is open and silent.

Ollama unloads a model five minutes after its last request, and loading it again takes longer than a caller waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

PING_AFTER_S = 225.0
"""Seconds after an answer until the ping. With the answer to it, the model counts as warm without a gap."""


class WarmEndpoint(Protocol):
    """Endpoint that is kept warm; implemented by `endpoint_model.EndpointModel`."""

    @property
    def ping_due_in_s(self) -> float: ...


def ping_delay_s(answered_at: float | None, now: float) -> float:
    """Return the seconds until a ping is due, 0 when it is. A model that was never loaded is left to the warm-up."""
    return PING_AFTER_S if answered_at is None else max(0.0, answered_at + PING_AFTER_S - now)


async def keep_warm(
    endpoint: WarmEndpoint, ping: Callable[[], None], sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
) -> None:
    """Call `ping` whenever one is due, until cancelled. A ping that fails is not repeated before its usual time."""
    while True:
        delay_s = endpoint.ping_due_in_s
        if not delay_s:
            ping()
            delay_s = PING_AFTER_S
        await sleep(delay_s)
