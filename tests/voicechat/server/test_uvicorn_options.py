"""Options of uvicorn servers, however they are started."""

from __future__ import annotations

import socket

import pytest
import uvicorn
from fastapi import FastAPI

from voicechat.server import uvicorn_options
from voicechat.server.uvicorn_options import PING_INTERVAL_S, TCP_USER_TIMEOUT_MS


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
