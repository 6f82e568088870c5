"""Threaded Realtime server for the real app: serves well, or fails in the way that the test chooses.

Its error messages quote the key of the handshake, as some real servers do.
"""

from __future__ import annotations

import asyncio
import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from http import HTTPStatus
from typing import Any

from websockets.asyncio.server import Request, Response, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed

from . import server_events
from .fake_server_variants import text_reply_events

Event = dict[str, Any]

SPEECH_AFTER_FRAMES = 10
"""Appended frames after which the server reports a spoken turn."""


class ServerBehaviour(Enum):
    """Behaviour of one connection."""

    NORMAL = "good"
    REJECTS_HANDSHAKE = "handshake rejected"
    OUT_OF_QUOTA = "accepted, an error, closed with 4000"
    CLOSES_WITH_KEY = "closed with 3000, the key in the reason"
    REFUSES_WITH_KEY = "closed with 1008, the key in words that no rule knows"
    REFUSES_WITH_PROMPT = "closed with 1008, the prompt in words that no rule knows"
    SENDS_ERRORS = "an error in the middle, and a reply that fails"
    LEAKS_KEY = "the key in every place that a server's events have"
    DROPS_MID_REPLY = "cut in the middle of a word"


class ThreadedRealtimeServer:
    """Server with its event loop in a thread. `behaviour` applies to new connections; tests read the lists."""

    def __init__(self, spoken: str, reply: str, reply_s: float = 0.2) -> None:
        """`spoken`: transcript of every spoken turn. `reply`: text of every reply. `reply_s`: seconds of its audio."""
        self.behaviour = ServerBehaviour.NORMAL
        self.user_transcript, self.reply_text, self.reply_s = spoken, reply, reply_s
        self.hears_speech = True
        """Every call begins with a spoken turn."""
        self.answers = True
        """Replies are given. Without, a turn and a request stay unanswered."""
        self.handshakes: list[str] = []
        """Path and headers of each handshake."""
        self.received: list[str] = []
        """Received events, without appended audio."""
        self.sessions: list[list[Event]] = []
        """The same by connection."""
        self.open_connections = 0
        """Number of open connections."""
        self.url = ""

    def messages_of(self, session: int) -> list[tuple[str, str]]:
        """Return role and text of the messages that a connection has created, in their order."""
        created = [event["item"] for event in self.sessions[session] if event["type"] == "conversation.item.create"]
        return [(item["role"], "".join(part.get("text", "") for part in item["content"])) for item in created]

    # ---------------------------------------------------------------- handshake

    def process_request(self, socket: ServerConnection, request: Request) -> Response | None:
        shown = f"{request.path} {request.headers}"
        self.handshakes.append(shown)
        if self.behaviour is not ServerBehaviour.REJECTS_HANDSHAKE:
            return None
        body = json.dumps({"error": {"code": "invalid_api_key", "message": f"Incorrect API key provided: {shown}"}})
        headers = Headers({"Content-Length": str(len(body.encode())), "X-You-Said": presented_key(request.headers)})
        return Response(HTTPStatus.UNAUTHORIZED, "Unauthorized", headers, body.encode())

    def process_response(self, socket: ServerConnection, request: Request, response: Response) -> None:
        response.headers["X-You-Said"] = presented_key(request.headers)

    # ---------------------------------------------------------------- sessions

    async def handle_connection(self, socket: ServerConnection) -> None:
        self.open_connections += 1
        try:
            await UpstreamSession(self, socket, self.behaviour).run()
        except ConnectionClosed:
            pass
        finally:
            self.open_connections -= 1

    @contextmanager
    def running(self) -> Iterator[ThreadedRealtimeServer]:
        """Serve until the block ends."""
        loop = asyncio.new_event_loop()
        up = threading.Event()
        stop = asyncio.Event()

        async def run() -> None:
            async with serve(
                self.handle_connection,
                "127.0.0.1",
                0,
                process_request=self.process_request,
                process_response=self.process_response,
                max_size=None,
            ) as server:
                self.url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1/realtime"
                up.set()
                await stop.wait()

        thread = threading.Thread(target=loop.run_until_complete, args=(run(),), daemon=True)
        thread.start()
        assert up.wait(10)
        try:
            yield self
        finally:
            loop.call_soon_threadsafe(stop.set)
            thread.join(10)
            loop.close()


def presented_key(headers: Headers) -> str:
    """Return the bearer token of a handshake."""
    return headers.get("Authorization", "none").removeprefix("Bearer ")


class UpstreamSession:
    """One connection of the app or of a client."""

    def __init__(self, upstream: ThreadedRealtimeServer, socket: ServerConnection, behaviour: ServerBehaviour) -> None:
        assert socket.request is not None
        self._upstream, self._socket, self._behaviour = upstream, socket, behaviour
        self._key = presented_key(socket.request.headers)
        self._is_text_only = False
        self._appended = self._replies = 0
        self._received: list[Event] = []
        upstream.sessions.append(self._received)

    async def _send(self, *events: Event) -> None:
        for event in events:
            await self._socket.send(json.dumps(event))

    def _error(self, code: str | None, **more: Any) -> Event:
        message = f"You gave {self._key}. In base64 that is {base64.b64encode(self._key.encode()).decode()}."
        about = {"type": "invalid_request_error", "code": code, "message": message, "param": None, **more}
        return {"type": "error", "event_id": "event_1", "error": about}

    async def run(self) -> None:
        if self._behaviour is ServerBehaviour.OUT_OF_QUOTA:
            await self._send(self._error("insufficient_quota"))
            await self._socket.close(4000, f"insufficient_quota. {self._key}"[:120])
        elif self._behaviour is ServerBehaviour.CLOSES_WITH_KEY:
            await self._socket.close(3000, f"invalid_api_key {self._key}"[:120])
        elif self._behaviour is ServerBehaviour.REFUSES_WITH_KEY:
            await self._socket.close(1008, f"Not for {self._key}, pirates and others"[:120])
        elif self._behaviour is ServerBehaviour.REFUSES_WITH_PROMPT:
            await self._send({"type": "session.created", "session": self._session({})})
            update = json.loads(await self._socket.recv())
            await self._socket.close(1008, f"Not allowed here: {update['session'].get('instructions')}"[:120])
        else:
            await self._send({"type": "session.created", "session": self._session({})})
            async for message in self._socket:
                try:
                    await self._handle_event(json.loads(message))
                except (AttributeError, LookupError, TypeError):  # an invalid event of a client
                    await self._send(self._error("invalid_value"))

    def _session(self, settings: Event) -> Event:
        leak = (
            {"id": self._key, "client_secret": {"value": self._key}}
            if self._behaviour is ServerBehaviour.LEAKS_KEY
            else {}
        )
        return {"type": "realtime", "object": "realtime.session", "id": "sess_1", **settings, **leak}

    async def _handle_event(self, event: Event) -> None:
        kind = event.get("type")
        if kind != "input_audio_buffer.append":
            self._upstream.received.append(json.dumps(event, ensure_ascii=False))
            self._received.append(event)
        match kind:
            case "session.update":
                session = event["session"]
                self._is_text_only = session.get("output_modalities", ["text" if self._is_text_only else "audio"]) == [
                    "text"
                ]
                await self._send({"type": "session.updated", "session": self._session(session)})
            case "conversation.item.create":
                item = {"id": "item_1", **event["item"], "status": "completed"}
                await self._send({"type": "conversation.item.added", "previous_item_id": None, "item": item})
                await self._send({"type": "conversation.item.done", "previous_item_id": None, "item": item})
            case "response.create":
                await self._send_reply()
            case "input_audio_buffer.append":
                self._appended += 1
                if self._appended == SPEECH_AFTER_FRAMES and self._upstream.hears_speech:
                    spoken = server_events.transcription_completed("u1", self._upstream.user_transcript)
                    await self._send(server_events.speech_started("u1"), *server_events.turn_committed("u1"), spoken)
                    await self._send_reply()

    async def _send_reply(self) -> None:
        if not self._upstream.answers:
            return
        self._replies += 1
        name, item, words = f"r{self._replies}", f"a{self._replies}", self._upstream.reply_text
        if self._is_text_only:
            text = json.dumps(text_reply_events(self._replies)).replace("Canary reply", words)
            events: list[Event] = json.loads(text)
        else:
            pieces = max(1, round(self._upstream.reply_s))
            clause = server_events.clause_deltas(name, item, words, round(1000 * self._upstream.reply_s), pieces)
            finished = server_events.response_finished(name, item, words)
            events = [*server_events.response_started(name, item), *clause, *finished]
        if self._behaviour is ServerBehaviour.DROPS_MID_REPLY:
            await self._send(*events[:5])
            self._socket.transport.abort()
        elif self._behaviour is ServerBehaviour.SENDS_ERRORS:
            failed = {"id": name, "status": "failed", "output": []}
            failed["status_details"] = {"type": "failed", "error": self._error(self._key, type=self._key)["error"]}
            await self._send(
                self._error("odd_thing", param=self._key),
                self._error(self._key, type=self._key),
                {"type": "response.created", "response": {"id": name, "status": "in_progress", "output": []}},
                {"type": "response.done", "response": failed},
            )
        elif self._behaviour is ServerBehaviour.LEAKS_KEY:
            await self._send(
                {"type": self._key},
                {"type": "rate_limits.updated", "rate_limits": [{"name": self._key}]},
                {"type": "debug", "headers": {"authorization": f"Bearer {self._key}", self._key: 1}},
                *events,
            )
        else:
            await self._send(*events)
