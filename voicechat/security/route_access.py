"""Route access: the allowed routes and the access class of each. Pure.

Gradio serves more than this page uses: proxies, files by name, uploads, OAuth, an API for every button. A path without
a rule is denied. Every router of ours declares the rules of its own paths; `server/application.py` adds them up.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from urllib.parse import unquote

WEBSOCKET_METHOD = "WEBSOCKET"
"""Method of a WebSocket handshake in a rule."""
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


HEAD_ACCESS = frozenset({RouteAccess.PUBLIC, RouteAccess.PAGE, RouteAccess.ASSET, RouteAccess.API})
"""Access classes of the routes that answer HEAD like GET."""


@dataclass(frozen=True, slots=True)
class RouteRule:
    """Access to one path, or to all paths of one pattern."""

    method: str
    """HTTP method, or `WEBSOCKET_METHOD`."""
    path: str | re.Pattern[str]
    access: RouteAccess
    is_single_use: bool = False
    """A request uses the resource up."""


def path_with_token(prefix: str) -> re.Pattern[str]:
    """Return the pattern of the paths that end with one token: letters, digits, "-" and "_"."""
    return re.compile(rf"{re.escape(prefix)}/[\w-]+")


FOUNDATION_RULES = (
    RouteRule("POST", "/login", RouteAccess.LOGIN),
    RouteRule("GET", "/", RouteAccess.PAGE),
    RouteRule("GET", "/config", RouteAccess.ASSET),
    RouteRule("GET", "/theme.css", RouteAccess.ASSET),
    RouteRule("GET", "/favicon.ico", RouteAccess.ASSET),
    RouteRule("GET", "/robots.txt", RouteAccess.PUBLIC),
    RouteRule("GET", f"{GRADIO_API_PREFIX}/app_id", RouteAccess.ASSET),
    RouteRule("GET", f"{GRADIO_API_PREFIX}/theme.css", RouteAccess.ASSET),
    RouteRule("GET", f"{GRADIO_API_PREFIX}/startup-events", RouteAccess.LOOPBACK_ONLY),
    RouteRule("POST", f"{GRADIO_API_PREFIX}/queue/join", RouteAccess.QUEUE_JOIN),
    RouteRule("GET", f"{GRADIO_API_PREFIX}/queue/data", RouteAccess.EVENT_STREAM),
    RouteRule("POST", f"{GRADIO_API_PREFIX}/component_server", RouteAccess.COMPONENT_CALL),
    RouteRule("GET", re.compile(r"/(?:assets|svelte|static)/[\w./@+-]+"), RouteAccess.ASSET),
    RouteRule(
        "GET",
        re.compile(rf"{GRADIO_API_PREFIX}/custom_component/[0-9a-f]+/client/component/[\w.-]+"),
        RouteAccess.ASSET,
    ),
    RouteRule("GET", path_with_token(f"{GRADIO_API_PREFIX}/heartbeat"), RouteAccess.EVENT_STREAM),
)
"""Rules of the login and of what the page uses of Gradio."""


class RouteTable:
    """All rules of one application."""

    def __init__(self, rules: Iterable[RouteRule], file_paths: frozenset[str] = frozenset()) -> None:
        """`file_paths`: paths of this computer's files that the page shows."""
        self._exact: dict[tuple[str, str], RouteRule] = {}
        self._patterns: list[tuple[re.Pattern[str], RouteRule]] = []
        self._file_paths = file_paths
        for rule in rules:
            if isinstance(rule.path, str):
                self._exact[rule.method, rule.path] = rule
            else:
                self._patterns.append((rule.path, rule))

    def classify(self, method: str, path: str) -> RouteAccess:
        """Return the access class of a request. `path` as ASGI has it: decoded once.

        HEAD has the class of GET, except where a request would use something up or open an endless stream.
        """
        rule = self._find("GET" if method == "HEAD" else method, path)
        if rule is None or (method == "HEAD" and (rule.is_single_use or rule.access not in HEAD_ACCESS)):
            return RouteAccess.UNLISTED
        return rule.access

    def _find(self, method: str, path: str) -> RouteRule | None:
        exact = self._exact.get((method, path)) or self._exact.get((method, path.rstrip("/")))
        if exact is not None:
            return exact
        if "%" in path or ".." in path or "\\" in path or "//" in path:
            return None
        if method == "GET" and path.startswith(f"{GRADIO_API_PREFIX}/file="):
            is_shown = unquote(path.removeprefix(f"{GRADIO_API_PREFIX}/file=")) in self._file_paths
            return RouteRule(method, path, RouteAccess.ASSET) if is_shown else None
        return next(
            (rule for pattern, rule in self._patterns if rule.method == method and pattern.fullmatch(path)), None
        )
