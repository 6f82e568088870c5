"""The socket to a Realtime server: open, get ready, send without waiting, and say in one word why it ended.

Whatever dialect the server speaks, callers send and receive GA events. Texts from the server never leave this file,
because servers quote keys and prompts in them.
"""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
from collections import deque
from collections.abc import AsyncIterator
from contextlib import suppress
from types import TracebackType
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidProxy, InvalidStatus, InvalidURI
from websockets.protocol import State

from voicechat.limits.read_rate_limit import ReadRateLimit
from voicechat.protocol.endpoint import Endpoint, is_valid_header_value
from voicechat.protocol.event_fields import has_valid_ids
from voicechat.protocol.failures import (
    RETRYABLE,
    ConnectionFailed,
    Failure,
    backoff_seconds,
    failure_of_close,
    failure_of_error,
    failure_of_status,
    loggable_code,
)

from .handshake import Handshake, HandshakePhase

__all__ = [
    "RETRYABLE",
    "ConnectionFailed",
    "Failure",
    "RealtimeConnection",
    "backoff_seconds",
    "failure_of_close",
    "failure_of_error",
    "failure_of_status",
    "open_socket",
    "try_send_nowait",
]

log = logging.getLogger(__name__)

Event = dict[str, Any]

AUDIO_APPEND_EVENT = "input_audio_buffer.append"
MAX_MESSAGE_BYTES = 32 * 1024 * 1024
"""One message from the server. Some send a whole reply as one audio delta; 32 MiB are eight minutes of it."""
MAX_QUEUED_AUDIO_EVENTS = 500
"""Audio events (20 ms each) waiting to be sent: 10 s. Older ones are dropped, late speech helps no one."""
MAX_QUEUED_EVENTS = 1000
"""Other events waiting to be sent. More means that the server no longer reads."""
MAX_EARLY_EVENTS = 100
"""Events before the settings are confirmed."""
FIRST_EVENT_TIMEOUT_S = 1.0
"""To wait for the server's first event, which tells its dialect, before it is told the settings."""
UNCONFIRMED_TIMEOUT_S = 0.3
"""For a server that has not confirmed its settings before: to wait for refusals."""
CLOSE_TIMEOUT_S = 0.5
"""For the closing handshake; then the connection is cut."""


class _Connect(connect):
    """websockets' connect, without redirects: it would send our key to whatever host the answer names."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


async def open_socket(endpoint: Endpoint, connect_seconds: float = 10.0) -> ClientConnection:
    """An open socket to a Realtime server, authenticated as far as the handshake goes. Raises ConnectionFailed.

    Not every server refuses here: OpenAI lets everyone in and says what is wrong afterwards (`failure_of_error`,
    `failure_of_close`).
    """
    if not all(is_valid_header_value(part) for value in endpoint.headers.values() for part in value.split(" ")):
        raise ConnectionFailed(Failure.WRONG_OWN_KEY if endpoint.has_visitor_key else Failure.WRONG_KEY)
    try:
        return await _Connect(
            endpoint.url,
            additional_headers=dict(endpoint.headers),
            compression=None,  # base64 of sound does not compress, and compressing costs latency
            open_timeout=connect_seconds,
            close_timeout=CLOSE_TIMEOUT_S,
            max_size=MAX_MESSAGE_BYTES,
            max_queue=64,
            proxy=None if endpoint.is_local else True,
            ping_interval=20,
            ping_timeout=20,
        )
    except InvalidStatus as error:
        status = error.response.status_code
        failure = _for_key_owner(endpoint, failure_of_status(status, error.response.body or b""))
        log.info("%s refused the connection: HTTP %d, %s", endpoint.host, status, failure.value)
    except (InvalidURI, UnicodeError, ssl.SSLCertVerificationError) as error:
        failure = Failure.WRONG_ADDRESS  # no network heals it, and a key must not go there
        log.info("The server's address cannot be used: %s", type(error).__name__)
    except (OSError, TimeoutError, InvalidHandshake, InvalidProxy, EOFError, ConnectionClosed) as error:
        failure = Failure.UNREACHABLE
        log.info("No connection to %s: %s", endpoint.host, type(error).__name__)
    raise ConnectionFailed(failure) from None


def _for_key_owner(endpoint: Endpoint, failure: Failure) -> Failure:
    """The failure as the one who can act on it should hear it: a visitor's own key is the visitor's business."""
    return Failure.WRONG_OWN_KEY if endpoint.has_visitor_key and failure is Failure.WRONG_KEY else failure


class RealtimeConnection:
    """One connection, used as `async with`. Entering returns when the server is ready for audio.

    Events are GA in both directions, also with a server that only knows the beta dialect. Settings that the server
    refuses are left out, one after the other, and remembered in `endpoint.refused`.

    Raises `ConnectionFailed` on entering and from `events()`. `send()` never waits and never raises.
    """

    def __init__(
        self, endpoint: Endpoint, session_update: Event, *, connect_seconds: float = 10.0, ready_seconds: float = 5.0
    ) -> None:
        self._endpoint = endpoint
        self._handshake = Handshake(session_update, endpoint.unsupported_fields, endpoint.host)
        self._connect_seconds = connect_seconds
        self._ready_seconds = ready_seconds
        self._socket: ClientConnection | None = None
        self._sender: asyncio.Task[None] | None = None
        self._send_queue: deque[tuple[bool, str]] = deque()  # (is audio, JSON text)
        self._queued_audio_events = 0
        self._send_queue_filled = asyncio.Event()
        self._last_error: Failure | None = None
        self._received_events: deque[Event] = deque()
        """Of the last message: what `events()` has still to give."""
        self._early_events: deque[Event] = deque()
        self._read_rate_limit: ReadRateLimit | None = None
        self._ignored_messages = 0
        """Messages that were no events."""
        self.dropped_audio_events = 0
        """Audio events that were dropped because the server did not read fast enough."""

    # ---------------------------------------------------------------- life

    async def __aenter__(self) -> RealtimeConnection:
        self._socket = await open_socket(self._endpoint, self._connect_seconds)
        self._sender = asyncio.create_task(self._drain_send_queue(self._socket))
        try:
            await self._wait_for_first_event()
            await self._wait_until_ready()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close within about `CLOSE_TIMEOUT_S`; a second call does nothing."""
        sender, self._sender = self._sender, None
        socket, self._socket = self._socket, None
        if sender is not None:
            sender.cancel()
        if socket is not None:
            await socket.close()

    async def _wait_for_first_event(self) -> None:
        """Wait a moment for the first event: which dialect the settings must be told in is seen in it."""
        with suppress(TimeoutError):
            async with asyncio.timeout(min(FIRST_EVENT_TIMEOUT_S, self._ready_seconds)):
                self._early_events.append(await self._next_event())

    async def _wait_until_ready(self) -> None:
        """Tell the settings and wait for `session.updated`. What comes before it is kept for `events()`."""
        for event in self._handshake.send_settings():
            self._enqueue(event)
        refused = self._endpoint.unsupported_fields
        patience = self._ready_seconds if refused.confirms_updates else min(self._ready_seconds, UNCONFIRMED_TIMEOUT_S)
        try:
            async with asyncio.timeout(patience):
                while (
                    self._handshake.phase is HandshakePhase.SETTINGS_SENT and len(self._early_events) < MAX_EARLY_EVENTS
                ):
                    self._early_events.append(await self._next_event())
        except TimeoutError:
            # Several servers never confirm. The connection stands, so the call may go on.
            log.info("%s did not confirm the session settings in time; going on.", self._endpoint.host)
            refused.confirms_updates = refused.confirms_updates and not self._early_events
        self._handshake.proceed_unconfirmed()

    # ---------------------------------------------------------------- receiving

    async def events(self) -> AsyncIterator[Event]:
        """Server events in order, those before readiness included. Ends only by raising `ConnectionFailed`."""
        while self._early_events:
            yield self._early_events.popleft()
        while True:
            yield await self._next_event()

    async def _next_event(self) -> Event:
        """The next event in GA, without those that only the opening has to know of."""
        while not self._received_events:
            raw = await self._read_event()
            if raw["type"] == "error":
                self._last_error = failure_of_error(raw.get("error"))
            elif raw["type"] == "response.created":
                self._last_error = None  # the session goes on; that error is not why it ends one day
            try:
                events, answers = self._handshake.handle_event(raw)
            except ConnectionFailed as failed:
                raise ConnectionFailed(_for_key_owner(self._endpoint, failed.failure)) from None
            self._received_events.extend(events)
            for answer in answers:
                self._enqueue(answer)
        return self._received_events.popleft()

    async def _read_event(self) -> Event:
        """The next event as it was sent. What is not a JSON object with a text `type` is skipped: it is not ours to
        understand."""
        while True:
            if self._socket is None:
                raise ConnectionFailed(Failure.LOST)
            try:
                message = await self._socket.recv()
            except ConnectionClosed as closed:
                if self._socket is None:  # closed by us
                    raise ConnectionFailed(Failure.LOST) from None
                code, reason = (closed.rcvd.code, closed.rcvd.reason) if closed.rcvd else (None, "")
                failure = _for_key_owner(self._endpoint, failure_of_close(code, reason, self._last_error))
                word = loggable_code(reason) if reason else "no reason"
                log.info("%s ended the connection: %s (close code %s, %s)", self._endpoint.host, failure, code, word)
                raise ConnectionFailed(failure) from None
            now = asyncio.get_running_loop().time()
            self._read_rate_limit = self._read_rate_limit or ReadRateLimit(now)
            pause = self._read_rate_limit.take(len(message), now)
            if pause:
                await asyncio.sleep(pause)
            try:
                event = json.loads(message)
            except (ValueError, RecursionError):
                self._count_ignored()
                continue
            if isinstance(event, dict) and isinstance(event.get("type"), str) and has_valid_ids(event):
                return event
            self._count_ignored()

    def _count_ignored(self) -> None:
        if not self._ignored_messages:
            log.warning("%s sends what is no event; it is ignored.", self._endpoint.host)  # said once
        self._ignored_messages += 1

    # ---------------------------------------------------------------- sending

    def filter_unsupported(self, update: Event) -> Event:
        """Another `session.update` without what this server is known not to take."""
        return self._handshake.filter_unsupported(update)

    def send(self, event: Event) -> None:
        """Queue an event. Audio that waits too long is dropped, oldest first; anything else is never dropped."""
        for spoken in self._handshake.to_wire(event):
            self._enqueue(spoken)

    def append_audio(self, audio: str) -> None:
        """`send()` for the event of which there are 50 a second, the same in all dialects. `audio`: base64."""
        self._enqueue_text(f'{{"type":"{AUDIO_APPEND_EVENT}","audio":"{audio}"}}', audio=True)

    def _enqueue(self, event: Event) -> None:
        self._enqueue_text(json.dumps(event, separators=(",", ":")), audio=event.get("type") == AUDIO_APPEND_EVENT)

    def _enqueue_text(self, text: str, *, audio: bool) -> None:
        socket = self._socket
        if socket is None or (not self._send_queue and try_send_nowait(socket, text)):
            return
        if audio and self._queued_audio_events >= MAX_QUEUED_AUDIO_EVENTS:
            oldest = next(i for i, (is_audio, _) in enumerate(self._send_queue) if is_audio)
            del self._send_queue[oldest]
            self._queued_audio_events -= 1
            self.dropped_audio_events += 1
        elif len(self._send_queue) - self._queued_audio_events >= MAX_QUEUED_EVENTS:
            log.warning("%s no longer reads; the connection is cut.", self._endpoint.host)
            socket.transport.abort()
            return
        self._send_queue.append((audio, text))
        self._queued_audio_events += audio
        self._send_queue_filled.set()

    async def _drain_send_queue(self, socket: ClientConnection) -> None:
        try:
            while True:
                while self._send_queue:
                    audio, text = self._send_queue.popleft()
                    self._queued_audio_events -= audio
                    await socket.send(text)
                self._send_queue_filled.clear()
                await self._send_queue_filled.wait()
        except ConnectionClosed:
            return  # the reading side tells why


def try_send_nowait(socket: ClientConnection, text: str) -> bool:
    """Write a message at once; False where there is no room, or the socket is not open. What `socket.send()` does,
    without waking a task for it: that is half of what a message costs."""
    if socket.paused or socket.protocol.state is not State.OPEN:
        return False
    socket.protocol.send_text(text.encode())
    socket.send_data()
    return True
