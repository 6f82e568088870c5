"""Server: `/v1/realtime` for sessions over WebSocket, `/health` for monitoring."""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import json
import logging
import random
import time
import traceback
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from enum import Enum
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from offline.protocol.json_codec import write_json
from offline.protocol.outputs import CloseConnection, IdGenerator, Outbox, Output, ProtocolError, SendEvent, SubmitWork
from offline.protocol.worker_messages import SessionWorker, WorkerPool, WorkResult
from offline.session.session import Session
from offline.stt.turn_detection import VadModel, create_silero_vad

from .settings import DEFAULT_SESSIONS
from .websocket_log import create_logger

LOGGER = logging.getLogger(__name__)

REALTIME_PATH = "/v1/realtime"
MAX_MESSAGE_BYTES = 24 * 2**20
"""Bytes of a client event: 15 MiB of audio as base64, and other fields."""
BACKPRESSURE_BYTES = 4 * 2**20
"""Bytes of unsent output above which the server stops reading from the client."""
MAX_UNSENT_BYTES = 64 * 2**20
"""Bytes of unsent output above which the client is disconnected."""
PING_INTERVAL_S = 20
"""Seconds between two WebSocket pings."""
PING_TIMEOUT_S = 60
"""Seconds without a pong before a client is disconnected."""
OPEN_TIMEOUT_S = 10
"""Seconds for the opening handshake."""
CLOSE_TIMEOUT_S = 5
"""Seconds for the closing handshake."""


class ModelStatus(Enum):
    """State of the models."""

    LOADING = "loading"
    OK = "ok"
    FAILED = "failed"


class ConnectionState(Enum):
    """State of one connection."""

    OPEN = "open"
    CLOSING = "ending"
    """The close is queued after other output, or the client was disconnected."""
    CLOSED = "over"


class RealtimeServer:
    """Server with one set of models for all connections."""

    def __init__(
        self,
        *,
        capacity: int = DEFAULT_SESSIONS,
        key: str = "",
        vad_factory: Callable[[], VadModel] = create_silero_vad,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`capacity` is the number of sessions at a time. `vad_factory` creates the voice activity detector of each.

        Every request needs `key` as a bearer token, unless it is "".
        """
        self.capacity = capacity
        self._authorization = f"Bearer {key}" if key else ""
        self.status = ModelStatus.LOADING
        self.detail = "The models are being loaded."
        self.upgrade = ""
        """One sentence on better models; "" without news."""
        self.news: list[dict[str, Any]] = []
        """The same as values: `upgrade_news.UpgradeNews.to_json`."""
        self.languages: tuple[str, ...] = ()
        self._workers: WorkerPool | None = None
        self._vad_factory = vad_factory
        self._clock = clock
        self._connections: set[ServerConnection] = set()

    @property
    def model(self) -> str:
        """Name of the language model of the next session; "" before the models are loaded."""
        return self._workers.model if self._workers is not None else ""

    def mark_ready(self, workers: WorkerPool, languages: Sequence[str], detail: str = "") -> None:
        """Accept sessions from now on. `detail` is one sentence on what does not work; "" when all does."""
        self._workers, self.languages = workers, tuple(languages)
        self.status, self.detail = ModelStatus.OK, detail

    async def close(self) -> None:
        """Close the models and the connections of their endpoints, after the last session."""
        if self._workers is not None:
            await self._workers.close()

    def set_progress(self, detail: str) -> None:
        """Set the `detail` of `/health` while the models load: one sentence."""
        if self.status is ModelStatus.LOADING:
            self.detail = detail

    def mark_failed(self, detail: str) -> None:
        """Report that the models cannot be loaded. `detail` is one sentence."""
        self.status, self.detail = ModelStatus.FAILED, detail

    @asynccontextmanager
    async def listen(self, host: str, port: int) -> AsyncIterator[Server]:
        """Listen while the context lasts. Port 0 takes a free one. Raises `OSError`."""
        async with serve(
            self._handle_connection,
            host,
            port,
            process_request=self._handle_http,
            select_subprotocol=select_subprotocol,
            compression=None,
            open_timeout=OPEN_TIMEOUT_S,
            close_timeout=CLOSE_TIMEOUT_S,
            ping_interval=PING_INTERVAL_S,
            ping_timeout=PING_TIMEOUT_S,
            max_size=MAX_MESSAGE_BYTES,
            max_queue=8,
            logger=create_logger(),
        ) as server:
            yield server

    # ------------------------------------------------------------------ HTTP

    def health(self) -> dict[str, Any]:
        """Return the JSON of `/health`."""
        return {
            "status": self.status.value,
            "model": self.model,
            "sessions": len(self._connections),
            "capacity": self.capacity,
            "languages": list(self.languages),
            "detail": self.detail,
            "upgrade": self.upgrade,
            "news": self.news,
            "voices": list(self._workers.speakers) if self._workers is not None else [],
            "endpoint_faults": dict(self._workers.faults) if self._workers is not None else {},
        }

    def _handle_http(self, connection: ServerConnection, request: Request) -> Response | None:
        if not self._is_authorized(request):
            return _http_response(HTTPStatus.UNAUTHORIZED, "This server belongs to one program, which has its key.\n")
        path = urlsplit(request.path).path
        if path == "/health":
            status = HTTPStatus.OK if self.status is ModelStatus.OK else HTTPStatus.SERVICE_UNAVAILABLE
            return _http_response(status, json.dumps(self.health(), ensure_ascii=False), "application/json")
        if path != REALTIME_PATH:
            return _http_response(HTTPStatus.NOT_FOUND, f"Not found. The Realtime server is at {REALTIME_PATH}.\n")
        if not all(is_local_page(origin) for origin in request.headers.get_all("Origin")):
            return _http_response(
                HTTPStatus.FORBIDDEN, "Web pages that do not come from this computer may not use this server.\n"
            )
        if self.status is not ModelStatus.OK:
            return _http_response(HTTPStatus.SERVICE_UNAVAILABLE, f"{self.detail}\n")
        return None

    def _is_authorized(self, request: Request) -> bool:
        given = request.headers.get_all("Authorization")
        return not self._authorization or any(
            hmac.compare_digest(value.encode(errors="surrogateescape"), self._authorization.encode()) for value in given
        )

    # ------------------------------------------------------------------ sessions

    async def _handle_connection(self, connection: ServerConnection) -> None:
        rejection = self._admission_error(connection)
        if rejection is not None:
            await _reject_connection(connection, *rejection)
            return
        self._connections.add(connection)
        try:
            await self._run_session(connection)
        finally:
            self._connections.discard(connection)

    def _admission_error(self, connection: ServerConnection) -> tuple[ProtocolError, str, int, str] | None:
        request = connection.request
        if request is not None and "realtime=v1" in request.headers.get("OpenAI-Beta", ""):
            code = "beta_api_shape_disabled"
            message = "This server speaks the GA Realtime API only: leave out the 'OpenAI-Beta' header."
            return ProtocolError(code, message), "invalid_request_error", 4000, f"invalid_request_error.{code}"
        if len(self._connections) >= self.capacity:
            code = "session_limit_reached"
            message = f"This server holds {self.capacity} conversations at a time and all are taken. Try again later."
            return ProtocolError(code, message), code, 1008, code
        return None

    async def _run_session(self, connection: ServerConnection) -> None:
        assert self._workers is not None and connection.request is not None
        model = parse_qs(urlsplit(connection.request.path).query).get("model", [""])[0][:128]
        session = Session(
            model=model or self.model,
            ids=IdGenerator(random.SystemRandom()),
            vad=self._vad_factory(),
            now=self._clock(),
            unix_time=time.time(),
            model_is_fixed=bool(model),
            sees_images=lambda: self._workers is not None and self._workers.sees_images,
        )
        await SessionConnection(connection, session, self._workers, self._clock).run()


class SessionConnection:
    """Connection of one client: passes values between socket, session and worker."""

    def __init__(
        self, connection: ServerConnection, session: Session, workers: WorkerPool, clock: Callable[[], float]
    ) -> None:
        self._connection = connection
        self._session = session
        self._clock = clock
        self._unsent: deque[str | CloseConnection] = deque()
        self._unsent_bytes = 0
        self._state = ConnectionState.OPEN
        self._has_unsent = asyncio.Event()
        self._may_read = asyncio.Event()
        self._may_read.set()
        self.timer: asyncio.TimerHandle | None = None
        """Timer of the session's next deadline; None after the end of the connection."""
        self._worker: SessionWorker = workers.open(self._handle_result)

    async def run(self) -> None:
        """Run the session until the connection closes."""
        writer = asyncio.create_task(self._write_loop())
        try:
            self._step(self._session.start)
            await self._read_loop()
        except ConnectionClosed:
            pass
        finally:
            # A closed connection advances no more: late results are dropped, and no timer is set.
            self._state = ConnectionState.CLOSED
            self._set_timer(None)
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)
            await self._worker.close()

    async def _read_loop(self) -> None:
        async for message in self._connection:
            self._step(lambda message=message: self._handle_message(message))  # type: ignore[misc]
            await asyncio.sleep(0)  # other sessions run after at most one second of audio
            while self._state is ConnectionState.OPEN and self._session.has_pending_audio:
                self._step(lambda: self._session.process_pending_audio(self._clock()))
                await asyncio.sleep(0)
            await self._may_read.wait()

    def _handle_message(self, message: str | bytes) -> list[Output]:
        now = self._clock()
        if isinstance(message, bytes):
            return self._session.handle_binary(now)
        return self._session.handle_text(message, now)

    def _handle_result(self, result: WorkResult) -> None:
        self._step(lambda: self._session.handle_result(result, self._clock()))

    def _step(self, advance: Callable[[], list[Output]]) -> None:
        """Advance the session and execute its outputs. A failure ends this connection only."""
        if self._state is not ConnectionState.OPEN:
            return
        try:
            outputs = advance()
        except Exception as error:
            LOGGER.error("session: failed error=%s", error_location(error))
            outbox = self._session.outbox
            outbox.drain()
            failure = ProtocolError("server_error", "The server failed and has to end this session.")
            outbox.send_error(failure, kind="server_error")
            outbox.close(1011, "server_error")
            outputs = outbox.drain()
        for output in outputs:
            if isinstance(output, SubmitWork):
                self._worker.submit(output.work)
            else:
                self._enqueue(write_json(output.event) if isinstance(output, SendEvent) else output)
        self._set_timer(self._session.next_deadline() if self._state is ConnectionState.OPEN else None)

    def _set_timer(self, deadline: float | None) -> None:
        if self.timer:
            self.timer.cancel()
            self.timer = None
        if deadline is not None:
            delay = max(0.0, deadline - self._clock())
            self.timer = asyncio.get_running_loop().call_later(delay, self._tick)

    def _tick(self) -> None:
        self._step(lambda: self._session.tick(self._clock()))

    def _enqueue(self, output: str | CloseConnection) -> None:
        if self._state is not ConnectionState.OPEN:
            return
        if isinstance(output, CloseConnection):
            self._state = ConnectionState.CLOSING
        else:
            self._unsent_bytes += len(output)
            if self._unsent_bytes > MAX_UNSENT_BYTES:
                LOGGER.warning("session: ending because the client does not read unsent_bytes=%d", self._unsent_bytes)
                self._state = ConnectionState.CLOSING
                self._unsent.clear()
                self._connection.transport.abort()  # a close frame would wait behind the unread output
                return
        self._unsent.append(output)
        self._has_unsent.set()
        if self._unsent_bytes > BACKPRESSURE_BYTES:
            self._may_read.clear()

    async def _write_loop(self) -> None:
        try:
            while True:
                await self._has_unsent.wait()
                self._has_unsent.clear()
                while self._unsent:
                    output = self._unsent.popleft()
                    if isinstance(output, CloseConnection):
                        self._may_read.set()
                        await self._connection.close(output.code, output.reason)
                        return
                    await self._connection.send(output)
                    self._unsent_bytes -= len(output)
                    if self._unsent_bytes <= BACKPRESSURE_BYTES:
                        self._may_read.set()
        except ConnectionClosed:
            self._may_read.set()


def select_subprotocol(connection: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    """Accept "realtime" if offered. Other subprotocols, such as a browser's key, are ignored."""
    return next((name for name in offered if name == "realtime"), None)


def error_location(error: BaseException) -> str:
    """Return the type of an error and where it was raised, without its message, which may quote a conversation."""
    frames = traceback.extract_tb(error.__traceback__)
    calls = " < ".join(f"{frame.name}:{frame.lineno}" for frame in reversed(frames[-5:]))
    return f"{type(error).__name__} in {calls}"


def is_local_page(origin: str) -> bool:
    """Return whether a page of this origin was served by this computer.

    Any other open page could also connect to this server and occupy it. Programs send no origin.
    """
    try:
        host = urlsplit(origin).hostname or ""
    except ValueError:
        return False
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _http_response(status: HTTPStatus, body: str, kind: str = "text/plain; charset=utf-8") -> Response:
    data = body.encode()
    headers = Headers({"Content-Type": kind, "Content-Length": str(len(data)), "Connection": "close"})
    if status is HTTPStatus.SERVICE_UNAVAILABLE:
        headers["Retry-After"] = "2"
    return Response(status.value, status.phrase, headers, data)


async def _reject_connection(
    connection: ServerConnection, error: ProtocolError, kind: str, code: int, reason: str
) -> None:
    outbox = Outbox(IdGenerator(random.SystemRandom()))
    outbox.send_error(error, kind=kind)
    with suppress(ConnectionClosed):
        for output in outbox.drain():
            if isinstance(output, SendEvent):
                await connection.send(write_json(output.event))
        await connection.close(code, reason)
