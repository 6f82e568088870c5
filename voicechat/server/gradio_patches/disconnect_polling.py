"""Rate limit of Gradio's disconnect checks.

Gradio asks 20 times a second of every page's event stream whether the browser has disconnected. Starlette opens and
cancels a scope for each question: with calls under way, a tenth of the app's work. Here it asks once a second. A
disconnect is still noticed at once, because Starlette's `StreamingResponse` listens for it.
"""

from __future__ import annotations

import functools
import time

from starlette.requests import Request

from voicechat.dependency_checks import require_function, require_names

DISCONNECT_CHECK_INTERVAL_S = 1.0
"""Seconds between two checks of the same request."""
IS_DISCONNECTED = "starlette.requests:Request.is_disconnected"


def install() -> None:
    """Replace `Request.is_disconnected` in this process. A second call does nothing.

    Raise DependencyChanged, with nothing replaced, when Starlette is not as expected.
    """
    look = require_function(IS_DISCONNECTED, ("self",))
    if hasattr(look, "__wrapped__"):
        return
    require_names(IS_DISCONNECTED, {"_is_disconnected"})

    @functools.wraps(look)
    async def is_disconnected(self: Request) -> bool:
        now, attributes = time.monotonic(), vars(self)
        if now - attributes.get("_looked_at", float("-inf")) < DISCONNECT_CHECK_INTERVAL_S:
            return self._is_disconnected
        attributes["_looked_at"] = now
        return bool(await look(self))

    Request.is_disconnected = is_disconnected  # type: ignore[method-assign, assignment]
