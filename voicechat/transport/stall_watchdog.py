"""Timeout for an operation that happens 50 times a second: no timer for each, but a periodic check.

`asyncio.timeout` makes and cancels a timer for every message, and cancelled timers stay in the loop's heap until their
time has come. Together that is a fifth of the cost of a message.
"""

from __future__ import annotations

import asyncio
import time

CHECKS_PER_TIMEOUT = 4
"""Checks within one timeout."""


class StallWatchdog:
    """Measures how long one task has been waiting. Use it as a context manager around the wait."""

    def __init__(self) -> None:
        self._waiting_since: float | None = None

    def __enter__(self) -> None:
        self._waiting_since = time.monotonic()

    def __exit__(self, *_: object) -> None:
        self._waiting_since = None

    def is_stalled(self, timeout_s: float) -> bool:
        """Return True if the present wait is longer than the timeout."""
        return self._waiting_since is not None and time.monotonic() - self._waiting_since > timeout_s

    async def wait_stalled(self, timeout_s: float) -> None:
        """Return once a wait is longer than the timeout, at most a quarter of it late."""
        while not self.is_stalled(timeout_s):  # noqa: ASYNC110  periodic checks are the purpose
            await asyncio.sleep(timeout_s / CHECKS_PER_TIMEOUT)
