"""Upstream probe: checks whether the Realtime server, or the proxy before it, accepts TCP connections.

An answer is always at once: the last result, while a probe that takes longer renews it in the background. A load
balancer takes a replica whose /health is late for a dead one, and ends its calls.

It sends no key and no message. Whether a proxy reaches the server is known only from a connection.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

from network.proxies import ProxySettingError, proxy_for
from voicechat.protocol.endpoint import Endpoint

CONNECT_TIMEOUT_S = 2.0
"""Seconds for a server to accept a connection. A slower one is too slow for a conversation."""
ANSWER_WAIT_S = 0.2
"""Seconds that an answer waits for a probe. A server that is near, or refuses, has answered by then."""
CACHE_TTL_S = 10.0
"""Seconds for which an answer is reused, so that monitoring /health does not probe at every request."""

TcpProbe = Callable[[str, int], Awaitable[None]]
"""Opens a connection to (host, port). Raises OSError."""


@dataclass(frozen=True, slots=True)
class ProbeTarget:
    """What the app connects to first."""

    name: str
    """Subject of a sentence, such as "The Realtime server at voice.example"."""
    host: str
    port: int


def probe_target(endpoint: Endpoint) -> ProbeTarget | None:
    """Return the proxy of an endpoint, or its server without one; None for an address without a host.

    Raises `ProxySettingError`.
    """
    try:
        server = urlsplit(endpoint.url)
        proxy = urlsplit(proxy_for(endpoint.url) or "")
        if proxy.hostname and proxy.port:
            return ProbeTarget(f"The proxy at {proxy.hostname} port {proxy.port}", proxy.hostname, proxy.port)
        if not server.hostname:
            return None
        port = server.port or (443 if server.scheme == "wss" else 80)
        return ProbeTarget(f"The Realtime server at {server.hostname}", server.hostname, port)
    except ProxySettingError:
        raise
    except ValueError:
        return None


async def probe_tcp(host: str, port: int) -> None:
    """Open a TCP connection and close it. Raises OSError."""
    _, writer = await asyncio.open_connection(host, port)
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()


class UpstreamProbe:
    """Checks whether an endpoint's server can be reached, and keeps the answer for `CACHE_TTL_S`."""

    def __init__(
        self, endpoint: Endpoint, *, probe_tcp: TcpProbe = probe_tcp, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._endpoint = endpoint
        self._probe_tcp = probe_tcp
        self._clock = clock
        self._checked_at: float | None = None
        self._problem = ""
        self._running: asyncio.Task[None] | None = None
        """Probe under way, which concurrent requests share."""

    async def check(self) -> str:
        """Return one sentence why the server cannot be reached; "" when it can, or when that is not known (yet)."""
        if self._running is None and (self._checked_at is None or self._clock() - self._checked_at >= CACHE_TTL_S):
            self._running = asyncio.create_task(self._renew())
        if self._running is not None:
            await asyncio.wait([self._running], timeout=ANSWER_WAIT_S)
        return self._problem

    async def _renew(self) -> None:
        try:
            self._problem = await self._check_now()
            self._checked_at = self._clock()
        finally:
            self._running = None

    async def _check_now(self) -> str:
        try:
            target = probe_target(self._endpoint)
        except ProxySettingError as error:
            return str(error)
        if target is None:
            return ""
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                await self._probe_tcp(target.host, target.port)
        except TimeoutError:
            return f"{target.name} does not answer."
        except (OSError, UnicodeError):
            return f"{target.name} cannot be reached."
        return ""
