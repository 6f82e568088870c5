"""Realtime servers that misbehave, each in one way that real ones do.

A `Fault` is what a server does at its door and right behind it; the others begin well.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus

from websockets.asyncio.server import Request, Response, ServerConnection
from websockets.datastructures import Headers

from .kinds import KEY, SECRETS, Event, Official, error
from .servers import Talk, send, server

__all__ = [
    "KEY",
    "SECRETS",
    "Babbles",
    "Bursts",
    "Drops",
    "Expires",
    "Fault",
    "OutOfMoney",
    "Slow",
    "deaf",
    "error",
    "error_only",
    "let_in_and_closed",
    "let_in_and_refused",
    "refuses_the_settings",
    "turned_away",
]

# -------------------------------------------------------------------- at the door, and right behind it


@dataclass(slots=True)
class Fault:
    """A server with one fault. `visits` counts the connections that got past the handshake or were turned away."""

    talk: Talk
    status: int | None = None
    body: Event | None = None
    visits: int = 0
    keys: set[str] = field(default_factory=set)
    """What visitors showed at the door."""

    def door(self, request: Request) -> Response | None:
        self.visits += 1
        self.keys.update(request.headers.get_all("Authorization"))
        if self.status is None:
            return None
        body = json.dumps(self.body).encode() if self.body else KEY.encode()
        headers = Headers({"Content-Length": str(len(body)), "Content-Type": "application/json"})
        return Response(HTTPStatus(self.status), "Refused", headers, body)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        async with server(self.talk, self.door) as url:
            yield url


async def _nobody(_: ServerConnection) -> None:
    raise AssertionError("nobody gets in")


def turned_away(status: int, code: str | None = None) -> Fault:
    """Refuses the handshake; a `code` stands in the body, as an OpenAI-like error."""
    return Fault(_nobody, status, {"error": error(code)["error"]} if code else None)


def let_in_and_refused(code: str, close: int, reason: str = "", kind: str = "invalid_request_error") -> Fault:
    """101, an error event, and the socket is closed: how OpenAI refuses."""

    async def talk(socket: ServerConnection) -> None:
        await send(socket, error(code, kind))
        await socket.close(close, reason)

    return Fault(talk)


def let_in_and_closed(close: int, reason: str) -> Fault:
    """101 and a close frame, without any event: the close has overtaken it."""

    async def talk(socket: ServerConnection) -> None:
        await socket.close(close, reason)

    return Fault(talk)


def error_only(code: str, kind: str = "server_error") -> Fault:
    """An error in place of `session.created`, and an open socket."""

    async def talk(socket: ServerConnection) -> None:
        await send(socket, error(code, kind))
        await socket.wait_closed()

    return Fault(talk)


def refuses_the_settings() -> Fault:
    """Refuses a field that no session can be without."""

    async def talk(socket: ServerConnection) -> None:
        await send(socket, {"type": "session.created", "session": {"type": "realtime"}})
        async for message in socket:
            about = json.loads(message)["event_id"]
            await send(socket, error("invalid_value", param="session.type", event_id=about))

    return Fault(talk)


@asynccontextmanager
async def deaf() -> AsyncIterator[str]:
    """Takes a TCP connection and says nothing, not even HTTP."""
    over = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await over.wait()
        writer.close()

    running = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with running:
        yield f"ws://127.0.0.1:{running.sockets[0].getsockname()[1]}/v1/realtime"
        over.set()


# -------------------------------------------------------------------- servers that begin well


class Slow(Official):
    """Says nothing until it is told to: it loads its model."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded = asyncio.Event()

    async def greet(self, socket: ServerConnection) -> None:
        await self.loaded.wait()
        await Official.greet(self, socket)


class Drops(Official):
    """Cuts the line in the middle of its first reply, and is there again when it is told to be."""

    def __init__(self) -> None:
        super().__init__()
        self.again = asyncio.Event()

    async def greet(self, socket: ServerConnection) -> None:
        if self.visits > 1:
            await self.again.wait()
        await Official.greet(self, socket)

    async def answer(self, socket: ServerConnection) -> None:
        if self.visits > 1:
            await Official.answer(self, socket)
            return
        reply = self.reply(len(self.got))
        await self.say(*reply[: len(reply) // 2 + 1])
        socket.transport.abort()


class Expires(Official):
    """Ends a session when it is told to, as after 60 minutes: with what looks like a normal close."""

    async def expire(self, *, with_error: bool) -> None:
        if with_error:
            await send(self.sockets[-1], error("session_expired"))
        await self.sockets[-1].close(1001, "Your session hit the maximum duration of 60 minutes.")


class OutOfMoney(Official):
    """Answers with a response that failed."""

    def reply(self, number: int) -> list[Event]:
        details = {"type": "failed", "error": error("insufficient_quota", "insufficient_quota")["error"]}
        response = {"id": "r1", "status": "failed", "status_details": details, "output": []}
        created = {"type": "response.created", "response": {"id": "r1", "status": "in_progress", "output": []}}
        return [created, {"type": "response.done", "response": response}]


class Bursts(Official):
    """Answers in one message of so many bytes, at the first visit: the largest that are sensible, or more than anybody
    takes."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    async def answer(self, socket: ServerConnection) -> None:
        if self.visits > 1:
            await Official.answer(self, socket)
            return
        begun, *rest = self.reply(len(self.got))
        kind = "response.output_audio.delta" if self.speaks else "response.output_text.delta"
        about = {"response_id": begun["response"]["id"], "item_id": rest[0]["item"]["id"], "content_index": 0}
        await self.say(begun, {"type": kind, **about, "delta": "A" * self.size})


class Babbles(Official):
    """Nonsense before, between and after what it has to say."""

    nonsense = (
        "{",
        "[1,2]",
        "7",
        '{"no":"type"}',
        '{"type":7}',
        "[" * 100_000,
        KEY,
        b"\x00\xff",
        b'{"type":"un.heard"}',
    )

    async def babble(self, socket: ServerConnection) -> None:
        for message in self.nonsense:
            await socket.send(message)

    async def greet(self, socket: ServerConnection) -> None:
        await self.babble(socket)
        await Official.greet(self, socket)
        await self.babble(socket)

    async def answer(self, socket: ServerConnection) -> None:
        for kind in ("response.done", "response.created", "conversation.item.added", "response.output_audio.delta"):
            for odd in (None, 7, KEY, [], {}):
                await send(socket, {"type": kind, "response": odd, "item": odd, "delta": odd})
        await Official.answer(self, socket)
        await self.babble(socket)
