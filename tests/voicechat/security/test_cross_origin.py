"""Cross-origin headers: only pages of ALLOWED_ORIGINS get them, whatever the app's host name is."""

from __future__ import annotations

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.app.protected_app import ProtectedApp
from voicechat.config.groups.security_settings import ANY_ORIGIN
from voicechat.security.origin_check import cross_origin_headers

ALLOWED = "https://partner.example"
PATHS = ("/", "/health", "/config", "/nothing", "/gradio_api/startup-events", "/gradio_api/queue/join")


@pytest.fixture(scope="module")
def partner_app() -> ProtectedApp:
    return ProtectedApp(allowed_origins=(ALLOWED, "http://voice.example"))


def cors_headers(response: httpx.Response) -> dict[str, str]:
    return {name: value for name, value in response.headers.items() if name.startswith("access-control-")}


def preflight(origin: str) -> dict[str, str]:
    asks = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
    return {"Origin": origin, **asks}


@pytest.mark.parametrize("host", ["http://voice.localhost", "http://voice.example", "http://192.0.2.1:7860"])
@pytest.mark.parametrize("origin", ["https://evil.example", "null", "https://partner.example.evil", "file://"])
async def test_foreign_origin_gets_no_header(
    open_app: ProtectedApp, partner_app: ProtectedApp, host: str, origin: str
) -> None:
    for protected in (open_app, partner_app):
        async with protected.browser_client(base=host) as browser:
            for path in PATHS:
                for method in ("GET", "POST", "OPTIONS"):
                    for headers in ({"Origin": origin}, preflight(origin)):
                        assert cors_headers(await browser.request(method, path, headers=headers)) == {}


async def test_allowed_origin_may_read_and_send(partner_app: ProtectedApp) -> None:
    async with partner_app.browser_client(base="http://voice.example") as browser:
        answer = await browser.get("/config", headers={"Origin": ALLOWED})
        assert answer.status_code == 200 and "Origin" in answer.headers["vary"]
        read = {"access-control-allow-origin": ALLOWED, "access-control-allow-credentials": "true"}
        assert cors_headers(answer) == read
        asked = await browser.options("/gradio_api/queue/join", headers=preflight(ALLOWED))
        assert (asked.status_code, asked.content) == (204, b"")
        sends = {"access-control-allow-methods": "GET, POST", "access-control-allow-headers": "content-type"}
        assert cors_headers(asked) == {**read, **sends, "access-control-max-age": "600"}
        assert cors_headers(await browser.get("/config")) == {}


@given(st.one_of(st.none(), st.text(), st.from_regex(r"https?://[a-z.]{1,20}(:[0-9]{1,5})?", fullmatch=True)))
def test_only_allowed_origins_are_reflected(origin: str | None) -> None:
    found = cross_origin_headers(origin, (ALLOWED,))
    assert bool(found) is (origin is not None and origin.strip().lower().rstrip("/") in (ALLOWED, f"{ALLOWED}:443"))


@given(st.one_of(st.just("null"), st.text(), st.from_regex(r"https?://[a-z.]{1,20}(:[0-9]{1,5})?", fullmatch=True)))
def test_any_origin_may_read_without_the_cookies_of_the_visitor(origin: str) -> None:
    assert cross_origin_headers(origin, (ANY_ORIGIN,)) == {"Access-Control-Allow-Origin": "*"}
    named = origin.strip().lower().rstrip("/") in (ALLOWED, f"{ALLOWED}:443")
    assert ("Access-Control-Allow-Credentials" in cross_origin_headers(origin, (ANY_ORIGIN, ALLOWED))) is named


async def test_app_for_any_origin_reflects_only_an_origin_that_is_named() -> None:
    protected = ProtectedApp(allowed_origins=(ANY_ORIGIN, ALLOWED))
    async with protected.browser_client(base="http://voice.example") as browser:
        for headers in ({"Origin": "https://other.example"}, {"Origin": "null"}):
            answer = cors_headers(await browser.get("/health", headers=headers))
            assert answer == {"access-control-allow-origin": "*"}
        asked = cors_headers(await browser.options("/gradio_api/queue/join", headers=preflight("https://a.example")))
        assert asked["access-control-allow-origin"] == "*" and "access-control-allow-credentials" not in asked
        answer = cors_headers(await browser.get("/health", headers={"Origin": ALLOWED}))
        assert answer == {"access-control-allow-origin": ALLOWED, "access-control-allow-credentials": "true"}
