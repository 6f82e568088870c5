"""Who somebody is to the guard, and what is theirs: the rules, each by itself."""

from __future__ import annotations

import ipaddress
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers

from voicechat.security.auth.api_tokens import API_KEY_SUBPROTOCOL_PREFIX, extract_tokens, has_valid_token
from voicechat.security.auth.password_login import (
    ADDRESS_ATTEMPT_BURST,
    ADDRESS_ATTEMPT_REFILL_S,
    MAX_TRACKED_ADDRESSES,
    TOTAL_ATTEMPT_BURST,
    TOTAL_ATTEMPT_REFILL_S,
    PasswordLogin,
)
from voicechat.security.client_identity import identify_client, parse_cookies
from voicechat.security.gradio.queue_requests import MalformedRequest, parse_component_call, parse_queue_join
from voicechat.security.gradio.session_ownership import OwnershipRegistry

# ---------------------------------------------------------------- callers

TRUSTED = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("10.0.0.0/8"))


def scope(peer: str = "127.0.0.1", **headers: str) -> dict[str, Any]:
    raw = [(name.replace("_", "-").encode(), value.encode("latin-1", "replace")) for name, value in headers.items()]
    return {"type": "http", "client": (peer, 1), "scheme": "http", "headers": raw}


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("127.0.0.1", "", "127.0.0.1"),
        ("127.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("127.0.0.1", "6.6.6.6, 203.0.113.9, 10.0.0.7", "203.0.113.9"),
        ("127.0.0.1", "203.0.113.9:4711", "203.0.113.9"),
        ("127.0.0.1", "[2001:db8:1:2:3::4]:4711", "2001:db8:1:2::/64"),
        ("127.0.0.1", "nonsense", "127.0.0.1"),
        ("203.0.113.5", "6.6.6.6", "203.0.113.5"),
        ("::ffff:203.0.113.5", "", "203.0.113.5"),
        ("2001:db8::7", "6.6.6.6", "2001:db8::/64"),
        ("testclient", "", ""),
    ],
)
def test_where_a_visitor_comes_from(peer: str, forwarded: str, expected: str) -> None:
    assert identify_client(scope(peer, x_forwarded_for=forwarded), TRUSTED).address == expected


def test_on_this_computer_and_behind_a_tunnel_a_visitor_is_a_browser() -> None:
    here = identify_client(scope(cookie="voice_visitor=abc"), TRUSTED)
    assert (here.is_loopback, here.visitor_key) == (True, "browser abc")
    assert identify_client(scope("203.0.113.5", cookie="voice_visitor=abc"), TRUSTED).visitor_key == "203.0.113.5"
    assert identify_client(scope(), TRUSTED).visitor_key == ""


def test_only_a_trusted_proxy_is_believed() -> None:
    told = {"x_forwarded_proto": "https", "x_forwarded_host": "voice.example", "host": "app:7860"}
    believed = identify_client(scope("10.1.1.1", **told), TRUSTED)
    assert (believed.is_https, believed.hosts) == (True, ("app:7860", "voice.example"))
    stranger = identify_client(scope("203.0.113.5", **told), TRUSTED)
    assert (stranger.is_https, stranger.hosts) == (False, ("app:7860",))


@given(st.text(max_size=60), st.text(max_size=60), st.text(max_size=60))
def test_no_header_upsets_it(cookie: str, forwarded: str, host: str) -> None:
    identify_client(scope(cookie=cookie, x_forwarded_for=forwarded, host=host, x_forwarded_host=host), TRUSTED)


def test_a_strange_cookie_of_others_does_not_hide_ours() -> None:
    headers = Headers({"cookie": 'a[]=1; {"x"}=2; voice_visitor=abc; voice_passed="d.e"'})
    assert parse_cookies(headers)["voice_visitor"] == "abc"
    assert parse_cookies(headers)["voice_passed"] == "d.e"


# ---------------------------------------------------------------- tokens and password


def test_tokens_wherever_they_stand() -> None:
    headers = Headers({"Authorization": "Bearer one", "api-key": "two"})
    assert extract_tokens(headers, ["realtime", f"{API_KEY_SUBPROTOCOL_PREFIX}three"]) == ["one", "two", "three"]
    assert extract_tokens(Headers({"Authorization": "Basic one"})) == []
    assert has_valid_token(["no", "yes"], ("yes", "other"))
    assert not has_valid_token(["no"], ("yes", "other"))
    assert not has_valid_token([], ("yes",)) and not has_valid_token(["yes"], ())
    assert not has_valid_token(["é"], ("yes",))


class ManualClock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_cookie_is_worth_something_for_its_password_alone() -> None:
    cookie = PasswordLogin("correct horse").issue_cookie()
    assert PasswordLogin("correct horse").is_valid_cookie(cookie)  # also after a restart
    assert not PasswordLogin("another horse").is_valid_cookie(cookie)
    for forged in ("", "passed", cookie[:-1], cookie + "x", cookie.replace("passed", "Passed")):
        assert not PasswordLogin("correct horse").is_valid_cookie(forged)
    assert "horse" not in cookie


def test_guesses_are_counted_by_where_they_come_from() -> None:
    clock = ManualClock()
    password = PasswordLogin("correct horse", clock)
    assert [password.check_password("wrong", "a") for _ in range(ADDRESS_ATTEMPT_BURST + 2)] == [
        False
    ] * ADDRESS_ATTEMPT_BURST + [None, None]
    assert password.check_password("correct horse", "a") is None  # not even looked at
    assert password.check_password("correct horse", "b") is True
    clock.now += ADDRESS_ATTEMPT_REFILL_S
    assert password.check_password("wrong", "a") is False
    assert password.check_password("correct horse", "a") is None
    clock.now += ADDRESS_ATTEMPT_REFILL_S
    assert password.check_password("correct horse", "a") is True


def test_guesses_from_everywhere_are_counted_together_and_a_person_still_gets_in() -> None:
    clock = ManualClock()
    password = PasswordLogin("correct horse", clock)
    answers = [password.check_password("wrong", f"guesser {number}") for number in range(TOTAL_ATTEMPT_BURST + 3)]
    assert answers == [False] * TOTAL_ATTEMPT_BURST + [None] * 3
    assert password.check_password("correct horse", "person") is None
    clock.now += TOTAL_ATTEMPT_REFILL_S
    assert password.check_password("correct horse", "person") is True


def test_guessers_are_bounded() -> None:
    clock = ManualClock()
    password = PasswordLogin("correct horse", clock)
    for number in range(MAX_TRACKED_ADDRESSES + 5):
        clock.now += TOTAL_ATTEMPT_REFILL_S
        password.check_password("wrong", str(number))
    assert len(password._address_attempts) == MAX_TRACKED_ADDRESSES


# ---------------------------------------------------------------- bindings


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), max_size=40))
def test_first_user_of_an_id_owns_it(uses: list[tuple[int, int]]) -> None:
    bindings, owners = OwnershipRegistry(), dict[str, str]()
    for word, owner in ((f"w{word}", f"o{owner}") for word, owner in uses):
        first = owners.setdefault(word, owner)
        assert bindings.claim(word, owner) is (first == owner)
        assert bindings.is_owned_by(word, first)
        assert not bindings.is_owned_by(word, "stranger")


def test_owned_ids_are_bounded_and_active_ones_stay() -> None:
    bindings = OwnershipRegistry(max_ids=3)
    for word in ("a", "b", "c", "a", "d"):
        bindings.claim(word, "me")
    assert not bindings.claim("a", "other")
    assert bindings.claim("b", "other")


# ---------------------------------------------------------------- requests

CONNECTION_INPUTS = {0: (), 1: (0, 2)}
SDP = "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=sendrecv\r\n"


def test_joins_name_their_connections() -> None:
    body = {"session_hash": "abc", "fn_index": 1, "data": ["one", None, {"webrtc_id": "two", "textbox": ""}]}
    join = parse_queue_join(json.dumps(body).encode(), CONNECTION_INPUTS)
    assert (join.session_hash, join.connection_ids) == ("abc", ("one", "two"))
    assert parse_queue_join(json.dumps({**body, "fn_index": 0}).encode(), CONNECTION_INPUTS).connection_ids == ()
    waiting = {**body, "data": ["__webrtc_value__", "x", None]}
    assert parse_queue_join(json.dumps(waiting).encode(), CONNECTION_INPUTS).connection_ids == ()


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
def test_joins_that_the_page_never_sends(changed: dict[str, Any]) -> None:
    body = {"session_hash": "abc", "fn_index": 1, "data": [], **changed}
    with pytest.raises(MalformedRequest):
        parse_queue_join(json.dumps(body).encode(), CONNECTION_INPUTS)


OFFER = {
    "session_hash": "abc",
    "component_id": 5,
    "fn_name": "offer",
    "data": {"type": "offer", "sdp": SDP, "webrtc_id": "one"},
}


def test_what_fastrtcs_component_asks() -> None:
    asked = parse_component_call(json.dumps(OFFER).encode(), 5)
    assert (asked.session_hash, asked.connection_id, asked.is_offer) == ("abc", "one", True)
    candidate = {"type": "ice-candidate", "candidate": {"candidate": "candidate:1 1 udp"}, "webrtc_id": "one"}
    assert not parse_component_call(json.dumps({**OFFER, "data": candidate}).encode(), 5).is_offer
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
        {"data": {"type": "offer", "sdp": "v" * 40_000, "webrtc_id": "one"}},
    ],
)
def test_what_it_never_asks(changed: dict[str, Any]) -> None:
    with pytest.raises(MalformedRequest):
        parse_component_call(json.dumps({**OFFER, **changed}).encode(), 5)


@given(
    st.one_of(st.binary(max_size=80), st.recursive(st.none() | st.text(max_size=5), st.lists).map(repr).map(str.encode))
)
def test_no_body_upsets_them(body: bytes) -> None:
    for read in (lambda: parse_queue_join(body, CONNECTION_INPUTS), lambda: parse_component_call(body, 5)):
        with pytest.raises(MalformedRequest):
            read()
