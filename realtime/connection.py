"""The socket to a Realtime server: open, get ready, send without waiting, and say in one word why it ended.

A failure is a `Failure`: a code that a page can translate and a log can hold. Texts from the server never leave this
file, because servers quote keys and prompts in them.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections import deque
from collections.abc import AsyncIterator, Mapping
from enum import StrEnum
from types import TracebackType
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI

from .session import SESSION_EVENT_ID
from .settings import Endpoint

log = logging.getLogger(__name__)

Event = dict[str, Any]

MAX_MESSAGE_BYTES = 32 * 1024 * 1024
"""One message from the server. Some send a whole reply as one audio delta; 32 MiB are eight minutes of it."""
MAX_WAITING_AUDIO = 500
"""Audio events (20 ms each) waiting to be sent: 10 s. Older ones are dropped, late speech helps no one."""
MAX_WAITING_EVENTS = 1000
"""Other events waiting to be sent. More means that the server no longer reads."""
CLOSE_SECONDS = 0.5
"""For the closing handshake; then the connection is cut."""


class Failure(StrEnum):
    """Why there is no connection. The value is a code, never a sentence."""

    WRONG_KEY = "wrong_key"
    MODEL_NOT_FOUND = "model_not_found"
    QUOTA = "quota"
    SERVER_FULL = "server_full"
    UNREACHABLE = "unreachable"
    LOST = "lost"
    EXPIRED = "expired"
    """The server's own time limit for one session (60 minutes at OpenAI)."""
    REFUSED_SETTINGS = "refused_settings"
    SERVER_ERROR = "server_error"
    LOADING = "loading"
    """The embedded server is not ready yet."""


HEALABLE = frozenset({Failure.UNREACHABLE, Failure.LOST, Failure.EXPIRED, Failure.SERVER_ERROR, Failure.LOADING})
"""Failures that trying again can heal."""


class ConnectionFailed(Exception):
    """The connection could not be opened, or ended and not by us."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.value)
        self.failure = failure


_BY_CODE = {
    "invalid_api_key": Failure.WRONG_KEY,
    "authentication_error": Failure.WRONG_KEY,
    "unauthorized": Failure.WRONG_KEY,
    "model_not_found": Failure.MODEL_NOT_FOUND,
    "invalid_model": Failure.MODEL_NOT_FOUND,
    "missing_model": Failure.MODEL_NOT_FOUND,
    "deploymentnotfound": Failure.MODEL_NOT_FOUND,
    "insufficient_quota": Failure.QUOTA,
    "billing_hard_limit_reached": Failure.QUOTA,
    "session_limit_reached": Failure.SERVER_FULL,
    "too_many_sessions": Failure.SERVER_FULL,
    "server_busy": Failure.SERVER_FULL,
    "server_full": Failure.SERVER_FULL,
    "server_overloaded": Failure.SERVER_FULL,
    "session_expired": Failure.EXPIRED,
    "model_load_error": Failure.SERVER_ERROR,
    "server_error": Failure.SERVER_ERROR,
}


def failure_of_error(error: object) -> Failure | None:
    """What an `error` object of the protocol means for the connection; None when the session can go on."""
    if not isinstance(error, Mapping):
        return None
    for key in ("code", "type"):
        found = _BY_CODE.get(str(error.get(key) or "").lower())
        if found is not None:
            return found
    return None


def failure_of_status(status: int) -> Failure:
    """What an HTTP answer instead of a WebSocket means."""
    if status in (401, 403):
        return Failure.WRONG_KEY
    if status == 404:
        return Failure.MODEL_NOT_FOUND
    if status == 402:
        return Failure.QUOTA
    if status in (429, 503):
        return Failure.SERVER_FULL
    return Failure.SERVER_ERROR if status >= 500 else Failure.UNREACHABLE


def failure_of_close(code: int | None, reason: str, last: Failure | None) -> Failure:
    """Why a connection ended, from the close frame and the last error event before it."""
    for word in re.split(r"[.\s]+", reason.lower()):
        if word in _BY_CODE:
            return _BY_CODE[word]
    if last is not None:
        return last
    if "maximum duration" in reason.lower():
        return Failure.EXPIRED
    by_number = {
        3000: Failure.WRONG_KEY,
        4000: Failure.REFUSED_SETTINGS,
        4004: Failure.MODEL_NOT_FOUND,
        1008: Failure.WRONG_KEY,
        1013: Failure.SERVER_FULL,
    }
    return by_number.get(code or 0, Failure.LOST)


def backoff_seconds(attempt: int) -> float:
    """Pause before try number `attempt` (0, 1, 2, ...): 0.5, 1, 2, 4, then 8 s."""
    return min(0.5 * 2.0**attempt, 8.0)


class _Connect(connect):
    """websockets' connect, without redirects: it would send our key to whatever host the answer names."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


class RealtimeConnection:
    """One connection, used as `async with`. Entering returns when the server is ready for audio.

    Raises `ConnectionFailed` on entering and from `events()`. `send()` never waits and never raises.
    """

    def __init__(
        self, endpoint: Endpoint, session_update: Event, *, connect_seconds: float = 10.0, ready_seconds: float = 5.0
    ) -> None:
        self._endpoint = endpoint
        self._session_update = session_update
        self._connect_seconds = connect_seconds
        self._ready_seconds = ready_seconds
        self._socket: ClientConnection | None = None
        self._sender: asyncio.Task[None] | None = None
        self._waiting: deque[tuple[bool, str]] = deque()  # (is audio, JSON text)
        self._waiting_audio = 0
        self._something = asyncio.Event()
        self._last_error: Failure | None = None
        self._early: deque[Event] = deque()
        self.dropped_audio = 0
        """Audio events that were dropped because the server did not read fast enough."""

    # ---------------------------------------------------------------- life

    async def __aenter__(self) -> RealtimeConnection:
        try:
            self._socket = await _Connect(
                self._endpoint.url,
                additional_headers=dict(self._endpoint.headers),
                compression=None,  # base64 of sound does not compress, and compressing costs latency
                open_timeout=self._connect_seconds,
                close_timeout=CLOSE_SECONDS,
                max_size=MAX_MESSAGE_BYTES,
                max_queue=64,
                proxy=None if self._endpoint.local else True,
                ping_interval=20,
                ping_timeout=20,
            )
        except InvalidStatus as error:
            raise ConnectionFailed(failure_of_status(error.response.status_code)) from None
        except (OSError, TimeoutError, InvalidHandshake, InvalidURI, EOFError, ConnectionClosed) as error:
            log.info("No connection to %s: %s", self._endpoint.host, type(error).__name__)
            raise ConnectionFailed(Failure.UNREACHABLE) from None
        self._sender = asyncio.create_task(self._send_waiting(self._socket))
        try:
            self.send(self._session_update)
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

    async def _until_ready(self) -> None:
        """Wait for `session.updated`. What comes before it is kept for `events()`."""
        try:
            async with asyncio.timeout(self._ready_seconds):
                while len(self._early) < 100:
                    event = await self._receive()
                    self._early.append(event)
                    kind = event.get("type")
                    if kind == "session.updated":
                        return
                    if kind == "error":
                        self._check_refusal(event.get("error"))
        except TimeoutError:
            # Several servers never confirm. The connection stands, so the call may go on.
            log.info("%s did not confirm the session settings in time; going on.", self._endpoint.host)

    def _check_refusal(self, error: object) -> None:
        failure = failure_of_error(error)
        if failure is not None:
            raise ConnectionFailed(failure)
        if isinstance(error, Mapping) and error.get("event_id") in (SESSION_EVENT_ID, None):
            log.warning("The server refused the session settings: code %r, field %r", *_code_and_param(error))
            raise ConnectionFailed(Failure.REFUSED_SETTINGS)

    # ---------------------------------------------------------------- receiving

    async def events(self) -> AsyncIterator[Event]:
        """Server events in order, those before readiness included. Ends only by raising `ConnectionFailed`."""
        while self._early:
            yield self._early.popleft()
        while True:
            yield await self._receive()

    async def _receive(self) -> Event:
        """The next event. What is not a JSON object with a text `type` is skipped: it is not ours to understand."""
        while True:
            if self._socket is None:
                raise ConnectionFailed(Failure.LOST)
            try:
                message = await self._socket.recv()
            except ConnectionClosed as closed:
                frame = closed.rcvd
                failure = failure_of_close(
                    frame.code if frame else None, frame.reason if frame else "", self._last_error
                )
                log.info("%s ended the connection: %s", self._endpoint.host, failure.value)
                raise ConnectionFailed(failure) from None
            try:
                event = json.loads(message)
            except (ValueError, RecursionError):
                log.warning("A message from %s was not JSON and is ignored.", self._endpoint.host)
                continue
            if not isinstance(event, dict) or not isinstance(event.get("type"), str):
                continue
            if event["type"] == "error":
                self._last_error = failure_of_error(event.get("error"))
            return event

    # ---------------------------------------------------------------- sending

    def send(self, event: Event) -> None:
        """Queue an event. Audio that waits too long is dropped, oldest first; anything else is never dropped."""
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


def _code_and_param(error: Mapping[str, Any]) -> tuple[str, str]:
    """The two parts of an error that are safe to log: identifiers, cut short. The message may quote anything."""
    return str(error.get("code"))[:60], str(error.get("param"))[:80]
