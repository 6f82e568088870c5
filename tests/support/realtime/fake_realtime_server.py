"""Scripted Realtime server: small servers, each for one test."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.server import Request, Response, Server, ServerConnection, serve

ConnectionHandler = Callable[[ServerConnection], Awaitable[None]]


@asynccontextmanager
async def running_server(
    handler: ConnectionHandler, reject: Callable[[Request], Response | None] | None = None
) -> AsyncIterator[str]:
    """Serve until the block ends; yields the URL. `reject` may answer a handshake with HTTP."""

    def process(_: ServerConnection, request: Request) -> Response | None:
        return reject(request) if reject else None

    running: Server
    async with serve(handler, "127.0.0.1", 0, process_request=process) as running:
        yield f"ws://127.0.0.1:{next(iter(running.sockets)).getsockname()[1]}/v1/realtime?model=m"


async def send_events(socket: ServerConnection, *events: dict[str, Any]) -> None:
    """Send events as JSON."""
    for event in events:
        await socket.send(json.dumps(event))


async def accept_session(socket: ServerConnection) -> dict[str, Any]:
    """Create a session and confirm its settings; return the `session.update`."""
    await send_events(socket, {"type": "session.created", "session": {}})
    update: dict[str, Any] = json.loads(await socket.recv())
    await send_events(socket, {"type": "session.updated", "session": update["session"]})
    return update


class ScriptedRealtimeServer:
    """Server that accepts sessions, keeps the received events, and sends events on command."""

    def __init__(self) -> None:
        self.session_update: dict[str, Any] = {}
        """`session.update` of the newest connection."""
        self.received: list[dict[str, Any]] = []
        self.connection_count = 0
        self._changed = asyncio.Condition()
        self._sockets: list[ServerConnection] = []

    async def handle_connection(self, socket: ServerConnection) -> None:
        """Serve one connection until it ends."""
        self.connection_count += 1
        self.session_update = await accept_session(socket)
        self._sockets.append(socket)
        async for message in socket:
            async with self._changed:
                self.received.append(json.loads(message))
                self._changed.notify_all()

    async def send(self, *events: dict[str, Any] | list[dict[str, Any]]) -> None:
        """Send events over the newest connection."""
        for some in events:
            await send_events(self._sockets[-1], *(some if isinstance(some, list) else [some]))

    async def wait_for(self, kind: str, count: int = 1) -> list[dict[str, Any]]:
        """Wait for `count` events of a type, and return all of them."""
        async with asyncio.timeout(10), self._changed:
            await self._changed.wait_for(lambda: len(self.received_of(kind)) >= count)
        return self.received_of(kind)

    def received_of(self, kind: str) -> list[dict[str, Any]]:
        """Return the received events of a type."""
        return [event for event in self.received if event["type"] == kind]

    async def abort_connection(self) -> None:
        """Drop the newest connection without a close frame."""
        self._sockets[-1].transport.abort()

    async def close_connection(self, code: int, reason: str = "") -> None:
        """Close the newest connection."""
        await self._sockets[-1].close(code, reason)

    async def wait_closed(self) -> None:
        """Wait until the newest connection is closed."""
        async with asyncio.timeout(2):
            await self._sockets[-1].wait_closed()
