"""Origin check: web pages and host names that may use the app."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicechat.security.origin_check import is_known_host, origin_allowed, own_origins


def http_origins(*hosts: str) -> frozenset[str]:
    return own_origins("http", hosts)


@pytest.mark.parametrize(
    ("origin", "host", "expected"),
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
def test_only_own_origins_are_allowed(origin: str | None, host: str, expected: bool) -> None:
    assert origin_allowed(origin, http_origins(host), ()) is expected


def test_configured_origins_are_allowed() -> None:
    assert origin_allowed("https://Other.example:443", http_origins("app.example"), ("https://other.example",))
    assert not origin_allowed("null", http_origins("app.example"), ("https://other.example",))
    assert origin_allowed("null", http_origins("app.example"), ("*",))


@given(st.text(max_size=40), st.text(max_size=40))
def test_origin_check_accepts_any_text(origin: str, host: str) -> None:
    assert isinstance(origin_allowed(origin, http_origins(host), ()), bool)
    assert isinstance(is_known_host(host, ()), bool)


@pytest.mark.parametrize("host", ["localhost", "localhost:7860", "127.0.0.1:7860", "[::1]:7860", "my.localhost:1"])
def test_loopback_names_are_known_hosts(host: str) -> None:
    assert is_known_host(host, ())


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "", "@", "[::1"])
def test_unknown_host_names_are_dns_rebinding(host: str) -> None:
    assert not is_known_host(host, ())
    assert is_known_host(host, ("*",))


def test_allowed_origin_is_a_known_host() -> None:
    assert is_known_host("voice.example:8443", ("https://voice.example",))
