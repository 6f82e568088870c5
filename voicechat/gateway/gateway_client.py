"""Gateway client: the client's handshake parameters, its slot and its socket."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from starlette.websockets import WebSocket, WebSocketDisconnect

from voicechat.limits.admission import SLOT_LOST, AdmissionTicket
from voicechat.limits.daily_quota import QuotaMeter
from voicechat.protocol.beta_dialect import Dialect, server_to_beta
from voicechat.protocol.event_fields import RawEvent
from voicechat.protocol.json_codec import write_json
from voicechat.transport.stall_watchdog import StallWatchdog

from .error_events import CloseFrame, TerminalError
from .redaction import REDACTED, redact_text

STALL_TIMEOUT_S = 60.0
"""Seconds without a message taken before a client is dropped. Pings show nothing: they wait behind the messages."""
BETA_SUBPROTOCOL = "openai-beta.realtime-v1"
REPLICAS_HEADER = "x-voice-replicas"
"""Header of deploy/haproxy.cfg: the replicas that took programs when the proxy checked them last, this one included."""


@dataclass(frozen=True, slots=True)
class ClientHello:
    """Handshake parameters of a client. Keys among them are not kept."""

    dialect: Dialect
    subprotocol: str | None
    """The subprotocol chosen from those that the client offers."""


def read_client_hello(websocket: WebSocket) -> ClientHello:
    """Read a client's headers, subprotocols and query."""
    headers, offered = websocket.headers, websocket.scope["subprotocols"]
    beta = (
        _query_param(websocket, "dialect").lower() == "beta"
        or BETA_SUBPROTOCOL in offered
        or any("realtime=v1" in value for value in headers.getlist("openai-beta"))
    )
    chosen = next((name for name in ("realtime", BETA_SUBPROTOCOL) if name in offered), None)
    return ClientHello(Dialect.BETA if beta else Dialect.GA, chosen)


def has_other_replicas(websocket: WebSocket) -> bool:
    """Return whether a proxy offers this client to another replica when this one answers 503 to the handshake."""
    count = websocket.headers.get(REPLICAS_HEADER, "")
    return count.isascii() and count.isdigit() and int(count[:9]) > 1


def _query_param(websocket: WebSocket, name: str) -> str:
    return websocket.query_params.get(name, "")[:200]


class GatewaySlot:
    """The slot of one program, and the time until which it may keep the slot."""

    ticket: AdmissionTicket
    quota_meter: QuotaMeter

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.shutdown_deadline: float | None = None
        """Time on this clock. None while the app is not shutting down."""

    @property
    def is_lost(self) -> bool:
        """Another session has the slot, because this replica did not run for a while."""
        return self.ticket.refusal is SLOT_LOST

    def on_admission_changed(self) -> None:
        """Do nothing: a program awaits `AdmissionTicket.decided`, and its session asks `is_lost` regularly."""

    def on_shutdown(self, grace_s: float) -> None:
        """Start the grace period of the app's shutdown."""
        self.shutdown_deadline = self._clock() + grace_s


class GatewayClient:
    """The client's socket, in the client's dialect. Sending raises `WebSocketDisconnect` once the client has left."""

    def __init__(self, websocket: WebSocket, dialect: Dialect) -> None:
        self._websocket = websocket
        self.dialect = dialect
        self.stall_watchdog = StallWatchdog()
        """Detects a client that takes no messages. The session waits for it."""
        self.secret_variants: tuple[str, ...] = ()
        """Encoded forms of the credentials, which are removed from every message."""

    async def receive_message(self) -> str | bytes:
        """Return the next message. Raises `WebSocketDisconnect`."""
        message = await self._websocket.receive()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", 1005))
        text: str | None = message.get("text")
        return message["bytes"] if text is None else text

    async def send_text(self, text: str) -> None:
        """Send a message, once the socket has room for it."""
        for secret in self.secret_variants:
            if secret in text:
                text = text.replace(secret, REDACTED)
        try:
            with self.stall_watchdog:
                await self._websocket.send({"type": "websocket.send", "text": text})
        except RuntimeError:
            # raised by uvicorn after it closed the socket itself: no pong, or too large a message
            raise WebSocketDisconnect(1006, "closed") from None

    async def send_event(self, event: RawEvent) -> None:
        """Send a GA event in the client's dialect."""
        for translated in server_to_beta(event) if self.dialect is Dialect.BETA else [event]:
            await self.send_text(write_json(translated))

    async def close(self, close_frame: CloseFrame, error: TerminalError | None = None) -> None:
        """Close the socket, after an `error` event where there is an error."""
        with suppress(TimeoutError):
            async with asyncio.timeout(STALL_TIMEOUT_S):
                if error is not None:
                    await self.send_event(error.to_event(new_event_id()))
                with suppress(RuntimeError):  # as above
                    await self._websocket.close(close_frame.code, redact_text(close_frame.reason, self.secret_variants))


def new_event_id() -> str:
    """Return an id for an event of the gateway's own."""
    return f"event_{secrets.token_urlsafe(16).replace('-', 'A').replace('_', 'B')[:21]}"
