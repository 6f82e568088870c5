"""Responses of the security middlewares: denials in the client's language or as JSON, document headers, cookies."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from voicechat.config.groups.security_settings import normalize_origin
from voicechat.security.access_policy import AccessPolicy
from voicechat.security.client_identity import ClientIdentity
from voicechat.security.denials import Denial
from voicechat.security.route_access import RouteAccess
from voicechat.security.security_headers import content_security_policy, hash_inline_scripts

from .context import get_context

log = logging.getLogger(__name__)


async def send_denial(denial: Denial, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer an HTTP request or a WebSocket handshake with this denial."""
    if scope["type"] == "websocket":
        await _reject_handshake(denial, scope, send)
        return
    context = get_context(scope)
    headers = {"Cache-Control": "no-store"}
    response: Response
    if context.access is RouteAccess.API or context.access is RouteAccess.COMPONENT_CALL:
        response = JSONResponse(_error_body(denial), denial.status, headers)
    else:
        response = PlainTextResponse(denial.message(context.client.prefers_chinese), denial.status, headers)
    await response(scope, receive, send)


async def _reject_handshake(denial: Denial, scope: Scope, send: Send) -> None:
    """Reject a handshake before it is accepted: with an HTTP response where the server supports it."""
    log.info("websocket: handshake refused code=%s", denial.code)
    if "websocket.http.response" not in (scope.get("extensions") or {}):
        await send({"type": "websocket.close", "code": 1008, "reason": denial.en[:120]})
        return
    response = JSONResponse(_error_body(denial), denial.status)
    start = {"type": "websocket.http.response.start", "status": denial.status, "headers": response.raw_headers}
    await send(start)
    await send({"type": "websocket.http.response.body", "body": response.body, "more_body": False})


def _error_body(denial: Denial) -> dict[str, Any]:
    """Return the denial in the shape of the Realtime protocol's HTTP errors, for programs."""
    return {
        "error": {"type": "invalid_request_error", "code": denial.code, "message": denial.en, "param": None},
        "status": "failed",
    }


def document_policy(document: bytes, client: ClientIdentity, access_policy: AccessPolicy) -> str:
    """Return the Content-Security-Policy of one HTML document."""
    scripts = (*hash_inline_scripts(document), *access_policy.script_hashes)
    return content_security_policy(scripts, _valid_hosts(client), access_policy.settings.frame_ancestors)


def _valid_hosts(client: ClientIdentity) -> Iterable[str]:
    """Yield the host names that may be written into a policy."""
    for host in client.hosts:
        try:
            yield normalize_origin(f"http://{host}").removeprefix("http://")
        except ValueError:
            continue


def format_cookie(name: str, value: str, max_age_s: int, client: ClientIdentity) -> str:
    """Return the Set-Cookie value of a cookie that also works inside a frame of another site."""
    # In such a frame (a Hugging Face Space is one) the browser treats the cookie as third-party, partitioned by site.
    site = "SameSite=None; Secure; Partitioned" if client.is_https else "SameSite=Lax"
    return f"{name}={value}; Path=/; Max-Age={max_age_s}; HttpOnly; {site}"
