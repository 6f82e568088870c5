"""Nobody holds a place who is gone, and nobody makes the relay keep what another does not take."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from tests.realtime import fault_server
from tests.realtime.servers import Script, greet, server
from tests.web.programs import Door, append, door, program
from web import relay_client
from web.routes import SOCKETS

WAITING = 100 * 2**20
"""Bytes that may be on their way to who takes nothing: 64 messages, and the system's buffers of two sockets."""


# ---------------------------------------------------------------- no place is held


async def vanish(door: Door, script: Script, path: str) -> None:
    socket = await connect(door.url(path))
    await socket.recv()
    assert door.relay.connected == 1
    socket.transport.abort()
    await door.empty()
    await script.gone()


async def test_a_client_that_vanishes_leaves_nothing_behind() -> None:
    script = Script()
    async with server(script.talk) as url, door(url) as ours:
        for path in SOCKETS:
            await vanish(ours, script, path)


async def test_a_client_that_vanishes_while_the_server_does_not_answer() -> None:
    async with fault_server.deaf() as url, door(url, CONNECT_SECONDS="60") as ours:
        socket = await connect(ours.url())
        socket.transport.abort()
        await ours.empty()


async def test_both_vanish_at_once() -> None:
    script = Script()
    async with server(script.talk) as url, door(url) as ours:
        socket = await connect(ours.url())
        await socket.recv()
        socket.transport.abort()
        await script.cut()
        await ours.empty()


async def test_the_app_ends_while_a_program_is_connected() -> None:
    script = Script()
    async with server(script.talk) as url:
        async with door(url) as ours:
            client = await connect(ours.url())
            await client.recv()
        assert not ours.relay.connected
        await script.gone()
        with pytest.raises(ConnectionClosed) as closed:
            await client.recv()
        assert closed.value.rcvd is not None and closed.value.rcvd.code == 1012


# ---------------------------------------------------------------- back-pressure


async def test_a_client_that_reads_slowly_holds_the_server_back() -> None:
    delta = json.dumps({"type": "response.output_audio.delta", "delta": "A" * 500_000})
    full, sent = asyncio.Event(), 0

    async def talk(socket: ServerConnection) -> None:
        nonlocal sent
        await greet(socket)
        await socket.recv()
        try:
            while True:
                async with asyncio.timeout(1):
                    await socket.send(delta)
                sent += 1
        except TimeoutError:
            full.set()
            await socket.wait_closed()

    async with server(talk) as url, door(url) as ours:
        async with program(ours.url(), max_queue=1) as client:
            await client.next()
            await client.send({"type": "response.create"})
            async with asyncio.timeout(20):
                await full.wait()
            stuck = sent
            assert 0 < stuck * len(delta) < WAITING
            for _ in range(stuck):
                await client.next()
        await ours.empty()


async def test_a_server_that_reads_slowly_holds_the_client_back() -> None:
    over = asyncio.Event()

    async def talk(socket: ServerConnection) -> None:
        await greet(socket)
        await over.wait()
        async for _ in socket:
            pass

    async with server(talk) as url, door(url) as ours, program(ours.url()) as client:
        await client.next()
        sound, sent = json.dumps(append(bytes(300_000))), 0
        with pytest.raises(TimeoutError):
            while sent < 1000:
                async with asyncio.timeout(1):
                    await client.socket.send(sound)
                sent += 1
        assert 0 < sent * len(sound) < WAITING
        over.set()
    await ours.empty()


@pytest.mark.parametrize("deaf", ["client", "server"])
async def test_who_never_reads_again_is_given_up(deaf: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay_client, "STALL_S", 0.3)
    over = asyncio.Event()
    delta = json.dumps({"type": "response.output_audio.delta", "delta": "A" * 500_000})

    async def talk(socket: ServerConnection) -> None:
        await greet(socket)
        with suppress(ConnectionClosed):
            while deaf == "client":
                await socket.send(delta)
        await over.wait()
        async for _ in socket:
            pass

    async def flood(socket: ClientConnection) -> None:
        with suppress(ConnectionClosed):
            while True:
                await socket.send(json.dumps(append(bytes(300_000))))

    async with server(talk) as url, door(url) as ours:
        client = await connect(ours.url(), max_queue=1, close_timeout=0)
        assert ours.relay.connected == 1
        flooding = asyncio.create_task(flood(client)) if deaf == "server" else None
        await ours.empty()
        if flooding:
            await flooding
            assert client.close_code == 1011
        client.transport.abort()
        over.set()
