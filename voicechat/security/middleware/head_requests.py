"""HEAD requests: answered like GET, without the body. Routes themselves need to know GET only."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from voicechat.security.route_access import RouteAccess

from .context import get_context


class HeadRequestMiddleware:
    """Passes a HEAD request for a listed route on as GET, and sends only the status and the headers."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope.get("method") != "HEAD" or get_context(scope).access is RouteAccess.UNLISTED:
            await self._app(scope, receive, send)
            return

        async def send_without_body(message: Message) -> None:
            if message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        await self._app({**scope, "method": "GET"}, receive, send_without_body)
