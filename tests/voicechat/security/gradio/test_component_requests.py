"""Offers and candidates of fastrtc's component, refused before Gradio and aiortc read them."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.support.app.protected_app import ProtectedApp
from tests.support.webrtc import hostile_offers
from voicechat.security import denials
from voicechat.security.gradio.candidate_counter import MAX_TRICKLED_CANDIDATES, MAX_TRICKLED_MDNS_CANDIDATES

CANDIDATE = "candidate:1 1 udp 2122194687 192.0.2.2 {} typ host"


async def call_component(browser: httpx.AsyncClient, app: ProtectedApp, session: str, **data: Any) -> httpx.Response:
    body = {
        "component_id": app.access_policy.component_id,
        "fn_name": "offer",
        "session_hash": session,
        "data": {"webrtc_id": session, **data},
    }
    content = json.dumps(body, ensure_ascii=False)
    return await browser.post("/gradio_api/component_server/", content=content)


@pytest.mark.parametrize("kind", hostile_offers.AUDIO_KINDS)
async def test_offer_above_the_limits_is_refused_with_one_sentence(
    kind: str, open_app: ProtectedApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aiortc.sdp.SessionDescription.parse", lambda sdp: pytest.fail("parsed"))
    async with open_app.browser_client() as browser:
        await browser.get("/")
        offer = hostile_offers.endless(kind, 13_000)
        answer = await call_component(browser, open_app, f"s{kind.replace(' ', '')}", type="offer", sdp=offer)
        assert answer.status_code == denials.OFFER_TOO_LARGE.status == 413
        assert answer.json()["error"]["message"] == denials.OFFER_TOO_LARGE.en
        assert open_app.application.access_policy.pending_offers._visitor_by_connection == {}


async def test_candidates_without_end_are_refused_with_one_sentence(open_app: ProtectedApp) -> None:
    async with open_app.browser_client() as browser:
        await browser.get("/")
        for number in range(MAX_TRICKLED_CANDIDATES + 1):
            candidate = {"candidate": CANDIDATE.format(number), "sdpMid": "0", "sdpMLineIndex": 0}
            answer = await call_component(browser, open_app, "trickle", type="ice-candidate", candidate=candidate)
            if number < MAX_TRICKLED_CANDIDATES:
                assert answer.status_code == 200
        assert answer.status_code == denials.TOO_MANY_CANDIDATES.status == 429
        assert answer.json()["error"]["message"] == denials.TOO_MANY_CANDIDATES.en


@pytest.mark.parametrize("suffix", [".local", ".LOCAL", ".Local."])
async def test_mdns_candidates_without_end_are_refused_and_addresses_are_not(
    suffix: str, open_app: ProtectedApp
) -> None:
    session = f"mdns{suffix.replace('.', '-')}"
    async with open_app.browser_client() as browser:
        await browser.get("/")
        found = []
        for number in range(MAX_TRICKLED_MDNS_CANDIDATES + 1):
            text = CANDIDATE.format(number).replace("192.0.2.2", f"name-{number}{suffix}")
            candidate = {"candidate": text, "sdpMid": "0", "sdpMLineIndex": 0}
            answer = await call_component(browser, open_app, session, type="ice-candidate", candidate=candidate)
            found.append(answer.status_code)
        assert found == [200] * MAX_TRICKLED_MDNS_CANDIDATES + [denials.TOO_MANY_CANDIDATES.status]
        candidate = {"candidate": CANDIDATE.format(1), "sdpMid": "0", "sdpMLineIndex": 0}
        answer = await call_component(browser, open_app, session, type="ice-candidate", candidate=candidate)
        assert answer.status_code == 200
