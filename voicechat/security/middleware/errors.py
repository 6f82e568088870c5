"""Error responses: replaces the app's own 500 responses and exceptions by a sentence without details.

Gradio runs its part of the app in debug mode, where an error response is a traceback.
"""

from __future__ import annotations

import logging

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from voicechat.logs import error_location
from voicechat.security import denials

from .context import get_context
from .responses import send_denial

log = logging.getLogger(__name__)


class FailureFilter:
    """ASGI `send` that withholds a response with status 500."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.failed = False
        self.response_started = False
        """The client has received the start of a response."""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.failed = message["status"] == 500
            self.response_started = not self.failed
        if not self.failed:
            await self._send(message)


class ErrorMiddleware:
    """Answers failed HTTP requests with `denials.SERVER_ERROR`. WebSockets pass unchanged."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self._app(scope, receive, send)
            return
        filtered_send = FailureFilter(send)
        try:
            await self._app(scope, receive, filtered_send)
        except Exception as error:
            log.error("request: failed route=%s error=%s", get_context(scope).access.value, error_location(error))
            if filtered_send.response_started:
                raise
            filtered_send.failed = True
        if filtered_send.failed:
            await send_denial(denials.SERVER_ERROR, scope, receive, send)
