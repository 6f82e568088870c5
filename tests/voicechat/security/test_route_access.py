"""The rules of the guard, each by itself."""

from __future__ import annotations

import base64
import hashlib
import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicechat.config.env_values import SettingsError
from voicechat.config.security_settings import SecuritySettings, normalize_origin
from voicechat.security.origin_check import is_known_host, origin_allowed, own_origins
from voicechat.security.route_access import FOUNDATION_RULES, GRADIO_API_PREFIX, RouteAccess, RouteTable
from voicechat.security.security_headers import content_security_policy, hash_inline_scripts
from voicechat.server.application import ROUTE_RULES

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
        SecuritySettings.from_env({name: value})
    assert name in str(raised.value)
    assert value not in str(raised.value)


def test_settings_are_read() -> None:
    settings = SecuritySettings.from_env(
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
ROUTES = RouteTable((*FOUNDATION_RULES, *ROUTE_RULES), frozenset({FILE}))


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/", RouteAccess.PAGE),
        ("HEAD", "/", RouteAccess.PAGE),
        ("GET", "/health", RouteAccess.PUBLIC),
        ("POST", "/login", RouteAccess.LOGIN),
        ("GET", "/assets/index-BQPjLIsY.js", RouteAccess.ASSET),
        ("GET", f"{GRADIO_API_PREFIX}/file={FILE}", RouteAccess.ASSET),
        ("POST", f"{GRADIO_API_PREFIX}/queue/join", RouteAccess.QUEUE_JOIN),
        ("POST", f"{GRADIO_API_PREFIX}/component_server/", RouteAccess.COMPONENT_CALL),
        ("GET", f"{GRADIO_API_PREFIX}/heartbeat/abc123", RouteAccess.EVENT_STREAM),
        ("WEBSOCKET", "/v1/realtime", RouteAccess.API),
        ("WEBSOCKET", "/voice-socket/abc-_1", RouteAccess.ASSET),
    ],
)
def test_what_the_page_uses_is_there(method: str, path: str, expected: RouteAccess) -> None:
    assert ROUTES.classify(method, path) is expected


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", f"{GRADIO_API_PREFIX}/file=/etc/passwd"),
        ("GET", f"{GRADIO_API_PREFIX}/file=/tmp/gradio/ab12/../../../etc/passwd"),
        ("GET", f"{GRADIO_API_PREFIX}/file=https://example.com/"),
        ("GET", f"{GRADIO_API_PREFIX}/proxy=https://example.com/"),
        ("GET", "/proxy=https://example.com/"),
        ("POST", f"{GRADIO_API_PREFIX}/upload"),
        ("POST", f"{GRADIO_API_PREFIX}/run/predict"),
        ("POST", f"{GRADIO_API_PREFIX}/call/anything"),
        ("GET", f"{GRADIO_API_PREFIX}/info"),
        ("GET", f"{GRADIO_API_PREFIX}/openapi.json"),
        ("GET", "/monitoring"),
        ("GET", "/login/huggingface"),
        ("GET", "/logout"),
        ("GET", f"{GRADIO_API_PREFIX}/vibe-code"),
        ("POST", f"{GRADIO_API_PREFIX}/process_recording"),
        ("GET", f"{GRADIO_API_PREFIX}/dev/reload"),
        ("GET", "/assets/../app.py"),
        ("GET", "/assets/%2e%2e/app.py"),
        ("GET", "/webrtc/offer"),
        ("PUT", "/"),
        ("OPTIONS", "/"),
        ("POST", "/health"),
        ("GET", "/v1/realtime"),
        ("WEBSOCKET", f"{GRADIO_API_PREFIX}/queue/data"),
        ("WEBSOCKET", "/anything"),
    ],
)
def test_all_the_rest_is_not(method: str, path: str) -> None:
    assert ROUTES.classify(method, path) is RouteAccess.UNLISTED


# ---------------------------------------------------------------- origins


def http_origins(*hosts: str) -> frozenset[str]:
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
    assert origin_allowed(told, http_origins(host), ()) is expected


def test_other_pages_may_be_allowed() -> None:
    assert origin_allowed("https://Other.example:443", http_origins("app.example"), ("https://other.example",))
    assert not origin_allowed("null", http_origins("app.example"), ("https://other.example",))
    assert origin_allowed("null", http_origins("app.example"), ("*",))


@given(st.text(max_size=40), st.text(max_size=40))
def test_no_origin_or_host_upsets_the_check(told: str, host: str) -> None:
    assert isinstance(origin_allowed(told, http_origins(host), ()), bool)
    assert isinstance(is_known_host(host, ()), bool)


@pytest.mark.parametrize("host", ["localhost", "localhost:7860", "127.0.0.1:7860", "[::1]:7860", "my.localhost:1"])
def test_names_of_this_computer(host: str) -> None:
    assert is_known_host(host, ())


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "", "@", "[::1"])
def test_unknown_host_names_are_dns_rebinding(host: str) -> None:
    assert not is_known_host(host, ())
    assert is_known_host(host, ("*",))


def test_a_name_that_was_allowed_is_known() -> None:
    assert is_known_host("voice.example:8443", ("https://voice.example",))


# ---------------------------------------------------------------- headers


def test_inline_scripts_are_named_by_their_hash() -> None:
    html = b'<script>one();\r\n</script><script src="a.js"></script><SCRIPT type="module">two()</SCRIPT>'
    digests = [base64.b64encode(hashlib.sha256(text).digest()).decode() for text in (b"one();\n", b"two()")]
    assert hash_inline_scripts(html) == [f"'sha256-{digest}'" for digest in digests]


def test_the_policy_lets_nothing_come_from_or_go_to_other_hosts() -> None:
    rules = dict(
        rule.split(" ", 1)
        for rule in content_security_policy(["'sha256-x'"], ["app:1"], ["https://huggingface.co"]).split("; ")
    )
    assert rules["script-src"] == "'self' 'unsafe-eval' blob: 'sha256-x'"
    assert rules["connect-src"] == "'self' ws://app:1 wss://app:1"
    assert rules["frame-ancestors"] == "'self' https://huggingface.co"
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == "'self'"


@pytest.mark.parametrize("text", ["http://a b", "https://a;b", "https://a'b", "ftp://a", "https://", "https://a:port"])
def test_what_is_no_origin_cannot_get_into_a_policy(text: str) -> None:
    with pytest.raises(ValueError, match="not an origin"):
        normalize_origin(text)
