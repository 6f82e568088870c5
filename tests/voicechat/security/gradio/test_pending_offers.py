"""Ownership and limits of WebRTC offers, with real offers of real connections."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription

from tests.support.app.protected_app import ProtectedApp
from voicechat.security.gradio.pending_offers import MAX_OFFERS_PER_VISITOR


async def create_peer_offer() -> tuple[RTCPeerConnection, RTCSessionDescription]:
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    connection.addTransceiver("audio")
    connection.createDataChannel("text")
    await connection.setLocalDescription(await connection.createOffer())
    return connection, connection.localDescription


def pending_count(app: ProtectedApp) -> int:
    """Return the number of offers that are not connected yet."""
    return len(app.access_policy.pending_offers._visitor_by_connection)


@asynccontextmanager
async def pending_offers(app: ProtectedApp, timeout_s: float = 60.0) -> AsyncIterator[Callable[..., Any]]:
    """Yield a function that offers connections which never connect; assert at the end that none is left."""
    peers: list[RTCPeerConnection] = []
    app.access_policy.pending_offers._connect_timeout_s = timeout_s

    async def offer(browser: httpx.AsyncClient, connection_id: str, session: str, **changed: Any) -> httpx.Response:
        connection, description = await create_peer_offer()
        peers.append(connection)
        data = {"type": "offer", "sdp": description.sdp, "webrtc_id": connection_id, **changed}
        return await call_component_function(app, browser, session, "offer", data)

    yield offer
    for connection in peers:
        await connection.close()
    if timeout_s > 1:
        for connection in [*_webrtc_component(app).pcs.values()]:
            await connection.close()
    async with asyncio.timeout(30):
        await asyncio.gather(*app.access_policy.pending_offers._tasks)
    assert pending_count(app) == 0
    assert _webrtc_component(app).pcs == {}
    assert app.application.admission.is_empty


def _webrtc_component(app: ProtectedApp) -> Any:
    return app.application.page.blocks[app.access_policy.component_id]


async def call_component_function(
    app: ProtectedApp, browser: httpx.AsyncClient, session: str, function: str, data: object
) -> httpx.Response:
    body = {"component_id": app.access_policy.component_id, "fn_name": function, "session_hash": session, "data": data}
    return await browser.post("/gradio_api/component_server/", json=body)


async def join_call_queue(
    app: ProtectedApp, browser: httpx.AsyncClient, session: str, connection_id: str
) -> httpx.Response:
    """Call the first function of the page that has a connection among its inputs."""
    function, indexes = next(
        (number, indexes) for number, indexes in app.access_policy.webrtc_input_indexes.items() if indexes
    )
    data: list[Any] = [None] * len(app.application.page.fns[function].inputs)
    data[indexes[0]] = connection_id
    body = {"session_hash": session, "fn_index": function, "data": data, "trigger_id": None}
    return await browser.post("/gradio_api/queue/join", json=body)


async def test_session_of_another_visitor_is_refused(open_app: ProtectedApp) -> None:
    async with open_app.browser_client("203.0.113.30") as owner, open_app.browser_client("203.0.113.31") as stranger:
        await owner.get("/")
        await stranger.get("/")
        assert (await join_call_queue(open_app, owner, "mine", "")).status_code != 403
        for answer in (
            await join_call_queue(open_app, stranger, "mine", ""),
            await call_component_function(open_app, stranger, "mine", "turn", None),
            await stranger.get("/gradio_api/queue/data", params={"session_hash": "mine"}),
            await stranger.get("/gradio_api/heartbeat/mine"),
        ):
            assert answer.status_code == 403
        assert "another visitor" in (await join_call_queue(open_app, stranger, "mine", "")).text
        # Gradio reads the last of several names: an own session before another visitor's must not help.
        for query in ("session_hash=own&session_hash=mine", "session_hash=mine&session_hash=own", "session_hash="):
            assert (await stranger.get(f"/gradio_api/queue/data?{query}")).status_code == 400, query


async def test_clients_without_cookies_are_distinguished_by_address(open_app: ProtectedApp) -> None:
    async with open_app.browser_client("203.0.113.40") as owner, open_app.browser_client("203.0.113.41") as stranger:
        assert (await join_call_queue(open_app, owner, "bare", "")).status_code != 403
        assert (await join_call_queue(open_app, owner, "bare", "")).status_code != 403
        assert (await join_call_queue(open_app, stranger, "bare", "")).status_code == 403


async def test_connection_of_another_visitor_is_refused(open_app: ProtectedApp) -> None:
    async with (
        open_app.browser_client("203.0.113.32") as owner,
        open_app.browser_client("203.0.113.33") as stranger,
        pending_offers(open_app) as offer,
    ):
        await owner.get("/")
        await stranger.get("/")
        assert (await offer(owner, "call1", "owner1")).json()["type"] == "answer"
        assert (await offer(stranger, "call1", "stranger1")).status_code == 403
        candidate = {"type": "ice-candidate", "candidate": {"candidate": ""}, "webrtc_id": "call1"}
        for function, data in (("offer", candidate), ("quit_output_stream", {"webrtc_id": "call1"})):
            assert (await call_component_function(open_app, stranger, "stranger1", function, data)).status_code == 403
        assert (await join_call_queue(open_app, stranger, "stranger1", "call1")).status_code == 403
        # Not even from another session of the same browser.
        assert (await join_call_queue(open_app, owner, "owner2", "call1")).status_code == 403


async def test_pending_offers_of_one_visitor_do_not_block_others(open_app: ProtectedApp) -> None:
    async with (
        open_app.browser_client("203.0.113.34") as junk,
        open_app.browser_client("203.0.113.35") as guest,
        pending_offers(open_app) as offer,
    ):
        answers = [await offer(junk, f"junk{number}", "junk") for number in range(MAX_OFFERS_PER_VISITOR + 2)]
        assert [answer.status_code for answer in answers] == [200] * MAX_OFFERS_PER_VISITOR + [503] * 2
        assert answers[-1].json()["status"] == "failed"
        assert (await offer(guest, "guest", "guest")).json()["type"] == "answer"


@pytest.mark.parametrize(
    "media", [[], ["audio", "audio"], ["audio", "video"], ["recvonly"], ["sendonly"], ["inactive"]], ids=str
)
async def test_offer_needs_one_audio_section_both_ways(open_app: ProtectedApp, media: list[str]) -> None:
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    connection.createDataChannel("text")
    for each in media:
        if each in ("audio", "video"):
            connection.addTransceiver(each)
        else:
            connection.addTransceiver("audio", direction=each)
    await connection.setLocalDescription(await connection.createOffer())
    async with open_app.browser_client("203.0.113.38") as browser, pending_offers(open_app) as offer:
        answer = await offer(browser, "strange", "strange38", sdp=connection.localDescription.sdp)
        assert answer.status_code == 400
        second = connection.localDescription.sdp.replace("a=sendrecv", "a=sendrecv\r\na=sendonly:1")
        assert (await offer(browser, "strange", "strange38", sdp=second)).status_code == 400
    await connection.close()


async def test_offer_that_never_connects_is_dropped(open_app: ProtectedApp) -> None:
    async with open_app.browser_client("203.0.113.37") as junk, pending_offers(open_app, timeout_s=0.3) as offer:
        assert (await offer(junk, "junk37", "junk37")).json()["type"] == "answer"
        assert pending_count(open_app) == 1


@pytest.mark.parametrize(
    "sdp", ["", "v=0", "v=0\r\nm=audio 9 x 0\r\n", "x" * 1000, "v=0\r\no=- 1 1 IN IP4 0\r\ns=-\r\nt=0 0\r\n"]
)
async def test_invalid_sdp_leaves_no_pending_offer(open_app: ProtectedApp, sdp: str) -> None:
    async with open_app.browser_client("203.0.113.36") as browser, pending_offers(open_app) as offer:
        answer = await offer(browser, "junk", "junk36", sdp=sdp)
        assert answer.status_code == 400 or "sdp" in answer.json(), (answer.status_code, answer.text)
        assert "Traceback" not in answer.text


async def test_malformed_requests_get_a_400_sentence(open_app: ProtectedApp) -> None:
    async with open_app.browser_client() as browser:
        for path in ("/gradio_api/queue/join", "/gradio_api/component_server/"):
            for body in (b"", b"{", b"[]", b"null", b'{"session_hash": 1}', b"\xff\xfe"):
                answer = await browser.post(path, content=body)
                assert answer.status_code == 400 and "Invalid request" in answer.text
            answer = await browser.post(path, content=b"x" * 1_000_001)
            assert answer.status_code == 413
        assert (await browser.get("/gradio_api/queue/data")).status_code == 400
        assert (await browser.get("/gradio_api/queue/data", params={"session_hash": "a b"})).status_code == 400


async def test_endless_body_times_out(open_app: ProtectedApp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voicechat.security.middleware.request_body.BODY_TIMEOUT_S", 0.1)

    async def endless_body() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.Event().wait()

    async with asyncio.timeout(30), open_app.browser_client() as browser:
        answer = await browser.post("/gradio_api/queue/join", content=endless_body())
        assert answer.status_code == 400
