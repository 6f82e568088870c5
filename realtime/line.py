"""A call's line to the server: opened, and opened again after what can heal, until the call is over."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Protocol

from .call import Call
from .connection import HEALABLE, ConnectionFailed, Failure, RealtimeConnection, backoff_seconds
from .fields import response_id
from .settings import Endpoint, ServerKind, Settings
from .snapshot import OVER, Notice, Stage

log = logging.getLogger(__name__)

Event = dict[str, Any]
EndpointSource = Callable[[], Endpoint | Failure]


class Observer(Protocol):
    """Watches what passes, and changes nothing."""

    def connected(self, endpoint: Endpoint, now: float) -> None:
        """A connection to this server is ready; nothing has been sent over it yet."""

    def receive(self, event: Event, now: float) -> None:
        """A server event."""


FIRST_ATTEMPTS = 2
"""Further tries when the very first connection fails: a wrong address should be said soon."""
STEADY_S = 10.0
"""A connection that stood this long was good: the next loss starts with the shortest pause again."""
LOADING_S = 90.0
"""The embedded server may take this long to load its models before a call gives up."""
LOADING_TICK_S = 0.5
RENEWAL_TICK_S = 0.25
"""How often a quiet moment is looked for, once it is time."""
EARLY_S, EARLY_SHARE = 300.0, 1 / 4
"""A quiet moment is taken so long before a session's known end: seconds, but at most this share of its life."""
LATE_S, LATE_SHARE = 20.0, 1 / 20
"""So long before the end there is no more waiting for one."""
SETTLE_S = 0.8
"""After the end of a call, to be told what its last reply has cost. A server says so as soon as it is cancelled."""
LONGEST_LIFE_S = 86_400.0
"""A server that promises more, or less than nothing, has another clock than we have."""


def renewal(life_s: float) -> tuple[float, float]:
    """Seconds of a session's life after which it is renewed at a quiet moment, and after which at any moment."""
    return life_s - min(EARLY_S, life_s * EARLY_SHARE), life_s - min(LATE_S, life_s * LATE_SHARE)


class Line:
    """Moves events between one `Call` and whatever connection there is. The call's owner decides when it is over."""

    def __init__(
        self,
        call: Call,
        settings: Settings,
        endpoint: EndpointSource,
        update: Callable[[Endpoint], Event],
        *,
        observers: Sequence[Observer] = (),
        ready: Callable[[], None] = lambda: None,
        news: Callable[[], None] = lambda: None,
        clock: Callable[[], float],
        sleep: Callable[[float], Any] = asyncio.sleep,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """`endpoint`: where to connect now. `update`: the `session.update` for it. `observers` see what comes, before
        the call does. `ready`: a connection has become ready, and the call has told it what was said. `news`: the call
        may have changed. `wall`: seconds since 1970, as servers count them."""
        self._call = call
        self._settings = settings
        self._endpoint = endpoint
        self._update = update
        self._observers = observers
        self._ready = ready
        self._news = news
        self._clock = clock
        self._sleep = sleep
        self._wall = wall
        self._connection: RealtimeConnection | None = None
        self._unpaid = ""
        """The reply that is being made: the server says at its end what it cost."""
        self._awaited = False
        """A reply was asked for, or a turn is over: the server may be about to announce one."""
        self._embedded = False
        """The newest connection was asked of the embedded server."""
        self._renewing = False
        """The connection is closed by us, to be followed by a new one at once."""

    @property
    def up(self) -> bool:
        """There is a connection, and it is ready."""
        return self._connection is not None

    def send(self, events: list[Event]) -> None:
        """Sends them, or nothing while there is no connection: the next one is told what was said."""
        if self._connection is not None:
            for event in events:
                self._awaited |= event["type"] == "response.create"
                self._connection.send(event)

    def fitted(self, update: Event) -> Event:
        """A `session.update` without what the connected server is known not to take."""
        return self._connection.fitted(update) if self._connection is not None else update

    def drop(self) -> None:
        """Nothing is sent any more. The socket is closed by `hold()`, which has to be cancelled or to end by itself."""
        self._connection = None

    async def hold(self) -> Failure | None:
        """Returns when the call is over (None), or why it cannot go on."""
        call, attempt, was_ready = self._call, 0, False
        loading_until = self._clock() + LOADING_S
        while call.stage not in OVER:
            began = self._clock()
            failure = await self._one_connection()
            if self._connection is not None:  # it had become ready
                self._connection = None
                was_ready = True
                loading_until = self._clock() + LOADING_S
                attempt = 0 if self._clock() - began > STEADY_S else attempt
            if call.stage in OVER:
                break
            if self._renewing:
                self._renewing = False
                call.disconnect(Stage.RECONNECTING, self._clock())
                call.tell(Notice.RENEWING)
                self._news()
                continue
            log.info("No connection for a call: %s", failure.value)
            stage = Stage.RECONNECTING if was_ready else Stage.CONNECTING
            if failure is Failure.LOADING and self._clock() < loading_until:
                call.disconnect(stage, self._clock())
                call.tell(failure)
                self._news()
                await self._sleep(LOADING_TICK_S)
                continue
            most = self._settings.reconnect_attempts if was_ready else FIRST_ATTEMPTS
            # A server may need a moment to see that our old place is free, or at the embedded one, whose places we
            # count ourselves, that of the one before us.
            full = failure is Failure.SERVER_FULL and (was_ready or self._embedded)
            healable = failure in HEALABLE or full
            if not healable or attempt >= most:
                return failure
            call.disconnect(stage, self._clock())
            self._news()
            if failure is not Failure.EXPIRED or attempt:  # a server that only kept its hours is there
                await self._sleep(backoff_seconds(attempt))
            attempt += 1
        return None

    async def _renew(self, connection: RealtimeConnection, life_s: float) -> None:
        """Close a connection before its server does, when nobody speaks or waits, or else just in time."""
        born = self._clock()
        quietly, latest = renewal(life_s)
        await self._sleep(quietly)
        while (left := born + latest - self._clock()) > 0 and not self._call.quiet:
            await self._sleep(min(RENEWAL_TICK_S, left))
        if self._connection is connection:
            log.info("A session is renewed %.0f s before its end.", life_s - (self._clock() - born))
            self._renewing = True
            await connection.close()

    def _life_s(self, event: Event) -> float | None:
        """Seconds that the session has left, where this event tells."""
        session = event.get("session")
        ends = session.get("expires_at") if isinstance(session, dict) else None
        if not isinstance(ends, int | float) or event.get("type") not in ("session.created", "session.updated"):
            return None
        left = ends - self._wall()
        return left if 0 < left < LONGEST_LIFE_S else None

    async def _one_connection(self) -> Failure:
        """One connection from opening to its end; returns why it ended."""
        endpoint, call = self._endpoint(), self._call
        self._embedded = isinstance(endpoint, Endpoint) and endpoint.kind is ServerKind.OFFLINE
        if isinstance(endpoint, Failure):
            return endpoint
        renewing: asyncio.Task[None] | None = None
        try:
            async with RealtimeConnection(
                endpoint,
                self._update(endpoint),
                connect_seconds=self._settings.connect_seconds,
                ready_seconds=self._settings.ready_seconds,
            ) as connection:
                self._connection = connection
                self._unpaid, self._awaited = "", False
                for observer in self._observers:
                    observer.connected(endpoint, self._clock())
                self.send(call.connect(self._clock()))
                self._ready()
                self._news()
                try:
                    async for event in connection.events():
                        if renewing is None and (life_s := self._life_s(event)) is not None:
                            renewing = asyncio.create_task(self._renew(connection, life_s))
                        self.send(call.receive(event, self._observe(event)))
                        self._news()
                        if call.fatal is not None:
                            return call.fatal
                finally:
                    if call.stage in OVER and endpoint.kind is not ServerKind.OFFLINE:  # whom nobody pays
                        await self._settle(connection)
        except ConnectionFailed as failed:
            return failed.failure
        finally:
            if renewing is not None:
                if not self._renewing:
                    renewing.cancel()
                await asyncio.wait([renewing])  # it may be closing the connection
        return Failure.LOST

    def _observe(self, event: Event) -> float:
        """Show an event to the observers; returns when."""
        now, reply = self._clock(), response_id(event)
        if event["type"] == "response.created":
            self._unpaid, self._awaited = reply, False
        elif event["type"] == "response.done" and reply == self._unpaid:
            self._unpaid = ""
        elif event["type"] == "input_audio_buffer.committed":
            self._awaited = True
        for observer in self._observers:
            observer.receive(event, now)
        return now

    async def _settle(self, connection: RealtimeConnection) -> None:
        """The call is over: a reply that is still being made, or about to be, is ended, and it is waited for what it
        cost."""
        ended = ""
        with suppress(ConnectionFailed, TimeoutError):
            async with asyncio.timeout(SETTLE_S):
                events = connection.events()
                while self._unpaid or self._awaited:
                    if self._unpaid not in ("", ended):
                        ended = self._unpaid
                        connection.send({"type": "response.cancel", "response_id": ended})
                    self._observe(await anext(events))
