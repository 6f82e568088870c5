"""Gateway session: one client of the endpoints for programs, and its connection to the operator's Realtime server.

Both directions have back-pressure: a message is read from one side when the other has room for it. This module holds
the sockets only. The rules are pure and in `client_event_policy`, `session_bootstrap` and `error_events`.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import NoReturn

from starlette.websockets import WebSocketDisconnect
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from voicechat.config.groups.limit_settings import BURST_S
from voicechat.config.session_update import SessionMode, build_session_update
from voicechat.config.settings import DuckingMode, Settings
from voicechat.limits.billing import SessionBilling
from voicechat.limits.daily_quota import OVERRUN_GRACE_S
from voicechat.limits.read_rate_limit import ReadRateLimit
from voicechat.limits.token_bucket import TokenBucket
from voicechat.logs import bind_session_id, error_location
from voicechat.protocol.beta_dialect import Dialect
from voicechat.protocol.endpoint import Endpoint, ServerKind
from voicechat.protocol.event_dispatcher import EventDispatcher
from voicechat.protocol.event_fields import RawEvent
from voicechat.protocol.failures import QUOTES_SERVER, ConnectionFailed, failure_of_close
from voicechat.protocol.json_codec import InvalidJson, read_object, write_json
from voicechat.protocol.server_events import parse_event
from voicechat.protocol.server_words import private_texts_of, scrub_server_words
from voicechat.upstream.connection import FIRST_EVENT_TIMEOUT_S, UNCONFIRMED_TIMEOUT_S, open_socket, try_send_nowait
from voicechat.upstream.usage_drain import drain_usage

from . import gateway_client
from .client_event_errors import ClientEventRejected
from .client_event_policy import BILLABLE_EVENTS, ClientEventPolicy
from .error_events import (
    BUDGET_ERRORS,
    INTERNAL_ERROR,
    SERVER_CLOSING,
    SESSION_EXPIRED,
    SESSION_IDLE,
    SLOT_TAKEN,
    VISITOR_QUOTA_EXCEEDED,
    CloseFrame,
    TerminalError,
    close_frame_for_client,
    error_for_failure,
)
from .gateway_client import GatewayClient, GatewaySlot, new_event_id
from .in_flight_responses import InFlightResponses
from .redaction import encoded_variants, redact_event
from .session_bootstrap import BootstrapStage, SessionBootstrap

log = logging.getLogger(__name__)

FATAL_ERROR_CLOSE_TIMEOUT_S = 1.0
"""Seconds for a server to close after its fatal error; then the gateway closes."""
LIMIT_CHECK_INTERVAL_S = 0.5
"""Seconds between two checks of the session's limits while no event passes."""
IDLE_TIMEOUT_S = 600.0
"""Seconds without an event from either side, then a session ends. A forgotten program answers pings for ever and keeps
its slot. Longer than people think about what to say next."""


class GatewaySession:
    """One client and its server connection."""

    def __init__(
        self,
        client: GatewayClient,
        endpoint: Endpoint,
        settings: Settings,
        mode: SessionMode,
        billing: SessionBilling,
        slot: GatewaySlot,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        """`sleep`: for the pauses of rate limits."""
        max_tokens = settings.max_output_tokens if mode is SessionMode.VOICE else settings.max_text_tokens
        self._clock = clock
        self._sleep = sleep
        self._client = client
        self._endpoint = endpoint
        self._settings = settings
        self._billing = billing
        self._slot = slot
        self._mode = mode
        self._max_duration_s = float(settings.max_call_seconds) if mode is SessionMode.VOICE else float("inf")
        """Seconds. Only `IDLE_TIMEOUT_S` bounds a text session, as on the page."""
        self._secrets = endpoint.secrets.all
        client.secret_variants = encoded_variants(endpoint.secrets.credentials)
        self._responses = InFlightResponses()
        self._dispatcher = EventDispatcher(billing.event_handlers(), self._responses.event_handlers())
        self._policy = ClientEventPolicy(mode, max_tokens, dialect=client.dialect, check_budget=self._check_budget)
        # A program's server interrupts its replies itself, as the protocol says. Ducking is a matter of the page.
        for_programs = settings.with_changes(ducking=DuckingMode.OFF)
        update = build_session_update(for_programs, mode, kind=endpoint.kind, for_program=True)
        update["event_id"] = new_event_id()
        self._private_texts = private_texts_of(update)
        self._bootstrap = SessionBootstrap(update, endpoint.unsupported_fields, endpoint.host)
        self._upstream: ClientConnection | None = None
        self._session_ready = asyncio.Event()
        """Set once the client has received its session; from then on its events are forwarded."""
        self._started_at = self._last_event_at = self._clock()
        """Times of the session's beginning and of the newest event from either side."""

    async def run(self) -> None:
        """Run the session until one side leaves or a limit ends it, and tell the client why.

        Raises `WebSocketDisconnect` when the client has left.
        """
        bind_session_id()
        try:
            close_frame, error = await self._run_tasks()
        finally:
            if self._upstream is not None:
                try:
                    await self._drain_usage(self._upstream)
                finally:
                    await self._upstream.close()
        await self._client.close(close_frame, error)

    async def _run_tasks(self) -> tuple[CloseFrame, TerminalError | None]:
        """Run all tasks until the first ends. Return how the client's connection ends. Raises as `run()` does."""
        tasks = [
            asyncio.create_task(side)
            for side in (
                self._pump_server_events(),
                self._pump_client_events(),
                self._enforce_limits(),
                self._detect_stall(),
            )
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            return next(task for task in tasks if task.done()).result()
        except (WebSocketDisconnect, asyncio.CancelledError):
            raise
        except Exception as error:
            log.error("gateway: session failed error=%s", error_location(error))
            return INTERNAL_ERROR.close_frame, INTERNAL_ERROR
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    # ---------------------------------------------------------------- limits

    def _check_budget(self, event: RawEvent) -> None:
        """Check a client's event against the limits. Raises `ClientEventRejected` for one that would cost too much."""
        budget = self._billing.status
        if budget.is_exceeded and event["type"] in BILLABLE_EVENTS:
            raise ClientEventRejected(BUDGET_ERRORS[budget].code, BUDGET_ERRORS[budget].message)
        if event["type"] == "response.create":
            self._responses.register_request(event, self._clock())

    def _track_events(self, events: list[RawEvent], now: float) -> None:
        """Track responses and costs in these server events, which are in GA."""
        for event in events:
            self._dispatcher.dispatch(parse_event(event), now)

    def _check_limits(self, now: float) -> TerminalError | None:
        """Return why the session has to end now, or None."""
        quiet = not self._responses.count_in_flight(now)
        budget = self._billing.must_end(quiet, now)
        if budget is not None:
            return BUDGET_ERRORS[budget]
        if self._mode is SessionMode.VOICE and self._slot.quota_meter.must_end(quiet, now):
            return VISITOR_QUOTA_EXCEEDED
        if self._slot.is_lost:
            return SLOT_TAKEN
        if self._slot.shutdown_deadline is not None and (quiet or now >= self._slot.shutdown_deadline):
            return SERVER_CLOSING
        if now - self._last_event_at >= IDLE_TIMEOUT_S:
            return SESSION_IDLE
        return (
            SESSION_EXPIRED
            if now - self._started_at >= self._max_duration_s + (0 if quiet else OVERRUN_GRACE_S)
            else None
        )

    async def _enforce_limits(self) -> tuple[CloseFrame, TerminalError]:
        """Check the limits regularly. Return the close frame and the error once one is exceeded."""
        await self._session_ready.wait()
        while True:
            await asyncio.sleep(LIMIT_CHECK_INTERVAL_S)
            error = self._check_limits(self._clock())
            if error is not None:
                return error.close_frame, error

    async def _detect_stall(self) -> NoReturn:
        """Wait for the client to stall, and raise `WebSocketDisconnect`."""
        await self._client.stall_watchdog.wait_stalled(gateway_client.STALL_TIMEOUT_S)
        raise WebSocketDisconnect(1006, "stalled")

    async def _drain_usage(self, upstream: ClientConnection) -> None:
        """Cancel the responses still in flight after the session, and bill their usage."""
        if self._endpoint.kind is ServerKind.OFFLINE:
            return  # the embedded server costs nothing

        async def bill_next_event() -> None:
            event = self._parse_event(await upstream.recv())
            if event is not None:
                self._track_events(self._bootstrap.handle_late_event(event)[0], self._clock())

        async def cancel(response_id: str) -> None:
            await upstream.send(write_json(_cancel_event(response_id)))

        await drain_usage(
            is_pending=lambda: bool(self._responses.count_in_flight(self._clock())),
            active_ids=lambda: self._responses.active_ids,
            cancel=cancel,
            handle_next_event=bill_next_event,
        )

    # ---------------------------------------------------------------- from the client to the server

    async def _pump_client_events(self) -> NoReturn:
        """Forward client events until `WebSocketDisconnect` is raised. The other direction reports the server's end.

        A client that sends too many messages is read more slowly, and loses none: programs send recordings as fast as
        they can, and may do so.
        """
        rate = self._settings.limits.max_messages_per_second
        bucket = TokenBucket(rate, rate * BURST_S, self._clock())
        while True:
            message = await self._client.receive_message()
            await self._session_ready.wait()
            if (pause_s := bucket.take(self._clock())) > 0:
                await self._sleep(pause_s)
            self._last_event_at = self._clock()
            try:
                texts = self._policy.process_message(message, self._bootstrap.server_dialect)
            except ClientEventRejected as refusal:
                await self._client.send_event(refusal.to_event(new_event_id()))
                continue
            for text in texts:
                await self._send_upstream(text)

    async def _send_upstream(self, text: str) -> None:
        """Send a message once the server's socket has room; drop it when the server has left."""
        assert self._upstream is not None
        if try_send_nowait(self._upstream, text):
            return
        try:
            async with asyncio.timeout(gateway_client.STALL_TIMEOUT_S):
                await self._upstream.send(text)
        except TimeoutError:
            log.warning("gateway: server no longer reads, cutting the connection host=%s", self._endpoint.host)
            self._upstream.transport.abort()
        except ConnectionClosed:
            pass

    # ---------------------------------------------------------------- from the server to the client

    async def _pump_server_events(self) -> tuple[CloseFrame, TerminalError | None]:
        """Forward server events. Return how the client's connection ends: the close frame, and the error before it."""
        try:
            server = self._upstream = await open_socket(self._endpoint, self._settings.connect_seconds)
        except ConnectionFailed as failed:
            refused = error_for_failure(failed.failure)
            return refused.close_frame, refused
        try:
            await self._run_bootstrap(server)
            self._started_at = self._last_event_at = self._clock()
            self._billing.on_connected(self._endpoint, self._started_at)
            self._policy.pin_transcription_model(self._bootstrap.transcription_model)
            first = self._bootstrap.initial_events()
            self._track_events(first, self._started_at)
            for event in first:
                await self._client.send_event(redact_event(event, self._secrets))
            self._session_ready.set()
            read_rate_limit = ReadRateLimit(self._clock())
            while True:
                message = await server.recv()
                await self._sleep(read_rate_limit.take(len(message), self._clock()))
                error = await self._forward_to_client(server, message)
                if error is not None:
                    return error.close_frame, error
        except ConnectionFailed as failed:
            return await self._await_upstream_close(server, error_for_failure(failed.failure))
        except ConnectionClosed as closed:
            return self._to_close_frame(closed)

    async def _run_bootstrap(self, upstream: ClientConnection) -> None:
        """Wait until the server has taken the operator's settings, or its time is up.

        Raises `ConnectionClosed`, and `ConnectionFailed` when the session cannot be used.
        """
        bootstrap, known = self._bootstrap, self._endpoint.unsupported_fields
        ready_s = self._settings.ready_seconds
        if not known.confirms_updates:
            ready_s = min(ready_s, UNCONFIRMED_TIMEOUT_S)
        while bootstrap.is_pending:
            # A server that loads a model greets late. One that has greeted confirms soon, or never.
            timeout_s = ready_s if bootstrap.has_greeted else self._settings.connect_seconds
            if bootstrap.stage is BootstrapStage.AWAITING_GREETING:
                timeout_s = min(FIRST_EVENT_TIMEOUT_S, timeout_s)
            try:
                async with asyncio.timeout(timeout_s):
                    while (event := self._parse_event(await upstream.recv())) is None:
                        pass
                answers = bootstrap.handle_event(event)
            except TimeoutError:
                if bootstrap.stage is BootstrapStage.UPDATE_SENT and bootstrap.has_greeted:
                    known.confirms_updates = False
                answers = bootstrap.handle_timeout()
            await self._send_upstream_events(upstream, answers)

    async def _send_upstream_events(self, upstream: ClientConnection, events: list[RawEvent]) -> None:
        for event in events:
            await upstream.send(write_json(event))

    async def _await_upstream_close(
        self, upstream: ClientConnection, error: TerminalError
    ) -> tuple[CloseFrame, TerminalError]:
        """Return how a server closes after its fatal error; most do at once."""
        try:
            async with asyncio.timeout(FATAL_ERROR_CLOSE_TIMEOUT_S):
                while True:
                    await upstream.recv()
        except ConnectionClosed as closed:
            return (self._to_close_frame(closed)[0] if closed.rcvd else error.close_frame), error
        except TimeoutError:
            return error.close_frame, error

    def _to_close_frame(self, closed: ConnectionClosed) -> tuple[CloseFrame, TerminalError | None]:
        code, reason = (closed.rcvd.code, closed.rcvd.reason) if closed.rcvd else (None, "")
        close_frame = close_frame_for_client(code, reason, self._secrets)
        # A server that closes before there is a session, and without an error event, gets one here.
        if self._session_ready.is_set():
            return close_frame, None
        failure = failure_of_close(code, reason)
        quoted = (
            scrub_server_words(reason, self._endpoint.secrets, self._private_texts) if failure in QUOTES_SERVER else ""
        )
        return close_frame, error_for_failure(failure, quoted)

    def _parse_event(self, message: str | bytes) -> RawEvent | None:
        """Return the event of a message; None for a message that is not an event and is ignored."""
        try:
            event = read_object(message)
        except InvalidJson:
            log.warning("gateway: ignoring a message that is not JSON host=%s", self._endpoint.host)
            return None
        return event if isinstance(event.get("type"), str) else None

    async def _forward_to_client(self, upstream: ClientConnection, message: str | bytes) -> TerminalError | None:
        """Forward a server message. Return why the session has to end after it, or None."""
        event = self._parse_event(message)
        if event is None:
            return None
        try:
            events, answers = self._bootstrap.handle_late_event(event)
        except ConnectionFailed:
            events, answers = [event], []  # the client receives the error itself, and then the close frame
        self._last_event_at = self._clock()
        self._track_events(events, self._last_event_at)  # first, so that a client that does not read is billed too
        await self._send_upstream_events(upstream, answers)
        for translated in events:
            clean = redact_event(translated, self._secrets)
            if clean is event and isinstance(message, str) and self._client.dialect is Dialect.GA:
                await self._client.send_text(message)  # unchanged, so there is nothing to encode
            else:
                await self._client.send_event(clean)
        return self._check_limits(self._clock())


def _cancel_event(response_id: str) -> RawEvent:
    """Return the cancel event, the same in both dialects. `response_id`: "" for a server that sends no ids."""
    return {
        "type": "response.cancel",
        **({"response_id": response_id} if response_id else {}),
        "event_id": new_event_id(),
    }
