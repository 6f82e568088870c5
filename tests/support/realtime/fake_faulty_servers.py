"""Faulty Realtime servers, each with one fault of real servers.

A `FaultyServer` fails in or right after the WebSocket handshake; the other classes start well.
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

from .fake_realtime_server import ConnectionHandler, running_server, send_events
from .fake_server_variants import KEY, SECRETS, Event, OfficialServer, error_event

__all__ = [
    "KEY",
    "SECRETS",
    "BusyServer",
    "DroppingServer",
    "ExpiringServer",
    "FaultyServer",
    "HugeMessageServer",
    "LoadingServer",
    "NonsenseServer",
    "OutOfQuotaServer",
    "closes_without_event",
    "echoes_messages",
    "error_event",
    "rejects_handshake",
    "rejects_session_update",
    "sends_error_and_closes",
    "sends_error_only",
    "silent_tcp_server",
]

# -------------------------------------------------------------------- faults of the handshake


@dataclass(slots=True)
class FaultyServer:
    """Server with one fault. `connection_count` includes rejected handshakes."""

    handle_connection: ConnectionHandler
    status: int | None = None
    body: Event | None = None
    connection_count: int = 0
    authorizations: set[str] = field(default_factory=set)
    """`Authorization` headers of all handshakes."""

    def process_request(self, request: Request) -> Response | None:
        """Answer the handshake with `status`, or accept it."""
        self.connection_count += 1
        self.authorizations.update(request.headers.get_all("Authorization"))
        if self.status is None:
            return None
        body = json.dumps(self.body).encode() if self.body else KEY.encode()
        headers = Headers({"Content-Length": str(len(body)), "Content-Type": "application/json"})
        return Response(HTTPStatus(self.status), "Refused", headers, body)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        """Serve until the block ends; yields the URL."""
        async with running_server(self.handle_connection, self.process_request) as url:
            yield url


async def _unreachable_handler(_: ServerConnection) -> None:
    raise AssertionError("the handshake was accepted")


def rejects_handshake(status: int, code: str | None = None) -> FaultyServer:
    """Return a server that rejects the handshake; `code`: of an OpenAI-like error in the body."""
    return FaultyServer(_unreachable_handler, status, {"error": error_event(code)["error"]} if code else None)


def sends_error_and_closes(
    code: str, close: int, reason: str = "", kind: str = "invalid_request_error"
) -> FaultyServer:
    """Return a server that accepts, sends an error and closes, as OpenAI rejects a session."""

    async def serve(socket: ServerConnection) -> None:
        await send_events(socket, error_event(code, kind))
        await socket.close(close, reason)

    return FaultyServer(serve)


def closes_without_event(close: int, reason: str) -> FaultyServer:
    """Return a server that accepts and closes without an event."""

    async def serve(socket: ServerConnection) -> None:
        await socket.close(close, reason)

    return FaultyServer(serve)


def sends_error_only(code: str, kind: str = "server_error") -> FaultyServer:
    """Return a server that sends an error instead of `session.created` and stays open."""

    async def serve(socket: ServerConnection) -> None:
        await send_events(socket, error_event(code, kind))
        await socket.wait_closed()

    return FaultyServer(serve)


def rejects_session_update() -> FaultyServer:
    """Return a server that rejects a field which every session needs."""

    async def serve(socket: ServerConnection) -> None:
        await send_events(socket, {"type": "session.created", "session": {"type": "realtime"}})
        async for message in socket:
            about = json.loads(message)["event_id"]
            await send_events(socket, error_event("invalid_value", param="session.type", event_id=about))

    return FaultyServer(serve)


def echoes_messages() -> FaultyServer:
    """Return an echo service: it sends every message back."""

    async def serve(socket: ServerConnection) -> None:
        async for message in socket:
            await socket.send(message)

    return FaultyServer(serve)


@asynccontextmanager
async def silent_tcp_server() -> AsyncIterator[str]:
    """Run a server that accepts TCP connections and never answers."""
    over = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await over.wait()
        writer.close()

    running = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with running:
        yield f"ws://127.0.0.1:{running.sockets[0].getsockname()[1]}/v1/realtime"
        over.set()


# -------------------------------------------------------------------- faults of a session


class LoadingServer(OfficialServer):
    """Server that loads its model: sends nothing until `load_finished` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.load_finished = asyncio.Event()

    async def send_session_created(self, socket: ServerConnection) -> None:
        await self.load_finished.wait()
        await OfficialServer.send_session_created(self, socket)


class BusyServer(OfficialServer):
    """Server for one client, which has another one while `busy`."""

    busy = True

    async def handle_connection(self, socket: ServerConnection) -> None:
        if self.busy:
            await socket.close(1008, "Only one client allowed!")
        else:
            await OfficialServer.handle_connection(self, socket)


class DroppingServer(OfficialServer):
    """Server that drops the connection in its first reply, and serves again after `reconnect_allowed`."""

    def __init__(self) -> None:
        super().__init__()
        self.reconnect_allowed = asyncio.Event()

    async def send_session_created(self, socket: ServerConnection) -> None:
        if self.connection_count > 1:
            await self.reconnect_allowed.wait()
        await OfficialServer.send_session_created(self, socket)

    async def send_reply(self, socket: ServerConnection) -> None:
        if self.connection_count > 1:
            await OfficialServer.send_reply(self, socket)
            return
        reply = self.reply_events(len(self.received))
        await self.send_in_dialect(*reply[: len(reply) // 2 + 1])
        socket.transport.abort()


class ExpiringServer(OfficialServer):
    """Server whose session expires on command, as after 60 minutes. The close code is a normal one."""

    async def expire(self, *, with_error: bool) -> None:
        """End the newest session."""
        if with_error:
            await send_events(self.sockets[-1], error_event("session_expired"))
        await self.sockets[-1].close(1001, "Your session hit the maximum duration of 60 minutes.")


class OutOfQuotaServer(OfficialServer):
    """Server whose responses fail for lack of quota."""

    def reply_events(self, number: int) -> list[Event]:
        details = {"type": "failed", "error": error_event("insufficient_quota", "insufficient_quota")["error"]}
        response = {"id": "r1", "status": "failed", "status_details": details, "output": []}
        created = {"type": "response.created", "response": {"id": "r1", "status": "in_progress", "output": []}}
        return [created, {"type": "response.done", "response": response}]


class EarlyEndingServer(OfficialServer):
    """Server whose first responses end early: with half of their content, or with none."""

    def __init__(self, status: str, details: object, *, is_empty: bool, responses: int = 1) -> None:
        super().__init__()
        self.ending = status, details
        self.is_empty = is_empty
        self.responses_left = responses

    def reply_events(self, number: int) -> list[Event]:
        events = OfficialServer.reply_events(self, number)
        if not self.responses_left:
            return events
        self.responses_left -= 1
        done = {**events[-1]["response"], "output": []}
        done["status"], done["status_details"] = self.ending
        kept = events[:1] if self.is_empty else [event for event in events if ".done" not in event["type"]]
        return [*kept, {"type": "response.done", "response": done}]


class HugeMessageServer(OfficialServer):
    """Server that sends its first reply in one message of `message_bytes`."""

    def __init__(self, message_bytes: int) -> None:
        super().__init__()
        self.message_bytes = message_bytes

    async def send_reply(self, socket: ServerConnection) -> None:
        if self.connection_count > 1:
            await OfficialServer.send_reply(self, socket)
            return
        created, *rest = self.reply_events(len(self.received))
        kind = "response.output_audio.delta" if self.is_audio_reply else "response.output_text.delta"
        about = {"response_id": created["response"]["id"], "item_id": rest[0]["item"]["id"], "content_index": 0}
        await self.send_in_dialect(created, {"type": kind, **about, "delta": "A" * self.message_bytes})


class NonsenseServer(OfficialServer):
    """Server that sends invalid messages before, between and after its events."""

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

    async def send_nonsense(self, socket: ServerConnection) -> None:
        """Send all invalid messages."""
        for message in self.nonsense:
            await socket.send(message)

    async def send_session_created(self, socket: ServerConnection) -> None:
        await self.send_nonsense(socket)
        await OfficialServer.send_session_created(self, socket)
        await self.send_nonsense(socket)

    async def send_reply(self, socket: ServerConnection) -> None:
        for kind in ("response.done", "response.created", "conversation.item.added", "response.output_audio.delta"):
            for odd in (None, 7, KEY, [], {}):
                await send_events(socket, {"type": kind, "response": odd, "item": odd, "delta": odd})
        await OfficialServer.send_reply(self, socket)
        await self.send_nonsense(socket)
