"""Credentials of a TURN server that shares TURN_SECRET: the scheme of coturn's `use-auth-secret`."""

from __future__ import annotations

import base64
import hashlib
import hmac
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicechat.config.groups.ice_settings import IceServer, IceSettings
from voicechat.config.settings import Settings, SettingsError
from voicechat.transport.ice_servers import TIMED_MARGIN_S, IceServerProvider, ProviderBaseUrls, timed_server

URL = "turn:relay.example:3478"
SECRET = "shared-secret-canary"
NOW_S = 1_735_689_600
CALL_S = 1800


def accepts(server: IceServer, secret: str, now_s: float) -> bool:
    """Return whether a TURN server with this secret takes the credentials, as coturn's documentation says it does."""
    ends, _, _ = server["username"].partition(":")
    mac = hmac.new(secret.encode(), server["username"].encode(), hashlib.sha1)
    return now_s <= int(ends) and server["credential"] == base64.b64encode(mac.digest()).decode()


def provider(now_s: float = NOW_S, call_s: int = CALL_S, **changed: str) -> IceServerProvider:
    """Return the provider of an app with TURN_SECRET at a fixed time. It knows no provider's address."""
    settings = IceSettings(turn_url=URL, turn_secret=SECRET, **changed)
    return IceServerProvider(settings, call_s, base_urls=ProviderBaseUrls("", "", ""), wall_clock=lambda: now_s)


def test_server_of_a_known_name_has_the_known_password() -> None:
    # printf %s "1735689600:0123456789abcdef" | openssl dgst -sha1 -hmac north -binary | base64
    known = {"urls": [URL], "username": "1735689600:0123456789abcdef", "credential": "LJAWO3pxIJ5DsBgS7VURilvuLI0="}
    assert timed_server(URL, "north", 1_735_689_600, "0123456789abcdef") == known


async def test_each_call_gets_credentials_of_its_own_that_outlast_it() -> None:
    (first,), (second,) = await provider().get_servers(), await provider().get_servers()
    assert first["urls"] == [URL] and first["username"] != second["username"]
    for server in (first, second):
        assert accepts(server, SECRET, NOW_S + CALL_S)
        assert not accepts(server, SECRET, NOW_S + CALL_S + TIMED_MARGIN_S + 1)
        assert not accepts(server, "another-secret", NOW_S)


async def test_configuration_of_the_page_is_new_for_every_request() -> None:
    configuration = provider().rtc_configuration
    assert configuration is not None
    (first,), (second,) = (await configuration())["iceServers"], (await configuration())["iceServers"]
    assert first["username"] != second["username"] and accepts(first, SECRET, NOW_S) and accepts(second, SECRET, NOW_S)


async def test_secret_comes_before_a_provider_and_after_ice_servers() -> None:
    (server,) = await provider(turn_hf_token="hf-token").get_servers()
    assert accepts(server, SECRET, NOW_S)
    named = IceSettings(ice_servers=({"urls": ["stun:s"]},), turn_url=URL, turn_secret=SECRET)
    assert await IceServerProvider(named, CALL_S).get_servers() == ({"urls": ["stun:s"]},)


@given(secret=st.text(min_size=1, max_size=80), now_s=st.floats(0, 2**33), call_s=st.integers(10, 86_400))
async def test_credentials_of_any_secret_are_taken_to_the_end_of_the_call_and_do_not_show_it(
    secret: str, now_s: float, call_s: int
) -> None:
    settings = IceSettings(turn_url=URL, turn_secret=secret)
    (server,) = await IceServerProvider(settings, call_s, wall_clock=lambda: now_s).get_servers()
    assert accepts(server, secret, now_s + call_s)
    assert not accepts(server, secret + "x", now_s)
    assert server["username"].isascii() and server["credential"].isascii()
    assert len(secret) < 8 or secret not in str(server)


async def test_secret_reaches_no_log_and_no_repr(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    turn = provider()
    servers = await turn.get_servers()
    settings = Settings.from_env({"TURN_URL": URL, "TURN_SECRET": SECRET})
    assert settings.ice.turn_secret == SECRET
    assert SECRET not in caplog.text + repr(turn) + repr(settings) + repr(servers)


@pytest.mark.parametrize(
    ("environ", "sentence"),
    [
        (
            {"TURN_URL": URL, "TURN_SECRET": SECRET, "TURN_USERNAME": "u", "TURN_CREDENTIAL": "c"},
            "TURN_SECRET replaces TURN_USERNAME and TURN_CREDENTIAL: set one of the two kinds only.",
        ),
        ({"TURN_SECRET": SECRET}, "TURN_SECRET needs TURN_URL, the address of the TURN server that shares it."),
        ({"TURN_URL": URL, "TURN_SECRET": SECRET * 30}, "TURN_SECRET is longer than 500 characters."),
    ],
    ids=["with a fixed pair", "without an address", "too long"],
)
def test_unusable_secret_is_one_sentence_without_it(environ: dict[str, str], sentence: str) -> None:
    with pytest.raises(SettingsError) as refused:
        Settings.from_env(environ)
    assert str(refused.value) == sentence
