"""One text chat: typed messages on one side, a Realtime socket of its own on the other.

The written sibling of `realtime_handler.RealtimeHandler`, around the same `voicechat.turn_taking.call.Call`: no sound, no turns to detect.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

from voicechat.config.session_update import SessionMode, build_session_update
from voicechat.config.settings import Endpoint, Settings
from voicechat.conversation.conversation import Conversation
from voicechat.limits.budget import BillingService, SessionBilling
from voicechat.limits.waiting_queue import (
    AdmissionController,
    AdmissionKind,
    AdmissionState,
    AdmissionTicket,
    needs_offline_session,
)
from voicechat.logs import error_location
from voicechat.protocol.failures import Failure
from voicechat.protocol.notices import Notice
from voicechat.turn_taking.call import CallStateMachine
from voicechat.turn_taking.snapshot import TERMINAL_STAGES, CallStage, Snapshot
from voicechat.upstream.reconnecting_client import EndpointSource, ReconnectingClient

log = logging.getLogger(__name__)

TICK_INTERVAL_S = 0.5
BATCH_INTERVAL_S = 0.08
"""Changes are gathered so long before they are shown: a page that is sent every word is slower, not quicker."""
HEARTBEAT_INTERVAL_S = 2.0
"""The page is shown something at least so often. A page that no longer takes it is gone."""
RECONNECT_GRACE_S = 1.0
"""A page that has stopped taking it may come back so soon, before it counts as gone."""
NO_LIMIT_S = 10 * 365 * 86_400
"""A chat has no longest duration: idle, it costs nothing, and `chat_idle_seconds` ends it."""


class TextSession:
    """From Connect to Disconnect. `conversation` outlives it and belongs to the visitor."""

    def __init__(
        self,
        settings: Settings,
        endpoint_source: EndpointSource,
        admission: AdmissionController,
        conversation: Conversation,
        billing: BillingService | None = None,
        *,
        visitor_key: str = "",
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Any] = asyncio.sleep,
    ) -> None:
        self._settings = settings.with_changes(
            idle_seconds=settings.chat_idle_seconds, max_call_seconds=NO_LIMIT_S, output_latency_ms=0
        )
        self._session_billing = SessionBilling(billing or BillingService(), settings, SessionMode.TEXT)
        self._admission = admission
        self._admission_ticket: AdmissionTicket | None = None
        self._visitor_key = visitor_key
        self._endpoint_source = endpoint_source
        self._clock = clock
        self._sleep = sleep
        self._changed = asyncio.Event()
        conversation.reset_connection()
        self._call = CallStateMachine(conversation, self._settings, clock())
        self._upstream = ReconnectingClient(
            self._call,
            self._settings,
            self._resolve_endpoint,
            self._session_update,
            observers=(self._session_billing,),
            on_change=self._changed.set,
            clock=clock,
            sleep=sleep,
        )
        self._last_seen_at = clock()
        """When the page was last seen to take what it is shown."""
        self.is_watched = False
        """A page is being shown the news."""
        self._tasks: list[asyncio.Task[None]] = []

    def _session_update(self, endpoint: Endpoint) -> dict[str, Any]:
        return build_session_update(self._settings, SessionMode.TEXT, kind=endpoint.kind)

    # ---------------------------------------------------------------- life

    def start(self) -> None:
        """Connect, or wait in line for it, in the running event loop."""
        session = needs_offline_session(self._endpoint_source())
        place = self._admission_ticket = self._admission.request_admission(
            self, AdmissionKind.CHAT, self._visitor_key, uses_offline=session
        )
        if place.refusal is not None:
            self._end(CallStage.FAILED, place.refusal)
            return
        self._tasks = [asyncio.create_task(self._run_tick_loop())]
        if place.state is AdmissionState.ADMITTED:
            self._start_session()
        else:
            self._call.queued(place.queue_position, self._clock())

    def on_admission_changed(self) -> None:
        """From the line: this chat is in now, or its number is another, or there is no waiting any more."""
        assert self._admission_ticket is not None
        try:
            if self._admission_ticket.refusal is not None:
                self._end(CallStage.FAILED, self._admission_ticket.refusal)
            elif self._admission_ticket.state is AdmissionState.ADMITTED:
                self._call.admitted(self._clock())
                self._start_session()
            else:
                self._call.queued(self._admission_ticket.queue_position, self._clock())
        except Exception as error:
            self._fail(error)
        self._changed.set()

    def on_shutdown(self, grace_s: float) -> None:
        """The app ends: the visitor is told, and the chat is over in so many seconds at the latest."""
        self._call.on_shutdown(grace_s, self._clock())
        self._changed.set()

    def _start_session(self) -> None:
        place = self._admission_ticket
        assert place is not None
        self._session_billing.open()
        connected = asyncio.create_task(self._run_upstream())
        connected.add_done_callback(lambda _: place.release())  # the embedded server has its session back by then
        self._tasks.append(connected)

    def _resolve_endpoint(self) -> Endpoint | Failure:
        found = self._endpoint_source()
        if self._admission_ticket is not None and not self._admission_ticket.switch_server(
            needs_offline_session(found)
        ):
            return Failure.SERVER_FULL  # the key of their own is gone, and the embedded server has no room
        return found

    @property
    def is_active(self) -> bool:
        """It is not over."""
        return self._call.stage not in TERMINAL_STAGES

    def end_by_user(self) -> None:
        """The visitor disconnects. Harmless when it is over."""
        self._end(CallStage.ENDED, None)

    def _end(self, stage: CallStage, notice: str | None) -> None:
        if self._call.stage in TERMINAL_STAGES:
            return
        self._call.end(stage, notice, self._clock())
        self._session_billing.close(notice or "hung_up")
        if self._admission_ticket is not None:
            self._admission_ticket.begin_release()
        self._upstream.detach()
        current = asyncio.current_task()
        for task in self._tasks:
            if task is not current and not task.cancelling():
                task.cancel()
        self._changed.set()

    async def wait_closed(self) -> None:
        """Returns when nothing of it runs any more."""
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _run_upstream(self) -> None:
        try:
            failure = await self._upstream.run()
            if failure is not None:
                self._end(CallStage.FAILED, failure)
        except Exception as error:
            self._fail(error)

    async def _run_tick_loop(self) -> None:
        try:
            while self.is_active:
                await self._sleep(TICK_INTERVAL_S)
                now = self._clock()
                if now - self._last_seen_at > self._settings.vanished_seconds:
                    self.end_by_user()
                elif notice := self._call.expired(now) or self._session_billing.must_end(self._call.idle, now):
                    self._end(CallStage.ENDED, notice)
                elif self._call.stage is CallStage.QUEUED:
                    self._resolve_endpoint()  # a key of their own may have come meanwhile, or gone
                else:
                    self._send(self._call.check_timeouts(now))
        except Exception as error:
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        log.error("A chat is ended by an error: %s", error_location(error))
        self._end(CallStage.FAILED, Notice.INTERNAL)

    # ---------------------------------------------------------------- the page

    @property
    def snapshot(self) -> Snapshot:
        """The present state."""
        return replace(
            self._call.snapshot(), server_name=self._session_billing.server_name, cost=self._session_billing.cost
        )

    async def snapshots(self) -> AsyncIterator[Snapshot]:
        """The state now and whenever it has changed, the last one included. For one reader: the page."""
        self.is_watched = True
        try:
            while True:
                self._last_seen_at = self._clock()
                self._changed.clear()
                yield self.snapshot
                if not self.is_active and not self._changed.is_set():
                    return
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._changed.wait(), HEARTBEAT_INTERVAL_S)
                await asyncio.sleep(BATCH_INTERVAL_S)
        finally:
            self.is_watched = False
            self._last_seen_at = min(
                self._last_seen_at, self._clock() - self._settings.vanished_seconds + RECONNECT_GRACE_S
            )

    def _send(self, events: list[dict[str, Any]]) -> None:
        self._upstream.send(events)
        self._changed.set()

    def send_text(self, text: str) -> bool:
        """A message: it ends a reply that is being written, and is answered; while connecting, as soon as there is a
        connection.

        Returns whether it was taken; not when it is blank or too long, and not once the chat is over.
        """
        events = self._call.send_text(text, self._clock())
        self._send(events or [])
        return events is not None

    def interrupt(self) -> None:
        """Enough of this reply. What was written of it stays."""
        self._send(self._call.interrupt(self._clock()))

    def clear(self) -> None:
        """Forget the conversation, here and at the server."""
        self._send(self._call.clear(self._clock()))
