"""The network part of the sound check, against a peer that is not a browser."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from fastapi import FastAPI

from tests.support.webrtc import hostile_offers
from voicechat.security.sdp_limits import MAX_OFFER_BYTES
from voicechat.transport.udp_check import PATH, UdpCheck


@asynccontextmanager
async def check_client(check: UdpCheck) -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI()
    check.add_to(app.router)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://page") as client:
        yield client


async def create_offer() -> tuple[RTCPeerConnection, dict[str, str], asyncio.Event]:
    """A peer, its offer, and what is set when its channel opens."""
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    opened = asyncio.Event()
    peer.createDataChannel("check").on("open", opened.set)
    await peer.setLocalDescription(await peer.createOffer())
    return peer, {"type": "offer", "sdp": peer.localDescription.sdp}, opened


async def wait_until_none_left(check: UdpCheck) -> None:
    async with asyncio.timeout(10):
        await asyncio.gather(*check._running)
    assert check.running_count == 0


async def test_check_opens_a_channel_and_its_close_frees_the_slot() -> None:
    check = UdpCheck(None, timeout_s=60)
    async with check_client(check) as page:
        peer, asked, opened = await create_offer()
        answer = await page.post(PATH, json=asked)
        assert answer.status_code == 200 and answer.headers["cache-control"] == "no-store"
        assert check.running_count == 1
        await peer.setRemoteDescription(RTCSessionDescription(**answer.json()))
        async with asyncio.timeout(10):
            await opened.wait()
        await peer.close()
        await wait_until_none_left(check)


async def test_check_times_out_and_one_above_the_limit_is_refused() -> None:
    check = UdpCheck(None, max_concurrent=1, timeout_s=0.5)
    async with check_client(check) as page:
        peer, asked, _ = await create_offer()
        assert (await page.post(PATH, json=asked)).status_code == 200
        assert (await page.post(PATH, json=asked)).status_code == 503
        await wait_until_none_left(check)
        assert (await page.post(PATH, json=asked)).status_code == 200
        await peer.close()
        await wait_until_none_left(check)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"[]", 400),
        (b'{"type": "answer", "sdp": "v=0"}', 400),
        (b'{"type": "offer", "sdp": 1}', 400),
        (b'{"type": "offer", "sdp": "nothing of the kind"}', 400),
        (b'{"type": "offer", "sdp": "v=0\\r\\nm=application x"}', 400),
        (b"[" * (MAX_OFFER_BYTES - 1), 400),
        (b"x" * (MAX_OFFER_BYTES + 1), 413),
    ],
)
async def test_invalid_offer_is_refused_and_takes_no_slot(body: bytes, status: int) -> None:
    check = UdpCheck(None, timeout_s=60)
    async with check_client(check) as page:
        answer = await page.post(PATH, content=body)
        assert (answer.status_code, answer.content) == (status, b"")
        await wait_until_none_left(check)


@pytest.mark.parametrize("kind", hostile_offers.AUDIO_KINDS)
async def test_offer_above_the_limits_is_refused_before_it_is_parsed(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aiortc.sdp.SessionDescription.parse", lambda sdp: pytest.fail("parsed"))
    check = UdpCheck(None, timeout_s=60)
    async with check_client(check) as page:
        offer = hostile_offers.endless(kind, 25_000, hostile_offers.check_offer)
        answer = await page.post(PATH, content=json.dumps({"type": "offer", "sdp": offer}, ensure_ascii=False))
        assert (answer.status_code, answer.content) == (413, b"")
        assert check.running_count == 0


async def test_check_uses_the_ice_servers_of_a_call() -> None:
    async def turn_configuration() -> dict[str, object]:
        return {"iceServers": [{"urls": ["turn:relay.example"]}]}

    for check, servers in ((UdpCheck(None), {}), (UdpCheck(turn_configuration), await turn_configuration())):
        async with check_client(check) as page:
            answer = await page.get(PATH)
            assert answer.json() == servers
            assert answer.headers["cache-control"] == "no-store"
