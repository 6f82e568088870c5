"""Clients and servers that leave or stall: their slot is released, and the gateway buffers little."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from tests.support.realtime import fake_faulty_servers
from tests.support.realtime.fake_realtime_server import ScriptedRealtimeServer, accept_session, running_server
from tests.support.sessions.running_gateway import RunningGateway, append_event, connected_client, running_gateway
from voicechat.gateway import gateway_client
from voicechat.server.routes import WEBSOCKET_ROUTES

MAX_BUFFERED_BYTES = 100 * 2**20
"""Bytes that may be on their way to who takes nothing: 64 messages, and the system's buffers of two sockets."""


# ---------------------------------------------------------------- slots are released


async def abort_client(running: RunningGateway, script: ScriptedRealtimeServer, path: str) -> None:
    socket = await connect(running.url(path))
    await socket.recv()
    assert running.gateway.connection_count == 1
    socket.transport.abort()
    await running.wait_until_empty()
    await script.wait_closed()


async def test_aborted_client_releases_its_slot() -> None:
    script = ScriptedRealtimeServer()
    async with running_server(script.handle_connection) as url, running_gateway(url) as ours:
        for path in WEBSOCKET_ROUTES:
            await abort_client(ours, script, path)


async def test_aborted_client_with_a_silent_server_releases_its_slot() -> None:
    async with fake_faulty_servers.silent_tcp_server() as url, running_gateway(url, CONNECT_SECONDS="60") as ours:
        socket = await connect(ours.url())
        socket.transport.abort()
        await ours.wait_until_empty()


async def test_both_sides_aborted_release_the_slot() -> None:
    script = ScriptedRealtimeServer()
    async with running_server(script.handle_connection) as url, running_gateway(url) as ours:
        socket = await connect(ours.url())
        await socket.recv()
        socket.transport.abort()
        await script.abort_connection()
        await ours.wait_until_empty()


async def test_shutdown_closes_sessions() -> None:
    script = ScriptedRealtimeServer()
    async with running_server(script.handle_connection) as url:
        async with running_gateway(url) as ours:
            client = await connect(ours.url())
            await client.recv()
        assert not ours.gateway.connection_count
        await script.wait_closed()
        with pytest.raises(ConnectionClosed) as closed:
            await client.recv()
        assert closed.value.rcvd is not None and closed.value.rcvd.code == 1012


# ---------------------------------------------------------------- back-pressure


async def test_slow_client_holds_the_server_back() -> None:
    delta = json.dumps({"type": "response.output_audio.delta", "delta": "A" * 500_000})
    full, sent = asyncio.Event(), 0

    async def talk(socket: ServerConnection) -> None:
        nonlocal sent
        await accept_session(socket)
        await socket.recv()
        try:
            while True:
                async with asyncio.timeout(1):
                    await socket.send(delta)
                sent += 1
        except TimeoutError:
            full.set()
            await socket.wait_closed()

    async with running_server(talk) as url, running_gateway(url) as ours:
        async with connected_client(ours.url(), max_queue=1) as client:
            await client.next_event()
            await client.send({"type": "response.create"})
            async with asyncio.timeout(20):
                await full.wait()
            stuck = sent
            assert 0 < stuck * len(delta) < MAX_BUFFERED_BYTES
            for _ in range(stuck):
                await client.next_event()
        await ours.wait_until_empty()


async def test_slow_server_holds_the_client_back() -> None:
    over = asyncio.Event()

    async def talk(socket: ServerConnection) -> None:
        await accept_session(socket)
        await over.wait()
        async for _ in socket:
            pass

    async with running_server(talk) as url, running_gateway(url) as ours, connected_client(ours.url()) as client:
        await client.next_event()
        sound, sent = json.dumps(append_event(bytes(300_000))), 0
        with pytest.raises(TimeoutError):
            while sent < 1000:
                async with asyncio.timeout(1):
                    await client.socket.send(sound)
                sent += 1
        assert 0 < sent * len(sound) < MAX_BUFFERED_BYTES
        over.set()
    await ours.wait_until_empty()


@pytest.mark.parametrize("deaf", ["client", "server"])
async def test_stalled_side_is_dropped(deaf: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway_client, "STALL_TIMEOUT_S", 0.3)
    over = asyncio.Event()
    delta = json.dumps({"type": "response.output_audio.delta", "delta": "A" * 500_000})

    async def talk(socket: ServerConnection) -> None:
        await accept_session(socket)
        with suppress(ConnectionClosed):
            while deaf == "client":
                await socket.send(delta)
        await over.wait()
        async for _ in socket:
            pass

    async def flood(socket: ClientConnection) -> None:
        with suppress(ConnectionClosed):
            while True:
                await socket.send(json.dumps(append_event(bytes(300_000))))

    async with running_server(talk) as url, running_gateway(url) as ours:
        client = await connect(ours.url(), max_queue=1, close_timeout=0)
        assert ours.gateway.connection_count == 1
        flooding = asyncio.create_task(flood(client)) if deaf == "server" else None
        await ours.wait_until_empty()
        if flooding:
            await flooding
            assert client.close_code == 1011
        client.transport.abort()
        over.set()
