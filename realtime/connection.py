"""The socket to a Realtime server: open, get ready, send without waiting, and say in one word why it ended.

Whatever dialect the server speaks, callers send and receive GA events. Texts from the server never leave this file,
because servers quote keys and prompts in them.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from enum import Enum
from types import TracebackType
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidProxy, InvalidStatus, InvalidURI

from .dialect import Dialect, client_to_beta, server_to_ga, speaks_beta
from .endpoint import Endpoint, is_header_text
from .failures import (
    FINAL,
    HEALABLE,
    ConnectionFailed,
    Failure,
    backoff_seconds,
    failure_of_close,
    failure_of_error,
    failure_of_status,
    safe_word,
)
from .refusals import Path, is_required, look_up, names, refused_field, refuses_ga, without
from .session import SESSION_EVENT_ID

__all__ = [
    "HEALABLE",
    "ConnectionFailed",
    "Failure",
    "RealtimeConnection",
    "backoff_seconds",
    "failure_of_close",
    "failure_of_error",
    "failure_of_status",
    "open_socket",
]

log = logging.getLogger(__name__)

Event = dict[str, Any]

MAX_MESSAGE_BYTES = 32 * 1024 * 1024
"""One message from the server. Some send a whole reply as one audio delta; 32 MiB are eight minutes of it."""
MAX_WAITING_AUDIO = 500
"""Audio events (20 ms each) waiting to be sent: 10 s. Older ones are dropped, late speech helps no one."""
MAX_WAITING_EVENTS = 1000
"""Other events waiting to be sent. More means that the server no longer reads."""
MAX_EARLY_EVENTS = 100
"""Events before the settings are confirmed."""
MAX_REFUSALS = 6
"""Fields left out for one connection. A server that refuses more is no server for us."""
FIRST_EVENT_SECONDS = 1.0
"""To wait for the server's first event, which tells its dialect, before it is told the settings."""
CLOSE_SECONDS = 0.5
"""For the closing handshake; then the connection is cut."""


class _Phase(Enum):
    """How far the server has come."""

    OPENED = 1
    """The socket is open, nothing has been sent."""
    ASKED = 2
    """The settings have been sent, and nothing else."""
    SILENT = 3
    """In use, though the server has not said a word."""
    IN_USE = 4


class _Connect(connect):
    """websockets' connect, without redirects: it would send our key to whatever host the answer names."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


async def open_socket(endpoint: Endpoint, connect_seconds: float = 10.0) -> ClientConnection:
    """An open socket to a Realtime server, authenticated as far as the handshake goes. Raises ConnectionFailed.

    Not every server refuses here: OpenAI lets everyone in and says what is wrong afterwards (`failure_of_error`,
    `failure_of_close`).
    """
    if not all(is_header_text(part) for value in endpoint.headers.values() for part in value.split(" ")):
        raise ConnectionFailed(Failure.WRONG_OWN_KEY if endpoint.own_key else Failure.WRONG_KEY)
    try:
        return await _Connect(
            endpoint.url,
            additional_headers=dict(endpoint.headers),
            compression=None,  # base64 of sound does not compress, and compressing costs latency
            open_timeout=connect_seconds,
            close_timeout=CLOSE_SECONDS,
            max_size=MAX_MESSAGE_BYTES,
            max_queue=64,
            proxy=None if endpoint.local else True,
            ping_interval=20,
            ping_timeout=20,
        )
    except InvalidStatus as error:
        status = error.response.status_code
        failure = _told_to(endpoint, failure_of_status(status, error.response.body or b""))
        log.info("%s refused the connection: HTTP %d, %s", endpoint.host, status, failure.value)
    except (InvalidURI, UnicodeError):
        failure = Failure.WRONG_ADDRESS
        log.info("The server's address cannot be connected to.")
    except (OSError, TimeoutError, InvalidHandshake, InvalidProxy, EOFError, ConnectionClosed) as error:
        failure = Failure.UNREACHABLE
        log.info("No connection to %s: %s", endpoint.host, type(error).__name__)
    raise ConnectionFailed(failure) from None


def _told_to(endpoint: Endpoint, failure: Failure) -> Failure:
    """The failure as the one who can act on it should hear it: a visitor's own key is the visitor's business."""
    return Failure.WRONG_OWN_KEY if endpoint.own_key and failure is Failure.WRONG_KEY else failure


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
        self._update = endpoint.refused.leave_out(session_update)
        self._connect_seconds = connect_seconds
        self._ready_seconds = ready_seconds
        self._socket: ClientConnection | None = None
        self._sender: asyncio.Task[None] | None = None
        self._waiting: deque[tuple[bool, str]] = deque()  # (is audio, JSON text)
        self._waiting_audio = 0
        self._something = asyncio.Event()
        self._phase = _Phase.OPENED
        self._dialect = Dialect.GA
        self._left_out: list[Path] = []
        self._said = 1
        """How often the settings were told."""
        self._last_error: Failure | None = None
        self._received: deque[Event] = deque()
        """Of the last message: what `events()` has still to give."""
        self._early: deque[Event] = deque()
        self.dropped_audio = 0
        """Audio events that were dropped because the server did not read fast enough."""

    # ---------------------------------------------------------------- life

    async def __aenter__(self) -> RealtimeConnection:
        self._socket = await open_socket(self._endpoint, self._connect_seconds)
        self._sender = asyncio.create_task(self._send_waiting(self._socket))
        try:
            await self._until_greeted()
            await self._until_ready()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close within about `CLOSE_SECONDS`; a second call does nothing."""
        sender, self._sender = self._sender, None
        socket, self._socket = self._socket, None
        if sender is not None:
            sender.cancel()
        if socket is not None:
            await socket.close()

    async def _until_greeted(self) -> None:
        """Wait a moment for the first event: which dialect the settings must be told in is seen in it."""
        with suppress(TimeoutError):
            async with asyncio.timeout(min(FIRST_EVENT_SECONDS, self._ready_seconds)):
                self._early.append(await self._receive())

    async def _until_ready(self) -> None:
        """Tell the settings and wait for `session.updated`. What comes before it is kept for `events()`."""
        self._phase = _Phase.ASKED
        self.send(self._update)
        try:
            async with asyncio.timeout(self._ready_seconds):
                while len(self._early) < MAX_EARLY_EVENTS:
                    event = await self._receive()
                    self._early.append(event)
                    if event["type"] == "session.updated":
                        break
        except TimeoutError:
            # Several servers never confirm. The connection stands, so the call may go on.
            log.info("%s did not confirm the session settings in time; going on.", self._endpoint.host)
        self._phase = _Phase.IN_USE if self._early else _Phase.SILENT

    # ---------------------------------------------------------------- receiving

    async def events(self) -> AsyncIterator[Event]:
        """Server events in order, those before readiness included. Ends only by raising `ConnectionFailed`."""
        while self._early:
            yield self._early.popleft()
        while True:
            yield await self._receive()

    async def _receive(self) -> Event:
        """The next event in GA, without those that only this class has to know of."""
        while not self._received:
            raw = await self._read()
            if self._understand(raw):
                self._received.extend([raw] if self._dialect is Dialect.GA else server_to_ga(raw))
        return self._received.popleft()

    async def _read(self) -> Event:
        """The next event as it was sent. What is not a JSON object with a text `type` is skipped: it is not ours to
        understand."""
        while True:
            if self._socket is None:
                raise ConnectionFailed(Failure.LOST)
            try:
                message = await self._socket.recv()
            except ConnectionClosed as closed:
                code, reason = (closed.rcvd.code, closed.rcvd.reason) if closed.rcvd else (None, "")
                failure = _told_to(self._endpoint, failure_of_close(code, reason, self._last_error))
                word = safe_word(reason) if reason else "no reason"
                log.info("%s ended the connection: %s (close code %s, %s)", self._endpoint.host, failure, code, word)
                raise ConnectionFailed(failure) from None
            try:
                event = json.loads(message)
            except (ValueError, RecursionError):
                log.warning("A message from %s was not JSON and is ignored.", self._endpoint.host)
                continue
            if isinstance(event, dict) and isinstance(event.get("type"), str):
                return event

    def _understand(self, raw: Event) -> bool:
        """Learn from an event what this class must know. False when nobody else has to see it."""
        kind: str = raw["type"]
        if kind == "error":
            return not self._handled(raw.get("error"))
        if self._phase is _Phase.SILENT:
            self._phase = _Phase.IN_USE
        if kind == "response.created":
            self._last_error = None  # the session goes on; that error is not why it ends one day
        if kind in ("session.created", "session.updated") and self._dialect is Dialect.GA and speaks_beta(raw):
            self._speak_beta()
            return kind == "session.created"  # what was updated was told in the wrong dialect
        return True

    def _handled(self, error: object) -> bool:
        """Take an error. True when it was about the settings and has been seen to. Raises ConnectionFailed for one
        after which the session is of no use."""
        self._last_error = failure = failure_of_error(error)
        if failure is not None and (failure in FINAL or self._phase is not _Phase.IN_USE):
            log.info("%s cannot serve us: %s (%s)", self._endpoint.host, failure.value, _code(error))
            raise ConnectionFailed(_told_to(self._endpoint, failure))
        if failure is not None or not isinstance(error, Mapping):
            return False
        about = error.get("event_id") or ""
        # Before anything else was sent, an error that says nothing about its cause can only be about the settings.
        if str(about).startswith(SESSION_EVENT_ID) or (self._phase is _Phase.ASKED and not about):
            self._refused(error, late=about not in ("", self._update["event_id"]))
            return True
        return False

    # ---------------------------------------------------------------- what the server does not take

    def _refused(self, error: Mapping[str, Any], late: bool) -> None:
        """The settings were refused: say them again in beta, or without the field it was about.

        `late`: it is about settings that have been said anew since.
        """
        if refuses_ga(error):
            if self._dialect is Dialect.GA:
                self._speak_beta()
            return
        path = next((path for name in names(error) if (path := refused_field(self._in_ga(name), self._update))), None)
        if late and (path is None or path in self._left_out):
            return
        field = ".".join(path) if path else "no field that was sent"
        log.warning("%s refused a session setting: %s (%s)", self._endpoint.host, field, _code(error))
        hopeless = path is None or path in self._left_out or is_required(path, self._update)
        if path is None or hopeless or len(self._left_out) >= MAX_REFUSALS:
            raise ConnectionFailed(Failure.REFUSED_SETTINGS)
        self._endpoint.refused.remember(path, look_up(self._update["session"], path)[1])
        self._left_out.append(path)
        self._say_again(without(self._update, path))

    def _in_ga(self, name: str) -> str:
        """The GA name of a field that a server of the other dialect named."""
        if self._dialect is Dialect.GA:
            return name
        (event, *_) = server_to_ga({"type": "error", "error": {"param": name}}) or [{}]
        renamed = event.get("error", {}).get("param")
        return renamed if isinstance(renamed, str) else name

    def _speak_beta(self) -> None:
        """From now on everything goes through the dialect's tables."""
        log.info("%s speaks the beta dialect of the protocol.", self._endpoint.host)
        self._dialect = Dialect.BETA
        if self._phase is not _Phase.OPENED:
            self._say_again(self._update)

    def _say_again(self, update: Event) -> None:
        """Under another id, so that refusals of the one before can be told apart."""
        self._said += 1
        self._update = {**update, "event_id": f"{SESSION_EVENT_ID}_{self._said}"}
        self.send(self._update)

    # ---------------------------------------------------------------- sending

    def send(self, event: Event) -> None:
        """Queue an event. Audio that waits too long is dropped, oldest first; anything else is never dropped."""
        for spoken in [event] if self._dialect is Dialect.GA else client_to_beta(event):
            self._queue(spoken)

    def _queue(self, event: Event) -> None:
        if self._socket is None:
            return
        audio = event.get("type") == "input_audio_buffer.append"
        if audio and self._waiting_audio >= MAX_WAITING_AUDIO:
            oldest = next(i for i, (is_audio, _) in enumerate(self._waiting) if is_audio)
            del self._waiting[oldest]
            self._waiting_audio -= 1
            self.dropped_audio += 1
        elif len(self._waiting) - self._waiting_audio >= MAX_WAITING_EVENTS:
            log.warning("%s no longer reads; the connection is cut.", self._endpoint.host)
            self._socket.transport.abort()
            return
        self._waiting.append((audio, json.dumps(event, separators=(",", ":"))))
        self._waiting_audio += audio
        self._something.set()

    async def _send_waiting(self, socket: ClientConnection) -> None:
        try:
            while True:
                while self._waiting:
                    audio, text = self._waiting.popleft()
                    self._waiting_audio -= audio
                    await socket.send(text)
                self._something.clear()
                await self._something.wait()
        except ConnectionClosed:
            return  # the reading side tells why


def _code(error: object) -> str:
    """The code of an error, as far as it is one."""
    return safe_word(error.get("code")) if isinstance(error, Mapping) and error.get("code") else "no code"
