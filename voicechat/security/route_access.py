"""Route access: the allowed routes and the access class of each. Pure.

Gradio serves more than this page uses: proxies, files by name, uploads, OAuth, an API for every button. Every route
that is not listed here is denied.
"""

from __future__ import annotations

import re
from enum import Enum
from urllib.parse import unquote

from voicechat.session.websocket_call import PATH as VOICE_SOCKET
from voicechat.transport.udp_check import PATH as UDP_CHECK
from voicechat.ui.downloads import PATH as DOWNLOADS

GRADIO_API_PREFIX = "/gradio_api"


class RouteAccess(Enum):
    """Access class of a route: decides who may use it."""

    PUBLIC = "open"
    """Anyone, from any origin. Such a route reveals only whether the app works."""
    LOGIN = "login"
    """Receives the login form."""
    PAGE = "page"
    """An HTML document."""
    ASSET = "part"
    """A file of the page, or one of the app's own routes that the page uses."""
    QUEUE_JOIN = "join"
    """Gradio: an event of the page, such as a pressed button."""
    EVENT_STREAM = "session"
    """Gradio: results of the events, as a stream."""
    COMPONENT_CALL = "component"
    """Gradio: a call of fastrtc's component to its server, WebRTC offers included."""
    API = "program"
    """For programs: the WebSocket endpoints and the metrics."""
    LOOPBACK_ONLY = "local"
    """Called by Gradio's `launch()` itself, from this computer."""
    UNLISTED = "closed"
    """Denied: a route that this module does not list."""


_EXACT_ROUTES = {
    ("GET", "/health"): RouteAccess.PUBLIC,
    ("HEAD", "/health"): RouteAccess.PUBLIC,
    ("POST", "/login"): RouteAccess.LOGIN,
    ("GET", "/"): RouteAccess.PAGE,
    ("HEAD", "/"): RouteAccess.PAGE,
    ("GET", "/docs"): RouteAccess.PAGE,
    ("GET", "/openapi.json"): RouteAccess.ASSET,
    ("GET", "/metrics"): RouteAccess.API,
    ("GET", UDP_CHECK): RouteAccess.ASSET,
    ("POST", UDP_CHECK): RouteAccess.ASSET,
    ("GET", "/config"): RouteAccess.ASSET,
    ("GET", "/theme.css"): RouteAccess.ASSET,
    ("GET", "/favicon.ico"): RouteAccess.ASSET,
    ("GET", "/manifest.json"): RouteAccess.ASSET,
    ("GET", "/robots.txt"): RouteAccess.PUBLIC,
    ("GET", f"{GRADIO_API_PREFIX}/app_id"): RouteAccess.ASSET,
    ("GET", f"{GRADIO_API_PREFIX}/theme.css"): RouteAccess.ASSET,
    ("GET", f"{GRADIO_API_PREFIX}/startup-events"): RouteAccess.LOOPBACK_ONLY,
    ("POST", f"{GRADIO_API_PREFIX}/queue/join"): RouteAccess.QUEUE_JOIN,
    ("GET", f"{GRADIO_API_PREFIX}/queue/data"): RouteAccess.EVENT_STREAM,
    ("POST", f"{GRADIO_API_PREFIX}/component_server"): RouteAccess.COMPONENT_CALL,
    ("WEBSOCKET", "/realtime-voice"): RouteAccess.API,
    ("WEBSOCKET", "/text-chat"): RouteAccess.API,
    ("WEBSOCKET", "/v1/realtime"): RouteAccess.API,
}
_ROUTE_PATTERNS = (
    ("GET", re.compile(r"/(?:assets|svelte|static)/[\w./@+-]+"), RouteAccess.ASSET),
    ("GET", re.compile(rf"{GRADIO_API_PREFIX}/custom_component/[0-9a-f]+/client/component/[\w.-]+"), RouteAccess.ASSET),
    ("GET", re.compile(rf"{GRADIO_API_PREFIX}/heartbeat/[\w-]+"), RouteAccess.EVENT_STREAM),
    ("GET", re.compile(rf"{DOWNLOADS}/[\w-]+"), RouteAccess.ASSET),
    ("WEBSOCKET", re.compile(rf"{VOICE_SOCKET}/[\w-]+"), RouteAccess.ASSET),
)


def classify_route(method: str, path: str, file_paths: frozenset[str] = frozenset()) -> RouteAccess:
    """Return the access class of a request.

    `method`: WEBSOCKET for a WebSocket handshake. `path`: decoded once, as ASGI gives it.
    `file_paths`: paths of the local files that the page shows.
    """
    exact = _EXACT_ROUTES.get((method, path)) or _EXACT_ROUTES.get((method, path.rstrip("/")))
    if exact is not None:
        return exact
    if "%" in path or ".." in path or "\\" in path or "//" in path:
        return RouteAccess.UNLISTED
    if method == "GET" and path.startswith(f"{GRADIO_API_PREFIX}/file="):
        return (
            RouteAccess.ASSET
            if unquote(path.removeprefix(f"{GRADIO_API_PREFIX}/file=")) in file_paths
            else RouteAccess.UNLISTED
        )
    for route_method, pattern, access in _ROUTE_PATTERNS:
        if route_method == method and pattern.fullmatch(path):
            return access
    return RouteAccess.UNLISTED
