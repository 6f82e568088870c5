"""Connection to a Realtime server: opens the socket, configures the session, sends without waiting, classifies the end.

Callers send and receive GA events, whatever the server's dialect. Error texts of the server never leave this module,
because servers quote keys and prompts in them; `failures` names the one exception.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from types import TracebackType

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import (
    ConnectionClosed,
    InvalidHandshake,
    InvalidProxyStatus,
    InvalidStatus,
    InvalidURI,
    ProxyError,
)
from websockets.protocol import State

from network.proxies import ProxySettingError, address_of, proxy_for
from voicechat.limits.read_rate_limit import ReadRateLimit
from voicechat.protocol.endpoint import Endpoint, is_valid_header_value
from voicechat.protocol.event_fields import RawEvent, has_valid_ids
from voicechat.protocol.failures import (
    QUOTES_SERVER,
    ConnectionFailed,
    Failure,
    failure_of_close,
    failure_of_proxy_status,
    failure_of_status,
    for_own_key,
    loggable_code,
)
from voicechat.protocol.json_codec import InvalidJson, read_object, write_json
from voicechat.protocol.server_words import private_texts_of, scrub_server_words

from .checked_socket import CheckedSocket
from .handshake import Handshake, HandshakePhase

__all__ = ["ConnectionFailed", "Failure", "RealtimeConnection", "open_socket", "try_send_nowait"]

log = logging.getLogger(__name__)

AUDIO_APPEND_EVENT = "input_audio_buffer.append"
MAX_MESSAGE_BYTES = 32 * 1024 * 1024
"""Bytes of one message from the server. Some send a whole reply as one audio delta; 32 MiB hold eight minutes."""
MAX_QUEUED_AUDIO_EVENTS = 500
"""Audio events (20 ms each) in the send queue: 10 s. The oldest are dropped, because late speech is useless."""
MAX_QUEUED_EVENTS = 1000
"""Other events in the send queue. More mean that the server no longer reads."""
MAX_EARLY_EVENTS = 100
"""Events kept before the settings are confirmed."""
FIRST_EVENT_TIMEOUT_S = 1.0
"""Seconds to wait for the server's first event, which shows its dialect, before sending the settings."""
UNCONFIRMED_TIMEOUT_S = 0.3
"""Seconds to wait for rejections from a server that did not confirm its settings before."""
SOCKS5_NOT_ALLOWED = 2
"""Reply code of SOCKS5: the rules of the proxy forbid the connection (RFC 1928, 6)."""
BROKEN_CONNECTION = -1
"""Stands for the reply code of a SOCKS proxy that did not reply."""
NOT_TLS_REASONS = frozenset({"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST"})
"""OpenSSL's reasons for a first answer that is not TLS: the port belongs to a server without it."""
CLOSE_TIMEOUT_S = 0.5
"""Seconds for the closing handshake; then the connection is cut."""


class _Connect(connect):
    """websockets' connect without redirects, which would send our key to any host that the response names."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


async def open_socket(endpoint: Endpoint, connect_seconds: float = 10.0) -> ClientConnection:
    """Open a socket to a Realtime server and return it. Raises `ConnectionFailed`.

    Some servers refuse later: OpenAI accepts every socket and reports a wrong key afterwards (`failure_of_error`,
    `failure_of_close`).
    """
    if not all(is_valid_header_value(part) for value in endpoint.headers.values() for part in value.split(" ")):
        raise ConnectionFailed(_for_key_owner(endpoint, Failure.WRONG_KEY))
    if endpoint.observer is not None:
        endpoint.observer.on_connecting()
    proxy = None
    try:
        proxy = proxy_for(endpoint.url)
        socket = await _Connect(
            endpoint.url,
            create_connection=CheckedSocket,
            additional_headers=dict(endpoint.headers),
            compression=None,  # base64 of sound does not compress, and compressing costs latency
            open_timeout=connect_seconds,
            close_timeout=CLOSE_TIMEOUT_S,
            max_size=MAX_MESSAGE_BYTES,
            max_queue=64,
            proxy=proxy,
            ping_interval=20,
            ping_timeout=20,
        )
        if endpoint.observer is not None and isinstance(socket, CheckedSocket):
            endpoint.observer.on_connected(socket)
        return socket
    except InvalidStatus as error:
        status = error.response.status_code
        failure = _for_key_owner(endpoint, failure_of_status(status, error.response.body or b""))
        log.info("upstream: connection refused host=%s status=%d failure=%s", endpoint.host, status, failure.value)
    except ProxySettingError as error:
        failure = Failure.PROXY_REFUSED
        log.warning("upstream: proxy unusable reason=%s", error)
    except ProxyError as error:
        failure = _failure_of_proxy(error)
        log.info("upstream: proxy failed host=%s proxy=%s failure=%s", endpoint.host, address_of(proxy or ""), failure)
    except ssl.SSLCertVerificationError as error:
        failure = Failure.UNTRUSTED_CERTIFICATE  # a retry cannot help, and a key must not go there
        log.info("upstream: certificate not trusted host=%s code=%d", endpoint.host, error.verify_code)
    except ssl.SSLError as error:
        failure = Failure.WRONG_ADDRESS if error.reason in NOT_TLS_REASONS else Failure.UNREACHABLE
        log.info("upstream: no TLS connection host=%s error=%s", endpoint.host, type(error).__name__)
    except (InvalidURI, ValueError) as error:
        failure = Failure.WRONG_ADDRESS
        log.info("upstream: address unusable error=%s", type(error).__name__)
    except (OSError, TimeoutError, InvalidHandshake, EOFError, ConnectionClosed) as error:
        failure = Failure.UNREACHABLE
        log.info(
            "upstream: connection failed host=%s proxy=%s error=%s",
            endpoint.host,
            address_of(proxy or "") or "none",
            type(error).__name__,
        )
    if endpoint.observer is not None and failure is Failure.UNREACHABLE:
        endpoint.observer.on_unreachable()
    raise ConnectionFailed(failure) from None


def _failure_of_proxy(error: ProxyError) -> Failure:
    """Return the failure for a proxy's answer: an HTTP status, or a code of SOCKS in the error's cause.

    A refused login and a proxy of another protocol have no code. SOCKS4 has one code for all causes, a host that does
    not answer included.
    """
    if isinstance(error, InvalidProxyStatus):
        return failure_of_proxy_status(error.response.status_code)
    reply = error.__cause__ and error.__cause__.__cause__
    is_refusal = getattr(reply, "error_code", BROKEN_CONNECTION) in (None, SOCKS5_NOT_ALLOWED)
    return Failure.PROXY_REFUSED if is_refusal else Failure.UNREACHABLE


def _for_key_owner(endpoint: Endpoint, failure: Failure) -> Failure:
    """Return the failure as its reader can act on it: a visitor's own wrong key concerns the visitor."""
    return for_own_key(failure) if endpoint.has_own_key else failure


class RealtimeConnection:
    """One connection, used with `async with`. Entering returns when the server is ready for audio.

    Events are GA in both directions, also with a server that only knows the beta dialect. Settings that the server
    rejects are left out one by one, and remembered in `endpoint.unsupported_fields`.

    Raises `ConnectionFailed` on entering and from `events()`. `send()` never waits and never raises.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        session_update: RawEvent,
        *,
        connect_seconds: float = 10.0,
        ready_seconds: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        """`clock` and `sleep`: for the read rate limit."""
        self._endpoint = endpoint
        self._handshake = Handshake(session_update, endpoint.unsupported_fields, endpoint.host)
        self._private_texts = private_texts_of(session_update)
        """Prompts that the server was sent, and must not be shown again as its own words."""
        self._connect_seconds = connect_seconds
        self._ready_seconds = ready_seconds
        self._clock = clock
        self._sleep = sleep
        self._socket: ClientConnection | None = None
        self._sender: asyncio.Task[None] | None = None
        self._send_queue: deque[tuple[bool, str]] = deque()  # (is audio, JSON text)
        self._queued_audio_events = 0
        self._send_queue_filled = asyncio.Event()
        self._last_error: object = None
        """`error` object of the last error event, until a later response shows that the session goes on."""
        self._received_events: deque[RawEvent] = deque()
        """Events of the last message that `events()` has not yielded yet."""
        self._early_events: deque[RawEvent] = deque()
        self._read_rate_limit = ReadRateLimit(clock())
        self._ignored_messages = 0
        """Messages that are not events."""
        self._has_unsendable_event = False
        """An event that JSON cannot hold was dropped, and logged."""
        self._dropped_audio_events = 0
        """Audio events dropped because the server did not read fast enough."""

    # ---------------------------------------------------------------- opening and closing

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
        """Close the socket within about `CLOSE_TIMEOUT_S`. A second call does nothing."""
        sender, self._sender = self._sender, None
        socket, self._socket = self._socket, None
        if sender is not None:
            sender.cancel()
        if socket is not None:
            if self._dropped_audio_events:
                log.info("upstream: dropped_audio_events=%d", self._dropped_audio_events)
            await socket.close()

    async def _wait_for_first_event(self) -> None:
        """Wait for the first event for `FIRST_EVENT_TIMEOUT_S` at most: it shows the dialect for the settings."""
        with suppress(TimeoutError):
            async with asyncio.timeout(min(FIRST_EVENT_TIMEOUT_S, self._ready_seconds)):
                self._early_events.append(await self._next_event())

    async def _wait_until_ready(self) -> None:
        """Send the settings and wait for `session.updated`. Keep earlier events for `events()`."""
        for event in self._handshake.send_settings():
            self._enqueue(event)
        known = self._endpoint.unsupported_fields
        timeout_s = self._ready_seconds if known.confirms_updates else min(self._ready_seconds, UNCONFIRMED_TIMEOUT_S)
        try:
            async with asyncio.timeout(timeout_s):
                while (
                    self._handshake.phase is HandshakePhase.SETTINGS_SENT and len(self._early_events) < MAX_EARLY_EVENTS
                ):
                    self._early_events.append(await self._next_event())
        except TimeoutError:
            # Several servers never confirm. The connection is open, so the call goes on.
            log.info("upstream: settings unconfirmed host=%s", self._endpoint.host)
            known.confirms_updates = known.confirms_updates and not self._early_events
        self._handshake.proceed_unconfirmed()

    # ---------------------------------------------------------------- receiving

    @property
    def is_silent(self) -> bool:
        """The connection is in use, and the server has not sent any event."""
        return self._handshake.phase is HandshakePhase.IN_USE_SILENT

    async def events(self) -> AsyncIterator[RawEvent]:
        """Yield server events in order, including those before readiness. Ends only by raising `ConnectionFailed`."""
        while self._early_events:
            yield self._early_events.popleft()
        while True:
            yield await self._next_event()

    async def _next_event(self) -> RawEvent:
        """Return the next event in GA, without those that only concern the handshake."""
        while not self._received_events:
            raw = await self._read_event()
            if raw["type"] == "error":
                self._last_error = raw.get("error")
            elif raw["type"] == "response.created":
                self._last_error = None  # the session goes on, so that error is not the reason of a later end
            try:
                events, answers = self._handshake.handle_event(raw)
            except ConnectionFailed as failed:
                raise ConnectionFailed(_for_key_owner(self._endpoint, failed.failure)) from None
            self._received_events.extend(events)
            for answer in answers:
                self._enqueue(answer)
        return self._received_events.popleft()

    async def _read_event(self) -> RawEvent:
        """Return the next event as it was sent. Skip messages that are not JSON objects with a string `type`."""
        while True:
            if self._socket is None:
                raise ConnectionFailed(Failure.LOST)
            try:
                message = await self._socket.recv()
            except ConnectionClosed as closed:
                if self._socket is None:  # closed by this side
                    raise ConnectionFailed(Failure.LOST) from None
                code, reason = (closed.rcvd.code, closed.rcvd.reason) if closed.rcvd else (None, "")
                failure = _for_key_owner(self._endpoint, failure_of_close(code, reason, self._last_error))
                secrets = self._endpoint.secrets
                log.info(
                    "upstream: connection closed host=%s failure=%s code=%s reason=%s",
                    self._endpoint.host,
                    failure,
                    code,
                    loggable_code(reason, secrets.all) if reason else "none",
                )
                quoted = scrub_server_words(reason, secrets, self._private_texts) if failure in QUOTES_SERVER else ""
                raise ConnectionFailed(failure, quoted) from None
            pause_s = self._read_rate_limit.take(len(message), self._clock())
            if pause_s:
                await self._sleep(pause_s)
            with suppress(InvalidJson):
                event = read_object(message, allow_nan=True)
                if isinstance(event.get("type"), str) and has_valid_ids(event):
                    return event
            self._count_ignored()

    def _count_ignored(self) -> None:
        if not self._ignored_messages:
            log.warning("upstream: ignoring non-event messages host=%s", self._endpoint.host)  # once a connection
        self._ignored_messages += 1

    # ---------------------------------------------------------------- sending

    def filter_unsupported(self, update: RawEvent) -> RawEvent:
        """Return another `session.update` without fields that this server is known to reject."""
        return self._handshake.filter_unsupported(update)

    def send(self, event: RawEvent) -> None:
        """Queue an event. Audio is dropped when the queue is full, oldest first; other events are never dropped."""
        for translated in self._handshake.to_wire(event):
            self._enqueue(translated)

    def append_audio(self, audio: str) -> None:
        """Queue 20 ms of audio, as base64. A fast `send()` for the event that comes 50 times a second."""
        self._enqueue_text(f'{{"type":"{AUDIO_APPEND_EVENT}","audio":"{audio}"}}', audio=True)

    def _enqueue(self, event: RawEvent) -> None:
        """Queue an event in the server's dialect. Drop it if JSON cannot hold it: a server may have confirmed a NaN
        that comes back in an update."""
        try:
            text = write_json(event)
        except InvalidJson:
            if not self._has_unsendable_event:
                log.warning("upstream: unsendable event type=%s", loggable_code(event.get("type")))
            self._has_unsendable_event = True
            return
        self._enqueue_text(text, audio=event.get("type") == AUDIO_APPEND_EVENT)

    def _enqueue_text(self, text: str, *, audio: bool) -> None:
        socket = self._socket
        if socket is None or (not self._send_queue and try_send_nowait(socket, text)):
            return
        if audio and self._queued_audio_events >= MAX_QUEUED_AUDIO_EVENTS:
            oldest = next(i for i, (is_audio, _) in enumerate(self._send_queue) if is_audio)
            del self._send_queue[oldest]
            self._queued_audio_events -= 1
            self._dropped_audio_events += 1
        elif len(self._send_queue) - self._queued_audio_events >= MAX_QUEUED_EVENTS:
            log.warning("upstream: send queue full, cutting the connection host=%s", self._endpoint.host)
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
            return  # the reading side raises the failure


def try_send_nowait(socket: ClientConnection, text: str) -> bool:
    """Write a message at once. Return False when the buffer is full or the socket is not open.

    Does the same as `socket.send()` without waking a task, which is half of a message's cost.
    """
    if socket.paused or socket.protocol.state is not State.OPEN:
        return False
    socket.protocol.send_text(text.encode())
    socket.send_data()
    return True
