"""Upstream probe: checks whether the Realtime server accepts TCP connections. Sends no key and no message."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

from websockets.exceptions import InvalidURI
from websockets.uri import get_proxy, parse_uri

from voicechat.protocol.endpoint import Endpoint

CONNECT_TIMEOUT_S = 2.0
"""Seconds for a server to accept a connection. A slower one is too slow for a conversation."""
CACHE_TTL_S = 10.0
"""Seconds for which an answer is reused, so that monitoring /health does not probe at every request."""

TcpProbe = Callable[[str, int], Awaitable[None]]
"""Opens a connection to (host, port). Raises OSError."""


def probe_address(endpoint: Endpoint) -> tuple[str, int] | None:
    """Return the host and port to probe; None behind a proxy, which alone can reach them."""
    try:
        uri = parse_uri(endpoint.url)
        if not endpoint.is_local and get_proxy(uri):
            return None
    except (InvalidURI, ValueError):
        return None
    return uri.host, uri.port


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
        self._lock = asyncio.Lock()

    async def check(self) -> str:
        """Return one sentence why the server cannot be reached; "" when it can, or when that cannot be determined."""
        async with self._lock:  # concurrent requests share one answer
            if self._checked_at is None or self._clock() - self._checked_at >= CACHE_TTL_S:
                self._problem = await self._check_now()
                self._checked_at = self._clock()
            return self._problem

    async def _check_now(self) -> str:
        address = probe_address(self._endpoint)
        if address is None:
            return ""
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                await self._probe_tcp(*address)
        except TimeoutError:
            return f"The Realtime server at {self._endpoint.host} does not answer."
        except (OSError, UnicodeError):
            return f"The Realtime server at {self._endpoint.host} cannot be reached."
        return ""
