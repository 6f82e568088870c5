"""Gradio asks every page's event stream 20 times a second whether the browser has gone, and each time Starlette opens
and cancels a scope for it: with calls on the line, a tenth of all that the app does. It is asked once a second here. A
browser that goes is noticed at once all the same: Starlette's `StreamingResponse` listens for it. Gradio 5.50 and
Starlette 0.52 are pinned.
"""

from __future__ import annotations

import functools
import time

from starlette.requests import Request

DISCONNECT_CHECK_INTERVAL_S = 1.0
"""Seconds between two looks of the same request."""


def install() -> None:
    """From now on in this process. A second call does nothing."""
    look = Request.is_disconnected
    if hasattr(look, "__wrapped__"):
        return

    @functools.wraps(look)
    async def is_disconnected(self: Request) -> bool:
        now, known = time.monotonic(), vars(self)
        if now - known.get("_looked_at", float("-inf")) < DISCONNECT_CHECK_INTERVAL_S:
            return self._is_disconnected
        known["_looked_at"] = now
        return await look(self)

    Request.is_disconnected = is_disconnected  # type: ignore[method-assign, assignment]
