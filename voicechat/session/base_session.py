"""Session core that calls and chats share: admission, billing, upstream connection, limits and the coarse clock.

A session lives in one event loop and has one state, `CallStage`. Its resources hang on that state:

    start() ── pending ── queued ── admitted ──▶ `LiveCall` exists ── end ──▶ everything released
                  └── refused ──▶ FAILED             └── slot lost ──▶ FAILED

Only a shared state leaves a ticket pending; until it answers, the session is connecting.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextvars import Context, copy_context
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from voicechat.audio.playback_buffer import Truncation
from voicechat.config.session_update import SessionMode
from voicechat.config.settings import Endpoint, Settings
from voicechat.conversation.conversation import Conversation
from voicechat.limits.admission import (
    Admission,
    AdmissionKind,
    AdmissionState,
    AdmissionTicket,
    needs_offline_session,
)
from voicechat.limits.billing import BillingService, SessionBilling
from voicechat.limits.daily_quota import QuotaMeter
from voicechat.limits.pricing import SpendStatus
from voicechat.logs import bind_session_id, error_location
from voicechat.pictures.picture import Picture
from voicechat.pictures.server_sight import PictureSupport
from voicechat.protocol.failures import Failure
from voicechat.protocol.notices import Notice
from voicechat.tools.calls.call_admission import RecentCalls
from voicechat.tools.runtime import ToolRuntime
from voicechat.turn_taking.call import CallStateMachine
from voicechat.turn_taking.snapshot import TERMINAL_STAGES, CallStage, Snapshot
from voicechat.upstream.reconnecting_client import EndpointSource, EventObserver, ReconnectingClient
from voicechat.upstream.session_sync import SessionConfigSync

from .tool_runs import ToolRuns, adapt_tracker, build_tracker
from .tool_session import ToolSession

log = logging.getLogger(__name__)

TICK_INTERVAL_S = 0.5
"""Seconds between two checks of limits, timeouts and presence."""


@dataclass(frozen=True, slots=True)
class LiveCall:
    """Resources of an admitted session. Exists from admission to the end of the session."""

    upstream: ReconnectingClient
    quota_meter: QuotaMeter


class BaseSession(ToolSession):
    """One call or chat. Subclasses implement what raises NotImplementedError, and hand snapshots to the page."""

    mode: ClassVar[SessionMode]
    admission_kind: ClassVar[AdmissionKind]

    def __init__(
        self,
        settings: Settings,
        endpoint_source: EndpointSource,
        admission: Admission,
        billing: BillingService,
        conversation: Conversation,
        visitor_key: str,
        *,
        quota_key: str = "",
        resume_id: str = "",
        tools: ToolRuntime | None = None,
        disabled_tools: frozenset[str] = frozenset(),
        timezone: str = "",
        recent_calls: RecentCalls | None = None,
        clock: Callable[[], float],
        sleep: Callable[[float], Any],
    ) -> None:
        """`visitor_key`: for the limits of one visitor. `quota_key`: visitor whose daily quota is used; "" for none.

        `resume_id`: the same for all sessions of one page, "" when unknown.

        `tools`: tools of the process. `disabled_tools`: those that the visitor has switched off. `timezone`: IANA name
        of the visitor's; "" when it is unknown. `recent_calls`: those of the page, where `visitor_key` is "".
        """
        self.settings = settings
        self.clock = clock
        self._sleep = sleep
        self._endpoint_source = endpoint_source
        self._billing = SessionBilling(billing, settings, self.mode)
        self._metrics = billing.metrics
        self._daily_quota = billing.daily_quota
        self._quota_key = quota_key
        self._ticket = AdmissionTicket(admission, self, self.admission_kind, visitor_key, resume_id)
        self._created_at = clock()
        conversation.reset_connection()
        self._tool_runs = ToolRuns(tools, disabled_tools)
        self._timezone = timezone
        count_recent = self._tool_runs.count_recent(visitor_key, recent_calls)
        tracker = build_tracker(self._tool_runs.definitions, settings, count_recent)
        self._call = CallStateMachine(conversation, settings, self._created_at, tracker)
        self._call.tools.declare = self._build_live_updates
        self._session_sync = SessionConfigSync()
        self._current_endpoint: Endpoint | None = None
        """Server of the newest connection."""
        self._live: LiveCall | None = None
        self._last_seen_at = self._created_at
        """Last sign of life from the page."""
        self._tasks: list[asyncio.Task[None]] = []
        self._log_context = copy_context()
        self._log_context.run(bind_session_id)

    # ---------------------------------------------------------------- for subclasses

    def _preferred_update(self, endpoint: Endpoint) -> dict[str, Any]:
        """Return the `session.update` with all settings as they are wanted now of this server."""
        raise NotImplementedError

    def _check_presence(self, now: float) -> None:
        """End the session of a page that has vanished."""
        raise NotImplementedError

    def _observers(self) -> Sequence[EventObserver]:
        """Return the observers of server events."""
        return self._billing, self._session_sync

    def _on_upstream_ready(self, live: LiveCall) -> None:
        """Send what a new connection needs besides the conversation."""

    def _on_tick(self, live: LiveCall, now: float) -> None:
        """Do more in the coarse tick of an admitted session."""

    def _on_change(self) -> None:
        """Note that the snapshot may differ."""

    def _close_page(self) -> None:
        """Let the page close after an end that the visitor did not ask for."""

    # ---------------------------------------------------------------- start and admission

    def start(self) -> None:
        """Request admission: connect, wait in the queue, or fail with the reason. Call it inside the event loop."""
        self._run_in_log_context(self._request_admission)

    def _request_admission(self) -> None:
        if self._daily_quota.is_exhausted(self._quota_key):
            self._end(CallStage.FAILED, Notice.VISITOR_DAILY_QUOTA)
            return
        self._ticket.request(uses_offline=needs_offline_session(self._endpoint_source()))
        self._apply_admission(self._created_at)  # not a moment later: time in the queue is not time of the call
        if self.is_active:
            self._tasks.append(asyncio.create_task(self._run_tick_loop()))

    def on_admission_changed(self) -> None:
        try:
            self._run_in_log_context(self._apply_admission, self.clock())
        except Exception as error:
            self.fail(error)
        self._on_change()

    def on_shutdown(self, grace_s: float) -> None:
        self._call.on_shutdown(grace_s, self.clock())
        self._on_change()

    def _apply_admission(self, now: float) -> None:
        if self._ticket.refusal is not None:
            self._end(CallStage.FAILED, self._ticket.refusal)
        elif self._ticket.state is AdmissionState.ADMITTED:
            self._call.admitted(now)
            self._go_live()
        elif self._ticket.state is AdmissionState.QUEUED:
            self._call.queued(self._ticket.queue_position, now)

    def _go_live(self) -> None:
        """Open billing, quota meter and connection of the admitted session."""
        self._billing.open()
        self._tool_runs.watch(self._apply_tools)
        self._apply_tools()  # they may have changed while the visitor queued
        upstream = ReconnectingClient(
            self._call,
            self.settings,
            self._resolve_endpoint,
            self._start_connection,
            observers=self._observers(),
            on_ready=lambda: self._on_upstream_ready(live),
            on_change=self._on_upstream_change,
            clock=self.clock,
            sleep=self._sleep,
        )
        live = self._live = LiveCall(upstream, QuotaMeter(self._daily_quota, self._quota_key, self.clock()))
        running = asyncio.create_task(self._run_upstream(upstream))
        running.add_done_callback(lambda _: self._ticket.release())  # the offline server has its session back by then
        self._tasks.append(running)

    # ---------------------------------------------------------------- end

    @property
    def is_active(self) -> bool:
        """The session is neither ended nor failed."""
        return self._call.stage not in TERMINAL_STAGES

    def end_by_user(self) -> None:
        """End the session at the visitor's request. Do nothing if it has ended.

        The page is not asked to close: fastrtc's component closes whatever call it has when such a message arrives, and
        that may be the visitor's next one.
        """
        self._finish(CallStage.ENDED, None)

    def fail(self, error: Exception) -> None:
        """End the session because of an internal error, and log its location in the code."""
        kind, location = self.admission_kind, error_location(error)
        self._run_in_log_context(log.error, "session: internal error kind=%s error=%s", kind, location)
        self._end(CallStage.FAILED, Notice.INTERNAL)

    def _end(self, stage: CallStage, notice: str) -> None:
        if self.is_active:
            self._finish(stage, notice)
            self._close_page()

    def _finish(self, stage: CallStage, notice: str | None) -> None:
        if self.is_active:
            self._run_in_log_context(self._finish_now, stage, notice)

    def _finish_now(self, stage: CallStage, notice: str | None) -> None:
        self._call.end(stage, notice, self.clock())
        self._run_tools()
        self._tool_runs.close()
        self._record_incomplete()
        self._billing.close(notice or "hung_up")
        self._release_resources()
        self._on_change()

    def _release_resources(self) -> None:
        """Free the slot, detach the connection and cancel the tasks. The task that opened the socket closes it."""
        self._ticket.begin_release()
        live, self._live = self._live, None
        if live is not None:
            live.upstream.detach()
        current = asyncio.current_task()
        for task in self._tasks:
            if task is not current and not task.cancelling():  # a cancelled one waits for the usage of the last reply
                task.cancel()

    async def wait_closed(self, timeout_s: float | None = None) -> None:
        """Wait until every task of the session has ended."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=timeout_s)

    def copy_log_context(self) -> Context:
        """Return a context with this session's id for the log."""
        return self._log_context.copy()

    def _run_in_log_context(self, function: Callable[..., None], *arguments: object) -> None:
        """Call the function with this session's id for the log; tasks that it creates inherit the id.

        The caller may be a transport, the page, or another session that has freed its slot. Not for every frame.
        """
        self.copy_log_context().run(function, *arguments)

    # ---------------------------------------------------------------- upstream

    async def _run_upstream(self, upstream: ReconnectingClient) -> None:
        try:
            ending = await upstream.run()
            if ending is not None:
                self._call.quote_server(ending.server_words)
                self._end(CallStage.FAILED, ending.failure)
        except Exception as error:
            self.fail(error)

    def _resolve_endpoint(self) -> Endpoint | Failure:
        """Return the server to connect to now, and move the ticket to it."""
        found = self._endpoint_source()
        if not self._ticket.switch_server(needs_offline_session(found)):
            return Failure.SERVER_FULL  # the visitor removed their key, and the offline server has no room
        return found

    def _build_update(self, endpoint: Endpoint) -> dict[str, Any]:
        """Return the `session.update` for a new connection to this server."""
        self._current_endpoint = endpoint
        return self._session_sync.start_connection(self._preferred_update(endpoint))

    def _build_live_updates(self) -> list[dict[str, Any]]:
        """Return the events that bring the connected server to the settings that are wanted now."""
        live, endpoint = self._live, self._current_endpoint
        if live is None or endpoint is None or not live.upstream.is_connected:
            return []
        return self._session_sync.build_updates(self._preferred_update(endpoint), live.upstream.filter_unsupported)

    def _on_upstream_change(self) -> None:
        self._run_tools()
        self._on_change()

    def _start_connection(self, endpoint: Endpoint) -> dict[str, Any]:
        self._call.pictures.support = PictureSupport(endpoint)
        adapt_tracker(self._call.tools.tracker, endpoint)
        return self._build_update(endpoint)

    def _send(self, events: list[dict[str, Any]]) -> None:
        """Send events of the call, and carry out what it wants from the executor."""
        self._run_tools()
        if events and self._live is not None:  # the clock of 20 ms mostly has none
            self._run_in_log_context(self._live.upstream.send, events)

    # ---------------------------------------------------------------- coarse clock

    async def _run_tick_loop(self) -> None:
        try:
            while self.is_active:
                await self._sleep(TICK_INTERVAL_S)
                self._tick(self.clock())
        except Exception as error:
            self.fail(error)

    def _tick(self, now: float) -> None:
        self._check_presence(now)
        if not self.is_active:
            return
        live = self._live
        if live is None:
            self._resolve_endpoint()  # a queued visitor may have entered or removed a key of their own
        elif notice := self._call.expired(now) or self._exceeded_limit(live, now):
            self._end(CallStage.ENDED, notice)
        elif failure := live.upstream.silence_failure(now):
            self._end(CallStage.FAILED, failure)
        else:
            self._call.tools.is_near_budget = self._billing.status is not SpendStatus.OK
            self._send(self._call.check_timeouts(now))
            self._record_incomplete()
            self._on_tick(live, now)
            self._on_change()

    def _record_incomplete(self) -> None:
        for reason in self._call.take_incomplete_reasons():
            self._metrics.record_incomplete(reason)

    def _exceeded_limit(self, live: LiveCall, now: float) -> str | None:
        """Return the budget or quota that ends the session now."""
        quota_ends = live.quota_meter.must_end(self._call.idle, now)
        return self._billing.must_end(self._call.idle, now) or (Notice.VISITOR_DAILY_QUOTA if quota_ends else None)

    # ---------------------------------------------------------------- page

    @property
    def snapshot(self) -> Snapshot:
        """Present state for the page."""
        return replace(self._call.snapshot(), server_name=self._billing.server_name, cost=self._billing.cost)

    @property
    def owes_reply(self) -> bool:
        """The session is under way, and a reply is awaited or played. One that was asked for again does not count."""
        return self.is_active and self._call.owes_reply

    def unfinished_playback(self) -> list[Truncation]:
        """Return what would be cut from the conversation if the session ended now."""
        return self._call.playback.unfinished_parts()

    def send_text(self, text: str, pictures: Sequence[Picture] = ()) -> bool:
        """Send a typed message. It interrupts a reply as speech would; without a connection it waits for one. Return
        False if it is blank, too long or too late."""
        events = self._call.send_text(text, self.clock(), pictures)
        self._send(events or [])
        self._on_change()
        return events is not None

    def interrupt(self) -> None:
        """Stop the reply; the server learns how much of it was heard."""
        self._send(self._call.interrupt(self.clock()))
        self._on_change()

    def clear(self) -> None:
        """Delete the conversation, here and at the server."""
        self._send(self._call.clear(self.clock()))
        self._tool_runs.forget()
        self._on_change()
