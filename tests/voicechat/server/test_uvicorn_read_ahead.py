"""Amount that is read ahead from a WebSocket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn
from websockets.asyncio.client import ClientConnection, connect

from voicechat.server import uvicorn_options
from voicechat.server.uvicorn_read_ahead import MAX_QUEUED_MESSAGES, MAX_READ_AHEAD_BYTES, ReadAheadProtocol


class PausedApp:
    """An app that takes nothing until it is let."""

    def __init__(self) -> None:
        self.resume = asyncio.Event()
        self.received: asyncio.Queue[str | None] = asyncio.Queue()
        self.protocol: ReadAheadProtocol | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        assert (await receive())["type"] == "websocket.connect"
        await send({"type": "websocket.accept"})
        self.protocol = receive.__self__
        while True:
            await self.resume.wait()
            message = await receive()
            await self.received.put(message.get("text"))
            if message["type"] == "websocket.disconnect":
                return

    async def wait_for_read_paused(self, *, yes: bool) -> None:
        await wait_until(lambda: self.protocol is not None and self.protocol.read_paused is yes)


async def wait_until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110  uvicorn has no event for it
            await asyncio.sleep(0.01)


@asynccontextmanager
async def connected_client(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[PausedApp, ClientConnection]]:
    monkeypatch.setattr(uvicorn.Server, "startup", uvicorn.Server.startup)
    uvicorn_options.install()
    app = PausedApp()
    config = uvicorn.Config(app, host="127.0.0.1", port=0, lifespan="off", log_config=None)
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        async with connect(f"ws://127.0.0.1:{port}", compression=None) as client:
            yield app, client
        assert await app.received.get() is None  # the disconnect message
    finally:
        await server.shutdown()


async def test_small_messages_are_read_ahead_until_several_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with connected_client(monkeypatch) as (app, client):
        for number in range(MAX_QUEUED_MESSAGES):
            await client.send(str(number))
        await wait_until(lambda: app.protocol is not None and app.protocol.queue.qsize() == MAX_QUEUED_MESSAGES)
        assert isinstance(app.protocol, ReadAheadProtocol) and not app.protocol.read_paused
        await client.send("one too many")
        await app.wait_for_read_paused(yes=True)

        async def flood() -> None:
            for _ in range(2000):
                await client.send("x" * MAX_READ_AHEAD_BYTES)

        flooding = asyncio.create_task(flood())
        done, _ = await asyncio.wait([flooding], timeout=0.3)
        assert not done  # 16 MB do not go into the kernel's buffers, nor into ours
        assert app.protocol.queue.qsize() == MAX_QUEUED_MESSAGES + 1
        app.resume.set()
        said = [await app.received.get() for _ in range(MAX_QUEUED_MESSAGES + 1 + 2000)]
        assert said == [*map(str, range(MAX_QUEUED_MESSAGES)), "one too many", *["x" * MAX_READ_AHEAD_BYTES] * 2000]
        await flooding
        await app.wait_for_read_paused(yes=False)


async def test_reading_pauses_after_a_large_message(monkeypatch: pytest.MonkeyPatch) -> None:
    async with connected_client(monkeypatch) as (app, client):
        await client.send("x" * (MAX_READ_AHEAD_BYTES + 1))
        await app.wait_for_read_paused(yes=True)
        app.resume.set()
        assert await app.received.get() == "x" * (MAX_READ_AHEAD_BYTES + 1)
        await app.wait_for_read_paused(yes=False)
