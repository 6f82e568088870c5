"""A call's line to the server: opened, and opened again after what can heal, until the call is over."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Protocol

from voicechat.config.settings import Endpoint, ServerKind, Settings
from voicechat.protocol.event_dispatcher import EventDispatcher, EventHandlers
from voicechat.protocol.notices import Notice
from voicechat.protocol.server_events import (
    InputCommitted,
    ResponseCreated,
    ResponseDone,
    SessionEvent,
    parse_event,
)
from voicechat.turn_taking.call import CallStateMachine
from voicechat.turn_taking.snapshot import TERMINAL_STAGES, CallStage

from .connection import RETRYABLE, ConnectionFailed, Failure, RealtimeConnection, backoff_seconds

log = logging.getLogger(__name__)

Event = dict[str, Any]
EndpointSource = Callable[[], Endpoint | Failure]


class EventObserver(Protocol):
    """Observes connections and server events, and changes nothing."""

    def on_connected(self, endpoint: Endpoint, now: float) -> None:
        """A connection to this server is ready; nothing has been sent over it yet."""

    def event_handlers(self) -> EventHandlers:
        """Return the handlers by class of event."""


MAX_INITIAL_RETRIES = 2
"""Further tries when the very first connection fails: a wrong address should be said soon."""
STABLE_CONNECTION_S = 10.0
"""A connection that stood this long was good: the next loss starts with the shortest pause again."""
MODEL_LOADING_TIMEOUT_S = 90.0
"""The embedded server may take this long to load its models before a call gives up."""
MODEL_LOADING_POLL_S = 0.5
RENEWAL_POLL_S = 0.25
"""How often a quiet moment is looked for, once it is time."""
RENEWAL_WINDOW_S, RENEWAL_WINDOW_SHARE = 300.0, 1 / 4
"""A quiet moment is taken so long before a session's known end: seconds, but at most this share of its life."""
RENEWAL_MARGIN_S, RENEWAL_MARGIN_SHARE = 20.0, 1 / 20
"""So long before the end there is no more waiting for one."""
USAGE_DRAIN_TIMEOUT_S = 0.8
"""After the end of a call, to be told what its last reply has cost. A server says so as soon as it is cancelled."""
MAX_SESSION_LIFETIME_S = 86_400.0
"""A server that promises more, or less than nothing, has another clock than we have."""


def renewal_times(lifetime_s: float) -> tuple[float, float]:
    """Seconds of a session's life after which it is renewed at a quiet moment, and after which at any moment."""
    return lifetime_s - min(RENEWAL_WINDOW_S, lifetime_s * RENEWAL_WINDOW_SHARE), lifetime_s - min(
        RENEWAL_MARGIN_S, lifetime_s * RENEWAL_MARGIN_SHARE
    )


class ReconnectingClient:
    """Moves events between one `Call` and whatever connection there is. The call's owner decides when it is over."""

    def __init__(
        self,
        call: CallStateMachine,
        settings: Settings,
        get_endpoint: EndpointSource,
        build_update: Callable[[Endpoint], Event],
        *,
        observers: Sequence[EventObserver] = (),
        on_ready: Callable[[], None] = lambda: None,
        on_change: Callable[[], None] = lambda: None,
        clock: Callable[[], float],
        sleep: Callable[[float], Any] = asyncio.sleep,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        """`endpoint`: where to connect now. `update`: the `session.update` for it. `observers` see what comes, before
        the call does. `ready`: a connection has become ready, and the call has told it what was said. `news`: the call
        may have changed. `wall`: seconds since 1970, as servers count them."""
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
        self._connection: RealtimeConnection | None = None
        self._unbilled_response_id = ""
        """The reply that is being made: the server says at its end what it cost."""
        self._response_expected = False
        """A reply was asked for, or a turn is over: the server may be about to announce one."""
        self._is_embedded_server = False
        """The newest connection was asked of the embedded server."""
        self._is_renewing = False
        """The connection is closed by us, to be followed by a new one at once."""

    @property
    def is_connected(self) -> bool:
        """There is a connection, and it is ready."""
        return self._connection is not None

    def send(self, events: list[Event]) -> None:
        """Sends them, or nothing while there is no connection: the next one is told what was said."""
        if self._connection is not None:
            for event in events:
                self._response_expected |= event["type"] == "response.create"
                self._connection.send(event)

    def append_audio(self, audio: str) -> None:
        """`send()` for 20 ms of the microphone. `audio`: base64."""
        if self._connection is not None:
            self._connection.append_audio(audio)

    def filter_unsupported(self, update: Event) -> Event:
        """A `session.update` without what the connected server is known not to take."""
        return self._connection.filter_unsupported(update) if self._connection is not None else update

    def detach(self) -> None:
        """Nothing is sent any more. The socket is closed by `hold()`, which has to be cancelled or to end by itself."""
        self._connection = None

    async def run(self) -> Failure | None:
        """Returns when the call is over (None), or why it cannot go on."""
        call, attempt, was_ready = self._call, 0, False
        loading_until = self._clock() + MODEL_LOADING_TIMEOUT_S
        while call.stage not in TERMINAL_STAGES:
            began = self._clock()
            failure = await self._run_connection()
            if self._connection is not None:  # it had become ready
                self._connection = None
                was_ready = True
                loading_until = self._clock() + MODEL_LOADING_TIMEOUT_S
                attempt = 0 if self._clock() - began > STABLE_CONNECTION_S else attempt
            if call.stage in TERMINAL_STAGES:
                break
            if self._is_renewing:
                self._is_renewing = False
                call.handle_disconnected(CallStage.RECONNECTING, self._clock())
                call.set_notice(Notice.RENEWING)
                self._on_change()
                continue
            log.info("No connection for a call: %s", failure.value)
            stage = CallStage.RECONNECTING if was_ready else CallStage.CONNECTING
            if failure is Failure.LOADING and self._clock() < loading_until:
                call.handle_disconnected(stage, self._clock())
                call.set_notice(failure)
                self._on_change()
                await self._sleep(MODEL_LOADING_POLL_S)
                continue
            most = self._settings.reconnect_attempts if was_ready else MAX_INITIAL_RETRIES
            # A server may need a moment to see that our old place is free, or at the embedded one, whose places we
            # count ourselves, that of the one before us.
            full = failure is Failure.SERVER_FULL and (was_ready or self._is_embedded_server)
            healable = failure in RETRYABLE or full
            if not healable or attempt >= most:
                return failure
            call.handle_disconnected(stage, self._clock())
            self._on_change()
            if failure is not Failure.EXPIRED or attempt:  # a server that only kept its hours is there
                await self._sleep(backoff_seconds(attempt))
            attempt += 1
        return None

    async def _renew(self, connection: RealtimeConnection, lifetime_s: float) -> None:
        """Close a connection before its server does, when nobody speaks or waits, or else just in time."""
        born = self._clock()
        quietly, latest = renewal_times(lifetime_s)
        await self._sleep(quietly)
        while (left := born + latest - self._clock()) > 0 and not self._call.idle:
            await self._sleep(min(RENEWAL_POLL_S, left))
        if self._connection is connection:
            log.info("A session is renewed %.0f s before its end.", lifetime_s - (self._clock() - born))
            self._is_renewing = True
            await connection.close()

    def _remaining_lifetime_s(self, event: SessionEvent) -> float | None:
        """Return the seconds that the session has left; None when the server does not say."""
        if event.session.expires_at is None:
            return None
        left_s = event.session.expires_at - self._wall_clock()
        return left_s if 0 < left_s < MAX_SESSION_LIFETIME_S else None

    async def _run_connection(self) -> Failure:
        """One connection from opening to its end; returns why it ended."""
        endpoint, call = self._get_endpoint(), self._call
        self._is_embedded_server = isinstance(endpoint, Endpoint) and endpoint.kind is ServerKind.OFFLINE
        if isinstance(endpoint, Failure):
            return endpoint
        renewing: asyncio.Task[None] | None = None
        try:
            async with RealtimeConnection(
                endpoint,
                self._build_update(endpoint),
                connect_seconds=self._settings.connect_seconds,
                ready_seconds=self._settings.ready_seconds,
            ) as connection:
                self._connection = connection
                self._unbilled_response_id, self._response_expected = "", False
                for observer in self._observers:
                    observer.on_connected(endpoint, self._clock())
                self.send(call.handle_connected(self._clock()))
                self._on_ready()
                self._on_change()
                try:
                    async for raw in connection.events():
                        event, now = parse_event(raw), self._clock()
                        if renewing is None and isinstance(event, SessionEvent):
                            if (life_s := self._remaining_lifetime_s(event)) is not None:
                                renewing = asyncio.create_task(self._renew(connection, life_s))
                        self._dispatcher.dispatch(event, now)
                        self.send(call.handle_event(event, now))
                        self._on_change()
                        if call.fatal_failure is not None:
                            return call.fatal_failure
                finally:
                    if call.stage in TERMINAL_STAGES and endpoint.kind is not ServerKind.OFFLINE:  # whom nobody pays
                        await self._drain_usage(connection)
        except ConnectionFailed as failed:
            return failed.failure
        finally:
            if renewing is not None:
                if not self._is_renewing:
                    renewing.cancel()
                await asyncio.wait([renewing])  # it may be closing the connection
        return Failure.LOST

    def _on_response_created(self, event: ResponseCreated, now: float) -> None:
        self._unbilled_response_id, self._response_expected = event.response_id, False

    def _on_response_done(self, event: ResponseDone, now: float) -> None:
        if event.response_id == self._unbilled_response_id:
            self._unbilled_response_id = ""

    def _on_committed(self, event: InputCommitted, now: float) -> None:
        self._response_expected = True

    async def _drain_usage(self, connection: RealtimeConnection) -> None:
        """The call is over: a reply that is still being made, or about to be, is ended, and it is waited for what it
        cost."""
        ended = ""
        with suppress(ConnectionFailed, TimeoutError):
            async with asyncio.timeout(USAGE_DRAIN_TIMEOUT_S):
                events = connection.events()
                while self._unbilled_response_id or self._response_expected:
                    if self._unbilled_response_id not in ("", ended):
                        ended = self._unbilled_response_id
                        connection.send({"type": "response.cancel", "response_id": ended})
                    self._dispatcher.dispatch(parse_event(await anext(events)), self._clock())
