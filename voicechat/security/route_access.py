"""Which paths there are, and what each asks for. Pure.

Gradio serves more than this page uses: proxies, files by name, uploads, OAuth, an API for every button. What is not
named here is not there.
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
    """What a path is, and with it who may use it."""

    PUBLIC = "open"
    """Anyone, from anywhere: says only whether there is service."""
    LOGIN = "login"
    """Where the password is sent to."""
    PAGE = "page"
    """The page itself, a document."""
    ASSET = "part"
    """What the page is made of, and our own routes that it uses."""
    QUEUE_JOIN = "join"
    """Gradio: a button was pressed."""
    EVENT_STREAM = "session"
    """Gradio: what came of it, as a stream."""
    COMPONENT_CALL = "component"
    """Gradio: fastrtc's component asks its server, with offers of connections among it."""
    API = "program"
    """For programs: the sockets and the figures."""
    LOOPBACK_ONLY = "local"
    """Gradio's `launch()` calls this itself, over the network interface of this computer."""
    UNLISTED = "closed"


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
    """What a request asks for. `path` as ASGI has it, decoded once; `files`: paths of this computer's files that the
    page shows. Web sockets have the method WEBSOCKET."""
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
    for wanted, pattern, found in _ROUTE_PATTERNS:
        if wanted == method and pattern.fullmatch(path):
            return found
    return RouteAccess.UNLISTED
