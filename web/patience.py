"""A timeout for what happens 50 times a second: no timer each time, but a look now and then at who still waits.

`asyncio.timeout` makes and cancels a timer for every message, and the cancelled ones lie in the loop's heap until their
time has come; together that is a fifth of what a message costs.
"""

from __future__ import annotations

import asyncio
import time

LOOKS = 4
"""Looks in the time that is too long."""


class Patience:
    """Since when somebody waits. Used as `with`, around the waiting, by one task."""

    def __init__(self) -> None:
        self._since: float | None = None

    def __enter__(self) -> None:
        self._since = time.monotonic()

    def __exit__(self, *_: object) -> None:
        self._since = None

    def over(self, seconds: float) -> bool:
        """Somebody has waited for longer than that."""
        return self._since is not None and time.monotonic() - self._since > seconds

    async def run_out(self, seconds: float) -> None:
        """Returns when somebody has waited for longer than that, by at most a quarter."""
        while not self.over(seconds):  # noqa: ASYNC110  that is the point of it
            await asyncio.sleep(seconds / LOOKS)
