"""Realtime servers of a few lines, each for one test."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.server import Request, Response, Server, ServerConnection, serve

Talk = Callable[[ServerConnection], Awaitable[None]]


@asynccontextmanager
async def server(talk: Talk, answer: Callable[[Request], Response | None] | None = None) -> AsyncIterator[str]:
    def process(_: ServerConnection, request: Request) -> Response | None:
        return answer(request) if answer else None

    running: Server
    async with serve(talk, "127.0.0.1", 0, process_request=process) as running:
        yield f"ws://127.0.0.1:{next(iter(running.sockets)).getsockname()[1]}/v1/realtime?model=m"


async def send(socket: ServerConnection, *events: dict[str, Any]) -> None:
    for event in events:
        await socket.send(json.dumps(event))


async def greet(socket: ServerConnection) -> dict[str, Any]:
    """What every good server does first; returns the session.update."""
    await send(socket, {"type": "session.created", "session": {}})
    update: dict[str, Any] = json.loads(await socket.recv())
    await send(socket, {"type": "session.updated", "session": update["session"]})
    return update
