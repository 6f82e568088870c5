"""Guard: the security middlewares around the whole ASGI app, in one stack. Contains no policy; see access_policy.py."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from voicechat.security.middleware.access import AccessMiddleware
from voicechat.security.middleware.context import attach_context
from voicechat.security.middleware.cross_origin import CrossOriginMiddleware
from voicechat.security.middleware.errors import ErrorMiddleware
from voicechat.security.middleware.gradio_requests import GradioRequestMiddleware
from voicechat.security.middleware.head_requests import HeadRequestMiddleware
from voicechat.security.middleware.login import LoginMiddleware
from voicechat.security.middleware.page import PageMiddleware
from voicechat.security.middleware.response_headers import ResponseHeadersMiddleware

from .access_policy import AccessPolicy


class Guard:
    """Wraps a whole ASGI app. Several apps may share one `AccessPolicy`."""

    def __init__(self, app: ASGIApp, access_policy: AccessPolicy) -> None:
        self._access_policy = access_policy
        self._app = app
        # Innermost first: a request passes them from the last to the first.
        stack: ASGIApp = GradioRequestMiddleware(app, access_policy)
        stack = PageMiddleware(stack, access_policy)
        stack = LoginMiddleware(stack, access_policy)
        stack = AccessMiddleware(stack, access_policy)
        stack = ErrorMiddleware(stack)
        stack = CrossOriginMiddleware(stack, access_policy)
        stack = HeadRequestMiddleware(stack)
        self._stack: ASGIApp = ResponseHeadersMiddleware(stack, access_policy)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        attach_context(scope, self._access_policy)
        await self._stack(scope, receive, send)
