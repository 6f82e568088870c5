"""Opening a socket: a failure for every refusal, and no key for any other server."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from websockets.asyncio.server import Request, Response, ServerConnection
from websockets.datastructures import Headers

from tests.support.realtime import server_events
from tests.support.realtime.fake_realtime_server import running_server, send_events
from tests.support.realtime.upstream_connections import KEY, UPDATE, failure_of
from voicechat.config.settings import Endpoint, ServerKind
from voicechat.protocol.failures import ConnectionFailed, Failure
from voicechat.upstream.connection import RealtimeConnection, open_socket


@pytest.mark.parametrize(
    ("status", "failure"),
    [
        (401, Failure.WRONG_KEY),
        (403, Failure.FORBIDDEN),
        (404, Failure.WRONG_ADDRESS),
        (429, Failure.SERVER_FULL),
        (503, Failure.SERVER_FULL),
        (500, Failure.SERVER_ERROR),
        (402, Failure.QUOTA),
        (408, Failure.UNREACHABLE),
        (400, Failure.WRONG_ADDRESS),
        (200, Failure.WRONG_ADDRESS),
    ],
)
async def test_open_socket_http_error_fails_with_its_reason(status: int, failure: Failure) -> None:
    async def talk(_: ServerConnection) -> None:
        raise AssertionError

    def answer(_: Request) -> Response:
        return Response(HTTPStatus(status), "no", Headers(), b"secret words")

    async with running_server(talk, answer) as url:
        assert await failure_of(url) is failure


async def test_failure_of_status_prefers_the_code_in_the_body() -> None:
    async def talk(_: ServerConnection) -> None:
        raise AssertionError

    def answer(_: Request) -> Response:
        body = json.dumps({"error": {"code": "insufficient_quota", "message": "secret words"}}).encode()
        return Response(HTTPStatus.TOO_MANY_REQUESTS, "no", Headers({"Content-Length": str(len(body))}), body)

    async with running_server(talk, answer) as url:
        assert await failure_of(url) is Failure.QUOTA


async def test_open_socket_does_not_send_an_invalid_key(unused_tcp_port: int) -> None:
    """A line break would begin a header of its own."""
    for own, failure in ((False, Failure.WRONG_KEY), (True, Failure.WRONG_OWN_KEY)):
        headers = {"Authorization": "Bearer sk-a\r\nX-Other: b"}
        target = Endpoint(ServerKind.CUSTOM, f"ws://127.0.0.1:{unused_tcp_port}/", headers, has_own_key=own)
        with pytest.raises(ConnectionFailed) as caught:
            await open_socket(target)
        assert caught.value.failure is failure


@pytest.mark.parametrize("at_handshake", [True, False])
async def test_open_socket_names_a_visitors_own_wrong_key(at_handshake: bool) -> None:
    async def talk(socket: ServerConnection) -> None:
        await send_events(socket, server_events.error_event("invalid_api_key"))
        await socket.close(3000, "invalid_request_error.invalid_api_key")

    def answer(_: Request) -> Response | None:
        return Response(HTTPStatus.UNAUTHORIZED, "no", Headers()) if at_handshake else None

    async with running_server(talk, answer) as url:
        target = Endpoint(ServerKind.OPENAI, url, {"Authorization": f"Bearer {KEY}"}, has_own_key=True)
        with pytest.raises(ConnectionFailed) as caught:
            async with RealtimeConnection(target, UPDATE):
                pass
    assert caught.value.failure is Failure.WRONG_OWN_KEY


@pytest.mark.parametrize("address", ["", "ftp://127.0.0.1/", "ws://" + "a" * 70 + ".test/"])
async def test_open_socket_invalid_address_is_wrong_address(address: str) -> None:
    assert await failure_of(address) is Failure.WRONG_ADDRESS


async def test_open_socket_untrusted_certificate_gets_no_key(tmp_path: Path) -> None:
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    pem = tmp_path / "server.pem"
    pem.write_bytes(key.private_bytes(serialization.Encoding.PEM, *form))
    with pem.open("ab") as file:
        file.write(certificate.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    visits = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        visits.append(await reader.read(1))
        writer.close()

    running = await asyncio.start_server(talk, "127.0.0.1", 0, ssl=context)
    async with running:
        port = running.sockets[0].getsockname()[1]
        assert await failure_of(f"wss://localhost:{port}/v1/realtime") is Failure.UNTRUSTED_CERTIFICATE
    assert visits in ([], [b""])


async def test_open_socket_without_server_is_unreachable(unused_tcp_port: int) -> None:
    assert await failure_of(f"ws://127.0.0.1:{unused_tcp_port}/v1/realtime") is Failure.UNREACHABLE


async def test_open_socket_unknown_host_name_is_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    async def getaddrinfo(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
    assert await failure_of("ws://realtime.example.test/v1/realtime") is Failure.UNREACHABLE


async def test_open_socket_plain_server_behind_wss_is_wrong_address() -> None:
    """A retry cannot help: the port does not speak TLS."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    running = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with running:
        port = running.sockets[0].getsockname()[1]
        assert await failure_of(f"wss://127.0.0.1:{port}/v1/realtime") is Failure.WRONG_ADDRESS


async def test_open_socket_other_protocol_is_unreachable() -> None:
    async def talk(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example.test ESMTP\r\n")
        writer.close()

    running = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with running:
        port = running.sockets[0].getsockname()[1]
        assert await failure_of(f"ws://127.0.0.1:{port}/v1/realtime") is Failure.UNREACHABLE


async def test_open_socket_redirect_gets_no_key() -> None:
    visits = []

    async def talk(socket: ServerConnection) -> None:
        visits.append(socket)

    async with running_server(talk) as other:

        def answer(_: Request) -> Response:
            return Response(HTTPStatus.FOUND, "Found", Headers({"Location": other}))

        async with running_server(talk, answer) as url:
            assert await failure_of(url) is Failure.WRONG_ADDRESS
    assert visits == []
