"""Cross-origin headers: lets the pages of ALLOWED_ORIGINS, and no others, read responses."""

from __future__ import annotations

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from voicechat.security.access_policy import AccessPolicy
from voicechat.security.origin_check import cross_origin_headers, preflight_headers


class CrossOriginMiddleware:
    """Adds the headers to every HTTP response, and answers a browser's preflight request."""

    def __init__(self, app: ASGIApp, access_policy: AccessPolicy) -> None:
        self._app = app
        self._allowed = access_policy.settings.allowed_origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not self._allowed:
            await self._app(scope, receive, send)
            return
        request = Headers(scope=scope)
        added = cross_origin_headers(request.get("origin"), self._allowed)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(added)
                headers.add_vary_header("Origin")
            await send(message)

        if added and scope["method"] == "OPTIONS" and "access-control-request-method" in request:
            preflight = preflight_headers(request.get("access-control-request-headers", ""))
            await Response(status_code=204, headers=preflight)(scope, receive, send_with_headers)
            return
        await self._app(scope, receive, send_with_headers)
