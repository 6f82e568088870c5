"""Credentials of a TURN server, from a provider on this computer."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import fastrtc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.manual_clock import ManualClock
from tests.support.network.fake_proxy import ProxyBehaviour, running_proxy, set_proxies
from voicechat.config.groups.ice_settings import IceSettings, extract_ice_servers
from voicechat.transport.ice_servers import RETRY_DELAY_S, IceServerProvider, ProviderBaseUrls

SECRET = "secret-canary"
ISSUED_SERVER = {"urls": ["turn:relay.example:3478?transport=udp"], "username": "for-one-call", "credential": SECRET}
CLOUDFLARE = IceSettings(cloudflare_turn_key_id="key-id", cloudflare_turn_key_api_token=SECRET)
TWILIO = IceSettings(twilio_account_sid="ACsid", twilio_auth_token=SECRET)
HUGGING_FACE = IceSettings(turn_hf_token=SECRET)
CALL_S = 1800


class FakeTurnProvider:
    """Answers every request with `status` and `body`, or with nothing until it is closed."""

    def __init__(self, body: object, status: int = 201) -> None:
        self.body, self.status, self.is_silent = body, status, False
        self.requests: list[str] = []
        self.hosts = ProviderBaseUrls()

    async def _handle_request(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = next((int(x.split(":")[1]) for x in head.lower().split("\r\n") if x.startswith("content-length:")), 0)
        self.requests.append(head + (await reader.readexactly(length)).decode())
        if not self.is_silent:
            body = json.dumps(self.body).encode()
            writer.write(b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%s" % (self.status, len(body), body))
            await writer.drain()
            writer.close()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[FakeTurnProvider]:
        listening = await asyncio.start_server(self._handle_request, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        self.hosts = ProviderBaseUrls(url, url, url)
        try:
            yield self
        finally:
            listening.close()


@pytest.mark.parametrize(
    ("settings", "path", "proof"),
    [
        (CLOUDFLARE, "POST /v1/turn/keys/key-id/credentials/generate-ice-servers", f"Bearer {SECRET}"),
        (TWILIO, "POST /2010-04-01/Accounts/ACsid/Tokens.json", "Ttl=3600"),
        (HUGGING_FACE, "GET /credentials?ttl=3600", f"Bearer {SECRET}"),
    ],
    ids=["cloudflare", "twilio", "hugging face"],
)
@pytest.mark.parametrize(
    "shape", [lambda s: {"iceServers": s}, lambda s: {"iceServers": [s]}, lambda s: {"ice_servers": [s]}]
)
async def test_request_has_the_form_of_each_provider(
    settings: IceSettings, path: str, proof: str, shape: Callable[[object], object]
) -> None:
    async with FakeTurnProvider(shape(ISSUED_SERVER)).running() as provider:
        turn = IceServerProvider(settings, CALL_S, base_urls=provider.hosts)
        assert turn.rtc_configuration is not None
        assert await turn.rtc_configuration() == {"iceServers": [ISSUED_SERVER]}
    assert provider.requests[0].startswith(path)
    assert proof in provider.requests[0]


async def test_credentials_are_cached_while_a_call_can_use_them_to_its_end() -> None:
    clock = ManualClock()
    async with FakeTurnProvider({"iceServers": [ISSUED_SERVER]}).running() as provider:
        turn = IceServerProvider(CLOUDFLARE, CALL_S, base_urls=provider.hosts, clock=clock)
        assert await asyncio.gather(turn.get_servers(), turn.get_servers()) == [(ISSUED_SERVER,), (ISSUED_SERVER,)]
        clock.now += CALL_S - 1
        await turn.get_servers()
        assert len(provider.requests) == 1
        clock.now += 1
        await turn.get_servers()
        assert len(provider.requests) == 2


@pytest.mark.parametrize(
    "provider",
    [
        FakeTurnProvider({"message": SECRET}, 403),
        FakeTurnProvider({"iceServers": SECRET}),
        FakeTurnProvider([{"urls": "http://x"}]),
    ],
    ids=["refuses", "another shape", "no ICE servers"],
)
async def test_failed_provider_gives_no_servers_and_one_log_line(
    provider: FakeTurnProvider, caplog: pytest.LogCaptureFixture
) -> None:
    clock = ManualClock()
    async with provider.running():
        turn = IceServerProvider(CLOUDFLARE, CALL_S, base_urls=provider.hosts, clock=clock)
        assert [await turn.get_servers(), await turn.get_servers()] == [(), ()]
        assert len(provider.requests) == 1, "left alone for a while"
        assert len([r for r in caplog.records if r.name == "voicechat.transport.ice_servers"]) == 1
        provider.body, provider.status = {"iceServers": ISSUED_SERVER}, 201
        clock.now += RETRY_DELAY_S
        assert await turn.get_servers() == (ISSUED_SERVER,)


async def test_silent_provider_delays_a_call_briefly(caplog: pytest.LogCaptureFixture) -> None:
    async with FakeTurnProvider({}).running() as provider:
        provider.is_silent = True
        turn = IceServerProvider(HUGGING_FACE, CALL_S, base_urls=provider.hosts, timeout_s=0.2)
        async with asyncio.timeout(5):
            assert await asyncio.gather(turn.get_servers(), turn.get_servers()) == [(), ()]
    assert len([r for r in caplog.records if r.name == "voicechat.transport.ice_servers"]) == 1


async def test_unreachable_provider_raises_nothing() -> None:
    nowhere = "http://127.0.0.1:1"
    assert (
        await IceServerProvider(TWILIO, CALL_S, base_urls=ProviderBaseUrls(nowhere, nowhere, nowhere)).get_servers()
        == ()
    )


async def test_no_credential_reaches_a_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "web")
    async with FakeTurnProvider({"message": SECRET}, 500).running() as provider:
        turn = IceServerProvider(CLOUDFLARE, CALL_S, base_urls=provider.hosts)
        await turn.get_servers()
    assert "HTTP 500" in caplog.text
    assert SECRET not in caplog.text + repr(turn._request) and "key-id" not in repr(turn._request)


def test_provider_is_not_asked_without_configuration() -> None:
    assert IceServerProvider(IceSettings(), CALL_S).rtc_configuration is None


async def test_configured_turn_server_needs_no_provider() -> None:
    own = IceSettings(turn_url="turn:me:3478", turn_username="u", turn_credential="c", turn_hf_token=SECRET)
    servers = ({"urls": ["turn:me:3478"], "username": "u", "credential": "c"},)
    nowhere = ProviderBaseUrls("", "", "")
    assert await IceServerProvider(own, CALL_S, base_urls=nowhere).get_servers() == servers
    named = IceSettings(ice_servers=({"urls": ["stun:s"]},), turn_url="turn:me:3478")
    assert await IceServerProvider(named, CALL_S, base_urls=nowhere).get_servers() == ({"urls": ["stun:s"]},)


async def test_component_requests_servers_before_every_call() -> None:
    configuration = IceServerProvider(IceSettings(turn_url="turn:me:3478"), CALL_S).rtc_configuration
    component = fastrtc.WebRTC(modality="audio", mode="send-receive", rtc_configuration=configuration)
    assert await component.resolve_rtc_configuration() == {"iceServers": [{"urls": ["turn:me:3478"]}]}


JSON: Any = st.recursive(
    st.none() | st.integers() | st.text(max_size=5) | st.sampled_from(["turn:a", "stun:b"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["urls", "iceServers", "username"]), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(JSON)
def test_any_response_of_a_provider_becomes_ice_servers_or_nothing(said: object) -> None:
    for server in extract_ice_servers(said):
        assert server["urls"] and all(url.startswith(("turn:", "stun:")) for url in server["urls"])
        assert all(isinstance(value, str) for key, value in server.items() if key != "urls")


# ---------------------------------------------------------------- proxies


@pytest.mark.parametrize("scheme", ["http", "socks5", "socks"])
async def test_provider_is_asked_through_the_proxy(
    scheme: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with FakeTurnProvider({"iceServers": [ISSUED_SERVER]}).running() as provider:
        port = int(provider.hosts.twilio.rpartition(":")[2])
        with running_proxy({"turn.example": port}, f"user:{SECRET}") as proxy:
            set_proxies(monkeypatch, all_proxy=f"{scheme}://user:{SECRET}@{proxy.address}")
            outside = ProviderBaseUrls(*3 * ["http://turn.example"])
            assert await IceServerProvider(TWILIO, CALL_S, base_urls=outside).get_servers() == (ISSUED_SERVER,)
            assert await IceServerProvider(TWILIO, CALL_S, base_urls=provider.hosts).get_servers() == (ISSUED_SERVER,)
            assert proxy.hosts == ["turn.example"], "the provider on this computer is asked directly"
            proxy.behaviour = ProxyBehaviour.REFUSE
            assert await IceServerProvider(TWILIO, CALL_S, base_urls=outside).get_servers() == ()
    assert "no TURN credentials" in caplog.text and SECRET not in caplog.text


@pytest.mark.parametrize("value", ["a b", f"ftp://user:{SECRET}@h", "socks4://h"])
async def test_unusable_proxy_raises_nothing(
    value: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    set_proxies(monkeypatch, all_proxy=value)
    outside = ProviderBaseUrls(*3 * ["http://turn.example"])
    assert await IceServerProvider(TWILIO, CALL_S, base_urls=outside).get_servers() == ()
    assert "reason=ProxySettingError" in caplog.text and SECRET not in caplog.text
