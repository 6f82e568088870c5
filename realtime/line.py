"""A call's line to the server: opened, and opened again after what can heal, until the call is over."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from .call import Call
from .connection import HEALABLE, ConnectionFailed, Failure, RealtimeConnection, backoff_seconds
from .settings import Endpoint, Settings
from .snapshot import OVER, Stage

log = logging.getLogger(__name__)

Event = dict[str, Any]
EndpointSource = Callable[[], Endpoint | Failure]

FIRST_ATTEMPTS = 2
"""Further tries when the very first connection fails: a wrong address should be said soon."""
STEADY_S = 10.0
"""A connection that stood this long was good: the next loss starts with the shortest pause again."""
LOADING_S = 90.0
"""The embedded server may take this long to load its models before a call gives up."""
LOADING_TICK_S = 0.5


class Line:
    """Moves events between one `Call` and whatever connection there is. The call's owner decides when it is over."""

    def __init__(
        self,
        call: Call,
        settings: Settings,
        endpoint: EndpointSource,
        update: Callable[[Endpoint], Event],
        *,
        ready: Callable[[], None] = lambda: None,
        news: Callable[[], None] = lambda: None,
        clock: Callable[[], float],
        sleep: Callable[[float], Any] = asyncio.sleep,
    ) -> None:
        """`endpoint`: where to connect now. `update`: the `session.update` for it. `ready`: a connection has become
        ready, and the call has told it what was said. `news`: the call may have changed."""
        self._call = call
        self._settings = settings
        self._endpoint = endpoint
        self._update = update
        self._ready = ready
        self._news = news
        self._clock = clock
        self._sleep = sleep
        self._connection: RealtimeConnection | None = None

    @property
    def up(self) -> bool:
        """There is a connection, and it is ready."""
        return self._connection is not None

    def send(self, events: list[Event]) -> None:
        """Sends them, or nothing while there is no connection: the next one is told what was said."""
        if self._connection is not None:
            for event in events:
                self._connection.send(event)

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
            log.info("No connection for a call: %s", failure.value)
            stage = Stage.RECONNECTING if was_ready else Stage.CONNECTING
            if failure is Failure.LOADING and self._clock() < loading_until:
                call.disconnect(stage, self._clock())
                call.tell(failure)
                self._news()
                await self._sleep(LOADING_TICK_S)
                continue
            most = self._settings.reconnect_attempts if was_ready else FIRST_ATTEMPTS
            if failure not in HEALABLE or attempt >= most:
                return failure
            call.disconnect(stage, self._clock())
            self._news()
            await self._sleep(backoff_seconds(attempt))
            attempt += 1
        return None

    async def _one_connection(self) -> Failure:
        """One connection from opening to its end; returns why it ended."""
        endpoint, call = self._endpoint(), self._call
        if isinstance(endpoint, Failure):
            return endpoint
        try:
            async with RealtimeConnection(
                endpoint,
                self._update(endpoint),
                connect_seconds=self._settings.connect_seconds,
                ready_seconds=self._settings.ready_seconds,
            ) as connection:
                self._connection = connection
                self.send(call.connect(self._clock()))
                self._ready()
                self._news()
                async for event in connection.events():
                    self.send(call.receive(event, self._clock()))
                    self._news()
                    if call.fatal is not None:
                        return call.fatal
        except ConnectionFailed as failed:
            return failed.failure
        return Failure.LOST
