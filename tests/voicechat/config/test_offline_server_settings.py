"""Settings of servers by address: embedded servers with their sessions, and Redis."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicechat.config.groups.embedded_settings import MAX_OFFLINE_SERVERS
from voicechat.config.groups.limit_settings import AUTO_SESSIONS, MAX_OFFLINE_SESSIONS
from voicechat.config.settings import ServerKind, Settings, SettingsError

CANARY = "sk-address-canary"
MUST_BE = (
    "OFFLINE_URL must be up to 16 addresses between commas: ws:// with host and port like ws://host:8765, or wss:// "
    "with host; a key belongs in OFFLINE_KEY."
)


def offline_urls(text: str) -> tuple[str, ...]:
    return Settings.from_env({"OFFLINE_URL": text}).embedded.offline_url


@pytest.mark.parametrize(
    ("given", "urls"),
    [
        ("", ()),
        ("ws://h:8765", ("ws://h:8765/v1/realtime",)),
        ("ws://h:8765/v1/realtime", ("ws://h:8765/v1/realtime",)),
        ("ws://h:8765/, wss://v.example/two/v1", ("ws://h:8765/v1/realtime", "wss://v.example/two/v1/realtime")),
        ("wss://h , WSS://h/v1,,ws://[::1]:1", ("wss://h/v1/realtime", "ws://[::1]:1/v1/realtime")),
    ],
)
def test_addresses_are_completed_and_kept_once(given: str, urls: tuple[str, ...]) -> None:
    assert offline_urls(given) == urls


@pytest.mark.parametrize(
    "given",
    [
        "h:8765",
        "ftp://h",
        "ws://",
        "ws://h",
        "ws://h:8765,ws://h",
        "ws://:8765",
        "http://h:8765",
        "https://h",
        "ws://h:99999",
        "ws://h:0",
        "ws://h:1/realtime",
        "ws://h:1 ws://g:1",
        "ws://h:1,ws://h:x",
        f"ws://user:{CANARY}@h:1",
        f"ws://h:1?key={CANARY}",
        f"ws://h:1#{CANARY}",
        ",",
        ",".join(f"ws://h{number}:1" for number in range(MAX_OFFLINE_SERVERS + 1)),
    ],
)
def test_other_addresses_are_one_sentence_without_them(given: str) -> None:
    with pytest.raises(SettingsError) as refused:
        offline_urls(given)
    assert str(refused.value) == MUST_BE


@given(st.text(st.characters(codec="ascii"), max_size=40))
def test_any_text_is_addresses_or_one_sentence(text: str) -> None:
    try:
        urls = offline_urls(text)
    except SettingsError as refused:
        assert str(refused) == MUST_BE
    else:
        assert all(url.startswith(("ws://", "wss://")) and url.endswith("/v1/realtime") for url in urls)


def test_addresses_select_the_embedded_server_unless_another_server_is_named() -> None:
    environ = {"OFFLINE_URL": "ws://10.0.0.5:8765", "OPENAI_API_KEY": "sk-x", "OFFLINE_KEY": CANARY}
    settings = Settings.from_env(environ)
    assert settings.server_kind is ServerKind.OFFLINE and settings.embedded.is_free
    assert settings.server_hosts == ("10.0.0.5",)
    assert settings.counts_offline_sessions_later
    assert CANARY not in repr(settings)
    assert Settings.from_env({**environ, "REALTIME_URL": "ws://h"}).server_kind is ServerKind.CUSTOM


@pytest.mark.parametrize(
    ("given", "sessions"), [("", 2), ("1", 1), ("1000", MAX_OFFLINE_SESSIONS), ("auto", AUTO_SESSIONS), ("Auto", 0)]
)
def test_sessions_are_a_number_or_auto(given: str, sessions: int) -> None:
    settings = Settings.from_env({"OFFLINE_SESSIONS": given})
    assert settings.limits.offline_sessions == sessions
    assert settings.counts_offline_sessions_later == (sessions == AUTO_SESSIONS)


@pytest.mark.parametrize("given", ["0", "-1", "1001", "1.5", "two", "automatic", "²", "9" * 5000])
def test_other_sessions_are_one_sentence(given: str) -> None:
    with pytest.raises(SettingsError) as refused:
        Settings.from_env({"OFFLINE_SESSIONS": given})
    assert str(refused.value) == "OFFLINE_SESSIONS must be auto or a whole number from 1 to 1000."


@pytest.mark.parametrize(
    "given", ["redis://h", "redis://h/", "redis://u:p@h:6379/12", "rediss://[::1]:1/0", "unix:///run/redis.sock?db=2"]
)
def test_address_of_redis_is_kept(given: str) -> None:
    assert Settings.from_env({"REDIS_URL": given}).scale.redis_url == given


@pytest.mark.parametrize(
    "given",
    [
        *("http://x", "redis://", "redis://h:x", "redis://h:6379/abc", "redis://h/1/2", "rediss://h/-1", "unix://"),
        f"redis://:{CANARY}@h/abc",
    ],
)
def test_address_that_redis_cannot_have_is_one_sentence_without_it(given: str) -> None:
    with pytest.raises(SettingsError) as refused:
        Settings.from_env({"REDIS_URL": given})
    assert str(refused.value) == "REDIS_URL must be an address like redis://host:6379/0 or unix:///run/redis.sock."
