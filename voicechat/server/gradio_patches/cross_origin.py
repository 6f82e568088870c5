"""No cross-origin headers by Gradio: `voicechat.security` alone decides which pages may read the app's responses.

Gradio copies the Origin of every page into Access-Control-Allow-Origin, with credentials, wherever the app has another
host name than this computer's own. Under `launch()` its middleware also lies outside of `Guard`.
"""

from __future__ import annotations

import gradio.routes
from starlette.types import ASGIApp

from voicechat.dependency_checks import DependencyChanged, require_function

TARGET = "gradio.routes:CustomCORSMiddleware"


def leave_unwrapped(app: ASGIApp, strict_cors: bool = True) -> ASGIApp:
    """Return the app itself, in place of Gradio's middleware around it."""
    return app


def install() -> None:
    """Build every app of Gradio without its middleware from now on. Raise DependencyChanged when Gradio differs."""
    middleware = getattr(gradio.routes, "CustomCORSMiddleware", None)
    if middleware is leave_unwrapped:
        return
    if middleware is None:
        raise DependencyChanged(TARGET, "missing")
    require_function(TARGET, ["app", "strict_cors"])
    gradio.routes.CustomCORSMiddleware = leave_unwrapped
