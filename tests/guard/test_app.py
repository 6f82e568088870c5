"""The guard around the whole app, as `uvicorn app:app` serves it; real offers of real WebRTC connections."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from fastapi import FastAPI
from starlette.testclient import TestClient, WebSocketDenialResponse
from starlette.websockets import WebSocketDisconnect

import app as front_door
from realtime.guard_settings import GuardSettings
from realtime.settings import Settings
from web.guard.offers import MOST_EACH
from web.guard.password import ALL_GUESSES

PASSWORD, TOKEN = "correct horse battery", "token-of-a-program-01"
SOCKETS = ["/realtime-voice", "/text-chat", "/v1/realtime"]
FAR = "203.0.113.7"


class Home:
    """The app with these settings, and those who come to it."""

    def __init__(self, **guard: Any) -> None:
        self.house = front_door.House(Settings(realtime_url="ws://127.0.0.1:9", guard=GuardSettings(**guard)))
        self.app: FastAPI = front_door.build(self.house)
        self.porter = self.house.porter

    def browser(self, address: str = FAR, base: str = "http://voice.localhost") -> httpx.AsyncClient:
        transport = httpx.ASGITransport(self.app, client=(address, 4711))
        return httpx.AsyncClient(transport=transport, base_url=base)

    def program(self, address: str = FAR) -> TestClient:
        return TestClient(self.app, base_url="http://voice.localhost", client=(address, 4711))


@pytest.fixture(scope="module")
def open_home() -> Home:
    return Home()


@pytest.fixture(scope="module")
def closed_home() -> Home:
    return Home(app_password=PASSWORD)


@pytest.fixture(scope="module")
def token_home() -> Home:
    return Home(app_password=PASSWORD, api_tokens=(TOKEN,))


def refused(home: Home, path: str, **options: Any) -> dict[str, Any]:
    """What a program reads whose handshake is answered with HTTP."""
    with pytest.raises(WebSocketDenialResponse) as denied, connect(home, path, **options):
        pass
    return {"status": denied.value.status_code, **denied.value.json()["error"]}


def connect(home: Home, path: str, **options: Any) -> Any:
    headers = {"Host": "voice.localhost", **options.pop("headers", {})}
    return home.program().websocket_connect(path, headers=headers, **options)


def let_in(home: Home, path: str, **options: Any) -> None:
    """The relay takes the socket; that there is no server behind it is another story."""
    with connect(home, path, **options) as socket:
        assert json.loads(socket.receive_text())["error"]["code"] == "server_unreachable"
        with pytest.raises(WebSocketDisconnect):
            socket.receive_text()


# ---------------------------------------------------------------- the page


async def test_the_page_comes_with_its_policy_and_a_cookie(open_home: Home) -> None:
    async with open_home.browser() as browser:
        page = await browser.get("/")
        assert page.status_code == 200
        assert "'sha256-" in page.headers["content-security-policy"]
        assert page.headers["x-content-type-options"] == "nosniff"
        assert page.headers["referrer-policy"] == "same-origin"
        cookie = page.headers["set-cookie"]
        assert cookie.startswith("voice_visitor=") and "HttpOnly" in cookie and "SameSite=Lax" in cookie
        assert "set-cookie" not in (await browser.get("/")).headers
        assert (await browser.get("/health")).headers["x-content-type-options"] == "nosniff"


async def test_behind_tls_the_cookie_works_in_a_frame_too(open_home: Home) -> None:
    async with open_home.browser("127.0.0.1") as browser:
        page = await browser.get("/", headers={"X-Forwarded-Proto": "https"})
        assert "SameSite=None; Secure; Partitioned" in page.headers["set-cookie"]


async def test_two_tabs_opened_at_once_are_one_browser(open_home: Home) -> None:
    async with open_home.browser() as one, open_home.browser() as two, open_home.browser("203.0.113.8") as other:
        pages = await asyncio.gather(one.get("/"), two.get("/"), other.get("/"))
        first, second, third = (page.headers["set-cookie"].split(";")[0] for page in pages)
        assert first == second != third


async def test_what_the_page_does_not_use_is_not_there(open_home: Home) -> None:
    async with open_home.browser() as browser:
        for path in ("/gradio_api/info", "/gradio_api/file=/etc/passwd", "/monitoring", "/docs/oauth2-redirect"):
            answer = await browser.get(path)
            assert (answer.status_code, answer.text) == (404, "There is nothing here.")
        answer = await browser.get("/logout", headers={"Accept-Language": "zh-TW,zh;q=0.9"})
        assert (answer.status_code, answer.text) == (404, "這裡沒有東西。")
        assert (await browser.get("/gradio_api/startup-events")).status_code == 404
    async with open_home.browser("127.0.0.1") as here:
        assert (await here.get("/gradio_api/startup-events")).status_code == 200


async def test_a_query_opens_no_file(open_home: Home, tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text('[{"id": 1, "told": "sk-canary"}]')
    async with open_home.browser() as browser:
        for path in ("/", "/config"):
            answer = await browser.get(path, params={"deep_link": str(tmp_path), "page": "none"})
            assert answer.status_code == 200 and "sk-canary" not in answer.text, path


async def test_no_cache_keeps_the_page_with_its_cookie(open_home: Home) -> None:
    async with open_home.browser() as browser:
        assert (await browser.get("/")).headers["cache-control"] == "private, no-cache"


async def test_an_error_tells_nothing_of_itself(open_home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    async def problem() -> str:
        raise RuntimeError("sk-canary")

    monkeypatch.setattr(open_home.house.reachability, "problem", problem)
    async with open_home.browser() as browser:
        answer = await browser.get("/health")
        assert (answer.status_code, answer.text) == (500, "The server failed. Please try again.")


# ---------------------------------------------------------------- other pages


@pytest.mark.parametrize("path", SOCKETS)
def test_a_program_says_no_origin_and_our_own_page_says_ours(open_home: Home, path: str) -> None:
    let_in(open_home, path)
    let_in(open_home, path, headers={"Origin": "http://voice.localhost"})


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:7860"])
def test_another_page_may_not_use_the_sockets(open_home: Home, origin: str) -> None:
    for path in [*SOCKETS, "/voice-socket/ticket"]:
        answer = refused(open_home, path, headers={"Origin": origin})
        assert (answer["status"], answer["code"]) == (403, "origin_not_allowed")
        assert "ALLOWED_ORIGINS" in answer["message"]


async def test_another_page_may_not_press_buttons_or_offer_calls(open_home: Home) -> None:
    async with open_home.browser() as browser:
        for path in ("/gradio_api/queue/join", "/gradio_api/component_server/", "/udp-check", "/login"):
            answer = await browser.post(path, json={}, headers={"Origin": "https://evil.example"})
            assert answer.status_code == 403, path


@pytest.mark.parametrize(("site", "status"), [("same-site", 403), ("cross-site", 403), ("same-origin", 400)])
async def test_another_page_cannot_pass_for_a_proxy(open_home: Home, site: str, status: int) -> None:
    # A page on another port of this computer, which the preflight of launch() lets set any header.
    headers = {"Origin": "http://localhost:3000", "X-Forwarded-Host": "localhost:3000", "Sec-Fetch-Site": site}
    async with open_home.browser("127.0.0.1") as browser:
        assert (await browser.post("/gradio_api/queue/join", json={}, headers=headers)).status_code == status


def test_other_pages_are_allowed_by_name() -> None:
    home = Home(allowed_origins=("https://friend.example",))
    let_in(home, "/v1/realtime", headers={"Origin": "https://friend.example"})
    assert refused(home, "/v1/realtime", headers={"Origin": "https://evil.example"})["status"] == 403


async def test_a_name_that_was_made_to_point_here(open_home: Home) -> None:
    async with open_home.browser(base="http://evil.example") as browser:
        answer = await browser.get("/")
        assert answer.status_code == 421 and "ALLOWED_ORIGINS" in answer.text
        assert (await browser.get("/health")).json()["server"] == "custom"


# ---------------------------------------------------------------- password and tokens


async def test_the_password_covers_everything_but_health(closed_home: Home) -> None:
    async with closed_home.browser() as browser:
        page = await browser.get("/", headers={"Accept-Language": "zh-TW"})
        assert page.status_code == 401 and "架設這個網頁的人設了密碼" in page.text and "gradio" not in page.text
        assert page.headers["content-security-policy"]
        assert (await browser.head("/")).status_code == 401  # launch() looks whether the page answers
        assert (await browser.get("/health")).status_code == 503  # no server behind, but an answer
        for path in ("/config", "/assets/index.js", "/theme.css", "/metrics", "/openapi.json", "/docs", "/udp-check"):
            assert (await browser.get(path)).status_code == 401, path
        for path in ("/gradio_api/queue/join", "/gradio_api/component_server", "/udp-check"):
            assert (await browser.post(path, json={})).status_code == 401, path
        assert (await browser.get("/gradio_api/heartbeat/abc")).status_code == 401
    for path in SOCKETS:
        assert refused(closed_home, path)["code"] == "invalid_api_key"
    assert refused(closed_home, "/voice-socket/ticket")["status"] == 401


async def test_who_knows_the_password_comes_in_and_stays(closed_home: Home) -> None:
    async with closed_home.browser("203.0.113.20") as browser:
        wrong = await browser.post("/login", data={"password": "horse"})
        assert wrong.status_code == 401 and "not the password" in wrong.text and "set-cookie" not in wrong.headers
        right = await browser.post("/login", data={"password": PASSWORD})
        assert (right.status_code, right.headers["location"]) == (303, "./")
        cookie = right.headers["set-cookie"]
        assert "HttpOnly" in cookie and PASSWORD not in cookie
        assert (await browser.get("/")).status_code == 200
        assert (await browser.get("/metrics")).status_code == 200
        assert (await browser.get("/config")).status_code == 200
        cookies = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    let_in(closed_home, "/v1/realtime", headers={"Cookie": cookies})
    assert refused(closed_home, "/v1/realtime", headers={"Cookie": cookies, "Origin": "https://evil.example"})


async def test_guessing_is_slow(closed_home: Home) -> None:
    async with closed_home.browser("203.0.113.21") as guesser, closed_home.browser("203.0.113.22") as other:
        answers = [await guesser.post("/login", data={"password": f"guess {n}"}) for n in range(8)]
        assert [answer.status_code for answer in answers] == [401] * 6 + [429] * 2
        assert (await guesser.post("/login", data={"password": PASSWORD})).status_code == 429
        assert (await other.post("/login", data={"password": PASSWORD})).status_code == 303
        assert (await other.post("/login", content=b"x" * 3000)).status_code == 413


async def test_a_new_cookie_for_every_guess_does_not_help() -> None:
    home = Home(app_password=PASSWORD)
    assert home.porter.password is not None
    home.porter.password._clock = lambda: 0.0
    async with home.browser("127.0.0.1") as tunnel:
        answers = []
        for number in range(ALL_GUESSES + 6):
            headers = {"Cookie": f"voice_visitor=chosen-{number}"}
            answers.append((await tunnel.post("/login", data={"password": "guess"}, headers=headers)).status_code)
    assert answers[:ALL_GUESSES] == [401] * ALL_GUESSES and answers[ALL_GUESSES:] == [429] * 6


async def test_with_no_password_there_is_no_login(open_home: Home) -> None:
    async with open_home.browser() as browser:
        assert (await browser.post("/login", data={"password": "anything"})).status_code == 404


@pytest.mark.parametrize(
    "brought",
    [
        {"headers": {"Authorization": f"Bearer {TOKEN}"}},
        {"headers": {"api-key": TOKEN}},
        {"headers": {"Authorization": f"Bearer {TOKEN}", "Origin": "https://any.example"}},
        {"subprotocols": ["realtime", f"openai-insecure-api-key.{TOKEN}"]},
    ],
)
def test_programs_bring_a_token(token_home: Home, brought: dict[str, Any]) -> None:
    for path in SOCKETS:
        let_in(token_home, path, **brought)


def test_without_it_they_stay_outside(token_home: Home) -> None:
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Bearer {PASSWORD}"}):
        answer = refused(token_home, "/v1/realtime", headers=headers)
        assert (answer["status"], answer["code"]) == (401, "invalid_api_key")
        assert "API_TOKENS" in answer["message"] and TOKEN not in answer["message"]


async def test_figures_take_a_token_and_the_page_does_not(token_home: Home) -> None:
    async with token_home.browser() as browser:
        bearer = {"Authorization": f"Bearer {TOKEN}"}
        assert (await browser.get("/metrics", headers=bearer)).status_code == 200
        assert (await browser.get("/metrics")).status_code == 401
        assert (await browser.get("/", headers=bearer)).status_code == 401


# ---------------------------------------------------------------- sessions and connections


async def peer() -> tuple[RTCPeerConnection, RTCSessionDescription]:
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    connection.addTransceiver("audio")
    connection.createDataChannel("text")
    await connection.setLocalDescription(await connection.createOffer())
    return connection, connection.localDescription


@asynccontextmanager
async def offering(home: Home, life_s: float = 60.0) -> AsyncIterator[Callable[..., Any]]:
    """Offers of calls that nobody connects; at the end they are closed, or their time is over, and nothing is left."""
    peers: list[RTCPeerConnection] = []
    home.porter.offers._life_s = life_s

    async def offer(browser: httpx.AsyncClient, word: str, session: str, **changed: Any) -> httpx.Response:
        connection, description = await peer()
        peers.append(connection)
        data = {"type": "offer", "sdp": description.sdp, "webrtc_id": word, **changed}
        return await ask(home, browser, session, "offer", data)

    yield offer
    for connection in peers:
        await connection.close()
    if life_s > 1:
        for connection in [*_rtc(home).pcs.values()]:
            await connection.close()
    async with asyncio.timeout(5):
        await asyncio.gather(*home.porter.offers._tasks)
    assert home.porter.offers.waiting == 0
    assert _rtc(home).pcs == {}
    assert home.house.places.empty


def _rtc(home: Home) -> Any:
    return home.house.page.blocks[home.porter.component]


async def ask(home: Home, browser: httpx.AsyncClient, session: str, function: str, data: object) -> httpx.Response:
    body = {"component_id": home.porter.component, "fn_name": function, "session_hash": session, "data": data}
    return await browser.post("/gradio_api/component_server/", json=body)


async def press(home: Home, browser: httpx.AsyncClient, session: str, word: str) -> httpx.Response:
    """The first function of the page that is about a call."""
    function, places = next((number, places) for number, places in home.porter.places.items() if places)
    data: list[Any] = [None] * len(home.house.page.fns[function].inputs)
    data[places[0]] = word
    body = {"session_hash": session, "fn_index": function, "data": data, "trigger_id": None}
    return await browser.post("/gradio_api/queue/join", json=body)


async def test_nobody_uses_the_session_of_another(open_home: Home) -> None:
    async with open_home.browser("203.0.113.30") as owner, open_home.browser("203.0.113.31") as stranger:
        await owner.get("/")
        await stranger.get("/")
        assert (await press(open_home, owner, "mine", "")).status_code != 403
        for answer in (
            await press(open_home, stranger, "mine", ""),
            await ask(open_home, stranger, "mine", "turn", None),
            await stranger.get("/gradio_api/queue/data", params={"session_hash": "mine"}),
            await stranger.get("/gradio_api/heartbeat/mine"),
        ):
            assert answer.status_code == 403
        assert "another visitor" in (await press(open_home, stranger, "mine", "")).text
        # Gradio reads the last of several, so that naming one's own before another's must not help.
        for query in ("session_hash=own&session_hash=mine", "session_hash=mine&session_hash=own", "session_hash="):
            assert (await stranger.get(f"/gradio_api/queue/data?{query}")).status_code == 400, query


async def test_who_keeps_no_cookies_is_told_apart_by_address(open_home: Home) -> None:
    async with open_home.browser("203.0.113.40") as owner, open_home.browser("203.0.113.41") as stranger:
        assert (await press(open_home, owner, "bare", "")).status_code != 403
        assert (await press(open_home, owner, "bare", "")).status_code != 403
        assert (await press(open_home, stranger, "bare", "")).status_code == 403


async def test_nobody_ends_feeds_or_hears_the_call_of_another(open_home: Home) -> None:
    async with (
        open_home.browser("203.0.113.32") as owner,
        open_home.browser("203.0.113.33") as stranger,
        offering(open_home) as offer,
    ):
        await owner.get("/")
        await stranger.get("/")
        assert (await offer(owner, "call1", "owner1")).json()["type"] == "answer"
        assert (await offer(stranger, "call1", "stranger1")).status_code == 403
        candidate = {"type": "ice-candidate", "candidate": {"candidate": ""}, "webrtc_id": "call1"}
        for function, data in (("offer", candidate), ("quit_output_stream", {"webrtc_id": "call1"})):
            assert (await ask(open_home, stranger, "stranger1", function, data)).status_code == 403
        assert (await press(open_home, stranger, "stranger1", "call1")).status_code == 403
        # Not even from another session of the same browser.
        assert (await press(open_home, owner, "owner2", "call1")).status_code == 403


async def test_offers_that_never_connect_keep_nobody_out(open_home: Home) -> None:
    async with (
        open_home.browser("203.0.113.34") as junk,
        open_home.browser("203.0.113.35") as guest,
        offering(open_home) as offer,
    ):
        answers = [await offer(junk, f"junk{number}", "junk") for number in range(MOST_EACH + 2)]
        assert [answer.status_code for answer in answers] == [200] * MOST_EACH + [503] * 2
        assert answers[-1].json()["status"] == "failed"
        assert (await offer(guest, "guest", "guest")).json()["type"] == "answer"


@pytest.mark.parametrize(
    "media", [[], ["audio", "audio"], ["audio", "video"], ["recvonly"], ["sendonly"], ["inactive"]], ids=str
)
async def test_an_offer_is_of_one_sound_both_ways(open_home: Home, media: list[str]) -> None:
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    connection.createDataChannel("text")
    for each in media:
        if each in ("audio", "video"):
            connection.addTransceiver(each)
        else:
            connection.addTransceiver("audio", direction=each)
    await connection.setLocalDescription(await connection.createOffer())
    async with open_home.browser("203.0.113.38") as browser, offering(open_home) as offer:
        answer = await offer(browser, "strange", "strange38", sdp=connection.localDescription.sdp)
        assert answer.status_code == 400
    await connection.close()


async def test_an_offer_that_never_connects_is_dropped_in_time(open_home: Home) -> None:
    async with open_home.browser("203.0.113.37") as junk, offering(open_home, life_s=0.3) as offer:
        assert (await offer(junk, "junk37", "junk37")).json()["type"] == "answer"
        assert open_home.porter.offers.waiting == 1


@pytest.mark.parametrize(
    "sdp", ["", "v=0", "v=0\r\nm=audio 9 x 0\r\n", "x" * 1000, "v=0\r\no=- 1 1 IN IP4 0\r\ns=-\r\nt=0 0\r\n"]
)
async def test_an_offer_that_makes_no_sense_leaves_nothing(open_home: Home, sdp: str) -> None:
    async with open_home.browser("203.0.113.36") as browser, offering(open_home) as offer:
        answer = await offer(browser, "junk", "junk36", sdp=sdp)
        assert answer.status_code == 400 or "sdp" in answer.json(), (answer.status_code, answer.text)
        assert "Traceback" not in answer.text


async def test_malformed_requests_get_a_sentence(open_home: Home) -> None:
    async with open_home.browser() as browser:
        for path in ("/gradio_api/queue/join", "/gradio_api/component_server/"):
            for body in (b"", b"{", b"[]", b"null", b'{"session_hash": 1}', b"\xff\xfe"):
                answer = await browser.post(path, content=body)
                assert answer.status_code == 400 and "makes no sense" in answer.text
            answer = await browser.post(path, content=b"x" * 1_000_001)
            assert answer.status_code == 413
        assert (await browser.get("/gradio_api/queue/data")).status_code == 400
        assert (await browser.get("/gradio_api/queue/data", params={"session_hash": "a b"})).status_code == 400


async def test_a_body_that_never_ends_holds_nothing(open_home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("web.guard.middleware.BODY_S", 0.1)

    async def drops() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.Event().wait()

    async with asyncio.timeout(5), open_home.browser() as browser:
        answer = await browser.post("/gradio_api/queue/join", content=drops())
        assert answer.status_code == 400
