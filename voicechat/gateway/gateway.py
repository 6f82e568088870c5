"""Realtime gateway: admits programs to the WebSocket endpoints and runs one `GatewaySession` for each."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from starlette.responses import Response
from starlette.websockets import WebSocket, WebSocketDisconnect

from voicechat.config.session_update import SessionMode
from voicechat.config.settings import Settings
from voicechat.limits.admission import Admission, AdmissionKind, ConcurrencyLimits, needs_offline_session
from voicechat.limits.billing import BillingService, SessionBilling
from voicechat.limits.daily_quota import QuotaMeter
from voicechat.limits.waiting_queue import AdmissionController
from voicechat.protocol.endpoint import Endpoint
from voicechat.protocol.failures import Failure
from voicechat.protocol.notices import Notice
from voicechat.security.visitor_key import visitor_key
from voicechat.upstream.reconnecting_client import EndpointSource

from .error_events import ADMISSION_ERRORS, VISITOR_QUOTA_EXCEEDED, TerminalError, error_for_failure
from .gateway_client import GatewayClient, GatewaySlot, has_other_replicas, read_client_hello
from .gateway_session import GatewaySession

log = logging.getLogger(__name__)


class RealtimeGateway:
    """All sessions of programs."""

    def __init__(
        self,
        settings: Settings,
        endpoint: EndpointSource,
        billing: BillingService | None = None,
        admission: Admission | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        """`endpoint`: returns the server to connect to now, or the failure. `sleep`: for the pauses of rate limits."""
        self._settings = settings
        self._billing = billing or BillingService()
        self._admission = admission or AdmissionController(ConcurrencyLimits.from_settings(settings))
        self._get_endpoint = endpoint
        self._clock = clock
        self._sleep = sleep
        self._session_counts: Counter[SessionMode] = Counter()

    def count_sessions(self, mode: SessionMode) -> int:
        """Return the number of clients connected now."""
        return self._session_counts[mode]

    async def serve(self, websocket: WebSocket, mode: SessionMode) -> None:
        """Serve one client, from its request to the end of its session."""
        hello = read_client_hello(websocket)
        websocket.scope["query_string"] = b""  # uvicorn logs the address, which may hold a key
        client = GatewayClient(websocket, hello.dialect)
        endpoint = self._get_endpoint()
        with suppress(WebSocketDisconnect):
            async with self._claim_slot(mode, visitor_key(websocket), endpoint) as slot:
                if slot.ticket.refusal is Notice.CLOSING and has_other_replicas(websocket):
                    await websocket.send_denial_response(Response(status_code=503))
                    return
                await websocket.accept(hello.subprotocol)
                error = self._refuse(slot, mode)
                if error is None and isinstance(endpoint, Failure):
                    error = error_for_failure(endpoint)
                if error is not None:
                    await client.close(error.close_frame, error)
                elif isinstance(endpoint, Endpoint):
                    await self._run_session(client, endpoint, mode, slot)

    def _refuse(self, slot: GatewaySlot, mode: SessionMode) -> TerminalError | None:
        """Return why this client gets no session, or None when it gets one."""
        if slot.ticket.refusal is not None:
            log.info("gateway: client refused sessions=%d", self._session_counts.total())
            return ADMISSION_ERRORS[slot.ticket.refusal]
        if mode is SessionMode.VOICE and self._billing.daily_quota.is_exhausted(slot.ticket.visitor):
            return VISITOR_QUOTA_EXCEEDED
        return None

    async def _run_session(
        self, client: GatewayClient, endpoint: Endpoint, mode: SessionMode, slot: GatewaySlot
    ) -> None:
        billing = SessionBilling(self._billing, self._settings, mode)
        billing.open()
        try:
            slot.quota_meter = QuotaMeter(self._billing.daily_quota, slot.ticket.visitor, self._clock())
            session = GatewaySession(
                client,
                endpoint,
                self._settings,
                mode,
                billing,
                slot,
                clock=self._clock,
                sleep=self._sleep,
            )
            await session.run()
        finally:
            billing.close("hung_up")

    @asynccontextmanager
    async def _claim_slot(
        self, mode: SessionMode, visitor: str, endpoint: Endpoint | Failure
    ) -> AsyncIterator[GatewaySlot]:
        """Claim a slot and release it at the end. `slot.ticket.refusal` is set when all slots are taken."""
        slot = GatewaySlot(self._clock)
        slot.ticket = self._admission.request_admission(
            slot, AdmissionKind.API_CLIENT, visitor, uses_offline=needs_offline_session(endpoint)
        )
        counted = False
        try:
            await slot.ticket.decided()
            counted = slot.ticket.refusal is None
            self._session_counts[mode] += counted
            yield slot
        finally:
            self._session_counts[mode] -= counted
            slot.ticket.release()
