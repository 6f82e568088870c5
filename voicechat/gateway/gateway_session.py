"""One client of the endpoints for programs, and its connection to the operator's Realtime server.

One socket each way, both with back-pressure: a message is taken from one side when the other has room for it. The
rules, the beginning and the words of a failure are pure and stand in files of their own (`client_rules`,
`relay_beginning`, `relay_failures`); here are only the sockets.
"""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress
from typing import Any, NoReturn

from starlette.websockets import WebSocketDisconnect
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from voicechat.config.limit_settings import BURST_S
from voicechat.config.session_update import SessionMode, build_session_update
from voicechat.config.settings import Endpoint, ServerKind, Settings
from voicechat.gateway.redaction import encoded_variants, redact_event, secrets_of
from voicechat.limits.budget import SessionBilling
from voicechat.limits.daily_quota import OVERRUN_GRACE_S
from voicechat.limits.read_rate_limit import ReadRateLimit
from voicechat.limits.token_bucket import TokenBucket
from voicechat.logs import error_location
from voicechat.protocol.beta_dialect import Dialect
from voicechat.protocol.event_dispatcher import EventDispatcher
from voicechat.protocol.failures import ConnectionFailed, failure_of_close
from voicechat.protocol.server_events import parse_event
from voicechat.upstream.connection import FIRST_EVENT_TIMEOUT_S, UNCONFIRMED_TIMEOUT_S, open_socket, try_send_nowait
from voicechat.upstream.reconnecting_client import USAGE_DRAIN_TIMEOUT_S

from . import gateway_client
from .client_event_policy import (
    BILLABLE_EVENTS,
    ClientEventPolicy,
    ClientEventRejected,
    InFlightResponses,
    read_json,
    write_json,
)
from .error_events import (
    BUDGET_ERRORS,
    INTERNAL_ERROR,
    SERVER_CLOSING,
    SESSION_EXPIRED,
    SESSION_IDLE,
    VISITOR_QUOTA_EXCEEDED,
    CloseFrame,
    TerminalError,
    close_frame_for_client,
    error_for_failure,
)
from .gateway_client import GatewayClient, GatewaySlot, new_event_id
from .session_bootstrap import BootstrapStage, SessionBootstrap

log = logging.getLogger(__name__)

Event = dict[str, Any]

FATAL_ERROR_CLOSE_TIMEOUT_S = 1.0
"""Seconds in which a server that has said a fatal error closes; then we do."""
LIMIT_CHECK_INTERVAL_S = 0.5
"""Seconds between two looks at whether a session has to end, though nothing passes."""
IDLE_TIMEOUT_S = 600.0
"""Seconds without an event from either side, then a session ends: a forgotten program answers pings for ever, and holds
its place. Longer than people think about what to say next."""


class GatewaySession:
    """One client and its server."""

    def __init__(
        self,
        client: GatewayClient,
        endpoint: Endpoint,
        settings: Settings,
        mode: SessionMode,
        requested_model: str,
        billing: SessionBilling,
        slot: GatewaySlot,
    ) -> None:
        most = settings.max_output_tokens if mode is SessionMode.VOICE else settings.max_text_tokens
        self._client = client
        self._endpoint = endpoint
        self._settings = settings
        self._billing = billing
        self._slot = slot
        self._mode = mode
        self._max_duration_s = float(settings.max_call_seconds) if mode is SessionMode.VOICE else float("inf")
        """Seconds. A written chat is bounded by its silence alone, as on the page."""
        self._secrets = secrets_of(endpoint)
        client.secret_variants = encoded_variants(endpoint.credentials)
        self._responses = InFlightResponses()
        self._dispatcher = EventDispatcher(billing.event_handlers(), self._responses.event_handlers())
        speaks = client.dialect
        self._policy = ClientEventPolicy(
            mode, most, requested_model=requested_model, dialect=speaks, check_budget=self._check_budget
        )
        update = {**build_session_update(settings, mode, kind=endpoint.kind), "event_id": new_event_id()}
        self._bootstrap = SessionBootstrap(update, endpoint.unsupported_fields, endpoint.host)
        self._upstream: ClientConnection | None = None
        self._session_ready = asyncio.Event()
        """The client has seen its session: what it sends is sent on."""
        self._started_at = self._last_event_at = time.monotonic()
        """Of the session's beginning, and of the newest event from either side."""

    async def run(self) -> None:
        """Until one of the two is gone, or it has to end; who is left is then told. Raises `WebSocketDisconnect` when
        it is the client that is gone."""
        try:
            farewell, last = await self._run_tasks()
        finally:
            if self._upstream is not None:
                try:
                    await self._drain_usage(self._upstream)
                finally:
                    await self._upstream.close()
        await self._client.close(farewell, last)

    async def _run_tasks(self) -> tuple[CloseFrame, TerminalError | None]:
        """Returns how the connection is to end for the client, when nothing runs any more. Raises as `run()` does."""
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
            log.error("A relayed session failed: %s", error_location(error))
            return INTERNAL_ERROR.close_frame, INTERNAL_ERROR
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    # ---------------------------------------------------------------- money and time

    def _check_budget(self, event: Event) -> None:
        """Raises `Refusal` for a client's event that would cost too much."""
        budget = self._billing.status
        if budget.is_exceeded and event["type"] in BILLABLE_EVENTS:
            raise ClientEventRejected(BUDGET_ERRORS[budget].code, BUDGET_ERRORS[budget].message)
        if event["type"] == "response.create":
            self._responses.register_request(event, time.monotonic())

    def _track_events(self, events: list[Event], now: float) -> None:
        """Book what these events of the server, in GA, say of replies and of money."""
        for event in events:
            self._dispatcher.dispatch(parse_event(event), now)

    def _check_limits(self, now: float) -> TerminalError | None:
        """Why the session has to end now, or None."""
        quiet = not self._responses.count_in_flight(now)
        budget = self._billing.must_end(quiet, now)
        if budget is not None:
            return BUDGET_ERRORS[budget]
        if self._mode is SessionMode.VOICE and self._slot.quota_meter.must_end(quiet, now):
            return VISITOR_QUOTA_EXCEEDED
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
        """Ends a session that has to, also when no event comes to notice it by."""
        await self._session_ready.wait()
        while True:
            await asyncio.sleep(LIMIT_CHECK_INTERVAL_S)
            last = self._check_limits(time.monotonic())
            if last is not None:
                return last.close_frame, last

    async def _detect_stall(self) -> NoReturn:
        """Raises `WebSocketDisconnect` when the client takes nothing any more."""
        await self._client.stall_watchdog.wait_stalled(gateway_client.STALL_TIMEOUT_S)
        raise WebSocketDisconnect(1006, "stalled")

    async def _drain_usage(self, upstream: ClientConnection) -> None:
        """The session is over: replies that are still being made are ended, and what they cost is booked."""
        if self._endpoint.kind is ServerKind.OFFLINE:
            return  # nobody is paid
        cancelled: set[str] = set()
        with suppress(TimeoutError, ConnectionClosed, ConnectionFailed):
            async with asyncio.timeout(USAGE_DRAIN_TIMEOUT_S):
                while self._responses.count_in_flight(time.monotonic()):
                    for reply in self._responses.active_ids:
                        if reply not in cancelled:
                            cancelled.add(reply)
                            await upstream.send(write_json(_cancel_event(reply)))
                    event = self._parse_event(await upstream.recv())
                    if event is not None:
                        self._track_events(self._bootstrap.handle_late_event(event)[0], time.monotonic())

    # ---------------------------------------------------------------- from the client to the server

    async def _pump_client_events(self) -> NoReturn:
        """Raises `WebSocketDisconnect`; ends by nothing else, for how a server ends is told by the other side.

        Who sends too many messages is read more slowly, and nothing is lost: programs send recordings as fast as they
        can, and ending their session for it would help nobody.
        """
        rate = self._settings.limits.max_messages_per_second
        bucket = TokenBucket(rate, rate * BURST_S, time.monotonic())
        while True:
            message = await self._client.receive_message()
            await self._session_ready.wait()
            if (wait := bucket.take(time.monotonic())) > 0:
                await asyncio.sleep(wait)
            self._last_event_at = time.monotonic()
            try:
                texts = self._policy.process_message(message, self._bootstrap.server_dialect)
            except ClientEventRejected as refusal:
                await self._client.send_event(refusal.to_event(new_event_id()))
                continue
            for text in texts:
                await self._send_upstream(text)

    async def _send_upstream(self, text: str) -> None:
        """A message, when there is room for it; nothing when the server is gone."""
        assert self._upstream is not None
        if try_send_nowait(self._upstream, text):
            return
        try:
            async with asyncio.timeout(gateway_client.STALL_TIMEOUT_S):
                await self._upstream.send(text)
        except TimeoutError:
            log.warning("%s no longer reads; the connection is cut.", self._endpoint.host)
            self._upstream.transport.abort()
        except ConnectionClosed:
            pass

    # ---------------------------------------------------------------- from the server to the client

    async def _pump_server_events(self) -> tuple[CloseFrame, TerminalError | None]:
        """Returns how the connection is to end for the client: the close frame, and the error before it."""
        try:
            server = self._upstream = await open_socket(self._endpoint, self._settings.connect_seconds)
        except ConnectionFailed as failed:
            last = error_for_failure(failed.failure)
            return last.close_frame, last
        try:
            await self._run_bootstrap(server)
            self._started_at = self._last_event_at = time.monotonic()
            self._billing.on_connected(self._endpoint, self._started_at)
            self._policy.transcription_model = self._bootstrap.transcription_model
            first = self._bootstrap.initial_events()
            self._track_events(first, self._started_at)
            for event in first:
                await self._client.send_event(redact_event(event, self._secrets))
            self._session_ready.set()
            pace = ReadRateLimit(time.monotonic())
            while True:
                message = await server.recv()
                await asyncio.sleep(pace.take(len(message), time.monotonic()))
                spent = await self._forward_to_client(server, message)
                if spent is not None:
                    return spent.close_frame, spent
        except ConnectionFailed as failed:
            return await self._await_upstream_close(server, error_for_failure(failed.failure))
        except ConnectionClosed as closed:
            return self._to_close_frame(closed)

    async def _run_bootstrap(self, upstream: ClientConnection) -> None:
        """Until the server has taken the operator's settings. Raises `ConnectionClosed`, and `ConnectionFailed` when it
        will not."""
        beginning, refused = self._bootstrap, self._endpoint.unsupported_fields
        ready_s = self._settings.ready_seconds
        if not refused.confirms_updates:
            ready_s = min(ready_s, UNCONFIRMED_TIMEOUT_S)
        while beginning.is_pending:
            # A server that loads a model first greets late; one that has greeted confirms soon, or never.
            patience = ready_s if beginning.has_greeted else self._settings.connect_seconds
            if beginning.stage is BootstrapStage.AWAITING_GREETING:
                patience = min(FIRST_EVENT_TIMEOUT_S, patience)
            try:
                async with asyncio.timeout(patience):
                    while (event := self._parse_event(await upstream.recv())) is None:
                        pass
                answers = beginning.handle_event(event)
            except TimeoutError:
                if beginning.stage is BootstrapStage.UPDATE_SENT and beginning.has_greeted:
                    refused.confirms_updates = False
                answers = beginning.handle_timeout()
            await self._send_upstream_events(upstream, answers)

    async def _send_upstream_events(self, upstream: ClientConnection, events: list[Event]) -> None:
        for answer in events:
            await upstream.send(write_json(answer))

    async def _await_upstream_close(
        self, upstream: ClientConnection, error: TerminalError
    ) -> tuple[CloseFrame, TerminalError]:
        """How a server that has said a fatal error closes; most do at once."""
        try:
            async with asyncio.timeout(FATAL_ERROR_CLOSE_TIMEOUT_S):
                while True:
                    await upstream.recv()
        except ConnectionClosed as closed:
            return (self._to_close_frame(closed)[0] if closed.rcvd else error.close_frame), error
        except TimeoutError:
            return error.close_frame, error

    def _to_close_frame(self, closed: ConnectionClosed) -> tuple[CloseFrame, TerminalError | None]:
        frame = closed.rcvd
        farewell = close_frame_for_client(frame.code if frame else None, frame.reason if frame else "", self._secrets)
        if self._session_ready.is_set():
            return farewell, None
        # It closed without a word before there was a session.
        return farewell, error_for_failure(
            failure_of_close(frame.code if frame else None, frame.reason if frame else "", None)
        )

    def _parse_event(self, message: str | bytes) -> Event | None:
        """The event; None for what is none: it is not ours to pass on."""
        try:
            event = read_json(message if isinstance(message, str) else message.decode())
        except (ClientEventRejected, UnicodeDecodeError):
            log.warning("A message from %s was not JSON and is ignored.", self._endpoint.host)
            return None
        return event if isinstance(event.get("type"), str) else None

    async def _forward_to_client(self, upstream: ClientConnection, message: str | bytes) -> TerminalError | None:
        """Returns why the session has to end after this message, when it has to."""
        event = self._parse_event(message)
        if event is None:
            return None
        try:
            events, answers = self._bootstrap.handle_late_event(event)
        except ConnectionFailed:
            events, answers = [event], []  # it says itself what is wrong, and how it ends
        self._last_event_at = time.monotonic()
        self._track_events(events, self._last_event_at)  # first of all: who does not take an event has to pay for it
        await self._send_upstream_events(upstream, answers)
        for known in events:
            clean = redact_event(known, self._secrets)
            if clean is event and isinstance(message, str) and self._client.dialect is Dialect.GA:
                await self._client.send_text(message)  # as it came: nothing to write anew
            else:
                await self._client.send_event(clean)
        return self._check_limits(time.monotonic())


def _cancel_event(response_id: str) -> Event:
    """The event, in both dialects, that ends this reply; "": the conversation's, of a server that numbers none."""
    return {
        "type": "response.cancel",
        **({"response_id": response_id} if response_id else {}),
        "event_id": new_event_id(),
    }
