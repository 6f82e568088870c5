"""Client identity: address, proxies and cookies."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers

from voicechat.security.client_identity import identify_client, parse_cookies

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
def test_address_is_the_first_untrusted_forwarder(peer: str, forwarded: str, expected: str) -> None:
    assert identify_client(scope(peer, x_forwarded_for=forwarded), TRUSTED).address == expected


def test_visitor_key_is_the_browser_on_loopback_and_behind_a_tunnel() -> None:
    local = identify_client(scope(cookie="voice_visitor=abc"), TRUSTED)
    assert (local.is_loopback, local.visitor_key) == (True, "browser abc")
    assert identify_client(scope("203.0.113.5", cookie="voice_visitor=abc"), TRUSTED).visitor_key == "203.0.113.5"
    assert identify_client(scope(), TRUSTED).visitor_key == ""


def test_forwarded_headers_count_from_a_trusted_proxy_only() -> None:
    forwarded = {"x_forwarded_proto": "https", "x_forwarded_host": "voice.example", "host": "app:7860"}
    trusted = identify_client(scope("10.1.1.1", **forwarded), TRUSTED)
    assert (trusted.is_https, trusted.hosts) == (True, ("app:7860", "voice.example"))
    stranger = identify_client(scope("203.0.113.5", **forwarded), TRUSTED)
    assert (stranger.is_https, stranger.hosts) == (False, ("app:7860",))


@given(st.text(max_size=60), st.text(max_size=60), st.text(max_size=60))
def test_identify_client_accepts_any_header(cookie: str, forwarded: str, host: str) -> None:
    identify_client(scope(cookie=cookie, x_forwarded_for=forwarded, host=host, x_forwarded_host=host), TRUSTED)


def test_parse_cookies_skips_invalid_cookies() -> None:
    headers = Headers({"cookie": 'a[]=1; {"x"}=2; voice_visitor=abc; voice_passed="d.e"'})
    assert parse_cookies(headers)["voice_visitor"] == "abc"
    assert parse_cookies(headers)["voice_passed"] == "d.e"
