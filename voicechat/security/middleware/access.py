"""Access check: refuses unlisted routes, unknown hosts, foreign origins and programs without a token."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from voicechat.security.access_policy import AccessPolicy

from .context import get_context
from .responses import send_denial


class AccessMiddleware:
    """Asks `AccessPolicy.check` about every HTTP request and WebSocket handshake."""

    def __init__(self, app: ASGIApp, access_policy: AccessPolicy) -> None:
        self._app = app
        self._access_policy = access_policy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        context = get_context(scope)
        denial = self._access_policy.check(
            context.access, context.client, Headers(scope=scope), scope.get("subprotocols", [])
        )
        if denial is not None:
            await send_denial(denial, scope, receive, send)
            return
        await self._app(scope, receive, send)
