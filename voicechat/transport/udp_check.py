"""UDP check: whether the browser's packets reach this server. It is the network part of the page's sound check.

It is a call without audio: ICE and DTLS with the same ICE servers. The page tries to open a data channel. It uses no
Realtime session and no slot of the waiting queue.
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
from voicechat.security.sdp_limits import MAX_OFFER_BYTES, OfferTooLarge, check_sdp_limits

from .ice_servers import RtcConfigurationProvider

log = logging.getLogger(__name__)

PATH = "/udp-check"
ROUTE_RULES = tuple(RouteRule(method, PATH, RouteAccess.ASSET) for method in ("GET", "POST"))
MAX_CONCURRENT_CHECKS = 8
"""Checks at the same time. Each holds a UDP port for each network interface."""
CHECK_TIMEOUT_S = 8.0
"""Seconds after which a check ends that the page has not closed. The page waits three seconds."""
ANSWER_TIMEOUT_S = 3.0
"""Seconds to create the answer, with the addresses of this computer."""


class UdpCheck:
    """Owner of the running checks."""

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
        """Number of running checks."""
        return len(self._running)

    def add_to(self, router: APIRouter) -> None:
        """Add the check's routes. They are for the page alone, and not in the API description."""
        router.add_route(PATH, self._get_configuration, methods=["GET"], include_in_schema=False)
        router.add_route(PATH, self._answer_offer, methods=["POST"], include_in_schema=False)

    async def _get_configuration(self, _: Request) -> Response:
        """Return the configuration that fastrtc's component gets for a call."""
        configuration = await self._rtc_configuration() if self._rtc_configuration is not None else {}
        return JSONResponse(configuration, headers={"Cache-Control": "no-store"})

    async def _answer_offer(self, request: Request) -> Response:
        """Answer {"type": "offer", "sdp": ...}, with all candidates, by {"type": "answer", "sdp": ...}.

        Errors are 400, 413 or 503, without a body.
        """
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
        except OfferTooLarge as error:
            log.info("udp check: offer refused reason=%r", str(error))
            return Response(status_code=413)
        except (TypeError, ValueError, RecursionError):
            return Response(status_code=400)
        connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        done = asyncio.Event()
        # This task closes the connection and frees the slot in every case.
        task = asyncio.create_task(self._close_when_done(connection, done))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        silence_hangup_errors(asyncio.get_running_loop())

        def on_state_change() -> None:
            if connection.connectionState in ("failed", "closed"):
                done.set()

        connection.on("connectionstatechange", on_state_change)
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                await connection.setRemoteDescription(offer)
                if connection.sctp is None or connection.getTransceivers():
                    raise ValueError("not only a data channel")
                await connection.setLocalDescription(await connection.createAnswer())
        except Exception as error:  # aiortc raises many kinds of error for an invalid SDP
            log.debug("udp check: invalid offer error=%s", type(error).__name__)
            done.set()
            return Response(status_code=400)
        answer = connection.localDescription
        return JSONResponse({"type": answer.type, "sdp": answer.sdp}, headers={"Cache-Control": "no-store"})

    async def _close_when_done(self, connection: RTCPeerConnection, done: asyncio.Event) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self._timeout_s):
                await done.wait()
        await connection.close()


def parse_offer(body: bytes) -> dict[str, Any]:
    """Return the two fields of an offer. Raise `OfferTooLarge`; TypeError or ValueError for any other body."""
    value = json.loads(body)
    if not isinstance(value, dict) or set(value) != {"type", "sdp"} or value["type"] != "offer":
        raise ValueError("not an offer")
    if not isinstance(value["sdp"], str):
        raise TypeError("not an offer")
    media = [line for line in value["sdp"].splitlines() if line.startswith("m=")]  # as aiortc reads it
    if len(media) != 1 or not media[0].startswith("m=application "):
        raise ValueError("not only a data channel")
    check_sdp_limits(value["sdp"])
    return value
