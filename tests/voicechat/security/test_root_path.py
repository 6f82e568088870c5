"""Paths below `ROOT_PATH`: a route is the same whether the reverse proxy cuts the path off or passes it on."""

from __future__ import annotations

from typing import Any

import pytest

import app
from voicechat.config.settings import Settings
from voicechat.security.middleware.context import attach_context, get_context
from voicechat.security.route_access import WEBSOCKET_METHOD, RouteAccess

POLICY = app.create_application(Settings(openai_api_key="sk-x")).access_policy
ROUTES = [
    ("GET", "/"),
    ("GET", "/health"),
    ("POST", "/gradio_api/queue/join"),
    (WEBSOCKET_METHOD, "/voice-socket/token"),
    (WEBSOCKET_METHOD, "/realtime-voice"),
    (WEBSOCKET_METHOD, "/text-chat"),
    (WEBSOCKET_METHOD, "/v1/realtime"),
]
ROOTS = ["/talk", "/a/b", "/voice", "/v", "/v1", "/text", "/realtime", "/gradio_api", "/health"]
"""Roots of every kind: most are the beginning of a route's own name."""


def classify(method: str, path: str, root: str) -> tuple[RouteAccess, str]:
    kind = "websocket" if method == WEBSOCKET_METHOD else "http"
    scope: dict[str, Any] = {
        "type": kind,
        "method": method,
        "path": path,
        "root_path": root,
        "headers": [],
        "client": ("127.0.0.1", 1),
    }
    attach_context(scope, POLICY)
    context = get_context(scope)
    return context.access, context.path


@pytest.mark.parametrize("root", ROOTS)
@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_route_below_a_root_is_the_route_itself(method: str, path: str, root: str) -> None:
    expected = classify(method, path, "")
    assert expected[1] == path
    assert classify(method, root + path, root) == expected, "the proxy passes the whole path on"
    if path != root and not path.startswith(f"{root}/"):  # where it is ambiguous, Starlette cuts the root off
        assert classify(method, path, root) == expected, "the proxy cuts the root off"


def test_root_without_a_slash_is_the_page() -> None:
    assert classify("GET", "/talk", "/talk") == classify("GET", "/", "")
