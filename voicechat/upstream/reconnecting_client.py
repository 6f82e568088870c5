"""Reconnecting client: keeps a call connected. It renews sessions before they expire and reopens lost connections."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from voicechat.config.settings import Settings
from voicechat.protocol.endpoint import Endpoint, ServerKind
from voicechat.protocol.event_dispatcher import EventDispatcher, EventHandlers
from voicechat.protocol.event_fields import RawEvent
from voicechat.protocol.failures import for_own_key
from voicechat.protocol.notices import Notice
from voicechat.protocol.server_events import (
    InputCommitted,
    ResponseCreated,
    ResponseDone,
    ServerEvent,
    SessionEvent,
    parse_event,
)
from voicechat.turn_taking.call import CallStateMachine
from voicechat.turn_taking.snapshot import TERMINAL_STAGES, CallStage

from .connection import ConnectionFailed, Failure, RealtimeConnection
from .retry_policy import GiveUp, Outcome, RandomSource, Renew, Retry, RetryHistory, next_action
from .usage_drain import drain_usage

log = logging.getLogger(__name__)

EndpointSource = Callable[[], Endpoint | Failure]


class EventObserver(Protocol):
    """Watches the connection's events without changing any."""

    def on_connected(self, endpoint: Endpoint, now: float) -> None:
        """Handle a new connection that is ready; nothing has been sent over it yet."""

    def event_handlers(self) -> EventHandlers:
        """Return the handlers by class of event."""


UNANSWERED_TIMEOUT_S = 120.0
"""Seconds for the first event of a server. Some greet only when they have loaded their model."""
RENEWAL_POLL_S = 0.25
"""Seconds between two checks for a quiet moment, once a renewal is due."""
RENEWAL_WINDOW_S, RENEWAL_WINDOW_SHARE = 300.0, 1 / 4
"""Seconds before a session's known end in which a quiet moment is looked for, and the largest share of its lifetime."""
RENEWAL_MARGIN_S, RENEWAL_MARGIN_SHARE = 20.0, 1 / 20
"""Seconds before the end at which the renewal waits no longer, and the largest share of the lifetime."""
MAX_SESSION_LIFETIME_S = 86_400.0
"""Seconds. A server that states a longer or a negative lifetime has another clock."""


def renewal_times(lifetime_s: float) -> tuple[float, float]:
    """Return the session ages, in seconds, from which it is renewed at a quiet moment, and at any moment."""
    return lifetime_s - min(RENEWAL_WINDOW_S, lifetime_s * RENEWAL_WINDOW_SHARE), lifetime_s - min(
        RENEWAL_MARGIN_S, lifetime_s * RENEWAL_MARGIN_SHARE
    )


class ReconnectingClient:
    """Moves events between one call and its current connection. The call's owner decides when the call ends."""

    def __init__(
        self,
        call: CallStateMachine,
        settings: Settings,
        get_endpoint: EndpointSource,
        build_update: Callable[[Endpoint], RawEvent],
        *,
        observers: Sequence[EventObserver] = (),
        on_ready: Callable[[], None] = lambda: None,
        on_change: Callable[[], None] = lambda: None,
        clock: Callable[[], float],
        sleep: Callable[[float], Any] = asyncio.sleep,
        wall_clock: Callable[[], float] = time.time,
        random_source: RandomSource = random.random,
    ) -> None:
        """`get_endpoint`: the server to connect to now. `build_update`: its `session.update`. `observers` receive each
        event before the call does. `on_ready`: a connection is ready and has been sent the conversation. `on_change`:
        the call may have changed. `wall_clock`: seconds since 1970, as servers count them. `random_source`: for the
        jitter of pauses."""
        self._call = call
        self._settings = settings
        self._get_endpoint = get_endpoint
        self._build_update = build_update
        self._observers = observers
        self._dispatcher = EventDispatcher(
            {
                ResponseCreated: self._on_response_created,
                ResponseDone: self._on_response_done,
                InputCommitted: self._on_committed,
            },
            *(observer.event_handlers() for observer in observers),
        )
        self._on_ready = on_ready
        self._on_change = on_change
        self._clock = clock
        self._sleep = sleep
        self._wall_clock = wall_clock
        self._random_source = random_source
        self._connection: RealtimeConnection | None = None
        self._unbilled_response_id = ""
        """Id of the active response. The server reports its usage when it is done."""
        self._response_expected = False
        """A response was requested, or a user turn ended: the server may be about to create a response."""
        self._is_embedded_server = False
        """The newest connection goes to the embedded server."""
        self._silent_since: float | None = None
        """Time of the connection's readiness while the server has sent no event over it; else None."""
        self._is_renewing = False
        """The client is closing the connection itself; a new one follows at once."""

    @property
    def is_connected(self) -> bool:
        """Return whether a connection is ready."""
        return self._connection is not None

    def send(self, events: list[RawEvent]) -> None:
        """Send the events. Without a connection drop them: the next one is sent the whole conversation."""
        if self._connection is not None:
            for event in events:
                self._response_expected |= event["type"] == "response.create"
                self._connection.send(event)

    def append_audio(self, audio: str) -> None:
        """Send 20 ms of microphone audio, as base64."""
        if self._connection is not None:
            self._connection.append_audio(audio)

    def filter_unsupported(self, update: RawEvent) -> RawEvent:
        """Return the `session.update` without fields that the connected server is known to reject."""
        return self._connection.filter_unsupported(update) if self._connection is not None else update

    def detach(self) -> None:
        """Stop sending. The socket is closed by `run()`, which ends by itself or has to be cancelled."""
        self._connection = None

    async def run(self) -> GiveUp | None:
        """Keep the call connected. Return None when the call is over, else the failure that ends it."""
        history, was_awaiting_models = RetryHistory.start(self._clock()), False
        while self._call.stage not in TERMINAL_STAGES:
            outcome = await self._connect_once()
            history = history.record(outcome)
            if self._call.stage in TERMINAL_STAGES:
                break
            action = next_action(outcome, history, self._settings.reconnect_attempts, self._random_source)
            is_repeated = isinstance(action, Retry) and action.awaits_models and was_awaiting_models
            was_awaiting_models = isinstance(action, Retry) and action.awaits_models
            if not (outcome.is_renewal or is_repeated):  # the models are asked for twice a second
                log.info("upstream: connection ended failure=%s", outcome.failure.value)
            if isinstance(action, GiveUp):
                return action
            self._show_disconnected(action, history)
            if isinstance(action, Retry) and action.delay_s:
                await self._sleep(action.delay_s)
        return None

    async def _connect_once(self) -> Outcome:
        """Run one connection to its end and return its outcome."""
        started_at, self._is_renewing = self._clock(), False
        failure, server_words = await self._run_connection()
        was_ready, self._connection, self._silent_since = self._connection is not None, None, None
        return Outcome(
            failure,
            started_at,
            self._clock(),
            was_ready,
            is_renewal=self._is_renewing,
            is_embedded_server=self._is_embedded_server,
            server_words=server_words,
        )

    def _show_disconnected(self, action: Retry | Renew, history: RetryHistory) -> None:
        """Tell the call, and through it the page, that a new connection follows."""
        stage = CallStage.RECONNECTING if history.was_ready else CallStage.CONNECTING
        self._call.handle_disconnected(stage, self._clock())
        notice: str | None = None  # a notice of the lost connection would hide the stage
        if isinstance(action, Renew):
            notice = Notice.RENEWING
        elif action.awaits_models:
            notice = Notice.AWAITING_MODELS
        elif action.awaits_server:
            notice = Failure.EMBEDDED_UNREACHABLE
        elif action.awaits_slot:
            notice = Notice.AWAITING_SERVER
        self._call.set_notice(notice)
        self._on_change()

    async def _renew(self, connection: RealtimeConnection, lifetime_s: float) -> None:
        """Close the connection before its server does: while the call is idle, else at the last moment."""
        started_at = self._clock()
        earliest_s, latest_s = renewal_times(lifetime_s)
        await self._sleep(earliest_s)
        while (left := started_at + latest_s - self._clock()) > 0 and not self._call.idle:
            await self._sleep(min(RENEWAL_POLL_S, left))
        if self._connection is connection:
            log.info("upstream: renewing session left_s=%.0f", lifetime_s - (self._clock() - started_at))
            self._is_renewing = True
            await connection.close()

    def _remaining_lifetime_s(self, event: ServerEvent) -> float | None:
        """Return the seconds that the session has left, or None when the event does not state them."""
        if not isinstance(event, SessionEvent) or event.session.expires_at is None:
            return None
        left_s = event.session.expires_at - self._wall_clock()
        return left_s if 0 < left_s < MAX_SESSION_LIFETIME_S else None

    async def _run_connection(self) -> tuple[Failure, str]:
        """Run one connection from opening to its end; return the failure that ended it, and the server's words."""
        endpoint = self._get_endpoint()
        self._is_embedded_server = isinstance(endpoint, Endpoint) and endpoint.kind is ServerKind.OFFLINE
        if isinstance(endpoint, Failure):
            return endpoint, ""
        try:
            async with RealtimeConnection(
                endpoint,
                self._build_update(endpoint),
                connect_seconds=self._settings.connect_seconds,
                ready_seconds=self._settings.ready_seconds,
            ) as connection:
                self._start_conversation(connection, endpoint)
                try:
                    failure = await self._forward_events(connection)
                    return for_own_key(failure) if endpoint.has_own_key else failure, ""
                finally:
                    # The embedded server costs nothing.
                    if self._call.stage in TERMINAL_STAGES and not self._is_embedded_server:
                        await self._drain_usage(connection)
        except ConnectionFailed as failed:
            return failed.failure, failed.server_words

    def _start_conversation(self, connection: RealtimeConnection, endpoint: Endpoint) -> None:
        """Attach a ready connection to the call and send it the conversation so far."""
        self._connection = connection
        self._unbilled_response_id, self._response_expected = "", False
        for observer in self._observers:
            observer.on_connected(endpoint, self._clock())
        self.send(self._call.handle_connected(self._clock()))
        if connection.is_silent:
            self._silent_since = self._clock()
            self._call.set_notice(Notice.SERVER_SILENT)
        self._on_ready()
        self._on_change()

    async def _forward_events(self, connection: RealtimeConnection) -> Failure:
        """Pass server events to the call until a fatal one. Raises `ConnectionFailed` when the connection ends."""
        call, renewing = self._call, None
        try:
            async for raw in connection.events():
                event, now = parse_event(raw), self._clock()
                if self._silent_since is not None:
                    self._end_silence()
                life_s = self._remaining_lifetime_s(event) if isinstance(event, SessionEvent) else None
                if renewing is None and life_s is not None:
                    renewing = asyncio.create_task(self._renew(connection, life_s))
                self._dispatcher.dispatch(event, now)
                self.send(call.handle_event(event, now))
                self._on_change()
                if call.fatal_failure is not None:
                    return call.fatal_failure
        finally:
            if renewing is not None:
                if not self._is_renewing:
                    renewing.cancel()
                await asyncio.wait([renewing])  # it may be closing the connection
        return Failure.LOST

    def _end_silence(self) -> None:
        """Note that the server has sent its first event."""
        self._silent_since = None
        if self._call.notice == Notice.SERVER_SILENT:
            self._call.set_notice(None)

    def silence_failure(self, now: float) -> Failure | None:
        """Return why a connection ends that was accepted, and over which the server has not sent any event."""
        silent_since = self._silent_since
        return Failure.UNANSWERED if silent_since is not None and now - silent_since > UNANSWERED_TIMEOUT_S else None

    def _on_response_created(self, event: ResponseCreated, now: float) -> None:
        self._unbilled_response_id, self._response_expected = event.response_id, False

    def _on_response_done(self, event: ResponseDone, now: float) -> None:
        if event.response_id == self._unbilled_response_id:
            self._unbilled_response_id = ""

    def _on_committed(self, event: InputCommitted, now: float) -> None:
        self._response_expected = True

    async def _drain_usage(self, connection: RealtimeConnection) -> None:
        """Cancel the response that is active or about to start, and wait for its usage."""
        events = connection.events()

        async def observe_next_event() -> None:
            self._dispatcher.dispatch(parse_event(await anext(events)), self._clock())

        async def cancel(response_id: str) -> None:
            connection.send({"type": "response.cancel", "response_id": response_id})

        await drain_usage(
            is_pending=lambda: bool(self._unbilled_response_id) or self._response_expected,
            active_ids=lambda: [self._unbilled_response_id] if self._unbilled_response_id else [],
            cancel=cancel,
            handle_next_event=observe_next_event,
        )
