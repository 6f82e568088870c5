"""Redis connection: commands, scripts and messages of one replica, behind a circuit breaker.

A call must not notice that Redis is slow, hanging or lost. Each request has a short time limit. After two failures in a
row nothing is asked for `BREAKER_S`: the caller gets `SharedStateUnavailable` at once, and decides with what the
replica knows. A burst of requests and a busy event loop are no failures of Redis: requests wait for a free connection,
and the time limit does not count the lag of the loop.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

import redis.asyncio as redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.commands.core import AsyncScript
from redis.exceptions import OutOfMemoryError, RedisError, ResponseError

from voicechat.config.env_values import SettingsError
from voicechat.logs import error_location

from .lag_tolerant_timeout import lag_tolerant_timeout

log = logging.getLogger(__name__)

T = TypeVar("T")

REQUEST_TIMEOUT_S = 0.5
"""Seconds for Redis to accept a connection and to answer a request, without the lag of this replica's event loop."""
CLIENT_TIMEOUT_S = 10.0
"""Seconds after which the client gives up by itself: its own limits count the lag too."""
MAX_REQUESTS = 16
"""Requests under way at the same time. Others wait for one of them."""
MAX_CONNECTIONS = MAX_REQUESTS + 4
"""Connections: those of the requests, one for messages, and some that are being closed."""
KEEPALIVE_OPTIONS = {
    getattr(socket, name): value
    for name, value in (("TCP_KEEPIDLE", 5), ("TCP_KEEPINTVL", 2), ("TCP_KEEPCNT", 3))
    if hasattr(socket, name)
}
"""Where the system has them: the connection of the messages, which only listens, notices a cut network after 11 s."""
FAILURES_TO_OPEN = 2
"""Failures in a row after which the circuit breaker opens: one may be a connection that Redis has closed."""
BREAKER_S = 2.0
"""Seconds in which the open breaker lets no request through. The next failure opens it again."""
PING_INTERVAL_S = 1.0
"""Seconds between two checks of whether Redis answers."""
UNKNOWN_RUN = "unknown"
"""Run of a server that does not name it."""
WARNING_INTERVAL_S = 60.0
"""Seconds between two warnings of an unreachable Redis, and of a full one."""

Argument = str | bytes | int | float
Listener = Callable[[bytes], None]
"""Receives the messages of a channel, in the event loop. It must not raise."""


async def cancel_tasks(*tasks: asyncio.Task[None]) -> None:
    """Cancel tasks that use the client, and wait for their ends.

    Once may not do: `wait_for` of Python 3.11, which the client uses, can lose a cancellation.
    """
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=REQUEST_TIMEOUT_S)


class SharedStateUnavailable(Exception):
    """Redis did not answer in time, or did not answer a moment ago."""


class SharedStateFull(SharedStateUnavailable):
    """Redis has no memory left, and has changed nothing. It still answers, reads and erases."""


class RedisConnection:
    """Connection of one replica to Redis. For one event loop."""

    def __init__(
        self, client: redis.Redis, prefix: str = "voice", *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`client`: answers with bytes. `prefix`: common to all keys of one deployment."""
        self._client = client
        self._prefix = prefix
        self._clock = clock
        self._slots = asyncio.Semaphore(MAX_REQUESTS)
        self._failures = 0
        """Failures since the newest answer."""
        self._noted_failures = 0
        """All failures so far, those at the same time counted once."""
        self._open_until = -BREAKER_S
        """Time until which the breaker lets no request through."""
        self._warned_at = self._warned_full_at = -WARNING_INTERVAL_S
        self._scripts: dict[str, AsyncScript] = {}
        self._listeners: dict[str, list[Listener]] = {}
        self._on_return: list[Callable[[], None]] = []
        self._server_run = ""
        """Id of the run of the Redis server that was asked last; "" before it was asked."""
        self._is_check_due, self._is_checking = True, False
        """The run is to be compared after the next answer: a request has failed, or it was never asked."""
        self._was_lost = False
        """The breaker was open, and the return of Redis is still to be announced."""
        self.is_reachable = True
        """Redis has answered since the breaker was last opened."""

    @classmethod
    def open(cls, url: str, prefix: str) -> RedisConnection:
        """Return a connection to this address. Nothing is sent yet. The client's own retries are off.

        Raises `SettingsError` for an address with options that the client does not have.
        """
        is_local = url.startswith("unix:")  # its sockets have no network to be cut off from
        keepalive: dict[str, Any] = {"socket_keepalive": True, "socket_keepalive_options": KEEPALIVE_OPTIONS}
        client = redis.Redis.from_url(
            url,
            retry=Retry(NoBackoff(), 0),
            socket_timeout=CLIENT_TIMEOUT_S,
            socket_connect_timeout=CLIENT_TIMEOUT_S,
            max_connections=MAX_CONNECTIONS,
            protocol=2,
            **({} if is_local else keepalive),
        )
        try:
            client.connection_pool.make_connection()  # type: ignore[no-untyped-call]
        except (TypeError, ValueError):
            raise SettingsError("REDIS_URL has an option that the Redis client does not know.") from None
        return cls(client, prefix)

    def key(self, *parts: str) -> str:
        """Return a key. All keys have the same hash slot, so that scripts also work in a cluster."""
        return ":".join((f"{{{self._prefix}}}", *parts))

    # ---------------------------------------------------------------- requests

    async def run_script(self, source: str, keys: Sequence[str], arguments: Sequence[Argument]) -> Any:
        """Run a Lua script and return its result. Raises `SharedStateUnavailable`."""
        script = self._scripts.get(source)
        if script is None:
            script = self._scripts[source] = self._client.register_script(source)
        return await self.request(lambda _: script(keys=list(keys), args=list(arguments)))

    async def request(self, ask: Callable[[redis.Redis], Awaitable[T]]) -> T:
        """Return what `ask` gets from the client. Raises `SharedStateUnavailable`; `SharedStateFull` closes nothing."""
        self._raise_if_open()
        async with self._slots:
            self._raise_if_open()
            full, failures_before = False, self._noted_failures
            try:
                async with lag_tolerant_timeout(REQUEST_TIMEOUT_S):
                    result = await ask(self._client)
            except OutOfMemoryError:
                full = True
            except (RedisError, OSError, TimeoutError) as error:
                if failures_before == self._noted_failures:  # else it hung at the same time as one that has failed
                    self._note_failure(error)
                raise SharedStateUnavailable from None
        await self._note_success()
        if full:
            self._warn_full()
            raise SharedStateFull
        return result

    def _raise_if_open(self) -> None:
        if self._clock() < self._open_until:
            raise SharedStateUnavailable

    def _note_failure(self, error: Exception) -> None:
        now = self._clock()
        self._failures += 1
        self._noted_failures += 1
        self._is_check_due = True
        if self._failures >= FAILURES_TO_OPEN:
            self.is_reachable, self._was_lost = False, True
            self._open_until = now + BREAKER_S
        if now - self._warned_at >= WARNING_INTERVAL_S:
            self._warned_at = now
            log.warning("shared state: redis does not answer error=%s", error_location(error))

    def _warn_full(self) -> None:
        now = self._clock()
        if now - self._warned_full_at >= WARNING_INTERVAL_S:
            self._warned_full_at = now
            log.warning("shared state: redis is full")

    async def _note_success(self) -> None:
        self._failures, self._open_until, self.is_reachable = 0, -BREAKER_S, True
        if not self._is_check_due or self._is_checking:
            return
        self._is_checking = True
        try:
            await self._check_server()
        finally:
            self._is_checking = False

    async def _check_server(self) -> None:
        """Announce the return of Redis. A restart may take less time than two failures: then only its run tells."""
        run = await self._read_server_run()
        if run is None:
            return  # it is asked again after the next answer
        is_restarted = bool(self._server_run) and (run == UNKNOWN_RUN or run != self._server_run)
        is_returned, self._server_run = self._was_lost or is_restarted, run
        self._is_check_due = self._was_lost = False
        if is_returned:
            log.info("shared state: redis answers again")
            for on_return in self._on_return:
                on_return()

    async def _read_server_run(self) -> str | None:
        """Return the id of the server's run, which changes with each start; None without an answer."""
        try:
            async with lag_tolerant_timeout(REQUEST_TIMEOUT_S):
                answer = await self._client.info("server")
        except ResponseError:  # an account without the right to ask
            return UNKNOWN_RUN
        except (RedisError, OSError, TimeoutError) as error:
            self._note_failure(error)
            return None
        return str(answer.get("run_id") or UNKNOWN_RUN)

    def on_return(self, callback: Callable[[], None]) -> None:
        """Call `callback` when Redis answers again, or has been restarted: it may be empty. It must not raise."""
        self._on_return.append(callback)

    # ---------------------------------------------------------------- messages

    def subscribe(self, channel: str, listener: Listener) -> None:
        """Hand all messages of a channel, a `key()`, to `listener`. Call it before `run_in_background`.

        Messages may be lost while Redis does not answer.
        """
        self._listeners.setdefault(channel, []).append(listener)

    @asynccontextmanager
    async def run_in_background(self) -> AsyncIterator[None]:
        """Receive messages, and check whether Redis answers, in this event loop. On exit, close the connection."""
        tasks = [
            asyncio.create_task(self._run(self._ping), name="redis ping"),
            asyncio.create_task(self._run(self._receive), name="redis messages"),
        ]
        try:
            yield
        finally:
            await cancel_tasks(*tasks)
            with suppress(RedisError, OSError, TimeoutError):
                async with asyncio.timeout(REQUEST_TIMEOUT_S):
                    await self._client.aclose()

    async def _run(self, step: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await step()
            except SharedStateUnavailable:
                pass
            except Exception as error:  # a fault of the client must not end the checks
                self._note_failure(error)
            await asyncio.sleep(PING_INTERVAL_S)

    async def _ping(self) -> None:
        await self.request(lambda client: client.ping())

    async def _receive(self) -> None:
        """Receive messages until the connection is lost."""
        if not self._listeners:
            return
        try:
            async with self._client.pubsub(ignore_subscribe_messages=True) as messages:
                await messages.subscribe(*self._listeners)
                while True:
                    message = await messages.get_message(timeout=PING_INTERVAL_S)
                    if message is not None:
                        for listener in self._listeners.get(message["channel"].decode(), ()):
                            listener(message["data"])
        except (RedisError, OSError, TimeoutError) as error:
            self._note_failure(error)
            raise SharedStateUnavailable from None
