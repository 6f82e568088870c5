"""The client's side of a relayed session: what it wishes, its place, and its socket."""

from __future__ import annotations

import asyncio
import secrets
import time
from contextlib import suppress
from dataclasses import dataclass

from starlette.websockets import WebSocket, WebSocketDisconnect

from voicechat.gateway.redaction import REDACTED, redact_text
from voicechat.limits.daily_quota import QuotaMeter
from voicechat.limits.waiting_queue import AdmissionTicket
from voicechat.protocol.beta_dialect import Dialect, server_to_beta
from voicechat.protocol.event_fields import RawEvent
from voicechat.protocol.json_codec import write_json
from voicechat.transport.stall_watchdog import StallWatchdog

from .error_events import CloseFrame, TerminalError

STALL_TIMEOUT_S = 60.0
"""Who takes nothing for so long is gone, whatever the socket says. Pings do not tell: they wait behind the messages."""
BETA_SUBPROTOCOL = "openai-beta.realtime-v1"


@dataclass(frozen=True, slots=True)
class ClientHello:
    """What a client says by the way it connects. Keys among it are not kept."""

    dialect: Dialect
    subprotocol: str | None
    """The one of those offered that is taken."""
    model: str


def read_client_hello(websocket: WebSocket) -> ClientHello:
    """Reads the headers, the subprotocols and the query."""
    headers, offered = websocket.headers, websocket.scope["subprotocols"]
    beta = (
        _query_param(websocket, "dialect").lower() == "beta"
        or BETA_SUBPROTOCOL in offered
        or any("realtime=v1" in value for value in headers.getlist("openai-beta"))
    )
    taken = next((name for name in ("realtime", BETA_SUBPROTOCOL) if name in offered), None)
    return ClientHello(Dialect.BETA if beta else Dialect.GA, taken, _query_param(websocket, "model"))


def _query_param(websocket: WebSocket, name: str) -> str:
    return websocket.query_params.get(name, "")[:200]


class GatewaySlot:
    """A program's place, and until when it may be kept."""

    ticket: AdmissionTicket
    quota_meter: QuotaMeter
    shutdown_deadline: float | None = None
    """By the monotonic clock. None: the app does not end."""

    def on_admission_changed(self) -> None:
        """A program never waits."""

    def on_shutdown(self, grace_s: float) -> None:
        """The app ends."""
        self.shutdown_deadline = time.monotonic() + grace_s


class GatewayClient:
    """The client's socket, in the client's dialect. Sending raises `WebSocketDisconnect` when the client is gone."""

    def __init__(self, websocket: WebSocket, dialect: Dialect) -> None:
        self._websocket = websocket
        self.dialect = dialect
        self.stall_watchdog = StallWatchdog()
        """For the client to take what it is sent. While a session goes on, `Conversation` looks at it."""
        self.secret_variants: tuple[str, ...] = ()
        """Ways to write what the client is never sent, whatever it stands in."""

    async def receive_message(self) -> str | bytes:
        """The next message. Raises `WebSocketDisconnect`."""
        message = await self._websocket.receive()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", 1005))
        text: str | None = message.get("text")
        return message["bytes"] if text is None else text

    async def send_text(self, text: str) -> None:
        """A message, when there is room for it."""
        for key in self.secret_variants:
            if key in text:
                text = text.replace(key, REDACTED)
        try:
            with self.stall_watchdog:
                await self._websocket.send({"type": "websocket.send", "text": text})
        except RuntimeError:
            # uvicorn's, once it has closed the socket on its own account: no pong, too large a message
            raise WebSocketDisconnect(1006, "closed") from None

    async def send_event(self, event: RawEvent) -> None:
        """A GA event."""
        for known in server_to_beta(event) if self.dialect is Dialect.BETA else [event]:
            await self.send_text(write_json(known))

    async def close(self, close_frame: CloseFrame, error: TerminalError | None = None) -> None:
        """Close, after a last word."""
        with suppress(TimeoutError):
            async with asyncio.timeout(STALL_TIMEOUT_S):
                if error is not None:
                    await self.send_event(error.to_event(new_event_id()))
                with suppress(RuntimeError):  # as above
                    await self._websocket.close(close_frame.code, redact_text(close_frame.reason, self.secret_variants))


def new_event_id() -> str:
    """An id for an event of ours."""
    return f"event_{secrets.token_urlsafe(16).replace('-', 'A').replace('_', 'B')[:21]}"
