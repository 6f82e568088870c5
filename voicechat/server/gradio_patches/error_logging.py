"""Log records and responses for events that Gradio could not serve, without what came with the event.

Gradio's own tracebacks end with the error's message. It quotes what a visitor typed, or a key. Malformed requests
would also fill the log.
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

from voicechat.dependency_checks import find_target
from voicechat.logs import error_location

log = logging.getLogger(__name__)


async def _malformed_request(_: Request, __: Exception) -> Response:
    """Return 422 without details. FastAPI's own response quotes the request, and fails on half a character."""
    return JSONResponse({"detail": "The request is not of the form that is expected here."}, 422)


EXCEPTION_HANDLERS: dict[type[Exception], Callable[[Request, Exception], Awaitable[Response]]] = {
    RequestValidationError: _malformed_request
}
"""For `exception_handlers=` of Gradio's application."""


class _RedactedTraceback:
    """Stand-in for the module `traceback` inside Gradio."""

    def print_exc(self, *_: Any, **__: Any) -> None:
        error = sys.exc_info()[1]
        log.warning("gradio: event failed error=%s", error_location(error) if error else "none")

    def __getattr__(self, name: str) -> Any:
        return getattr(traceback, name)


def install() -> None:
    """Replace `traceback` and `print` where Gradio uses them. A second call does nothing.

    Raise DependencyChanged, with nothing replaced, when Gradio is not as expected.
    """
    modules = (gradio.queueing, gradio.routes)
    if isinstance(vars(gradio.routes).get("traceback"), _RedactedTraceback):
        return
    for module in modules:
        find_target(f"{module.__name__}:traceback.print_exc")
    for module in modules:
        vars(module)["traceback"] = _RedactedTraceback()
        vars(module)["print"] = lambda *_: None  # Gradio prints a line for every ICE candidate of every call
