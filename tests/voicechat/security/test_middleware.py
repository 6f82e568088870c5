"""`Guard` around the whole app, as `uvicorn app:app` serves it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.support.app.protected_app import (
    PASSWORD,
    SOCKET_PATHS,
    TOKEN,
    ProtectedApp,
    assert_accepted,
    handshake_denial,
)
from voicechat.security.auth.password_attempts import TOTAL_ATTEMPT_BURST, LocalPasswordAttempts
from voicechat.security.auth.password_login import PasswordLogin

# ---------------------------------------------------------------- the page


async def test_page_has_a_policy_and_a_visitor_cookie(open_app: ProtectedApp) -> None:
    async with open_app.browser_client() as browser:
        page = await browser.get("/")
        assert page.status_code == 200
        assert "'sha256-" in page.headers["content-security-policy"]
        assert page.headers["x-content-type-options"] == "nosniff"
        assert page.headers["referrer-policy"] == "same-origin"
        cookie = page.headers["set-cookie"]
        assert cookie.startswith("voice_visitor=") and "HttpOnly" in cookie and "SameSite=Lax" in cookie
        assert "set-cookie" not in (await browser.get("/")).headers
        assert (await browser.get("/health")).headers["x-content-type-options"] == "nosniff"


async def test_visitor_cookie_works_in_a_frame_behind_tls(open_app: ProtectedApp) -> None:
    async with open_app.browser_client("127.0.0.1") as browser:
        page = await browser.get("/", headers={"X-Forwarded-Proto": "https"})
        assert "SameSite=None; Secure; Partitioned" in page.headers["set-cookie"]


async def test_two_tabs_opened_at_once_share_a_visitor_cookie(open_app: ProtectedApp) -> None:
    async with (
        open_app.browser_client() as one,
        open_app.browser_client() as two,
        open_app.browser_client("203.0.113.8") as other,
    ):
        pages = await asyncio.gather(one.get("/"), two.get("/"), other.get("/"))
        first, second, third = (page.headers["set-cookie"].split(";")[0] for page in pages)
        assert first == second != third


async def test_routes_the_page_does_not_use_are_not_found(open_app: ProtectedApp) -> None:
    async with open_app.browser_client() as browser:
        for path in ("/gradio_api/info", "/gradio_api/file=/etc/passwd", "/monitoring", "/docs/oauth2-redirect"):
            answer = await browser.get(path)
            assert (answer.status_code, answer.text) == (404, "Not found.")
        answer = await browser.get("/logout", headers={"Accept-Language": "zh-TW,zh;q=0.9"})
        assert (answer.status_code, answer.text) == (404, "找不到這個網址。")
        assert (await browser.get("/gradio_api/startup-events")).status_code == 404
    async with open_app.browser_client("127.0.0.1") as local:
        assert (await local.get("/gradio_api/startup-events")).status_code == 200


async def test_query_string_cannot_open_a_file(open_app: ProtectedApp, tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text('[{"id": 1, "text": "sk-canary"}]')
    async with open_app.browser_client() as browser:
        for path in ("/", "/config"):
            answer = await browser.get(path, params={"deep_link": str(tmp_path), "page": "none"})
            assert answer.status_code == 200 and "sk-canary" not in answer.text, path


async def test_page_is_not_cached(open_app: ProtectedApp) -> None:
    async with open_app.browser_client() as browser:
        assert (await browser.get("/")).headers["cache-control"] == "private, no-cache"


async def test_server_error_reveals_no_details(open_app: ProtectedApp, monkeypatch: pytest.MonkeyPatch) -> None:
    async def raise_error() -> str:
        raise RuntimeError("sk-canary")

    monkeypatch.setattr(open_app.application.upstream_probe, "check", raise_error)
    async with open_app.browser_client() as browser:
        answer = await browser.get("/health")
        assert (answer.status_code, answer.text) == (500, "The server failed. Please try again.")


# ---------------------------------------------------------------- origins


@pytest.mark.parametrize("path", SOCKET_PATHS)
def test_programs_and_the_own_origin_are_accepted(open_app: ProtectedApp, path: str) -> None:
    assert_accepted(open_app, path)
    assert_accepted(open_app, path, headers={"Origin": "http://voice.localhost"})


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:7860"])
def test_sockets_reject_other_origins(open_app: ProtectedApp, origin: str) -> None:
    for path in [*SOCKET_PATHS, "/voice-socket/ticket"]:
        answer = handshake_denial(open_app, path, headers={"Origin": origin})
        assert (answer["status"], answer["code"]) == (403, "origin_not_allowed")
        assert "ALLOWED_ORIGINS" in answer["message"]


async def test_page_requests_reject_other_origins(open_app: ProtectedApp) -> None:
    async with open_app.browser_client() as browser:
        for path in ("/gradio_api/queue/join", "/gradio_api/component_server/", "/udp-check", "/login"):
            answer = await browser.post(path, json={}, headers={"Origin": "https://evil.example"})
            assert answer.status_code == 403, path


@pytest.mark.parametrize(("site", "status"), [("same-site", 403), ("cross-site", 403), ("same-origin", 400)])
async def test_sec_fetch_site_overrides_forwarded_host(open_app: ProtectedApp, site: str, status: int) -> None:
    # A page on another port of this computer, which the preflight of launch() lets set any header.
    headers = {"Origin": "http://localhost:3000", "X-Forwarded-Host": "localhost:3000", "Sec-Fetch-Site": site}
    async with open_app.browser_client("127.0.0.1") as browser:
        assert (await browser.post("/gradio_api/queue/join", json={}, headers=headers)).status_code == status


def test_allowed_origins_are_accepted() -> None:
    app = ProtectedApp(allowed_origins=("https://friend.example",))
    assert_accepted(app, "/v1/realtime", headers={"Origin": "https://friend.example"})
    assert handshake_denial(app, "/v1/realtime", headers={"Origin": "https://evil.example"})["status"] == 403


async def test_dns_rebinding_host_is_rejected(open_app: ProtectedApp) -> None:
    async with open_app.browser_client(base="http://evil.example") as browser:
        answer = await browser.get("/")
        assert answer.status_code == 421 and "ALLOWED_ORIGINS" in answer.text
        assert (await browser.get("/health")).json()["server"] == "custom"


# ---------------------------------------------------------------- password and tokens


async def test_password_covers_everything_but_health(password_app: ProtectedApp) -> None:
    async with password_app.browser_client() as browser:
        page = await browser.get("/", headers={"Accept-Language": "zh-TW"})
        assert page.status_code == 401 and "這個網頁需要密碼" in page.text and "gradio" not in page.text
        assert page.headers["content-security-policy"]
        assert (await browser.head("/")).status_code == 401  # launch() checks the page with HEAD
        assert (await browser.get("/health")).status_code == 503  # no server behind, but an answer
        for path in ("/config", "/assets/index.js", "/theme.css", "/metrics", "/openapi.json", "/docs", "/udp-check"):
            assert (await browser.get(path)).status_code == 401, path
        for path in ("/gradio_api/queue/join", "/gradio_api/component_server", "/udp-check"):
            assert (await browser.post(path, json={})).status_code == 401, path
        assert (await browser.get("/gradio_api/heartbeat/abc")).status_code == 401
    for path in SOCKET_PATHS:
        assert handshake_denial(password_app, path)["code"] == "invalid_api_key"
    assert handshake_denial(password_app, "/voice-socket/ticket")["status"] == 401


async def test_correct_password_sets_a_lasting_cookie(password_app: ProtectedApp) -> None:
    async with password_app.browser_client("203.0.113.20") as browser:
        wrong = await browser.post("/login", data={"password": "horse"})
        assert wrong.status_code == 401 and "Wrong password" in wrong.text and "set-cookie" not in wrong.headers
        right = await browser.post("/login", data={"password": PASSWORD})
        assert (right.status_code, right.headers["location"]) == (303, "./")
        cookie = right.headers["set-cookie"]
        assert "HttpOnly" in cookie and PASSWORD not in cookie
        assert (await browser.get("/")).status_code == 200
        assert (await browser.get("/metrics")).status_code == 200
        assert (await browser.get("/config")).status_code == 200
        cookies = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    assert_accepted(password_app, "/v1/realtime", headers={"Cookie": cookies})
    assert handshake_denial(password_app, "/v1/realtime", headers={"Cookie": cookies, "Origin": "https://evil.example"})


async def test_login_limits_attempts_per_address(password_app: ProtectedApp) -> None:
    async with (
        password_app.browser_client("203.0.113.21") as guesser,
        password_app.browser_client("203.0.113.22") as other,
    ):
        answers = [await guesser.post("/login", data={"password": f"guess {n}"}) for n in range(8)]
        assert [answer.status_code for answer in answers] == [401] * 6 + [429] * 2
        assert (await guesser.post("/login", data={"password": PASSWORD})).status_code == 429
        assert (await other.post("/login", data={"password": PASSWORD})).status_code == 303
        assert (await other.post("/login", content=b"x" * 3000)).status_code == 413


async def test_login_limits_attempts_of_changing_visitors() -> None:
    app = ProtectedApp(app_password=PASSWORD)
    app.access_policy.password_login = PasswordLogin(PASSWORD, LocalPasswordAttempts(lambda: 0.0))
    async with app.browser_client("127.0.0.1") as tunnel:
        answers = []
        for number in range(TOTAL_ATTEMPT_BURST + 6):
            headers = {"Cookie": f"voice_visitor=chosen-{number}"}
            answers.append((await tunnel.post("/login", data={"password": "guess"}, headers=headers)).status_code)
    assert answers[:TOTAL_ATTEMPT_BURST] == [401] * TOTAL_ATTEMPT_BURST and answers[TOTAL_ATTEMPT_BURST:] == [429] * 6


async def test_login_is_not_found_without_a_password(open_app: ProtectedApp) -> None:
    async with open_app.browser_client() as browser:
        assert (await browser.post("/login", data={"password": "anything"})).status_code == 404


@pytest.mark.parametrize(
    "credentials",
    [
        {"headers": {"Authorization": f"Bearer {TOKEN}"}},
        {"headers": {"api-key": TOKEN}},
        {"headers": {"Authorization": f"Bearer {TOKEN}", "Origin": "https://any.example"}},
        {"subprotocols": ["realtime", f"openai-insecure-api-key.{TOKEN}"]},
    ],
)
def test_programs_with_a_token_are_accepted(token_app: ProtectedApp, credentials: dict[str, Any]) -> None:
    for path in SOCKET_PATHS:
        assert_accepted(token_app, path, **credentials)


def test_programs_without_a_token_are_refused(token_app: ProtectedApp) -> None:
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Bearer {PASSWORD}"}):
        answer = handshake_denial(token_app, "/v1/realtime", headers=headers)
        assert (answer["status"], answer["code"]) == (401, "invalid_api_key")
        assert "API_TOKENS" in answer["message"] and TOKEN not in answer["message"]


async def test_metrics_accept_a_token_and_the_page_does_not(token_app: ProtectedApp) -> None:
    async with token_app.browser_client() as browser:
        bearer = {"Authorization": f"Bearer {TOKEN}"}
        assert (await browser.get("/metrics", headers=bearer)).status_code == 200
        assert (await browser.get("/metrics")).status_code == 401
        assert (await browser.get("/", headers=bearer)).status_code == 401
