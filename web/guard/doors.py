"""Which paths there are, and what each asks for. Pure.

Gradio serves more than this page uses: proxies, files by name, uploads, OAuth, an API for every button. What is not
named here is not there.
"""

from __future__ import annotations

import re
from enum import Enum
from urllib.parse import unquote

from ..downloads import PATH as DOWNLOADS
from ..udp_check import PATH as UDP_CHECK
from ..voice_socket import PATH as VOICE_SOCKET

API = "/gradio_api"


class Door(Enum):
    """What a path is, and with it who may use it."""

    OPEN = "open"
    """Anyone, from anywhere: says only whether there is service."""
    LOGIN = "login"
    """Where the password is sent to."""
    PAGE = "page"
    """The page itself, a document."""
    PART = "part"
    """What the page is made of, and our own routes that it uses."""
    JOIN = "join"
    """Gradio: a button was pressed."""
    SESSION = "session"
    """Gradio: what came of it, as a stream."""
    COMPONENT = "component"
    """Gradio: fastrtc's component asks its server, with offers of connections among it."""
    PROGRAM = "program"
    """For programs: the sockets and the figures."""
    LOCAL = "local"
    """Gradio's `launch()` calls this itself, over the network interface of this computer."""
    CLOSED = "closed"


_EXACT = {
    ("GET", "/health"): Door.OPEN,
    ("HEAD", "/health"): Door.OPEN,
    ("POST", "/login"): Door.LOGIN,
    ("GET", "/"): Door.PAGE,
    ("HEAD", "/"): Door.PAGE,
    ("GET", "/docs"): Door.PAGE,
    ("GET", "/openapi.json"): Door.PART,
    ("GET", "/metrics"): Door.PROGRAM,
    ("GET", UDP_CHECK): Door.PART,
    ("POST", UDP_CHECK): Door.PART,
    ("GET", "/config"): Door.PART,
    ("GET", "/theme.css"): Door.PART,
    ("GET", "/favicon.ico"): Door.PART,
    ("GET", "/manifest.json"): Door.PART,
    ("GET", "/robots.txt"): Door.OPEN,
    ("GET", f"{API}/app_id"): Door.PART,
    ("GET", f"{API}/theme.css"): Door.PART,
    ("GET", f"{API}/startup-events"): Door.LOCAL,
    ("POST", f"{API}/queue/join"): Door.JOIN,
    ("GET", f"{API}/queue/data"): Door.SESSION,
    ("POST", f"{API}/component_server"): Door.COMPONENT,
    ("WEBSOCKET", "/realtime-voice"): Door.PROGRAM,
    ("WEBSOCKET", "/text-chat"): Door.PROGRAM,
    ("WEBSOCKET", "/v1/realtime"): Door.PROGRAM,
}
_BEGINNINGS = (
    ("GET", re.compile(r"/(?:assets|svelte|static)/[\w./@+-]+"), Door.PART),
    ("GET", re.compile(rf"{API}/custom_component/[0-9a-f]+/client/component/[\w.-]+"), Door.PART),
    ("GET", re.compile(rf"{API}/heartbeat/[\w-]+"), Door.SESSION),
    ("GET", re.compile(rf"{DOWNLOADS}/[\w-]+"), Door.PART),
    ("WEBSOCKET", re.compile(rf"{VOICE_SOCKET}/[\w-]+"), Door.PART),
)


def door(method: str, path: str, files: frozenset[str] = frozenset()) -> Door:
    """What a request asks for. `path` as ASGI has it, decoded once; `files`: paths of this computer's files that the
    page shows. Web sockets have the method WEBSOCKET."""
    exact = _EXACT.get((method, path)) or _EXACT.get((method, path.rstrip("/")))
    if exact is not None:
        return exact
    if "%" in path or ".." in path or "\\" in path or "//" in path:
        return Door.CLOSED
    if method == "GET" and path.startswith(f"{API}/file="):
        return Door.PART if unquote(path.removeprefix(f"{API}/file=")) in files else Door.CLOSED
    for wanted, pattern, found in _BEGINNINGS:
        if wanted == method and pattern.fullmatch(path):
            return found
    return Door.CLOSED
