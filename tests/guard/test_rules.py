"""The rules of the guard, each by itself."""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers

from realtime.guard_settings import GuardSettings, origin
from realtime.setting_values import SettingsError
from web.guard.bindings import Bindings
from web.guard.caller import caller_of, cookies_of
from web.guard.doors import API, Door, door
from web.guard.headers import inline_hashes, policy
from web.guard.origins import known_host, may_come, own_origins
from web.guard.password import GUESS_S, GUESSES, MOST_GUESSERS, Password
from web.guard.requests import Malformed, asked_of, join_of
from web.guard.tokens import PROTOCOL, brought, is_known

# ---------------------------------------------------------------- settings


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("APP_PASSWORD", "short"),
        ("APP_PASSWORD", "x" * 201),
        ("API_TOKENS", "only-fifteen-ch"),
        ("API_TOKENS", "a-token-of-many-characters-with-ümlaut"),
        ("API_TOKENS", ",".join(f"token-number-{n:05}" for n in range(101))),
        ("ALLOWED_ORIGINS", "my.example"),
        ("ALLOWED_ORIGINS", "https://example.com/path"),
        ("FRAME_ANCESTORS", "https://a.example; script-src *"),
        ("TRUSTED_PROXIES", "10.9.0.0/33"),
        ("TRUSTED_PROXIES", "my-proxy"),
    ],
)
def test_a_bad_setting_is_named_and_not_repeated(name: str, value: str) -> None:
    with pytest.raises(SettingsError) as raised:
        GuardSettings.from_env({name: value})
    assert name in str(raised.value)
    assert value not in str(raised.value)


def test_settings_are_read() -> None:
    settings = GuardSettings.from_env(
        {
            "APP_PASSWORD": " correct horse ",
            "API_TOKENS": "first-token-of-16, second-token-of-16",
            "ALLOWED_ORIGINS": "HTTPS://Example.com:443/, *",
            "FRAME_ANCESTORS": "https://huggingface.co",
            "TRUSTED_PROXIES": "10.1.2.3/8 ::1",
        }
    )
    assert settings.app_password == "correct horse"
    assert settings.api_tokens == ("first-token-of-16", "second-token-of-16")
    assert settings.allowed_origins == ("https://example.com", "*")
    assert settings.trusted_proxies == (ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("::1"))
    assert "horse" not in repr(settings) and "token-of" not in repr(settings)


# ---------------------------------------------------------------- doors

FILE = "/tmp/gradio/ab12/user.svg"


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/", Door.PAGE),
        ("HEAD", "/", Door.PAGE),
        ("GET", "/health", Door.OPEN),
        ("POST", "/login", Door.LOGIN),
        ("GET", "/assets/index-BQPjLIsY.js", Door.PART),
        ("GET", f"{API}/file={FILE}", Door.PART),
        ("POST", f"{API}/queue/join", Door.JOIN),
        ("POST", f"{API}/component_server/", Door.COMPONENT),
        ("GET", f"{API}/heartbeat/abc123", Door.SESSION),
        ("WEBSOCKET", "/v1/realtime", Door.PROGRAM),
        ("WEBSOCKET", "/voice-socket/abc-_1", Door.PART),
    ],
)
def test_what_the_page_uses_is_there(method: str, path: str, expected: Door) -> None:
    assert door(method, path, frozenset({FILE})) is expected


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", f"{API}/file=/etc/passwd"),
        ("GET", f"{API}/file=/tmp/gradio/ab12/../../../etc/passwd"),
        ("GET", f"{API}/file=https://example.com/"),
        ("GET", f"{API}/proxy=https://example.com/"),
        ("GET", "/proxy=https://example.com/"),
        ("POST", f"{API}/upload"),
        ("POST", f"{API}/run/predict"),
        ("POST", f"{API}/call/anything"),
        ("GET", f"{API}/info"),
        ("GET", f"{API}/openapi.json"),
        ("GET", "/monitoring"),
        ("GET", "/login/huggingface"),
        ("GET", "/logout"),
        ("GET", f"{API}/vibe-code"),
        ("POST", f"{API}/process_recording"),
        ("GET", f"{API}/dev/reload"),
        ("GET", "/assets/../app.py"),
        ("GET", "/assets/%2e%2e/app.py"),
        ("GET", "/webrtc/offer"),
        ("PUT", "/"),
        ("OPTIONS", "/"),
        ("POST", "/health"),
        ("GET", "/v1/realtime"),
        ("WEBSOCKET", f"{API}/queue/data"),
        ("WEBSOCKET", "/anything"),
    ],
)
def test_all_the_rest_is_not(method: str, path: str) -> None:
    assert door(method, path, frozenset({FILE})) is Door.CLOSED


# ---------------------------------------------------------------- origins


def own(*hosts: str) -> frozenset[str]:
    return own_origins("http", hosts)


@pytest.mark.parametrize(
    ("told", "host", "expected"),
    [
        (None, "app.example", True),
        ("https://app.example", "app.example", True),
        ("https://app.example", "app.example:443", True),
        ("http://127.0.0.1:7860", "127.0.0.1:7860", True),
        ("http://[::1]:7860", "[::1]:7860", True),
        ("http://localhost:7860", "127.0.0.1:7860", False),
        ("http://127.0.0.1:7861", "127.0.0.1:7860", False),
        ("https://app.example.evil", "app.example", False),
        ("https://evil.example", "app.example", False),
        ("null", "app.example", False),
        ("", "app.example", False),
        ("file://", "app.example", False),
        ("https://app.example", "", False),
        ("https://app.example", "evil/app.example", False),
    ],
)
def test_only_our_own_page_may_use_us(told: str | None, host: str, expected: bool) -> None:
    assert may_come(told, own(host), ()) is expected


def test_other_pages_may_be_allowed() -> None:
    assert may_come("https://Other.example:443", own("app.example"), ("https://other.example",))
    assert not may_come("null", own("app.example"), ("https://other.example",))
    assert may_come("null", own("app.example"), ("*",))


@given(st.text(max_size=40), st.text(max_size=40))
def test_no_origin_or_host_upsets_the_check(told: str, host: str) -> None:
    assert isinstance(may_come(told, own(host), ()), bool)
    assert isinstance(known_host(host, ()), bool)


@pytest.mark.parametrize("host", ["localhost", "localhost:7860", "127.0.0.1:7860", "[::1]:7860", "my.localhost:1"])
def test_names_of_this_computer(host: str) -> None:
    assert known_host(host, ())


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "", "@", "[::1"])
def test_other_names_are_a_trick(host: str) -> None:
    assert not known_host(host, ())
    assert known_host(host, ("*",))


def test_a_name_that_was_allowed_is_known() -> None:
    assert known_host("voice.example:8443", ("https://voice.example",))


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


def test_guessers_are_bounded() -> None:
    password = Password("correct horse", Clock())
    for number in range(MOST_GUESSERS + 5):
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
    "data": {"type": "offer", "sdp": "v=0", "webrtc_id": "one"},
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
        {"data": {"type": "offer", "sdp": "v=0"}},
        {"data": {"type": "offer", "sdp": "v=0", "webrtc_id": {}}},
        {"data": {"type": "answer", "sdp": "v=0", "webrtc_id": "one"}},
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


# ---------------------------------------------------------------- headers


def test_inline_scripts_are_named_by_their_hash() -> None:
    html = b'<script>one();\r\n</script><script src="a.js"></script><SCRIPT type="module">two()</SCRIPT>'
    digests = [base64.b64encode(hashlib.sha256(text).digest()).decode() for text in (b"one();\n", b"two()")]
    assert inline_hashes(html) == [f"'sha256-{digest}'" for digest in digests]


def test_the_policy_lets_nothing_come_from_or_go_to_other_hosts() -> None:
    rules = dict(
        rule.split(" ", 1) for rule in policy(["'sha256-x'"], ["app:1"], ["https://huggingface.co"]).split("; ")
    )
    assert rules["script-src"] == "'self' 'unsafe-eval' blob: 'sha256-x'"
    assert rules["connect-src"] == "'self' ws://app:1 wss://app:1"
    assert rules["frame-ancestors"] == "'self' https://huggingface.co"
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == "'self'"


@pytest.mark.parametrize("text", ["http://a b", "https://a;b", "https://a'b", "ftp://a", "https://", "https://a:port"])
def test_what_is_no_origin_cannot_get_into_a_policy(text: str) -> None:
    with pytest.raises(ValueError, match="not an origin"):
        origin(text)
