"""Client socket that can be asked whether its server still answers.

websockets' own keepalive notices a server that is frozen only after 20 to 40 s, and must: over the internet a pong may
be late. Here the caller knows already that the server does not answer elsewhere.
"""

from __future__ import annotations

import asyncio
import logging

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

log = logging.getLogger(__name__)

PONG_TIMEOUT_S = 4.0
"""Seconds for a server to answer a ping, when it answers nothing else. On a full computer a busy server was seen to
stand still for five seconds; it counts as lost after eight."""


class CheckedSocket(ClientConnection):
    """Socket of a connection to a Realtime server. Implements `ObservedConnection`."""

    async def abort_if_silent(self) -> None:
        """Cut the connection unless the server answers a ping in `PONG_TIMEOUT_S`. Never raises."""
        try:
            async with asyncio.timeout(PONG_TIMEOUT_S):
                await (await self.ping())
        except TimeoutError:
            log.warning("upstream: no answer, cutting the connection")
            self.transport.abort()
        except ConnectionClosed:
            return
