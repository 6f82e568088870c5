"""Start of Gradio's server: slow, and failing."""

from __future__ import annotations

import socket
import threading

import pytest
import uvicorn
from gradio.exceptions import ServerFailedToStartError
from gradio.http_server import Server

from voicechat.server.gradio_patches import server_start


async def answer(scope: object, receive: object, send: object) -> None:
    """Stand for an app."""


def new_server(port: int) -> Server:
    return Server(uvicorn.Config(answer, host="127.0.0.1", port=port, lifespan="off", log_level="critical"))


def test_slow_start_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    server_start.install()
    polled, may_start = [], threading.Event()
    begin = Server.run

    def run_later(self: Server) -> None:
        may_start.wait()
        begin(self)

    def poll(_: float) -> None:
        polled.append(True)
        if len(polled) == 600:  # longer than Gradio's own 5 s, by the clock below
            may_start.set()

    clock = iter(range(10_000_000))
    monkeypatch.setattr(Server, "run", run_later)
    monkeypatch.setattr(server_start.time, "sleep", poll)
    monkeypatch.setattr(server_start.time, "monotonic", lambda: next(clock) / 100)
    monkeypatch.setattr(server_start, "START_TIMEOUT_S", 1e9)
    server = new_server(0)
    server.run_in_thread()
    assert server.started and len(polled) >= 600
    server.close()


def test_server_whose_port_is_taken_fails_at_once() -> None:
    server_start.install()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        server = new_server(taken.getsockname()[1])
        with pytest.raises(ServerFailedToStartError):
            server.run_in_thread()
        assert not server.thread.is_alive(), "it has not waited"
