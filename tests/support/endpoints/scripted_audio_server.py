"""Scripted audio server: an OpenAI-compatible HTTP server for speech and transcriptions that plays what a test says."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from email import message_from_bytes
from typing import Any

SPEECH_PATH, TRANSCRIPTION_PATH, MODELS_PATH = "/v1/audio/speech", "/v1/audio/transcriptions", "/v1/models"


@dataclass(frozen=True)
class ScriptedAudioReply:
    """One answer. `begin` is awaited before its head, `go_on` after `pause_at` bytes of the body."""

    body: bytes = b""
    content_type: str = ""
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    begin: asyncio.Event | None = None
    pause_at: int = 0
    go_on: asyncio.Event | None = None
    cut_at: int | None = None
    """Bytes of the body after which the connection ends."""


@dataclass(frozen=True)
class AudioRequest:
    """One request with its fields; `wav` is the file of a transcription."""

    path: str
    headers: dict[str, str]
    fields: dict[str, Any]
    wav: bytes = b""


def json_reply(content: object, status: int = 200, **options: Any) -> ScriptedAudioReply:
    """Return an answer in JSON."""
    return ScriptedAudioReply(json.dumps(content).encode(), "application/json", status, **options)


def refusal(status: int, message: str = "no", param: str | None = None, **options: Any) -> ScriptedAudioReply:
    """Return OpenAI's form of an error."""
    return json_reply(
        {"error": {"message": message, "type": "invalid_request_error", "param": param}}, status, **options
    )


def in_turn(*replies: ScriptedAudioReply) -> Callable[[AudioRequest], ScriptedAudioReply]:
    """Answer with each of `replies` once, then always with the last."""
    remaining = list(replies)
    return lambda _: remaining.pop(0) if len(remaining) > 1 else remaining[0]


@dataclass
class ScriptedAudioServer:
    """The server. `speech` and `transcription` choose the answer to a request."""

    speech: Callable[[AudioRequest], ScriptedAudioReply] = lambda _: ScriptedAudioReply(b"\x01\x00")
    transcription: Callable[[AudioRequest], ScriptedAudioReply] = lambda _: json_reply({"text": "Hello."})
    models: ScriptedAudioReply = field(default_factory=lambda: refusal(404))
    requests: list[AudioRequest] = field(default_factory=list)
    most_in_flight: int = 0
    clients_left: int = 0
    """Answers that the client did not wait for."""
    port: int = 0
    _in_flight: int = 0
    _connections: dict[asyncio.Task[None], asyncio.StreamWriter] = field(default_factory=dict)
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    async def wait_for(self, condition: Callable[[ScriptedAudioServer], object]) -> None:
        """Wait until a request or a client that left makes the condition true."""
        async with asyncio.timeout(10), self._changed:
            await self._changed.wait_for(lambda: condition(self))

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection until either side ends it."""
        task = asyncio.current_task()
        assert task is not None
        self._connections[task] = writer
        await self._handle(reader, writer)
        del self._connections[task]

    async def close(self) -> None:
        """End all connections."""
        connections = dict(self._connections)
        for writer in connections.values():
            writer.close()
        await asyncio.gather(*connections)

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            while True:
                request = await _read_request(reader)
                if request.path == MODELS_PATH:
                    reply = self.models
                else:
                    reply = (self.speech if request.path == SPEECH_PATH else self.transcription)(request)
                    self.requests.append(request)
                self._in_flight += 1
                self.most_in_flight = max(self.most_in_flight, self._in_flight)
                await self._notify()
                try:
                    is_open = await self._play(reply, reader, writer)
                finally:
                    self._in_flight -= 1
                if not is_open:
                    break
        writer.close()

    async def _play(
        self, reply: ScriptedAudioReply, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """Send one answer. Return whether the connection is still open."""
        if not await self._is_awaited(reply.begin, reader):
            return False
        headers = [("Content-Length", str(len(reply.body))), *reply.headers]
        if reply.content_type:
            headers.append(("Content-Type", reply.content_type))
        head = "".join(f"{name}: {value}\r\n" for name, value in headers)
        writer.write(f"HTTP/1.1 {reply.status} Scripted\r\n{head}\r\n".encode() + reply.body[: reply.pause_at])
        await writer.drain()
        if not await self._is_awaited(reply.go_on, reader):
            return False
        writer.write(reply.body[reply.pause_at : reply.cut_at])
        await writer.drain()
        return reply.cut_at is None

    async def _is_awaited(self, event: asyncio.Event | None, reader: asyncio.StreamReader) -> bool:
        """Wait for `event`. Return False when the client leaves before."""
        if event is None:
            return True
        left = asyncio.ensure_future(reader.read(1))
        set_by_test = asyncio.ensure_future(event.wait())
        await asyncio.wait([left, set_by_test], return_when=asyncio.FIRST_COMPLETED)
        for task in (left, set_by_test):
            task.cancel()
        await asyncio.gather(left, set_by_test, return_exceptions=True)
        if event.is_set():
            return True
        self.clients_left += 1
        await self._notify()
        return False


async def _read_request(reader: asyncio.StreamReader) -> AudioRequest:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    line, *lines = head.split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (each.partition(":") for each in lines if each)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    path, content_type = line.split(" ")[1], headers.get("content-type", "")
    if content_type.startswith("multipart/"):
        message = message_from_bytes(f"Content-Type: {content_type}\r\n\r\n".encode() + body)
        parts = {str(part.get_param("name", header="content-disposition")): part for part in message.walk()}
        contents = {name: part.get_payload(decode=True) for name, part in parts.items() if not part.is_multipart()}
        wav = contents.pop("file", b"")
        fields = {name: value.decode() for name, value in contents.items() if isinstance(value, bytes)}
        return AudioRequest(path, headers, fields, wav if isinstance(wav, bytes) else b"")
    return AudioRequest(path, headers, json.loads(body) if body else {})


@asynccontextmanager
async def running_audio_server() -> AsyncIterator[ScriptedAudioServer]:
    """Serve on a free port of this computer."""
    scripted = ScriptedAudioServer()
    server = await asyncio.start_server(scripted.accept, "127.0.0.1", 0)
    scripted.port = server.sockets[0].getsockname()[1]
    try:
        yield scripted
    finally:
        server.close()
        await scripted.close()
