"""Our sockets as programs meet them: the relay behind uvicorn in this process, and clients of a few lines."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from fastapi import FastAPI
from starlette.websockets import WebSocket
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from realtime.accounts import Accounts
from realtime.session import Mode
from realtime.settings import Settings
from web import server_options
from web.relay import EndpointSource, Relay
from web.routes import Health, routes

Event = dict[str, Any]
KEY = "sk-operators-key-0123456789"
QUICK = {"CONNECT_SECONDS": "2", "READY_SECONDS": "0.3"}


def append(pcm: bytes = bytes(960), **more: Any) -> Event:
    """20 ms of silence, or other sound."""
    return {"type": "input_audio_buffer.append", "audio": base64.b64encode(pcm).decode(), **more}


class WatchedRelay(Relay):
    """Tells when a program has left."""

    def __init__(self, settings: Settings, endpoint: EndpointSource, accounts: Accounts | None) -> None:
        super().__init__(settings, endpoint, accounts)
        self.left = asyncio.Event()

    async def serve(self, websocket: WebSocket, mode: Mode) -> None:
        try:
            await super().serve(websocket, mode)
        finally:
            self.left.set()

    @property
    def connected(self) -> int:
        return sum(map(self.live, Mode))


class Door:
    """A running relay."""

    def __init__(self, relay: WatchedRelay, port: int) -> None:
        self.relay, self.port = relay, port

    def url(self, path: str = "/realtime-voice") -> str:
        return f"ws://127.0.0.1:{self.port}{path}"

    async def empty(self) -> None:
        """Wait until no program is connected any more."""
        async with asyncio.timeout(5):
            while self.relay.connected:
                self.relay.left.clear()
                await self.relay.left.wait()


@asynccontextmanager
async def door(
    server_url: str = "",
    endpoint: EndpointSource | None = None,
    accounts: Accounts | None = None,
    **environment: str,
) -> AsyncIterator[Door]:
    """The relay to a server, served as in production."""
    settings = Settings.from_env({"REALTIME_URL": server_url, "REALTIME_API_KEY": KEY, **QUICK, **environment})
    relay = WatchedRelay(settings, endpoint or settings.endpoint, accounts)

    async def health() -> Health:
        return Health("ok", settings.kind, "", 0, 0, 0.0, "1")

    app = FastAPI(openapi_url=None)
    app.include_router(routes(health, relay))
    config = uvicorn.Config(app, host="127.0.0.1", port=0, lifespan="off", log_level=None, log_config=None)
    server_options.set_options(config, settings.places.max_message_bytes)
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    try:
        yield Door(relay, server.servers[0].sockets[0].getsockname()[1])
    finally:
        async with asyncio.timeout(10):
            await server.shutdown()


class Program:
    """A client that keeps what it gets."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.got: list[Event] = []

    async def send(self, *events: Event) -> None:
        for event in events:
            await self.socket.send(json.dumps(event))

    async def next(self) -> Event:
        async with asyncio.timeout(5):
            self.got.append(json.loads(await self.socket.recv()))
        return self.got[-1]

    async def until(self, kind: str) -> Event:
        while (event := await self.next())["type"] != kind:
            pass
        return event

    async def refused(self, *messages: str | bytes | Event) -> Event:
        """The `error` of the error event that comes next after these messages."""
        for message in messages:
            await self.socket.send(json.dumps(message) if isinstance(message, dict) else message)
        event = await self.next()
        assert event["type"] == "error", event
        error: Event = event["error"]
        return error

    async def end(self) -> tuple[int, str]:
        """Read on until the socket is closed: the close frame."""
        try:
            while True:
                await self.next()
        except ConnectionClosed as closed:
            return (closed.rcvd.code, closed.rcvd.reason) if closed.rcvd else (1006, "")


@asynccontextmanager
async def program(url: str, **how: Any) -> AsyncIterator[Program]:
    """A connected client."""
    async with connect(url, close_timeout=1, **how) as socket:
        yield Program(socket)
