"""Route access: the listed routes and their access classes."""

from __future__ import annotations

import pytest

from voicechat.security.route_access import FOUNDATION_RULES, GRADIO_API_PREFIX, RouteAccess, RouteTable
from voicechat.server.application import ROUTE_RULES

FILE = "/tmp/gradio/ab12/user.svg"
ROUTES = RouteTable((*FOUNDATION_RULES, *ROUTE_RULES), frozenset({FILE}))
ROUTES = RouteTable((*FOUNDATION_RULES, *ROUTE_RULES), frozenset({FILE}))


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/", RouteAccess.PAGE),
        ("HEAD", "/", RouteAccess.PAGE),
        ("GET", "/health", RouteAccess.PUBLIC),
        ("POST", "/login", RouteAccess.LOGIN),
        ("GET", "/assets/index-BQPjLIsY.js", RouteAccess.ASSET),
        ("GET", f"{GRADIO_API_PREFIX}/file={FILE}", RouteAccess.ASSET),
        ("POST", f"{GRADIO_API_PREFIX}/queue/join", RouteAccess.QUEUE_JOIN),
        ("POST", f"{GRADIO_API_PREFIX}/component_server/", RouteAccess.COMPONENT_CALL),
        ("GET", f"{GRADIO_API_PREFIX}/heartbeat/abc123", RouteAccess.EVENT_STREAM),
        ("WEBSOCKET", "/v1/realtime", RouteAccess.API),
        ("WEBSOCKET", "/voice-socket/abc-_1", RouteAccess.ASSET),
    ],
)
def test_route_of_the_page_is_listed(method: str, path: str, expected: RouteAccess) -> None:
    assert ROUTES.classify(method, path) is expected


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", f"{GRADIO_API_PREFIX}/file=/etc/passwd"),
        ("GET", f"{GRADIO_API_PREFIX}/file=/tmp/gradio/ab12/../../../etc/passwd"),
        ("GET", f"{GRADIO_API_PREFIX}/file=https://example.com/"),
        ("GET", f"{GRADIO_API_PREFIX}/proxy=https://example.com/"),
        ("GET", "/proxy=https://example.com/"),
        ("POST", f"{GRADIO_API_PREFIX}/upload"),
        ("POST", f"{GRADIO_API_PREFIX}/run/predict"),
        ("POST", f"{GRADIO_API_PREFIX}/call/anything"),
        ("GET", f"{GRADIO_API_PREFIX}/info"),
        ("GET", f"{GRADIO_API_PREFIX}/openapi.json"),
        ("GET", "/monitoring"),
        ("GET", "/login/huggingface"),
        ("GET", "/logout"),
        ("GET", f"{GRADIO_API_PREFIX}/vibe-code"),
        ("POST", f"{GRADIO_API_PREFIX}/process_recording"),
        ("GET", f"{GRADIO_API_PREFIX}/dev/reload"),
        ("GET", "/assets/../app.py"),
        ("GET", "/assets/%2e%2e/app.py"),
        ("GET", "/webrtc/offer"),
        ("PUT", "/"),
        ("OPTIONS", "/"),
        ("POST", "/health"),
        ("GET", "/v1/realtime"),
        ("WEBSOCKET", f"{GRADIO_API_PREFIX}/queue/data"),
        ("WEBSOCKET", "/anything"),
    ],
)
def test_other_routes_are_unlisted(method: str, path: str) -> None:
    assert ROUTES.classify(method, path) is RouteAccess.UNLISTED
