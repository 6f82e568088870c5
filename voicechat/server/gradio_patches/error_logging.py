"""What Gradio 5.50.0 says of an event that it could not serve: one line in the log in place of a traceback, and a plain
refusal to whoever sent it.

Its tracebacks end with the error's message, and that quotes what came with the event: what a visitor typed, or a key.
Whoever sends nonsense to the page's routes would also fill the log with it.
"""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Awaitable, Callable
from typing import Any

import gradio.queueing
import gradio.routes
from fastapi.exceptions import RequestValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from voicechat.logs import error_location

log = logging.getLogger(__name__)


async def _malformed_request(_: Request, __: Exception) -> Response:
    """FastAPI's own refusal quotes what was sent, and fails where that is no text: half a character, an infinite
    number."""
    return JSONResponse({"detail": "The request is not of the form that is expected here."}, 422)


EXCEPTION_HANDLERS: dict[type[Exception], Callable[[Request, Exception], Awaitable[Response]]] = {
    RequestValidationError: _malformed_request
}
"""For `exception_handlers=` of Gradio's application."""


class _RedactedTraceback:
    """Stands in for the module `traceback` where Gradio uses it."""

    def print_exc(self, *_: Any, **__: Any) -> None:
        error = sys.exc_info()[1]
        log.warning("An event of a page could not be served: %s", error_location(error) if error else "no error")

    def __getattr__(self, name: str) -> Any:
        return getattr(traceback, name)


def install() -> None:
    """From now on in this process; a second call does nothing more."""
    for module in (gradio.queueing, gradio.routes):
        vars(module)["traceback"] = _RedactedTraceback()
        # Two of its developers' print calls were left in: a line for every ICE candidate of every call.
        vars(module)["print"] = lambda *_: None
