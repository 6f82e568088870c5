"""The client's side of a relayed session: what it wishes, its place, and its socket."""

from __future__ import annotations

import asyncio
import secrets
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from realtime.allowance import Stay
from realtime.dialect import Dialect, server_to_beta
from realtime.places import Place

from .client_rules import write_json
from .patience import Patience
from .relay_failures import HIDDEN, Farewell, Word, without_secrets

Event = dict[str, Any]

STALL_S = 60.0
"""Who takes nothing for so long is gone, whatever the socket says. Pings do not tell: they wait behind the messages."""
BETA_PROTOCOL = "openai-beta.realtime-v1"


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a client says by the way it connects. Keys among it are not kept."""

    dialect: Dialect
    subprotocol: str | None
    """The one of those offered that is taken."""
    model: str


def wishes(websocket: WebSocket) -> Wishes:
    """Reads the headers, the subprotocols and the query."""
    headers, offered = websocket.headers, websocket.scope["subprotocols"]
    beta = (
        _query(websocket, "dialect").lower() == "beta"
        or BETA_PROTOCOL in offered
        or any("realtime=v1" in value for value in headers.getlist("openai-beta"))
    )
    taken = next((name for name in ("realtime", BETA_PROTOCOL) if name in offered), None)
    return Wishes(Dialect.BETA if beta else Dialect.GA, taken, _query(websocket, "model"))


def _query(websocket: WebSocket, name: str) -> str:
    return websocket.query_params.get(name, "")[:200]


class Seat:
    """A program's place, and until when it may be kept."""

    place: Place
    stay: Stay
    closes_at: float | None = None
    """By the monotonic clock. None: the app does not end."""

    def place_changed(self) -> None:
        """A program never waits."""

    def closing(self, seconds: float) -> None:
        """The app ends."""
        self.closes_at = time.monotonic() + seconds


class Client:
    """The client's socket, in the client's dialect. Sending raises `WebSocketDisconnect` when the client is gone."""

    def __init__(self, websocket: WebSocket, dialect: Dialect) -> None:
        self._websocket = websocket
        self.dialect = dialect
        self.patience = Patience()
        """For the client to take what it is sent. While a session goes on, `Conversation` looks at it."""
        self.keys: tuple[str, ...] = ()
        """Ways to write what the client is never sent, whatever it stands in."""

    async def receive(self) -> str | bytes:
        """The next message. Raises `WebSocketDisconnect`."""
        message = await self._websocket.receive()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", 1005))
        text: str | None = message.get("text")
        return message["bytes"] if text is None else text

    async def send(self, text: str) -> None:
        """A message, when there is room for it."""
        for key in self.keys:
            if key in text:
                text = text.replace(key, HIDDEN)
        try:
            with self.patience:
                await self._websocket.send({"type": "websocket.send", "text": text})
        except RuntimeError:
            # uvicorn's, once it has closed the socket on its own account: no pong, too large a message
            raise WebSocketDisconnect(1006, "closed") from None

    async def say(self, event: Event) -> None:
        """A GA event."""
        for known in server_to_beta(event) if self.dialect is Dialect.BETA else [event]:
            await self.send(write_json(known))

    async def leave(self, farewell: Farewell, last: Word | None = None) -> None:
        """Close, after a last word."""
        with suppress(TimeoutError):
            async with asyncio.timeout(STALL_S):
                if last is not None:
                    await self.say(last.event(new_id()))
                with suppress(RuntimeError):  # as above
                    await self._websocket.close(farewell.code, without_secrets(farewell.reason, self.keys))


def new_id() -> str:
    """An id for an event of ours."""
    return f"event_{secrets.token_urlsafe(16).replace('-', 'A').replace('_', 'B')[:21]}"
