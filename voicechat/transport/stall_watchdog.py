"""A timeout for what happens 50 times a second: no timer each time, but a look now and then at who still waits.

`asyncio.timeout` makes and cancels a timer for every message, and the cancelled ones lie in the loop's heap until their
time has come; together that is a fifth of what a message costs.
"""

from __future__ import annotations

import asyncio
import time

CHECKS_PER_TIMEOUT = 4
"""Looks in the time that is too long."""


class StallWatchdog:
    """Since when somebody waits. Used as `with`, around the waiting, by one task."""

    def __init__(self) -> None:
        self._waiting_since: float | None = None

    def __enter__(self) -> None:
        self._waiting_since = time.monotonic()

    def __exit__(self, *_: object) -> None:
        self._waiting_since = None

    def is_stalled(self, timeout_s: float) -> bool:
        """Somebody has waited for longer than that."""
        return self._waiting_since is not None and time.monotonic() - self._waiting_since > timeout_s

    async def wait_stalled(self, timeout_s: float) -> None:
        """Returns when somebody has waited for longer than that, by at most a quarter."""
        while not self.is_stalled(timeout_s):  # noqa: ASYNC110  that is the point of it
            await asyncio.sleep(timeout_s / CHECKS_PER_TIMEOUT)
