"""Who somebody is to the guard, and what is theirs: the rules, each by itself."""

from __future__ import annotations

import ipaddress
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers

from web.guard.bindings import Bindings
from web.guard.caller import caller_of, cookies_of
from web.guard.password import ALL_GUESS_S, ALL_GUESSES, GUESS_S, GUESSES, MOST_GUESSERS, Password
from web.guard.requests import Malformed, asked_of, join_of
from web.guard.tokens import PROTOCOL, brought, is_known

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
    assert caller_of(scope(peer, x_forwarded_for=forwarded), TRUSTED).address == expected


def test_on_this_computer_and_behind_a_tunnel_a_visitor_is_a_browser() -> None:
    here = caller_of(scope(cookie="voice_visitor=abc"), TRUSTED)
    assert (here.here, here.key) == (True, "browser abc")
    assert caller_of(scope("203.0.113.5", cookie="voice_visitor=abc"), TRUSTED).key == "203.0.113.5"
    assert caller_of(scope(), TRUSTED).key == ""


def test_only_a_trusted_proxy_is_believed() -> None:
    told = {"x_forwarded_proto": "https", "x_forwarded_host": "voice.example", "host": "app:7860"}
    believed = caller_of(scope("10.1.1.1", **told), TRUSTED)
    assert (believed.https, believed.hosts) == (True, ("app:7860", "voice.example"))
    stranger = caller_of(scope("203.0.113.5", **told), TRUSTED)
    assert (stranger.https, stranger.hosts) == (False, ("app:7860",))


@given(st.text(max_size=60), st.text(max_size=60), st.text(max_size=60))
def test_no_header_upsets_it(cookie: str, forwarded: str, host: str) -> None:
    caller_of(scope(cookie=cookie, x_forwarded_for=forwarded, host=host, x_forwarded_host=host), TRUSTED)


def test_a_strange_cookie_of_others_does_not_hide_ours() -> None:
    headers = Headers({"cookie": 'a[]=1; {"x"}=2; voice_visitor=abc; voice_passed="d.e"'})
    assert cookies_of(headers)["voice_visitor"] == "abc"
    assert cookies_of(headers)["voice_passed"] == "d.e"


# ---------------------------------------------------------------- tokens and password


def test_tokens_wherever_they_stand() -> None:
    headers = Headers({"Authorization": "Bearer one", "api-key": "two"})
    assert brought(headers, ["realtime", f"{PROTOCOL}three"]) == ["one", "two", "three"]
    assert brought(Headers({"Authorization": "Basic one"})) == []
    assert is_known(["no", "yes"], ("yes", "other"))
    assert not is_known(["no"], ("yes", "other"))
    assert not is_known([], ("yes",)) and not is_known(["yes"], ())
    assert not is_known(["é"], ("yes",))


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_cookie_is_worth_something_for_its_password_alone() -> None:
    cookie = Password("correct horse").cookie()
    assert Password("correct horse").passes(cookie)  # also after a restart
    assert not Password("another horse").passes(cookie)
    for forged in ("", "passed", cookie[:-1], cookie + "x", cookie.replace("passed", "Passed")):
        assert not Password("correct horse").passes(forged)
    assert "horse" not in cookie


def test_guesses_are_counted_by_where_they_come_from() -> None:
    clock = Clock()
    password = Password("correct horse", clock)
    assert [password.guess("wrong", "a") for _ in range(GUESSES + 2)] == [False] * GUESSES + [None, None]
    assert password.guess("correct horse", "a") is None  # not even looked at
    assert password.guess("correct horse", "b") is True
    clock.now += GUESS_S
    assert password.guess("wrong", "a") is False
    assert password.guess("correct horse", "a") is None
    clock.now += GUESS_S
    assert password.guess("correct horse", "a") is True


def test_guesses_from_everywhere_are_counted_together_and_a_person_still_gets_in() -> None:
    clock = Clock()
    password = Password("correct horse", clock)
    answers = [password.guess("wrong", f"guesser {number}") for number in range(ALL_GUESSES + 3)]
    assert answers == [False] * ALL_GUESSES + [None] * 3
    assert password.guess("correct horse", "person") is None
    clock.now += ALL_GUESS_S
    assert password.guess("correct horse", "person") is True


def test_guessers_are_bounded() -> None:
    clock = Clock()
    password = Password("correct horse", clock)
    for number in range(MOST_GUESSERS + 5):
        clock.now += ALL_GUESS_S
        password.guess("wrong", str(number))
    assert len(password._guessers) == MOST_GUESSERS


# ---------------------------------------------------------------- bindings


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), max_size=40))
def test_the_first_to_use_a_word_owns_it(uses: list[tuple[int, int]]) -> None:
    bindings, owners = Bindings(), dict[str, str]()
    for word, owner in ((f"w{word}", f"o{owner}") for word, owner in uses):
        first = owners.setdefault(word, owner)
        assert bindings.claim(word, owner) is (first == owner)
        assert bindings.owns(word, first)
        assert not bindings.owns(word, "stranger")


def test_words_are_bounded_and_the_busy_ones_stay() -> None:
    bindings = Bindings(most=3)
    for word in ("a", "b", "c", "a", "d"):
        bindings.claim(word, "me")
    assert not bindings.claim("a", "other")
    assert bindings.claim("b", "other")


# ---------------------------------------------------------------- requests

PLACES = {0: (), 1: (0, 2)}
SDP = "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=sendrecv\r\n"


def test_joins_name_their_connections() -> None:
    body = {"session_hash": "abc", "fn_index": 1, "data": ["one", None, {"webrtc_id": "two", "textbox": ""}]}
    join = join_of(json.dumps(body).encode(), PLACES)
    assert (join.session, join.connections) == ("abc", ("one", "two"))
    assert join_of(json.dumps({**body, "fn_index": 0}).encode(), PLACES).connections == ()
    waiting = {**body, "data": ["__webrtc_value__", "x", None]}
    assert join_of(json.dumps(waiting).encode(), PLACES).connections == ()


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
    with pytest.raises(Malformed):
        join_of(json.dumps(body).encode(), PLACES)


OFFER = {
    "session_hash": "abc",
    "component_id": 5,
    "fn_name": "offer",
    "data": {"type": "offer", "sdp": SDP, "webrtc_id": "one"},
}


def test_what_fastrtcs_component_asks() -> None:
    asked = asked_of(json.dumps(OFFER).encode(), 5)
    assert (asked.session, asked.connection, asked.offers) == ("abc", "one", True)
    candidate = {"type": "ice-candidate", "candidate": {"candidate": "candidate:1 1 udp"}, "webrtc_id": "one"}
    assert not asked_of(json.dumps({**OFFER, "data": candidate}).encode(), 5).offers
    assert asked_of(json.dumps({**OFFER, "fn_name": "turn", "data": None}).encode(), 5).connection == ""


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
    with pytest.raises(Malformed):
        asked_of(json.dumps({**OFFER, **changed}).encode(), 5)


@given(
    st.one_of(st.binary(max_size=80), st.recursive(st.none() | st.text(max_size=5), st.lists).map(repr).map(str.encode))
)
def test_no_body_upsets_them(body: bytes) -> None:
    for read in (lambda: join_of(body, PLACES), lambda: asked_of(body, 5)):
        with pytest.raises(Malformed):
            read()
