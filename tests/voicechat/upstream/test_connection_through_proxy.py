"""Connections to the Realtime server through proxies, and the failure when a proxy does not let them through."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from websockets.asyncio.server import ServerConnection, serve

from tests.support.network.certificates import make_server_context
from tests.support.network.fake_proxy import FakeProxy, ProxyBehaviour, ProxyRequest, running_proxy, set_proxies
from tests.support.realtime.fake_realtime_server import accept_session
from tests.support.realtime.upstream_connections import failure_of, make_connection
from voicechat.protocol.failures import RETRYABLE, Failure
from voicechat.upstream import proxy_login
from voicechat.upstream.connection import open_socket
from voicechat.upstream.probe import UpstreamProbe

HOST, SECURE_HOST = "realtime.example", "secure.example"
PASSWORD, ENCODED = "p@ss/w:ö#1%", "p%40ss%2Fw%3A%C3%B6%231%25"
ASCII_PASSWORD, ASCII_ENCODED = "p@ss/w:#1%", "p%40ss%2Fw%3A%231%25"


async def talk(socket: ServerConnection) -> None:
    await accept_session(socket)
    await socket.wait_closed()


@pytest.fixture
async def proxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FakeProxy]:
    """Run a proxy that alone knows two Realtime servers, one of them with TLS."""
    set_proxies(monkeypatch)
    proxy_login.install()
    pem = tmp_path / "server.pem"
    monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    context = make_server_context(SECURE_HOST, pem)
    async with serve(talk, "127.0.0.1", 0) as plain, serve(talk, "127.0.0.1", 0, ssl=context) as secure:
        ports = [next(iter(server.sockets)).getsockname()[1] for server in (plain, secure)]
        with running_proxy(dict(zip((HOST, SECURE_HOST), ports, strict=True))) as running:
            yield running


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """Capture the log, and check at the end that no password is in it."""
    with caplog.at_level(logging.DEBUG, "voicechat"):
        yield caplog
    assert not any(secret in caplog.text for secret in (PASSWORD, ENCODED, ASCII_PASSWORD, ASCII_ENCODED))


@pytest.mark.parametrize("url", [f"ws://{HOST}/v1/realtime", f"wss://{SECURE_HOST}/v1/realtime"])
@pytest.mark.parametrize(
    ("variable", "scheme", "protocol"),
    [
        ("https_proxy", "http://", "CONNECT"),
        ("HTTPS_PROXY", "", "CONNECT"),
        ("all_proxy", "http://", "CONNECT"),
        ("all_proxy", "socks5://", "SOCKS5"),
        ("ALL_PROXY", "socks5h://", "SOCKS5"),
        ("https_proxy", "socks://", "SOCKS5"),
        ("socks_proxy", "", "SOCKS5"),
        ("all_proxy", "socks://", "SOCKS5"),
    ],
)
@pytest.mark.parametrize("has_login", [False, True])
async def test_connection_through_a_proxy_is_ready(
    url: str, variable: str, scheme: str, protocol: str, has_login: bool, proxy: FakeProxy,
    monkeypatch: pytest.MonkeyPatch, logged: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    password, encoded = (PASSWORD, ENCODED) if protocol == "CONNECT" else (ASCII_PASSWORD, ASCII_ENCODED)
    proxy.login = f"user:{password}" if has_login else ""
    monkeypatch.setenv(variable, f"{scheme}{f'user:{encoded}@' if has_login else ''}{proxy.address}")
    async with make_connection(url):
        host, port = (SECURE_HOST, 443) if url.startswith("wss") else (HOST, 80)
        assert proxy.requests == [ProxyRequest(protocol, host, port, proxy.login)]


async def test_connection_through_socks4_is_ready(proxy: FakeProxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ws_proxy", f"socks4a://{proxy.address}")
    async with make_connection(f"ws://{HOST}/v1/realtime"):
        assert proxy.requests == [ProxyRequest("SOCKS4", HOST, 80, "")]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_connection_to_this_computer_asks_no_proxy(
    host: str, proxy: FakeProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("http_proxy", "https_proxy", "all_proxy", "ws_proxy"):
        monkeypatch.setenv(variable, f"http://{proxy.address}")
    async with make_connection(f"ws://{host}:{proxy.routes[HOST]}/v1/realtime"):
        assert proxy.requests == []


async def test_connection_to_an_excepted_host_asks_no_proxy(proxy: FakeProxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("all_proxy", f"http://{proxy.address}")
    monkeypatch.setenv("no_proxy", ".example")
    assert await failure_of(f"ws://{HOST}/v1/realtime") is Failure.UNREACHABLE, "only the proxy knows the name"
    assert proxy.requests == []


@pytest.mark.parametrize(
    ("scheme", "behaviour", "status", "failure"),
    [
        *(("http", ProxyBehaviour.REFUSE, status, Failure.PROXY_REFUSED) for status in (400, 401, 403, 404, 405, 407)),
        *(("http", ProxyBehaviour.REFUSE, status, Failure.UNREACHABLE) for status in (408, 429, 500, 502, 503, 504)),
        ("http", ProxyBehaviour.CLOSE, 0, Failure.UNREACHABLE),
        ("http", ProxyBehaviour.GARBAGE, 0, Failure.UNREACHABLE),
        ("socks5", ProxyBehaviour.REFUSE, 0, Failure.PROXY_REFUSED),
        ("socks5", ProxyBehaviour.CLOSE, 0, Failure.UNREACHABLE),
        ("socks5", ProxyBehaviour.GARBAGE, 0, Failure.PROXY_REFUSED),
    ],
)
async def test_proxy_that_does_not_forward_ends_the_connection_with_its_failure(
    scheme: str, behaviour: ProxyBehaviour, status: int, failure: Failure, proxy: FakeProxy,
    monkeypatch: pytest.MonkeyPatch, logged: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    proxy.behaviour, proxy.status = behaviour, status
    monkeypatch.setenv("https_proxy", f"{scheme}://user:{ASCII_ENCODED}@{proxy.address}")
    assert await failure_of(f"ws://{HOST}/v1/realtime") is failure
    assert f"proxy={proxy.address}" in logged.text
    assert (failure in RETRYABLE) is (failure is Failure.UNREACHABLE)


@pytest.mark.parametrize("scheme", ["http", "socks5"])
async def test_proxy_that_refuses_the_login_has_a_failure_of_its_own(
    scheme: str, proxy: FakeProxy, monkeypatch: pytest.MonkeyPatch, logged: pytest.LogCaptureFixture
) -> None:
    proxy.login = "user:right"
    for login in ("", f"user:{ASCII_ENCODED}@"):
        monkeypatch.setenv("all_proxy", f"{scheme}://{login}{proxy.address}")
        assert await failure_of(f"ws://{HOST}/v1/realtime") is Failure.PROXY_REFUSED


@pytest.mark.parametrize("scheme", ["http", "socks5"])
async def test_server_that_the_proxy_does_not_find_is_unreachable(
    scheme: str, proxy: FakeProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("all_proxy", f"{scheme}://{proxy.address}")
    assert await failure_of("ws://unknown.example/v1/realtime") is Failure.UNREACHABLE


@pytest.mark.parametrize("scheme", ["http", "https", "socks5"])
async def test_proxy_on_a_closed_port_makes_the_server_unreachable(
    scheme: str, proxy: FakeProxy, unused_tcp_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("all_proxy", f"{scheme}://127.0.0.1:{unused_tcp_port}")
    endpoint = make_connection(f"ws://{HOST}/v1/realtime")._endpoint
    assert await failure_of(f"ws://{HOST}/v1/realtime") is Failure.UNREACHABLE
    assert await UpstreamProbe(endpoint).check() == f"The proxy at 127.0.0.1 port {unused_tcp_port} cannot be reached."


@pytest.mark.parametrize("scheme", ["http", "socks5"])
async def test_proxy_that_hangs_ends_in_time(scheme: str, proxy: FakeProxy, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy.behaviour = ProxyBehaviour.HANG
    monkeypatch.setenv("all_proxy", f"{scheme}://{proxy.address}")
    endpoint = make_connection(f"ws://{HOST}/v1/realtime")._endpoint
    async with asyncio.timeout(5):
        with pytest.raises(Exception, match=Failure.UNREACHABLE):
            await open_socket(endpoint, connect_seconds=0.2)


@pytest.mark.parametrize("value", [f"ftp://u:{ASCII_ENCODED}@h", "a b", f"http://u:{ASCII_ENCODED}@h:99999"])
async def test_unusable_proxy_setting_is_no_retry_and_one_log_line(
    value: str, proxy: FakeProxy, monkeypatch: pytest.MonkeyPatch, logged: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("https_proxy", value)
    assert await failure_of(f"wss://{SECURE_HOST}/v1/realtime") is Failure.PROXY_REFUSED
    assert "https_proxy is not the address of a proxy" in logged.text
    endpoint = make_connection(f"wss://{SECURE_HOST}/v1/realtime")._endpoint
    assert "https_proxy is not the address of a proxy" in await UpstreamProbe(endpoint).check()
