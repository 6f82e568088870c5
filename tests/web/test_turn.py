"""Credentials of a relay, from a provider on this computer."""

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

from realtime.turn_settings import TurnSettings, known_servers
from web.turn import PAUSE_S, Hosts, Turn

SECRET = "secret-canary"
ISSUED = {"urls": ["turn:relay.example:3478?transport=udp"], "username": "for-one-call", "credential": SECRET}
CLOUDFLARE = TurnSettings(cloudflare_turn_key_id="key-id", cloudflare_turn_key_api_token=SECRET)
TWILIO = TurnSettings(twilio_account_sid="ACsid", twilio_auth_token=SECRET)
HUGGING_FACE = TurnSettings(turn_hf_token=SECRET)
CALL_S = 1800


class Provider:
    """Answers every request with `status` and `body`, or with nothing until it is closed."""

    def __init__(self, body: object, status: int = 201) -> None:
        self.body, self.status, self.silent = body, status, False
        self.requests: list[str] = []
        self.hosts = Hosts()

    async def _visit(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = next((int(x.split(":")[1]) for x in head.lower().split("\r\n") if x.startswith("content-length:")), 0)
        self.requests.append(head + (await reader.readexactly(length)).decode())
        if not self.silent:
            body = json.dumps(self.body).encode()
            writer.write(b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%s" % (self.status, len(body), body))
            await writer.drain()
            writer.close()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Provider]:
        listening = await asyncio.start_server(self._visit, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        self.hosts = Hosts(url, url, url)
        try:
            yield self
        finally:
            listening.close()


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


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
async def test_a_provider_is_asked_in_its_own_way(
    settings: TurnSettings, path: str, proof: str, shape: Callable[[object], object]
) -> None:
    async with Provider(shape(ISSUED)).open() as provider:
        turn = Turn(settings, CALL_S, hosts=provider.hosts)
        assert turn.rtc_configuration is not None
        assert await turn.rtc_configuration() == {"iceServers": [ISSUED]}
    assert provider.requests[0].startswith(path)
    assert proof in provider.requests[0]


async def test_credentials_are_kept_while_a_call_could_use_them_to_its_end() -> None:
    clock = Clock()
    async with Provider({"iceServers": [ISSUED]}).open() as provider:
        turn = Turn(CLOUDFLARE, CALL_S, hosts=provider.hosts, clock=clock)
        assert await asyncio.gather(turn.servers(), turn.servers()) == [(ISSUED,), (ISSUED,)]
        clock.now += CALL_S - 1
        await turn.servers()
        assert len(provider.requests) == 1
        clock.now += 1
        await turn.servers()
        assert len(provider.requests) == 2


@pytest.mark.parametrize(
    "provider",
    [Provider({"message": SECRET}, 403), Provider({"iceServers": SECRET}), Provider([{"urls": "http://x"}])],
    ids=["refuses", "another shape", "no ICE servers"],
)
async def test_a_provider_that_fails_gives_none_and_one_line(
    provider: Provider, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    async with provider.open():
        turn = Turn(CLOUDFLARE, CALL_S, hosts=provider.hosts, clock=clock)
        assert [await turn.servers(), await turn.servers()] == [(), ()]
        assert len(provider.requests) == 1, "left alone for a while"
        assert len([r for r in caplog.records if r.name == "web.turn"]) == 1
        provider.body, provider.status = {"iceServers": ISSUED}, 201
        clock.now += PAUSE_S
        assert await turn.servers() == (ISSUED,)


async def test_a_provider_that_does_not_answer_costs_little(caplog: pytest.LogCaptureFixture) -> None:
    async with Provider({}).open() as provider:
        provider.silent = True
        turn = Turn(HUGGING_FACE, CALL_S, hosts=provider.hosts, answer_s=0.2)
        async with asyncio.timeout(5):
            assert await asyncio.gather(turn.servers(), turn.servers()) == [(), ()]
    assert len([r for r in caplog.records if r.name == "web.turn"]) == 1


async def test_a_provider_that_is_not_there_is_no_error() -> None:
    nowhere = "http://127.0.0.1:1"
    assert await Turn(TWILIO, CALL_S, hosts=Hosts(nowhere, nowhere, nowhere)).servers() == ()


async def test_no_credential_reaches_a_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "web")
    async with Provider({"message": SECRET}, 500).open() as provider:
        turn = Turn(CLOUDFLARE, CALL_S, hosts=provider.hosts)
        await turn.servers()
    assert "HTTP 500" in caplog.text
    assert SECRET not in caplog.text + repr(turn._question) and "key-id" not in repr(turn._question)


def test_nobody_is_asked_where_nothing_is_configured() -> None:
    assert Turn(TurnSettings(), CALL_S).rtc_configuration is None


async def test_an_own_relay_needs_no_provider() -> None:
    own = TurnSettings(turn_url="turn:me:3478", turn_username="u", turn_credential="c", turn_hf_token=SECRET)
    servers = ({"urls": ["turn:me:3478"], "username": "u", "credential": "c"},)
    nowhere = Hosts("", "", "")
    assert await Turn(own, CALL_S, hosts=nowhere).servers() == servers
    named = TurnSettings(ice_servers=({"urls": ["stun:s"]},), turn_url="turn:me:3478")
    assert await Turn(named, CALL_S, hosts=nowhere).servers() == ({"urls": ["stun:s"]},)


async def test_the_component_asks_before_every_call() -> None:
    configuration = Turn(TurnSettings(turn_url="turn:me:3478"), CALL_S).rtc_configuration
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
def test_whatever_a_provider_says_is_ice_servers_or_nothing(said: object) -> None:
    for server in known_servers(said):
        assert server["urls"] and all(url.startswith(("turn:", "stun:")) for url in server["urls"])
        assert all(isinstance(value, str) for key, value in server.items() if key != "urls")
