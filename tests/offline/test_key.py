"""Key of the server, and the log of requests from strangers."""

from __future__ import annotations

import asyncio
import json
import logging
import urllib.error
import urllib.request
from pathlib import Path

import psutil
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosedError, InvalidMessage, InvalidStatus

from offline.__main__ import warn_if_open
from offline.server import RealtimeServer
from offline.websocket_log import shorten
from tests.support.offline.offline_process import http_get, offline_process
from tests.support.offline.scripted_models import ModelScript, ScriptedModelRuntime, running_server, tone_detector

KEY = "key-of-one-process-canary"
WRONG = ("", "Bearer", "Bearer ", KEY, f"Bearer {KEY}x", f"Basic {KEY}", "Bearer \udce9", f"bearer {KEY[:-1]}")


def make_server() -> RealtimeServer:
    server = RealtimeServer(key=KEY, vad_factory=tone_detector)
    workers = ScriptedModelRuntime(ModelScript())
    server.mark_ready(workers, workers.languages)
    return server


@pytest.mark.parametrize(
    ("message", "error", "is_kept"),
    [
        ("opening handshake failed", ConnectionClosedError(None, None), False),
        ("opening handshake failed", InvalidMessage("did not receive a valid HTTP request"), True),
        ("connection handler failed", ConnectionClosedError(None, None), True),
    ],
)
def test_client_that_does_not_wait_for_the_handshake_is_not_logged(
    message: str, error: Exception, is_kept: bool
) -> None:
    exc_info = (type(error), error, None)
    assert shorten(logging.LogRecord("x", logging.ERROR, "", 0, message, None, exc_info)) is is_kept


@pytest.mark.parametrize("path", ["/health", "/v1/realtime", "/", "/nothing"])
@pytest.mark.parametrize("authorization", WRONG)
async def test_request_without_the_key_is_refused(path: str, authorization: str) -> None:
    async with running_server(make_server()) as url:
        port = url.split(":")[2].split("/")[0]
        reader, writer = await asyncio.open_connection("127.0.0.1", int(port))
        head = f"GET {path} HTTP/1.1\r\nHost: a\r\nAuthorization: {authorization}\r\nOrigin: http://localhost\r\n\r\n"
        writer.write(head.encode("utf-8", "surrogateescape"))
        answer = await reader.read()
        writer.close()
        assert answer.startswith(b"HTTP/1.1 401 "), answer
        assert b"scripted" not in answer and KEY.encode() not in answer


async def test_connection_without_the_key_is_refused_and_with_it_accepted() -> None:
    async with running_server(make_server()) as url:
        with pytest.raises(InvalidStatus) as refused:
            await connect(url)
        assert refused.value.response.status_code == 401
        async with connect(url, additional_headers={"Authorization": f"Bearer {KEY}"}) as connection:
            assert json.loads(await connection.recv())["type"] == "session.created"
        request = urllib.request.Request(url.replace("ws", "http", 1).replace("/v1/realtime", "/health"))
        request.add_header("Authorization", f"Bearer {KEY}")
        health = await asyncio.to_thread(lambda: json.load(urllib.request.urlopen(request, timeout=10)))
        assert health["status"] == "ok"


async def test_process_takes_its_key_from_stdin_and_shows_it_nowhere(tmp_path: Path) -> None:
    async with offline_process("--key-from-stdin", OFFLINE_MODELS=str(tmp_path)) as server:
        assert server.process.stdin is not None
        server.process.stdin.write(f"{KEY}\n".encode())
        listening = await server.wait_for_line("listening")
        assert KEY not in json.dumps(listening)
        process = psutil.Process(server.process.pid)
        assert KEY not in " ".join(process.cmdline()) and KEY not in str(process.environ())
        assert (await http_get(listening["listening"], "/health"))[0] == 401
        server.process.stdin.close()
        assert await asyncio.wait_for(server.process.wait(), 20) == 0


@pytest.mark.parametrize("line", [b"", b"\n", b"  \n", "鑰匙\n".encode()])
async def test_process_without_a_valid_key_exits_with_2(line: bytes, tmp_path: Path) -> None:
    async with offline_process("--key-from-stdin", OFFLINE_MODELS=str(tmp_path)) as server:
        assert server.process.stdin is not None
        server.process.stdin.write(line)
        server.process.stdin.close()
        assert await asyncio.wait_for(server.process.wait(), 20) == 2


@pytest.mark.parametrize("arguments", [(), ("--key-from-env",)])
async def test_process_with_a_key_in_its_environment_requires_it(arguments: tuple[str, ...], tmp_path: Path) -> None:
    async with offline_process(*arguments, OFFLINE_MODELS=str(tmp_path), OFFLINE_KEY=f" {KEY} ") as server:
        listening = await server.wait_for_line("listening")
        assert KEY not in json.dumps(listening)
        url = listening["listening"]
        assert (await http_get(url, "/health"))[0] == 401
        health = urllib.request.Request(url.replace("ws", "http", 1).replace("/v1/realtime", "/health"))
        health.add_header("Authorization", f"Bearer {KEY}")
        with pytest.raises(urllib.error.HTTPError) as loading:
            await asyncio.to_thread(urllib.request.urlopen, health, timeout=10)
        assert loading.value.code == 503


async def test_key_of_stdin_goes_before_that_of_the_environment(tmp_path: Path) -> None:
    async with offline_process("--key-from-stdin", OFFLINE_MODELS=str(tmp_path), OFFLINE_KEY="another") as server:
        assert server.process.stdin is not None
        server.process.stdin.write(f"{KEY}\n".encode())
        url = (await server.wait_for_line("listening"))["listening"]
        health = urllib.request.Request(url.replace("ws", "http", 1).replace("/v1/realtime", "/health"))
        health.add_header("Authorization", "Bearer another")
        with pytest.raises(urllib.error.HTTPError) as refused:
            await asyncio.to_thread(urllib.request.urlopen, health, timeout=10)
        assert refused.value.code == 401


@pytest.mark.parametrize(
    ("host", "key", "is_open"),
    [
        ("0.0.0.0", "", True),
        ("10.0.0.5", "", True),
        ("0.0.0.0", KEY, False),
        ("127.0.0.1", "", False),
        ("::1", "", False),
    ],
)
def test_server_that_others_reach_without_a_key_says_so(
    host: str, key: str, is_open: bool, caplog: pytest.LogCaptureFixture
) -> None:
    warn_if_open(host, key)
    assert ("remedy=OFFLINE_KEY" in caplog.text) == is_open and KEY not in caplog.text


@pytest.mark.parametrize(("arguments", "key"), [(("--key-from-env",), ""), ((), "two words"), ((), "鑰匙")])
async def test_process_without_a_usable_key_in_its_environment_exits_with_2(
    arguments: tuple[str, ...], key: str, tmp_path: Path
) -> None:
    async with offline_process(*arguments, OFFLINE_MODELS=str(tmp_path), OFFLINE_KEY=key) as server:
        assert await asyncio.wait_for(server.process.wait(), 20) == 2


@pytest.mark.parametrize(
    "request_bytes",
    [b"POST /canary HTTP/1.1\r\n\r\n", b"canary\r\n\r\n", b"", bytes(range(128, 192)) + b"\r\n\r\n"],
)
async def test_invalid_request_is_logged_in_one_line_without_its_text(
    caplog: pytest.LogCaptureFixture, request_bytes: bytes
) -> None:
    with caplog.at_level(logging.DEBUG, logger="offline"):
        async with running_server(make_server()) as url:
            port = url.split(":")[2].split("/")[0]
            reader, writer = await asyncio.open_connection("127.0.0.1", int(port))
            writer.write(request_bytes)
            writer.write_eof()
            await reader.read()
            writer.close()
    assert caplog.records and all(record.exc_info is None for record in caplog.records)
    assert "canary" not in caplog.text and "Traceback" not in caplog.text
    assert all("\n" not in record.getMessage() for record in caplog.records)
