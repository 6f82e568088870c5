"""Limits of an offer: what browsers send passes with margin, more does not."""

from __future__ import annotations

import json

import pytest
from aiortc import RTCConfiguration, RTCPeerConnection
from hypothesis import given
from hypothesis import strategies as st

from tests.support.webrtc import browser_offers, hostile_offers
from tests.support.webrtc.browser_offers import join_lines
from voicechat.security import sdp_limits
from voicechat.security.sdp_limits import OfferTooLarge, check_sdp_limits

BROWSER_OFFERS = [*browser_offers.CALL_OFFERS.values(), *browser_offers.CHECK_OFFERS.values()]
MANY_NETWORKS = 8
"""Networks of a computer with Ethernet, Wi-Fi, a phone, a VPN and four virtual machines."""


def is_within_limits(sdp: str) -> bool:
    try:
        check_sdp_limits(sdp)
    except OfferTooLarge:
        return False
    return True


@pytest.mark.parametrize("lines", BROWSER_OFFERS)
@pytest.mark.parametrize("networks", [0, 1, MANY_NETWORKS])
def test_browser_offer_with_many_networks_is_within_limits(lines: tuple[str, ...], networks: int) -> None:
    check_sdp_limits(join_lines(*lines, *browser_offers.candidates(networks)))


@pytest.mark.parametrize("lines", BROWSER_OFFERS)
def test_browser_offer_uses_at_most_two_thirds_of_every_limit(lines: tuple[str, ...]) -> None:
    attributes = [line[2:].partition(":")[0] for line in lines if line.startswith("a=")]
    for name in set(attributes) - {"mid", "setup"}:
        limit = sdp_limits.MAX_ATTRIBUTES.get(name, sdp_limits.MAX_OTHER_ATTRIBUTES)
        assert attributes.count(name) * 3 <= limit * 2, name
    assert len(lines) * 3 <= sdp_limits.MAX_LINES * 2
    assert max(map(len, lines)) * 3 <= sdp_limits.MAX_LINE_CHARS * 2
    whole = join_lines(*lines, *browser_offers.candidates(MANY_NETWORKS))
    assert len(whole) <= sdp_limits.MAX_SDP_CHARS
    assert len(json.dumps(whole)) * 3 <= sdp_limits.MAX_OFFER_BYTES * 2


async def test_offer_of_aiortc_is_within_limits() -> None:
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    peer.addTransceiver("audio")
    peer.createDataChannel("text")
    await peer.setLocalDescription(await peer.createOffer())
    check_sdp_limits(peer.localDescription.sdp)
    await peer.close()


@pytest.mark.parametrize("build", [hostile_offers.call_offer, hostile_offers.check_offer])
@pytest.mark.parametrize("kind", hostile_offers.AUDIO_KINDS)
def test_offer_with_endless_lines_of_one_kind_is_refused(kind: str, build: object) -> None:
    assert is_within_limits(build())  # type: ignore[operator]
    for size in (sdp_limits.MAX_SDP_CHARS + 2_000, 31_900):
        with pytest.raises(OfferTooLarge):
            check_sdp_limits(hostile_offers.endless(kind, size, build))  # type: ignore[arg-type]


def test_offer_that_costs_the_parser_most_is_refused() -> None:
    with pytest.raises(OfferTooLarge):
        check_sdp_limits(hostile_offers.codecs_times_feedback(4_000))


def test_offer_with_a_third_section_is_refused() -> None:
    assert is_within_limits(hostile_offers.offers_with_sections(1))
    with pytest.raises(OfferTooLarge):
        check_sdp_limits(hostile_offers.offers_with_sections(2))


def test_offer_with_too_many_payload_types_is_refused() -> None:
    offer = hostile_offers.call_offer()
    for number, fits in ((sdp_limits.MAX_FORMATS, True), (sdp_limits.MAX_FORMATS + 1, False)):
        assert is_within_limits(offer.replace("SAVPF 111", "SAVPF" + " 111" * number)) is fits


@given(st.lists(st.sampled_from(["a=", "m=audio", "candidate:", ".local", "9" * 21, "\n", "\u2028", " "]) | st.text()))
def test_any_text_is_accepted_or_refused_and_quoted_nowhere(words: list[str]) -> None:
    text = "".join(words)
    try:
        check_sdp_limits(text)
    except OfferTooLarge as error:
        assert str(error).startswith("The sdp ") and "9" not in str(error)
    else:
        assert len(text.splitlines()) <= sdp_limits.MAX_LINES
