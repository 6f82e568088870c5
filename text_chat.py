"""One text chat: typed messages on one side, a Realtime socket of its own on the other.

The written sibling of `realtime_handler.VoiceCall`, around the same `realtime.call.Call`: no sound, no turns to detect.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

from realtime.accounts import Account, Accounts
from realtime.call import Call
from realtime.conversation import Conversation
from realtime.failures import Failure
from realtime.line import EndpointSource, Line
from realtime.places import Kind, Place, Places, State, needs_session
from realtime.session import Mode, session_update
from realtime.settings import Endpoint, Settings
from realtime.snapshot import OVER, Notice, Snapshot, Stage
from webrtc_edge import where

log = logging.getLogger(__name__)

TICK_S = 0.5
GATHER_S = 0.08
"""Changes are gathered so long before they are shown: a page that is sent every word is slower, not quicker."""
HEARTBEAT_S = 2.0
"""The page is shown something at least so often. A page that no longer takes it is gone."""
RETURN_S = 1.0
"""A page that has stopped taking it may come back so soon, before it counts as gone."""
NO_LIMIT_S = 10 * 365 * 86_400
"""A chat has no longest duration: idle, it costs nothing, and `chat_idle_seconds` ends it."""


class TextChat:
    """From Connect to Disconnect. `conversation` outlives it and belongs to the visitor."""

    def __init__(
        self,
        settings: Settings,
        endpoint: EndpointSource,
        places: Places,
        conversation: Conversation,
        accounts: Accounts | None = None,
        *,
        visitor: str = "",
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Any] = asyncio.sleep,
    ) -> None:
        self._settings = replace(
            settings, idle_seconds=settings.chat_idle_seconds, max_call_seconds=NO_LIMIT_S, output_latency_ms=0
        )
        self._account = Account(accounts or Accounts(), settings, Mode.TEXT)
        self._places = places
        self._place: Place | None = None
        self._visitor = visitor
        self._endpoint = endpoint
        self._clock = clock
        self._sleep = sleep
        self._changed = asyncio.Event()
        conversation.restart()
        self._call = Call(conversation, self._settings, clock())
        self._line = Line(
            self._call,
            self._settings,
            self._server,
            self._update,
            observers=(self._account,),
            news=self._changed.set,
            clock=clock,
            sleep=sleep,
        )
        self._page_at = clock()
        """When the page was last seen to take what it is shown."""
        self.watched = False
        """A page is being shown the news."""
        self._tasks: list[asyncio.Task[None]] = []

    def _update(self, endpoint: Endpoint) -> dict[str, Any]:
        return session_update(self._settings, Mode.TEXT, kind=endpoint.kind)

    # ---------------------------------------------------------------- life

    def open(self) -> None:
        """Connect, or wait in line for it, in the running event loop."""
        session = needs_session(self._endpoint())
        place = self._place = self._places.enter(self, Kind.CHAT, self._visitor, session=session)
        if place.refusal is not None:
            self._end(Stage.FAILED, place.refusal)
            return
        self._tasks = [asyncio.create_task(self._watch_time())]
        if place.state is State.IN:
            self._go_in()
        else:
            self._call.waits(place.number, self._clock())

    def place_changed(self) -> None:
        """From the line: this chat is in now, or its number is another, or there is no waiting any more."""
        assert self._place is not None
        try:
            if self._place.refusal is not None:
                self._end(Stage.FAILED, self._place.refusal)
            elif self._place.state is State.IN:
                self._call.goes_in(self._clock())
                self._go_in()
            else:
                self._call.waits(self._place.number, self._clock())
        except Exception as error:
            self._broken(error)
        self._changed.set()

    def closing(self, seconds: float) -> None:
        """The app ends: the visitor is told, and the chat is over in so many seconds at the latest."""
        self._call.closing(seconds, self._clock())
        self._changed.set()

    def _go_in(self) -> None:
        place = self._place
        assert place is not None
        self._account.open()
        connected = asyncio.create_task(self._stay_connected())
        connected.add_done_callback(lambda _: place.leave())  # the embedded server has its session back by then
        self._tasks.append(connected)

    def _server(self) -> Endpoint | Failure:
        found = self._endpoint()
        if self._place is not None and not self._place.needs(needs_session(found)):
            return Failure.SERVER_FULL  # the key of their own is gone, and the embedded server has no room
        return found

    @property
    def under_way(self) -> bool:
        """It is not over."""
        return self._call.stage not in OVER

    def leave(self) -> None:
        """The visitor disconnects. Harmless when it is over."""
        self._end(Stage.ENDED, None)

    def _end(self, stage: Stage, notice: str | None) -> None:
        if self._call.stage in OVER:
            return
        self._call.end(stage, notice, self._clock())
        self._account.close(notice or "hung_up")
        if self._place is not None:
            self._place.end()
        self._line.drop()
        current = asyncio.current_task()
        for task in self._tasks:
            if task is not current and not task.cancelling():
                task.cancel()
        self._changed.set()

    async def settled(self) -> None:
        """Returns when nothing of it runs any more."""
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _stay_connected(self) -> None:
        try:
            failure = await self._line.hold()
            if failure is not None:
                self._end(Stage.FAILED, failure)
        except Exception as error:
            self._broken(error)

    async def _watch_time(self) -> None:
        try:
            while self.under_way:
                await self._sleep(TICK_S)
                now = self._clock()
                if now - self._page_at > self._settings.vanished_seconds:
                    self.leave()
                elif notice := self._call.time_up(now) or self._account.must_end(self._call.quiet, now):
                    self._end(Stage.ENDED, notice)
                elif self._call.stage is Stage.WAITING:
                    self._server()  # a key of their own may have come meanwhile, or gone
                else:
                    self._do(self._call.tick(now))
        except Exception as error:
            self._broken(error)

    def _broken(self, error: Exception) -> None:
        log.error("A chat is ended by an error: %s", where(error))
        self._end(Stage.FAILED, Notice.INTERNAL)

    # ---------------------------------------------------------------- the page

    @property
    def snapshot(self) -> Snapshot:
        """The present state."""
        return replace(self._call.snapshot(), server=self._account.server, money=self._account.money)

    async def news(self) -> AsyncIterator[Snapshot]:
        """The state now and whenever it has changed, the last one included. For one reader: the page."""
        self.watched = True
        try:
            while True:
                self._page_at = self._clock()
                self._changed.clear()
                yield self.snapshot
                if not self.under_way and not self._changed.is_set():
                    return
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._changed.wait(), HEARTBEAT_S)
                await asyncio.sleep(GATHER_S)
        finally:
            self.watched = False
            self._page_at = min(self._page_at, self._clock() - self._settings.vanished_seconds + RETURN_S)

    def _do(self, events: list[dict[str, Any]]) -> None:
        self._line.send(events)
        self._changed.set()

    def say(self, text: str) -> bool:
        """A message: it ends a reply that is being written, and is answered; while connecting, as soon as there is a
        connection.

        Returns whether it was taken; not when it is blank or too long, and not once the chat is over.
        """
        events = self._call.say(text, self._clock())
        self._do(events or [])
        return events is not None

    def stop(self) -> None:
        """Enough of this reply. What was written of it stays."""
        self._do(self._call.stop(self._clock()))

    def clear(self) -> None:
        """Forget the conversation, here and at the server."""
        self._do(self._call.clear(self._clock()))
