"""Offline pool: embedded servers by address (OFFLINE_URL), which someone else starts, restarts and stops.

Each server is asked for its `/health` every second, in a task of its own. A session goes to the server with the most
free sessions. Between two answers the pool counts the connections that this app has begun. A server that refuses a
connection counts as unreachable until its next answer.

A server that is frozen, or whose computer has lost power, ends no connection by itself. So after two checks in a row
without an answer, each running connection is asked as well, and those without an answer are cut: 8 to 9 s after the
last sign of life. Their sessions reconnect, and find another server. Each connection is asked because an address may be
that of a load balancer, and because a server that is only slow may answer there.

All methods belong to the event loop's thread.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from urllib.parse import urlsplit, urlunsplit
from weakref import WeakSet

import httpx

from network.proxies import ProxySettingError, proxy_for
from voicechat.protocol.endpoint import ObservedConnection, auth_headers
from voicechat.server.embedded_server import EmbeddedAddress, EmbeddedServerPhase
from voicechat.upstream.model_news import EmbeddedPart, ModelNews

from .choice import ServerLoad, choose_server
from .report import UNCHECKED, EmbeddedReport, parse_report, summarize, unreachable

log = logging.getLogger(__name__)

REALTIME_PATH = "/v1/realtime"
"""End of a server's address; its `/health` has the same beginning."""
CHECK_INTERVAL_S = 1.0
"""Seconds between two checks of one server."""
CHECK_TIMEOUT_S = 2.0
"""Seconds for one answer. A server computes for its sessions, and may be late."""
CHECKS_UNTIL_SILENT = 2
"""Checks in a row without an answer after which the running connections are asked. A server whose answers are late
counts as unreachable from then on, one that refuses a connection at once."""
PENDING_S = 1.0
"""Seconds from the begin of a connection until the server certainly counts it."""
MAX_PENDING = 1000
"""Begun connections of one server that are remembered."""


def health_url(url: str) -> str:
    """Return the address of `/health` beside the WebSocket address of an embedded server."""
    parts = urlsplit(url)
    scheme = "https" if parts.scheme == "wss" else "http"
    return urlunsplit((scheme, parts.netloc, parts.path.removesuffix(REALTIME_PATH) + "/health", "", ""))


class PooledServer:
    """One server of the pool: its last report, and the connections that were begun since. `clock` returns seconds."""

    def __init__(self, url: str, key: str, clock: Callable[[], float], on_change: Callable[[], None]) -> None:
        self.url = url
        self.host = urlsplit(url).netloc
        self.report = UNCHECKED
        self._health_url = health_url(url)
        self._headers = auth_headers(url, key)
        self._clock = clock
        self._on_change = on_change
        self._pending: deque[float] = deque(maxlen=MAX_PENDING)
        self._failed_checks = 0
        self._connections: WeakSet[ObservedConnection] = WeakSet()

    @property
    def load(self) -> ServerLoad | None:
        """Its sessions; None unless it is ready."""
        if self.report.phase is not EmbeddedServerPhase.READY:
            return None
        return ServerLoad(self.report.capacity, self.report.sessions, len(self._pending))

    def on_connecting(self) -> None:
        """Count a connection that begins."""
        self._pending.append(self._clock())

    def on_connected(self, connection: ObservedConnection) -> None:
        """Keep the connection while it exists, to ask it when the server does not answer."""
        self._connections.add(connection)

    def on_unreachable(self) -> None:
        """Send no further session there until it answers again."""
        self._set_report(unreachable(self.host))

    def open_client(self) -> httpx.AsyncClient:
        """Return a client for the checks. It is made once, because TLS settings take long to load.

        Raises `ProxySettingError`.
        """
        is_tls = self._health_url.startswith("https")
        transport = httpx.AsyncHTTPTransport(verify=is_tls, proxy=proxy_for(self._health_url))
        return httpx.AsyncClient(transport=transport, timeout=CHECK_TIMEOUT_S, headers=self._headers)

    async def check(self, client: httpx.AsyncClient) -> bool:
        """Ask the server for its state. Return whether the answer was late. Never raises for what a server answers."""
        started_at = self._clock()
        try:
            async with asyncio.timeout(CHECK_TIMEOUT_S):
                report = await self._fetch_report(client)
        except (TimeoutError, httpx.TimeoutException):
            await self._on_failed_check(is_late=True)
            return True
        except (httpx.HTTPError, httpx.InvalidURL):
            await self._on_failed_check(is_late=False)
            return False
        self._failed_checks = 0
        while self._pending and self._pending[0] <= started_at - PENDING_S:
            self._pending.popleft()
        self._set_report(report)
        return False

    async def _on_failed_check(self, *, is_late: bool) -> None:
        """Count the check, and ask the running connections when it is not the first in a row."""
        self._failed_checks += 1
        is_silent = self._failed_checks >= CHECKS_UNTIL_SILENT
        if is_silent or not is_late:
            self._set_report(unreachable(self.host))
        if is_silent:
            await asyncio.gather(*(connection.abort_if_silent() for connection in list(self._connections)))

    async def _fetch_report(self, client: httpx.AsyncClient) -> EmbeddedReport:
        response = await client.get(self._health_url)
        health: object = None
        with suppress(ValueError, RecursionError):  # no JSON: another kind of server
            health = response.json()
        return parse_report(self.host, response.status_code, health)

    def _set_report(self, report: EmbeddedReport) -> None:
        former, self.report = self.report, report
        if report.phase is not former.phase:
            level = logging.INFO if report.phase is EmbeddedServerPhase.READY else logging.WARNING
            log.log(level, "offline pool: server host=%s phase=%s detail=%s", self.host, report.phase, report.detail)
        if report != former:
            self._on_change()


class OfflinePool:
    """Embedded servers at `urls`, which all take the same `key` ("" for none). Implements `EmbeddedBackend`."""

    def __init__(
        self,
        urls: Sequence[str],
        key: str = "",
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        """`clock` returns seconds. `sleep`: between two checks of one server."""
        self._key = key
        self._sleep = sleep
        self._servers = [PooledServer(url, key, clock, self._update) for url in urls]
        self._summary = summarize([server.report for server in self._servers])
        self._on_capacity: Callable[[], None] = lambda: None

    # ---------------------------------------------------------------- state

    @property
    def phase(self) -> EmbeddedServerPhase:
        return self._summary.phase

    @property
    def detail(self) -> str:
        return self._summary.detail

    @property
    def capacity(self) -> int:
        """Sessions of all servers that are ready; 0 while none is."""
        return self._summary.capacity

    @property
    def languages(self) -> tuple[str, ...]:
        return self._summary.languages

    @property
    def voices(self) -> tuple[str, ...]:
        return self._summary.voices

    @property
    def model(self) -> str:
        return self._summary.model

    @property
    def news(self) -> tuple[ModelNews, ...]:
        return self._summary.news

    @property
    def fallbacks(self) -> frozenset[EmbeddedPart]:
        return self._summary.fallbacks

    def find_address(self) -> EmbeddedAddress | None:
        """Return the server with the most free sessions; None while none is ready."""
        index = choose_server([server.load for server in self._servers])
        if index is None:
            return None
        server = self._servers[index]
        return EmbeddedAddress(server.url, self._key, server)

    # ---------------------------------------------------------------- life

    def start(self) -> None:
        """Start nothing: the servers are started by someone else."""

    def stop(self) -> None:
        """Stop nothing: the servers belong to someone else."""

    @asynccontextmanager
    async def run_in_background(self, on_capacity: Callable[[], None]) -> AsyncIterator[None]:
        """Check the servers while the context lasts. Call `on_capacity` after each change of `capacity`."""
        self._on_capacity = on_capacity
        checks = [asyncio.create_task(self._watch(server)) for server in self._servers]
        try:
            yield
        finally:
            for check in checks:
                check.cancel()
            await asyncio.gather(*checks, return_exceptions=True)
            self._on_capacity = lambda: None

    async def _watch(self, server: PooledServer) -> None:
        async with AsyncExitStack() as stack:
            try:
                client = await stack.enter_async_context(server.open_client())
            except ProxySettingError as error:
                log.warning("offline pool: proxy unusable host=%s reason=%s", server.host, error)
                server.on_unreachable()
                return
            while True:
                if not await server.check(client):
                    await self._sleep(CHECK_INTERVAL_S)

    def _update(self) -> None:
        """Take a changed report into the summary."""
        former, self._summary = self._summary, summarize([server.report for server in self._servers])
        if self._summary.capacity != former.capacity:
            self._on_capacity()
