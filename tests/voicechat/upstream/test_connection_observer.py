"""Observer of the connections to one of several servers: what it is called for, and what it is not."""

from __future__ import annotations

import asyncio

import pytest
from websockets.asyncio.server import Request, Response, ServerConnection
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.protocol import State

from tests.support.realtime.fake_realtime_server import running_server
from voicechat.protocol.endpoint import Endpoint, ObservedConnection, ServerKind
from voicechat.protocol.failures import ConnectionFailed, Failure
from voicechat.upstream import checked_socket
from voicechat.upstream.connection import open_socket


class RecordingObserver:
    """Keeps what it was called for, in order."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.connections: list[ObservedConnection] = []

    def on_connecting(self) -> None:
        self.calls.append("connecting")

    def on_connected(self, connection: ObservedConnection) -> None:
        self.calls.append("connected")
        self.connections.append(connection)

    def on_unreachable(self) -> None:
        self.calls.append("unreachable")


async def wait_for_end(socket: ServerConnection) -> None:
    """Serve a connection that has nothing to say."""
    await socket.wait_closed()


async def test_connection_that_is_accepted_is_counted_once() -> None:
    observer = RecordingObserver()
    async with running_server(wait_for_end) as url:
        socket = await open_socket(Endpoint(ServerKind.OFFLINE, url, observer=observer))
        await socket.close()
    assert observer.calls == ["connecting", "connected"]


async def test_connection_whose_server_answers_is_left_open_and_one_that_has_ended_may_be_asked() -> None:
    observer = RecordingObserver()
    async with running_server(wait_for_end) as url:
        socket = await open_socket(Endpoint(ServerKind.OFFLINE, url, observer=observer))
        await observer.connections[0].abort_if_silent()
        assert socket.state is State.OPEN
        await socket.close()
        await observer.connections[0].abort_if_silent()


async def test_connection_of_a_frozen_server_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checked_socket, "PONG_TIMEOUT_S", 0.1)
    observer, accepted = RecordingObserver(), asyncio.Queue[ServerConnection]()

    async def serve(socket: ServerConnection) -> None:
        accepted.put_nowait(socket)
        await socket.wait_closed()

    async with running_server(serve) as url:
        socket = await open_socket(Endpoint(ServerKind.OFFLINE, url, observer=observer))
        transport = (await accepted.get()).transport
        assert isinstance(transport, asyncio.Transport)
        transport.pause_reading()  # as a stopped process: its computer still accepts what is sent
        await observer.connections[0].abort_if_silent()
        with pytest.raises(ConnectionClosed) as lost:
            await socket.recv()
        assert lost.value.rcvd is None
        transport.abort()


async def test_server_without_a_listener_is_unreachable(unused_tcp_port: int) -> None:
    observer = RecordingObserver()
    with pytest.raises(ConnectionFailed):
        await open_socket(Endpoint(ServerKind.OFFLINE, f"ws://127.0.0.1:{unused_tcp_port}/", observer=observer))
    assert observer.calls == ["connecting", "unreachable"]


async def test_server_that_refuses_is_there() -> None:
    observer = RecordingObserver()

    def refuse(_: Request) -> Response:
        return Response(503, "Service Unavailable", Headers(), b"Reading the language model.")

    async with running_server(wait_for_end, refuse) as url:
        with pytest.raises(ConnectionFailed) as refused:
            await open_socket(Endpoint(ServerKind.OFFLINE, url, observer=observer))
    assert refused.value.failure is Failure.SERVER_FULL
    assert observer.calls == ["connecting"]


async def test_key_that_no_header_can_carry_begins_no_connection() -> None:
    observer = RecordingObserver()
    with pytest.raises(ConnectionFailed):
        await open_socket(Endpoint(ServerKind.OFFLINE, "ws://127.0.0.1:9/", {"a": "b\nc"}, observer=observer))
    assert observer.calls == []


def test_observer_is_no_part_of_what_an_endpoint_is() -> None:
    plain, observed = (Endpoint(ServerKind.OFFLINE, "ws://h", observer=each) for each in (None, RecordingObserver()))
    assert plain == observed and repr(plain) == repr(observed)
