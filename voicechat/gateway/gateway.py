"""The WebSocket endpoints for programs: who comes in, and what each of them is served (`relay_session`)."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from starlette.websockets import WebSocket, WebSocketDisconnect

from voicechat.config.session_update import SessionMode
from voicechat.config.settings import Endpoint, Settings
from voicechat.limits.budget import BillingService, SessionBilling
from voicechat.limits.daily_quota import QuotaMeter
from voicechat.limits.waiting_queue import AdmissionController, AdmissionKind, ConcurrencyLimits, needs_offline_session
from voicechat.protocol.failures import Failure
from voicechat.security.visitor_cookie import visitor_key
from voicechat.upstream.reconnecting_client import EndpointSource

from .error_events import ADMISSION_ERRORS, VISITOR_QUOTA_EXCEEDED, error_for_failure
from .gateway_client import GatewayClient, GatewaySlot, read_client_hello
from .gateway_session import GatewaySession

log = logging.getLogger(__name__)


class RealtimeGateway:
    """All clients of our sockets."""

    def __init__(
        self,
        settings: Settings,
        endpoint: EndpointSource,
        billing: BillingService | None = None,
        admission: AdmissionController | None = None,
    ) -> None:
        """`endpoint`: where the server is now, or why there is none."""
        self._settings = settings
        self._billing = billing or BillingService()
        self._admission = admission or AdmissionController(ConcurrencyLimits.from_settings(settings))
        self._get_endpoint = endpoint
        self._session_counts: Counter[SessionMode] = Counter()

    def count_sessions(self, mode: SessionMode) -> int:
        """Clients connected now."""
        return self._session_counts[mode]

    async def serve(self, websocket: WebSocket, mode: SessionMode) -> None:
        """One client, from its request to its end."""
        wanted = read_client_hello(websocket)
        websocket.scope["query_string"] = b""  # the server logs the address that it accepts: there may be a key in it
        client = GatewayClient(websocket, wanted.dialect)
        endpoint = self._get_endpoint()
        with suppress(WebSocketDisconnect), self._claim_slot(mode, visitor_key(websocket), endpoint) as seat:
            await websocket.accept(wanted.subprotocol)
            if seat.ticket.refusal is not None:
                log.info("A program was turned away: %d are connected.", self._session_counts.total())
                last = ADMISSION_ERRORS[seat.ticket.refusal]
                await client.close(last.close_frame, last)
                return
            if mode is SessionMode.VOICE and self._billing.daily_quota.is_exhausted(seat.ticket.visitor):
                await client.close(VISITOR_QUOTA_EXCEEDED.close_frame, VISITOR_QUOTA_EXCEEDED)
                return
            if not isinstance(endpoint, Endpoint):
                await client.close(error_for_failure(endpoint).close_frame, error_for_failure(endpoint))
                return
            account = SessionBilling(self._billing, self._settings, mode)
            account.open()
            try:
                seat.quota_meter = QuotaMeter(self._billing.daily_quota, seat.ticket.visitor, time.monotonic())
                await GatewaySession(client, endpoint, self._settings, mode, wanted.model, account, seat).run()
            finally:
                account.close("hung_up")

    @contextmanager
    def _claim_slot(self, mode: SessionMode, visitor: str, endpoint: Endpoint | Failure) -> Iterator[GatewaySlot]:
        """One of the places there are, given back however it ends; or none, and `place.refusal` says why."""
        seat = GatewaySlot()
        seat.ticket = self._admission.request_admission(
            seat, AdmissionKind.API_CLIENT, visitor, uses_offline=needs_offline_session(endpoint)
        )
        counted = seat.ticket.refusal is None
        self._session_counts[mode] += counted
        try:
            yield seat
        finally:
            self._session_counts[mode] -= counted
            seat.ticket.release()
