"""Options of uvicorn servers, however they are started."""

from __future__ import annotations

import asyncio
import functools
import logging
import socket
from collections.abc import Callable
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI

from voicechat.dependency_checks import DependencyChanged
from voicechat.server import uvicorn_options
from voicechat.server.uvicorn_options import GRACEFUL_SHUTDOWN_S, PING_INTERVAL_S, TCP_USER_TIMEOUT_MS


async def test_client_that_vanishes_silently_is_disconnected(monkeypatch: pytest.MonkeyPatch) -> None:
    """Together within ten seconds; on a real link that goes down it takes 8.5 to 9.5."""
    assert TCP_USER_TIMEOUT_MS / 1000 + PING_INTERVAL_S < 9.5
    monkeypatch.setattr(uvicorn.Server, "startup", uvicorn.Server.startup)
    uvicorn_options.install()
    config = uvicorn.Config(FastAPI(), host="127.0.0.1", port=0, lifespan="off", log_config=None)
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    try:
        assert config.ws_ping_interval == PING_INTERVAL_S
        option = getattr(socket, "TCP_USER_TIMEOUT", None)
        if option is not None:
            [listening] = server.servers[0].sockets
            assert listening.getsockopt(socket.IPPROTO_TCP, option) == TCP_USER_TIMEOUT_MS
    finally:
        await server.shutdown()


def _wrap_openly(startup: Any) -> Any:
    @functools.wraps(startup)
    async def traced(self: uvicorn.Server, sockets: Any = None) -> None:
        await startup(self, sockets)

    return traced


def _wrap_opaquely(startup: Any) -> Any:
    async def traced(*arguments: Any, **named: Any) -> None:
        await startup(*arguments, **named)

    return traced


@pytest.mark.parametrize("wrap", [_wrap_openly, _wrap_opaquely])
async def test_options_are_set_where_a_monitoring_tool_wraps_startup(
    wrap: Callable[[Any], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    started = []

    async def stock(self: uvicorn.Server, sockets: Any = None) -> None:
        started.append("stock")

    monkeypatch.setattr(uvicorn.Server, "startup", wrap(stock))
    uvicorn_options.install(lambda _: started.append("ours"))
    config = uvicorn.Config(FastAPI(), log_config=None)
    await uvicorn.Server(config).startup()
    assert started == ["stock", "ours"]
    assert config.timeout_graceful_shutdown == GRACEFUL_SHUTDOWN_S


def test_second_installation_does_nothing_also_below_a_later_wrapper(monkeypatch: pytest.MonkeyPatch) -> None:
    async def stock(self: uvicorn.Server, sockets: Any = None) -> None:
        pass

    monkeypatch.setattr(uvicorn.Server, "startup", stock)
    uvicorn_options.install()
    installed: Any = vars(uvicorn.Server)["startup"]
    uvicorn_options.install()
    assert vars(uvicorn.Server)["startup"] is installed is not stock
    wrapped = _wrap_openly(installed)
    monkeypatch.setattr(uvicorn.Server, "startup", wrapped)
    uvicorn_options.install()
    assert vars(uvicorn.Server)["startup"] is wrapped


def test_startup_with_other_parameters_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    async def changed(self: uvicorn.Server) -> None:
        pass

    monkeypatch.setattr(uvicorn.Server, "startup", changed)
    with pytest.raises(DependencyChanged, match="parameters"):
        uvicorn_options.install()
    assert vars(uvicorn.Server)["startup"] is changed


async def test_end_of_a_server_with_an_open_stream_logs_no_error(
    caplog: pytest.LogCaptureFixture, unused_tcp_port: int
) -> None:
    async def stream_forever(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"on", "more_body": True})
        await asyncio.Event().wait()

    config = uvicorn.Config(stream_forever, port=unused_tcp_port, lifespan="off", log_config=None)
    uvicorn_options.set_options(config)
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    reader, writer = await asyncio.open_connection("127.0.0.1", unused_tcp_port)
    writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    await reader.readuntil(b"on")
    await server.shutdown()
    await reader.read()
    writer.close()
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
