"""A Realtime server for the real app, in a thread of its own: it converses well, or fails in the way the test names.

Whatever it says in its own words quotes what it was shown at the door, as real servers have been seen to do.
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

from tests.realtime import script
from tests.realtime.kinds import written_reply

Event = dict[str, Any]

HEARD_AFTER = 10
"""Appended frames after which somebody has said something."""


class Way(Enum):
    """How a visit goes."""

    GOOD = "good"
    REFUSED = "refused at the door"
    NO_MONEY = "let in, an error, closed with 4000"
    CLOSED = "closed with 3000, the key in the reason"
    COMPLAINS = "an error in the middle, and a reply that fails"
    GOSSIPS = "the key in every place that a server's events have"
    DROPS = "cut in the middle of a word"


class Upstream:
    """The server. `way` counts for the visits that come; the lists are for reading by the test."""

    def __init__(self, spoken: str, reply: str) -> None:
        self.way = Way.GOOD
        self.spoken, self.reply = spoken, reply
        self.shown: list[str] = []
        """Addresses and headers that came."""
        self.got: list[str] = []
        """Messages that came, sound left out."""
        self.live = 0
        """Sockets open now."""
        self.url = ""

    # ---------------------------------------------------------------- at the door

    def door(self, socket: ServerConnection, request: Request) -> Response | None:
        said = f"{request.path} {request.headers}"
        self.shown.append(said)
        if self.way is not Way.REFUSED:
            return None
        body = json.dumps({"error": {"code": "invalid_api_key", "message": f"Incorrect API key provided: {said}"}})
        headers = Headers({"Content-Length": str(len(body.encode())), "X-You-Said": key_of(request.headers)})
        return Response(HTTPStatus.UNAUTHORIZED, "Unauthorized", headers, body.encode())

    def also(self, socket: ServerConnection, request: Request, response: Response) -> None:
        response.headers["X-You-Said"] = key_of(request.headers)

    # ---------------------------------------------------------------- behind it

    async def talk(self, socket: ServerConnection) -> None:
        self.live += 1
        try:
            await Visit(self, socket, self.way).hold()
        except ConnectionClosed:
            pass
        finally:
            self.live -= 1

    @contextmanager
    def running(self) -> Iterator[Upstream]:
        """Serves until the block ends."""
        loop = asyncio.new_event_loop()
        up = threading.Event()
        stop = asyncio.Event()

        async def run() -> None:
            async with serve(
                self.talk, "127.0.0.1", 0, process_request=self.door, process_response=self.also, max_size=None
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


def key_of(headers: Headers) -> str:
    return headers.get("Authorization", "none").removeprefix("Bearer ")


class Visit:
    """One connection."""

    def __init__(self, upstream: Upstream, socket: ServerConnection, way: Way) -> None:
        assert socket.request is not None
        self._upstream, self._socket, self._way = upstream, socket, way
        self._key = key_of(socket.request.headers)
        self._written = False
        self._appended = self._replies = 0

    async def _says(self, *events: Event) -> None:
        for event in events:
            await self._socket.send(json.dumps(event))

    def _error(self, code: str | None, **more: Any) -> Event:
        message = f"You gave {self._key}. In base64 that is {base64.b64encode(self._key.encode()).decode()}."
        about = {"type": "invalid_request_error", "code": code, "message": message, "param": None, **more}
        return {"type": "error", "event_id": "event_1", "error": about}

    async def hold(self) -> None:
        if self._way is Way.NO_MONEY:
            await self._says(self._error("insufficient_quota"))
            await self._socket.close(4000, f"insufficient_quota. {self._key}"[:120])
        elif self._way is Way.CLOSED:
            await self._socket.close(3000, f"invalid_api_key {self._key}"[:120])
        else:
            await self._says({"type": "session.created", "session": self._session({})})
            async for message in self._socket:
                try:
                    await self._take(json.loads(message))
                except (AttributeError, LookupError, TypeError):  # a program's event that makes no sense
                    await self._says(self._error("invalid_value"))

    def _session(self, settings: Event) -> Event:
        gossip = {"id": self._key, "client_secret": {"value": self._key}} if self._way is Way.GOSSIPS else {}
        return {"type": "realtime", "object": "realtime.session", "id": "sess_1", **settings, **gossip}

    async def _take(self, event: Event) -> None:
        kind = event.get("type")
        if kind != "input_audio_buffer.append":
            self._upstream.got.append(json.dumps(event, ensure_ascii=False))
        match kind:
            case "session.update":
                session = event["session"]
                self._written = session.get("output_modalities", ["text" if self._written else "audio"]) == ["text"]
                await self._says({"type": "session.updated", "session": self._session(session)})
            case "conversation.item.create":
                item = {"id": "item_1", **event["item"], "status": "completed"}
                await self._says({"type": "conversation.item.added", "previous_item_id": None, "item": item})
                await self._says({"type": "conversation.item.done", "previous_item_id": None, "item": item})
            case "response.create":
                await self._answer()
            case "input_audio_buffer.append":
                self._appended += 1
                if self._appended == HEARD_AFTER:
                    spoken = script.heard("u1", self._upstream.spoken)
                    await self._says(script.speech_started("u1"), *script.turn_over("u1"), spoken)
                    await self._answer()

    async def _answer(self) -> None:
        self._replies += 1
        name, item, words = f"r{self._replies}", f"a{self._replies}", self._upstream.reply
        if self._written:
            text = json.dumps(written_reply(self._replies)).replace("Canary reply", words)
            events: list[Event] = json.loads(text)
        else:
            events = script.whole_reply(name, item, words, 200)
        if self._way is Way.DROPS:
            await self._says(*events[:5])
            self._socket.transport.abort()
        elif self._way is Way.COMPLAINS:
            failed = {"id": name, "status": "failed", "output": []}
            failed["status_details"] = {"type": "failed", "error": self._error(self._key, type=self._key)["error"]}
            await self._says(
                self._error("odd_thing", param=self._key),
                self._error(self._key, type=self._key),
                {"type": "response.created", "response": {"id": name, "status": "in_progress", "output": []}},
                {"type": "response.done", "response": failed},
            )
        elif self._way is Way.GOSSIPS:
            await self._says(
                {"type": self._key},
                {"type": "rate_limits.updated", "rate_limits": [{"name": self._key}]},
                {"type": "debug", "headers": {"authorization": f"Bearer {self._key}", self._key: 1}},
                *events,
            )
        else:
            await self._says(*events)
