"""HEAD requests: answered like GET, without the body, on every route that GET serves."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.support.app.protected_app import PASSWORD, ProtectedApp
from voicechat.security.route_access import FOUNDATION_RULES, RouteAccess, RouteTable
from voicechat.server.application import ROUTE_RULES

RULES = (*FOUNDATION_RULES, *ROUTE_RULES)
STREAMS = (RouteAccess.EVENT_STREAM, RouteAccess.LOOPBACK_ONLY)
PATHS = [
    rule.path for rule in RULES if rule.method == "GET" and isinstance(rule.path, str) and rule.access not in STREAMS
]
CHANGING_HEADERS = {"set-cookie", "date"}


@pytest.fixture(scope="module", params=["open", "with a password"])
def protected(request: pytest.FixtureRequest) -> Iterator[ProtectedApp]:
    yield ProtectedApp(app_password=PASSWORD) if request.param != "open" else ProtectedApp()


@pytest.mark.parametrize("path", PATHS)
async def test_head_has_status_and_headers_of_get_and_no_body(protected: ProtectedApp, path: str) -> None:
    async with protected.browser_client() as browser:
        full, head = await browser.get(path), await browser.head(path)
    assert head.content == b""
    assert head.status_code == full.status_code
    compared = [
        {name: value for name, value in answer.headers.items() if name not in CHANGING_HEADERS}
        for answer in (full, head)
    ]
    if path in ("/metrics", "/health"):  # the numbers in the body differ
        for headers in compared:
            headers.pop("content-length")
    assert compared[0] == compared[1]


async def test_head_does_not_use_up_a_download(protected: ProtectedApp) -> None:
    routes = protected.access_policy.routes
    assert routes.classify("GET", "/voice-export/abc") is RouteAccess.ASSET
    assert routes.classify("HEAD", "/voice-export/abc") is RouteAccess.UNLISTED


def test_head_opens_no_stream_and_no_unlisted_route() -> None:
    routes = RouteTable(RULES)
    for rule in RULES:
        if isinstance(rule.path, str) or rule.access not in STREAMS:
            continue
        example = re.sub(r"\[.*", "abc", rule.path.pattern).replace("\\", "")
        assert routes.classify("GET", example) is rule.access
        assert routes.classify("HEAD", example) is RouteAccess.UNLISTED
    for path in (
        "/gradio_api/queue/data",
        "/gradio_api/queue/join",
        "/login",
        "/nowhere",
        "/gradio_api/file=/etc/passwd",
    ):
        assert routes.classify("HEAD", path) is RouteAccess.UNLISTED
