"""Ports of all processes during a call: a setting names each, or it refuses requests without the process's own key."""

from __future__ import annotations

import asyncio
import itertools
import struct
from urllib.parse import urlsplit

import httpx
import pytest
from aioice import stun

from tests.support.app.app_process import AppProcess
from tests.support.app.gradio_page_client import GradioPageClient, TrafficRecorder
from tests.support.app.listening_sockets import (
    ListeningSockets,
    find_listening_sockets,
    send_datagram,
    send_http,
)
from tests.support.app.webrtc_call_client import webrtc_call
from voicechat.server.application import ROUTE_RULES

FOREIGN_ORIGINS = ("https://evil.example", "http://evil.localhost.example", "null", "http://192.0.2.1:7860")
METHODS = ("GET", "POST", "OPTIONS", "HEAD", "PUT", "DELETE", "PATCH")
MODEL_PATHS = ("/", "/health", "/v1/health", "/v1/models", "/props", "/slots", "/v1/chat/completions", "/v1/realtime")
"""Paths of the embedded server and of llama.cpp's own server."""
PAGE_PATHS = ("/", "/config", "/theme.css", "/gradio_api/queue/join", "/gradio_api/startup-events", "/v1/realtime")
WRONG_KEYS: tuple[dict[str, str], ...] = ({}, {"Authorization": "Bearer wrong"}, {"X-Api-Key": "wrong"})
REFUSALS = {0, 400, 401, 404, 405}
"""Statuses of a refusal, 0 being a closed connection. websockets answers 400 to all methods but GET."""
MDNS_PORT = 5353
"""Port of multicast DNS, on which aioice asks for the browser's host names. The standard names it."""


async def ports_during_a_call(app: AppProcess) -> ListeningSockets:
    """Return the sockets while a page is open and in a call with the embedded server."""
    async with httpx.AsyncClient(timeout=20) as client:
        visitor = GradioPageClient(app.url, client, TrafficRecorder())
        await visitor.open()
        async with webrtc_call(visitor):
            await asyncio.to_thread(app.wait_for_health, lambda health: health["calls"] == 1)
            sockets = await asyncio.to_thread(find_listening_sockets, app.process.pid)
            await asyncio.to_thread(check_udp, sockets)
        await visitor.close()
    await asyncio.to_thread(app.wait_for_health, lambda health: health["calls"] == 0)
    return sockets


def check_udp(sockets: ListeningSockets) -> None:
    """Check that the sockets of a call give nothing to a stranger. ICE prescribes an error for a wrong password."""
    assert sockets.udp, "a call has sockets"
    request = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
    with_password = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
    with_password.attributes["USERNAME"] = "a:b"
    with_password.add_message_integrity(b"wrong password")
    allocation = stun.Message(stun.Method.ALLOCATE, stun.Class.REQUEST)
    rtp, dtls = struct.pack("!BBHII", 0x80, 111, 1, 2, 3) + bytes(20), b"\x16\xfe\xfd" + bytes(40)
    datagrams = (b"", b"GET / HTTP/1.1\r\n\r\n", rtp, dtls, *map(bytes, (request, with_password, allocation)))
    for address, data in itertools.product(sockets.udp, datagrams):
        if address[1] == MDNS_PORT:
            continue
        answer = send_datagram(address, data)
        if answer:
            parsed = stun.parse_message(answer)
            assert parsed.message_class is stun.Class.ERROR, (address, data, answer)
            assert set(parsed.attributes) <= {"ERROR-CODE", "FINGERPRINT"}, (address, data, answer)


async def test_ports_without_a_setting_refuse_requests_without_the_key(app: AppProcess) -> None:
    port = urlsplit(app.url).port
    sockets = await ports_during_a_call(app)
    assert ("127.0.0.1", port) in sockets.tcp
    others = {address for address in sockets.tcp if address[1] != port}
    assert {host for host, _ in others} <= {"127.0.0.1", "::1"}
    assert len(others) == 1, "the embedded server alone"
    for (_, other), method, path, origin, key in itertools.product(
        others, METHODS, MODEL_PATHS, (None, *FOREIGN_ORIGINS, "http://127.0.0.1:1"), WRONG_KEYS
    ):
        response = send_http(other, method, path, {**key, **({"Origin": origin} if origin else {})})
        what = f"{method} {path} origin={origin} key={key}: {response}"
        assert response.status in REFUSALS, what
        assert not any(name.startswith("access-control-") for name in response.headers), what
        assert len(response.body) < 120 and b"sessions" not in response.body, what


def test_unix_sockets_are_out_of_reach(app: AppProcess) -> None:
    reachable = [path for path in find_listening_sockets(app.process.pid).unix if path.exists()]
    assert reachable == []


@pytest.mark.parametrize("host", ["127.0.0.1", "voice.example", "192.0.2.7:7860", "localhost"])
async def test_app_reflects_no_foreign_origin(app: AppProcess, host: str) -> None:
    """Gradio's own middleware would allow every page on hosts that are not this computer."""
    port = urlsplit(app.url).port
    assert port is not None
    paths = {rule.path for rule in ROUTE_RULES if isinstance(rule.path, str)} | {*PAGE_PATHS, *MODEL_PATHS}
    for method, path, origin, asks in itertools.product(
        ("GET", "POST", "OPTIONS"), sorted(paths), FOREIGN_ORIGINS, (False, True)
    ):
        headers = {"Host": host, "Origin": origin}
        if asks:
            headers |= {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-other"}
        response = await asyncio.to_thread(send_http, port, method, path, headers)
        reflected = [name for name in response.headers if name.startswith("access-control-")]
        assert not reflected, f"{method} {path} {headers}: {response.status} {reflected}"
