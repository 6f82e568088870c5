"""Validation of the page's requests to Gradio."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.webrtc import browser_offers, hostile_offers
from voicechat.security.gradio.queue_requests import MalformedRequest, parse_component_call, parse_queue_join
from voicechat.security.sdp_limits import OfferTooLarge

CONNECTION_INPUTS = {0: (), 1: (0, 2)}
SDP = "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=sendrecv\r\n"


def test_queue_join_names_its_connections() -> None:
    body = {"session_hash": "abc", "fn_index": 1, "data": ["one", None, {"webrtc_id": "two", "textbox": ""}]}
    join = parse_queue_join(json.dumps(body).encode(), CONNECTION_INPUTS)
    assert (join.session_hash, join.connection_ids) == ("abc", ("one", "two"))
    assert parse_queue_join(json.dumps({**body, "fn_index": 0}).encode(), CONNECTION_INPUTS).connection_ids == ()
    unset = {**body, "data": ["__webrtc_value__", "x", None]}
    assert parse_queue_join(json.dumps(unset).encode(), CONNECTION_INPUTS).connection_ids == ()


@pytest.mark.parametrize(
    "changed",
    [
        {"session_hash": None},
        {"session_hash": "a b"},
        {"session_hash": "x" * 65},
        {"fn_index": 7},
        {"fn_index": True},
        {"fn_index": "1"},
        {"data": None},
        {"data": {"0": 1}},
        {"data": [{"webrtc_id": ["one"]}]},
        {"trigger_id": "1"},
    ],
)
def test_malformed_queue_join_is_rejected(changed: dict[str, Any]) -> None:
    body = {"session_hash": "abc", "fn_index": 1, "data": [], **changed}
    with pytest.raises(MalformedRequest):
        parse_queue_join(json.dumps(body).encode(), CONNECTION_INPUTS)


CANDIDATE = "candidate:1 1 udp 2122194687 192.0.2.2 50076 typ host"
OFFER = {
    "session_hash": "abc",
    "component_id": 5,
    "fn_name": "offer",
    "data": {"type": "offer", "sdp": SDP, "webrtc_id": "one"},
}


def test_component_call_is_parsed() -> None:
    call = parse_component_call(json.dumps(OFFER).encode(), 5)
    assert (call.session_hash, call.connection_id, call.is_offer) == ("abc", "one", True)
    candidate = {"type": "ice-candidate", "candidate": {"candidate": CANDIDATE}, "webrtc_id": "one"}
    call = parse_component_call(json.dumps({**OFFER, "data": candidate}).encode(), 5)
    assert (call.is_offer, call.is_candidate) == (False, True)
    assert parse_component_call(json.dumps({**OFFER, "fn_name": "turn", "data": None}).encode(), 5).connection_id == ""


@pytest.mark.parametrize(
    "changed",
    [
        {"component_id": 4},
        {"fn_name": "postprocess"},
        {"fn_name": ["offer"]},
        {"data": None},
        {"data": {"type": "offer", "sdp": None, "webrtc_id": "one"}},
        {"data": {"type": "offer", "sdp": SDP}},
        {"data": {"type": "offer", "sdp": SDP, "webrtc_id": {}}},
        {"data": {"type": "answer", "sdp": SDP, "webrtc_id": "one"}},
        {"data": {"type": "ice-candidate", "candidate": "c", "webrtc_id": "one"}},
        {"data": {"type": "ice-candidate", "candidate": {"candidate": 1}, "webrtc_id": "one"}},
        {"data": {"type": "ice-candidate", "candidate": {"candidate": "", "sdpMid": 1}, "webrtc_id": "one"}},
    ],
)
def test_malformed_component_call_is_rejected(changed: dict[str, Any]) -> None:
    with pytest.raises(MalformedRequest):
        parse_component_call(json.dumps({**OFFER, **changed}).encode(), 5)


@pytest.mark.parametrize("kind", hostile_offers.AUDIO_KINDS)
def test_offer_above_the_limits_is_too_large(kind: str) -> None:
    for size in (25_000, 100_000):
        data = {"type": "offer", "sdp": hostile_offers.endless(kind, size), "webrtc_id": "one"}
        with pytest.raises(OfferTooLarge):
            parse_component_call(json.dumps({**OFFER, "data": data}).encode(), 5)


def candidate_call(candidate: str, **given: object) -> bytes:
    data = {"type": "ice-candidate", "candidate": {"candidate": candidate, **given}, "webrtc_id": "one"}
    return json.dumps({**OFFER, "data": data}).encode()


@pytest.mark.parametrize("candidate", ["", CANDIDATE, *(line[2:] for line in browser_offers.candidates(2))])
def test_candidate_of_a_browser_is_accepted(candidate: str) -> None:
    assert parse_component_call(candidate_call(candidate, sdpMid="0", sdpMLineIndex=0), 5).is_candidate


@pytest.mark.parametrize(
    "candidate",
    [
        "candidate:1 1 udp",
        CANDIDATE.replace("candidate:", ""),
        CANDIDATE.replace("typ", "type"),
        *(CANDIDATE.replace(number, "x") for number in (" 1 ", "2122194687", "50076")),
        CANDIDATE.replace("50076", "9" * 4000),
        CANDIDATE.replace("50076", "\u0661"),
        CANDIDATE + " x" * 1000,
    ],
)
def test_candidate_that_no_browser_sends_is_refused(candidate: str) -> None:
    with pytest.raises((MalformedRequest, OfferTooLarge)):
        parse_component_call(candidate_call(candidate), 5)


@given(
    st.one_of(st.binary(max_size=80), st.recursive(st.none() | st.text(max_size=5), st.lists).map(repr).map(str.encode))
)
def test_any_other_body_is_malformed(body: bytes) -> None:
    for parse in (lambda: parse_queue_join(body, CONNECTION_INPUTS), lambda: parse_component_call(body, 5)):
        with pytest.raises(MalformedRequest):
            parse()
