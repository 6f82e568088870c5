"""Whether the browser's UDP packets reach this server: the network part of the page's sound check.

A call is tried as it would be (ICE and DTLS, the same servers to help), but without sound: the page opens a data
channel, and either it opens or it does not. No Realtime session, and no place in the line of calls.
"""

from __future__ import annotations

import asyncio
import json
import logging
from contextlib import suppress
from typing import Any

from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from fastapi import APIRouter
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from voicechat.logs import silence_hangup_errors
from voicechat.security.route_access import RouteAccess, RouteRule

from .ice_servers import RtcConfigurationProvider

log = logging.getLogger(__name__)

PATH = "/udp-check"
ROUTE_RULES = tuple(RouteRule(method, PATH, RouteAccess.ASSET) for method in ("GET", "POST"))
MAX_CONCURRENT_CHECKS = 8
"""Checks at the same time; each holds a UDP port per network interface."""
CHECK_TIMEOUT_S = 8.0
"""A check that is not closed by the page ends by itself; the page waits three seconds."""
ANSWER_TIMEOUT_S = 3.0
"""To make the answer: gathering this computer's own addresses."""
MAX_OFFER_BYTES = 32_000
"""Bytes of a request; an offer with a dozen candidates has 3,000."""


class UdpCheck:
    """Owner of the checks that are running."""

    def __init__(
        self,
        rtc_configuration: RtcConfigurationProvider | None,
        *,
        max_concurrent: int = MAX_CONCURRENT_CHECKS,
        timeout_s: float = CHECK_TIMEOUT_S,
    ):
        self._rtc_configuration = rtc_configuration
        self._max_concurrent = max_concurrent
        self._timeout_s = timeout_s
        self._running: set[asyncio.Task[None]] = set()

    @property
    def running_count(self) -> int:
        """Places taken."""
        return len(self._running)

    async def wait_idle(self) -> None:
        """Wait until the checks that run now are over."""
        await asyncio.gather(*self._running)

    def add_to(self, router: APIRouter) -> None:
        """Serve the check. The route is for the page alone, and is in no list of routes."""
        router.add_route(PATH, self._get_configuration, methods=["GET"], include_in_schema=False)
        router.add_route(PATH, self._answer_offer, methods=["POST"], include_in_schema=False)

    async def _get_configuration(self, _: Request) -> Response:
        """What fastrtc's component is given for a call."""
        configuration = await self._rtc_configuration() if self._rtc_configuration is not None else {}
        return JSONResponse(configuration, headers={"Cache-Control": "no-store"})

    async def _answer_offer(self, request: Request) -> Response:
        """POST {"type": "offer", "sdp": ...}, all candidates in it -> {"type": "answer", "sdp": ...}. 400, 413 or 503
        without a body."""
        body = bytearray()
        try:
            async for part in request.stream():
                body += part
                if len(body) > MAX_OFFER_BYTES:
                    return Response(status_code=413)
        except ClientDisconnect:
            return Response(status_code=400)
        if self.running_count >= self._max_concurrent:
            return Response(status_code=503)
        try:
            offer = RTCSessionDescription(**parse_offer(bytes(body)))
        except (TypeError, ValueError, RecursionError):
            return Response(status_code=400)
        connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        over = asyncio.Event()
        # Whatever follows, this task closes the connection and gives the place back.
        task = asyncio.create_task(self._close_when_done(connection, over))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        silence_hangup_errors(asyncio.get_running_loop())

        def look() -> None:
            if connection.connectionState in ("failed", "closed"):
                over.set()

        connection.on("connectionstatechange", look)
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                await connection.setRemoteDescription(offer)
                if connection.sctp is None or connection.getTransceivers():
                    raise ValueError("not a data channel alone")
                await connection.setLocalDescription(await connection.createAnswer())
        except Exception as error:  # aiortc raises whatever an SDP that makes no sense runs into
            log.debug("An offer cannot be answered: %s", type(error).__name__)
            over.set()
            return Response(status_code=400)
        answer = connection.localDescription
        return JSONResponse({"type": answer.type, "sdp": answer.sdp}, headers={"Cache-Control": "no-store"})

    async def _close_when_done(self, connection: RTCPeerConnection, done: asyncio.Event) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self._timeout_s):
                await done.wait()
        await connection.close()


def parse_offer(body: bytes) -> dict[str, Any]:
    """An offer's two fields. Raises TypeError or ValueError when the body is anything else."""
    value = json.loads(body)
    if not isinstance(value, dict) or set(value) != {"type", "sdp"} or value["type"] != "offer":
        raise ValueError("not an offer")
    if not isinstance(value["sdp"], str):
        raise TypeError("not an offer")
    return value
