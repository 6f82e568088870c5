"""Request context: client and route class of one request, stored in the ASGI scope for all security middlewares."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import HTTPConnection
from starlette.types import Scope

from voicechat.security.access_policy import AccessPolicy
from voicechat.security.client_identity import ClientIdentity, identify_client
from voicechat.security.route_access import WEBSOCKET_METHOD, RouteAccess

_STATE_KEY = "voicechat.security"


@dataclass(frozen=True, slots=True)
class RequestContext:
    """Facts about one request that every middleware needs."""

    client: ClientIdentity
    access: RouteAccess
    path: str
    """Path below the app's `root_path`."""


def attach_context(scope: Scope, access_policy: AccessPolicy) -> None:
    """Identify the client and classify the route; store both in `scope["state"]`.

    The scope is changed, not copied: the gateway removes keys from its query, which the server would log.
    """
    client = identify_client(scope, access_policy.settings.trusted_proxies)
    path = _path_below_root(scope)
    method = WEBSOCKET_METHOD if scope["type"] == "websocket" else scope["method"]
    state = scope.setdefault("state", {})
    state["visitor"] = client.visitor_key
    state[_STATE_KEY] = RequestContext(client, access_policy.routes.classify(method, path), path)


def get_context(scope: Scope) -> RequestContext:
    """Return the context that `attach_context` stored."""
    context: RequestContext = scope["state"][_STATE_KEY]
    return context


def find_session_owner(request: HTTPConnection) -> str:
    """Return who owns the sessions of this request's sender (`ClientIdentity.session_owner`); "" without a context."""
    context = request.scope.get("state", {}).get(_STATE_KEY)
    return context.client.session_owner if isinstance(context, RequestContext) else ""


def _path_below_root(scope: Scope) -> str:
    """Return the path as Starlette routes it: the root is cut off as whole segments, so `/voice-socket` keeps it."""
    path = str(scope["path"])
    root = str(scope.get("root_path") or "")
    if root and (path == root or path.startswith(f"{root}/")):
        return path.removeprefix(root) or "/"
    return path
