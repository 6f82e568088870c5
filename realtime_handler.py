"""One voice call: the browser's microphone and loudspeaker on one side, the Realtime server's socket on the other.

The thin shell around `voicechat.turn_taking.call.Call`: it moves bytes, keeps time, reconnects, and hands snapshots to the page.
`RealtimeHandler` is given to fastrtc as a prototype; fastrtc copies it for every connection. What belongs to one visitor is
in `Visitor`, which the page keeps in its session, never on the prototype.
"""

from __future__ import annotations

import asyncio
import base64
import logging
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from voicechat.audio import uplink_buffer
from voicechat.audio.format import FRAME, Samples
from voicechat.audio.recording import Recording
from voicechat.audio.spooled_audio import DiskExecutor, new_disk_executor
from voicechat.audio.uplink_buffer import UplinkBuffer
from voicechat.config.call_preferences import CallPreferences
from voicechat.config.session_update import SessionMode, build_session_update
from voicechat.config.settings import Endpoint, Settings, TurnDetection
from voicechat.conversation import traditional_chinese
from voicechat.limits.budget import BillingService, SessionBilling
from voicechat.limits.daily_quota import QuotaMeter
from voicechat.limits.waiting_queue import (
    AdmissionController,
    AdmissionKind,
    AdmissionState,
    AdmissionTicket,
    ConcurrencyLimits,
    needs_offline_session,
)
from voicechat.logs import error_location
from voicechat.protocol.notices import Notice
from voicechat.session.call_handler import EndpointResolver
from voicechat.session.visitor import Visitor
from voicechat.transport.stream_handler import PacedStreamHandler
from voicechat.turn_taking.call import CallStateMachine
from voicechat.turn_taking.snapshot import TERMINAL_STAGES, CallStage, Snapshot
from voicechat.turn_taking.turn_latency import TurnLatencyTracker
from voicechat.upstream.connection import Failure
from voicechat.upstream.reconnecting_client import ReconnectingClient
from voicechat.upstream.session_sync import SessionConfigSync

__all__ = ["CallStage", "EndpointResolver", "Failure", "Notice", "RealtimeHandler", "Snapshot", "Visitor"]

log = logging.getLogger(__name__)

TICK_INTERVAL_S = 0.5
SILENCE_FRAME: Samples = np.zeros(FRAME, dtype=np.int16)


class RealtimeHandler(PacedStreamHandler):
    """fastrtc's handler for one call, and the prototype of all of them."""

    def __init__(
        self,
        settings: Settings,
        resolve_endpoint: EndpointResolver,
        admission: AdmissionController | None = None,
        billing: BillingService | None = None,
        *,
        disk_executor: DiskExecutor | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Any] = asyncio.sleep,
    ) -> None:
        super().__init__(clock, sleep)
        self._disk_executor = disk_executor or new_disk_executor()
        self.settings = settings
        self.resolve_endpoint = resolve_endpoint
        self.admission = admission or AdmissionController(ConcurrencyLimits.from_settings(settings))
        self.billing = billing or BillingService()
        self._session_billing = SessionBilling(self.billing, settings, SessionMode.VOICE)
        self._turn_latency = TurnLatencyTracker(
            settings.vad_silence_ms if settings.turn_detection is TurnDetection.SERVER else 0,
            padding_ms=settings.vad_prefix_padding_ms,
            output_latency_ms=settings.output_latency_ms,
        )
        self._session_sync = SessionConfigSync()
        self._current_endpoint: Endpoint | None = None
        """Where the newest connection is opened to."""
        self._visitor: Visitor | None = None
        self._call: CallStateMachine | None = None
        self._admission_ticket: AdmissionTicket | None = None
        self._quota_meter: QuotaMeter | None = None
        self._upstream: ReconnectingClient | None = None
        self._uplink_buffer = UplinkBuffer()
        self._last_seen_at = clock()
        """When the page was last heard of."""
        self._tasks: list[asyncio.Task[None]] = []
        self._shown_version: tuple[object, ...] = ()
        traditional_chinese.to_traditional("准备")  # the tables are read now (70 ms, once), not in the middle of a call

    def copy(self) -> RealtimeHandler:
        """A fresh call for one connection; shares only settings, the places and the accounts."""
        return RealtimeHandler(
            self.settings,
            self.resolve_endpoint,
            self.admission,
            self.billing,
            disk_executor=self._disk_executor,
            clock=self.clock,
            sleep=self._sleep,
        )

    # ---------------------------------------------------------------- life

    async def on_start(self, inputs: list[Any]) -> None:
        """`inputs[0]` is the page's `Visitor`."""
        visitor = inputs[0] if inputs and isinstance(inputs[0], Visitor) else Visitor(self.settings.remember_items)
        if visitor.call is not None and visitor.call is not self:
            visitor.call.end_by_user()  # a page has one call; the older one is a leftover
        now = self.clock()
        visitor.conversation.reset_connection()
        self._visitor = visitor
        call = self._call = CallStateMachine(visitor.conversation, self.settings, now)
        visitor.call = self
        if self.billing.daily_quota.is_exhausted(visitor.visitor_key):
            self._end(CallStage.FAILED, Notice.VISITOR_DAILY_QUOTA)
            return
        session = needs_offline_session(self.resolve_endpoint(visitor.own_key))
        place = self._admission_ticket = self.admission.request_admission(
            self, AdmissionKind.CALL, visitor.visitor_key, uses_offline=session
        )
        if place.refusal is not None:
            self._end(CallStage.FAILED, place.refusal)
            return
        self._tasks = [asyncio.create_task(self._run_tick_loop())]
        if place.state is AdmissionState.ADMITTED:
            self._start_session()
        else:
            self._uplink_buffer.clear()
            call.queued(place.queue_position, now)

    def on_admission_changed(self) -> None:
        """From the line: this call is in now, or its number is another, or there is no waiting any more."""
        assert self._admission_ticket is not None and self._call is not None
        try:
            if self._admission_ticket.refusal is not None:
                self._end(CallStage.FAILED, self._admission_ticket.refusal)
            elif self._admission_ticket.state is AdmissionState.ADMITTED:
                self._call.admitted(self.clock())
                self._start_session()
            else:
                self._call.queued(self._admission_ticket.queue_position, self.clock())
        except Exception as error:
            self.fail(error)

    def on_shutdown(self, grace_s: float) -> None:
        """The app ends: the visitor is told, and the call is over in so many seconds at the latest."""
        if self._call is not None:
            self._call.on_shutdown(grace_s, self.clock())

    def _start_session(self) -> None:
        """There is a place: the call begins."""
        visitor, call, place = self._visitor, self._call, self._admission_ticket
        assert visitor is not None and call is not None and place is not None
        self._session_billing.open()
        self._quota_meter = QuotaMeter(self.billing.daily_quota, visitor.visitor_key, self.clock())
        if self.settings.record_calls and visitor.recording is None:
            visitor.recording = Recording(self.settings.max_recording_seconds, self._disk_executor)

        self._session_billing.visitor_limit_usd = visitor.preferences.max_cost_usd
        model = visitor.preferences.model  # to the end of this call, also over another connection

        def update(endpoint: Endpoint) -> dict[str, Any]:
            self._current_endpoint = endpoint
            return self._session_sync.start_connection(self._session_update(endpoint))

        line = self._upstream = ReconnectingClient(
            call,
            self.settings,
            lambda: self._resolve_endpoint(visitor, model),
            update,
            observers=(self._session_billing, self._turn_latency, self._session_sync),
            on_ready=self._on_upstream_ready,
            clock=self.clock,
            sleep=self._sleep,
        )
        connected = asyncio.create_task(self._run_upstream(line))
        connected.add_done_callback(lambda _: place.release())  # the embedded server has its session back by then
        self._tasks.append(connected)

    async def end_with_notice(self, notice: str | None) -> None:
        """End the call from this side; `notice` is shown to the visitor."""
        self._end(CallStage.ENDED, notice)

    def end_by_user(self) -> None:
        """The visitor ended the call in the page. The page is not asked to close: fastrtc's component closes whatever
        call it has when such a message arrives, and that may be the visitor's next one."""
        if self._call is not None and self._call.stage not in TERMINAL_STAGES:
            self._call.end(CallStage.ENDED, None, self.clock())
            self._session_billing.close("hung_up")
            self._release_resources()

    def _end(self, stage: CallStage, notice: str | None) -> None:
        """The call is over: say so, free its place at once, and let the page close."""
        call = self._call
        if call is None or call.stage in TERMINAL_STAGES:
            return
        call.end(stage, notice, self.clock())
        self._session_billing.close(notice or "ended")
        self._release_resources()
        self.begin_close()

    def _release_resources(self) -> None:
        """Give back what the call holds. The socket is closed by the task that opened it."""
        if self._admission_ticket is not None:
            self._admission_ticket.begin_release()
        if self._upstream is not None:
            self._upstream.detach()
        current = asyncio.current_task()
        for task in self._tasks:
            if task is not current and not task.cancelling():  # it is asking what the last reply has cost
                task.cancel()
        self._uplink_buffer.clear()

    async def on_end(self) -> None:
        self.end_by_user()
        self._release_resources()
        if self._visitor is not None and self._visitor.call is self:
            self._visitor.call = None
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=1.0)
        if self._admission_ticket is not None:
            self._admission_ticket.release()

    def fail(self, error: Exception) -> None:
        log.error("A call is ended by an error: %s", error_location(error))
        self._end(CallStage.FAILED, Notice.INTERNAL)
        self.begin_close()

    # ---------------------------------------------------------------- the socket

    async def _run_upstream(self, upstream: ReconnectingClient) -> None:
        try:
            failure = await upstream.run()
            if failure is not None:
                self._end(CallStage.FAILED, failure)
        except Exception as error:
            self.fail(error)

    def _resolve_endpoint(self, visitor: Visitor, model: str) -> Endpoint | Failure:
        found = self.resolve_endpoint(visitor.own_key)
        if self._admission_ticket is not None and not self._admission_ticket.switch_server(
            needs_offline_session(found)
        ):
            return Failure.SERVER_FULL  # the key of their own is gone, and the embedded server has no room
        if isinstance(found, Failure) or visitor.preferences == CallPreferences():
            return found
        # What a server refuses of one visitor's wishes is not remembered for the others.
        return replace(
            found.with_visitor_model(model, self.settings.models), unsupported_fields=found.unsupported_fields.copy()
        )

    def _session_update(self, endpoint: Endpoint) -> dict[str, Any]:
        """The `session.update` of a session as this visitor wants it now."""
        assert self._visitor is not None
        wanted = self._visitor.preferences.apply_to(self.settings)
        return build_session_update(wanted, SessionMode.VOICE, kind=endpoint.kind, model=endpoint.model)

    def apply_preferences(self) -> None:
        """The visitor wants this call otherwise: the server is told what can change in the middle of it."""
        if self._visitor is None:
            return
        self._session_billing.visitor_limit_usd = self._visitor.preferences.max_cost_usd
        endpoint = self._current_endpoint
        if (
            self._upstream is not None and self._upstream.is_connected and endpoint is not None
        ):  # else once there is a connection
            self._send(
                self._session_sync.build_updates(self._session_update(endpoint), self._upstream.filter_unsupported)
            )

    def _on_upstream_ready(self) -> None:
        self.apply_preferences()  # while it was being opened
        for pcm in self._uplink_buffer.drain():
            self._append_audio(pcm)

    def _send(self, events: list[dict[str, Any]]) -> None:
        if self._upstream is not None:
            self._upstream.send(events)

    def _append_audio(self, pcm: bytes) -> None:
        self._turn_latency.add_sent_audio(len(pcm) // 2, self.clock())
        if self._upstream is not None:
            self._upstream.append_audio(base64.b64encode(pcm).decode("ascii"))

    async def _run_tick_loop(self) -> None:
        try:
            call = self._call
            assert call is not None
            while call.stage not in TERMINAL_STAGES:
                await self._sleep(TICK_INTERVAL_S)
                now = self.clock()
                # A little earlier than the setting says, so that all is over by then.
                longest = self.settings.vanished_seconds
                vanished = now - self._last_seen_at > max(longest / 2, longest - 2 * TICK_INTERVAL_S)
                notice = Notice.NO_MICROPHONE if vanished else call.expired(now) or self._exceeded_limit(call.idle, now)
                if notice is None and call.stage is CallStage.QUEUED:
                    self._update_admission_server()
                if notice is not None:
                    self._end(CallStage.ENDED, notice)
                    return
                self._send(call.check_timeouts(now))
                if self._session_sync.take_rejection():
                    call.set_notice(Notice.PREFERENCE_REJECTED)
        except Exception as error:
            self.fail(error)

    def _exceeded_limit(self, idle: bool, now: float) -> str | None:
        """Of the money, or of this visitor's day."""
        day = self._quota_meter is not None and self._quota_meter.must_end(idle, now)
        return self._session_billing.must_end(idle, now) or (Notice.VISITOR_DAILY_QUOTA if day else None)

    def _update_admission_server(self) -> None:
        """A visitor in line may have given a key of their own meanwhile, or taken it back."""
        assert self._visitor is not None and self._admission_ticket is not None
        self._admission_ticket.switch_server(needs_offline_session(self.resolve_endpoint(self._visitor.own_key)))

    # ---------------------------------------------------------------- the browser

    def on_audio_frame(self, pcm: bytes) -> None:
        self._last_seen_at = now = self.clock()
        if self._call is not None and self._call.stage is CallStage.QUEUED:
            return  # what is said in line is not kept: it was not said to anybody
        recording, samples = self._recording, np.frombuffer(pcm, dtype="<i2")
        if recording is not None:
            recording.write_microphone(self._call_time_s(now), samples)
        if self._call is not None:
            self._call.push_audio(samples)
        over = self._call is not None and self._call.stage in TERMINAL_STAGES
        if not over and self._uplink_buffer.push(
            pcm, now, is_connected=self._upstream is not None and self._upstream.is_connected
        ):
            self._append_audio(pcm)

    def next_audio_frame(self, now: float) -> Samples:
        up = self._upstream is not None and self._upstream.is_connected
        if up and self._uplink_buffer.needs_silence(now):
            self._append_audio(uplink_buffer.SILENCE_FRAME)
        if self._call is None:
            return SILENCE_FRAME
        if up:
            self._send(self._call.tick_20ms(now))
        samples = self._call.next_frame(now)
        answered = self._turn_latency.on_frame_played(self._call.playback.item_ids_at(now), now)
        if answered is not None:
            self.billing.metrics.record_turn(None if answered.is_typed else answered.total_s)
        recording = self._recording
        if recording is not None:
            recording.write_speaker(self._call_time_s(now), samples)
        return samples

    @property
    def _recording(self) -> Recording | None:
        """What this call is recorded on, while it is under way."""
        return self._visitor.recording if self._visitor is not None and self.is_active else None

    def _call_time_s(self, now: float) -> float:
        """Seconds of the call clock."""
        assert self._visitor is not None
        return self._visitor.conversation.clock.elapsed_s(now)

    def next_update(self, now: float) -> Snapshot | None:
        if self._call is None or self._snapshot_version == self._shown_version:
            return None
        self._shown_version = self._snapshot_version
        return self.snapshot

    @property
    def _snapshot_version(self) -> tuple[object, ...]:
        """Differs whenever what the page shows may differ."""
        assert self._call is not None
        return self._call.version, self._turn_latency.version, self._session_billing.version

    # ---------------------------------------------------------------- the page

    async def send_text(self, text: str) -> bool:
        """A typed message: it interrupts a reply as speech would.

        Returns whether it was taken; not when it is blank or too long, and not outside a call.
        """
        now = self.clock()
        events = self._call.send_text(text, now) if self._call is not None else None
        if events is None:
            return False
        self._turn_latency.start_typed_turn(now)
        self._send(events)
        return True

    async def interrupt(self) -> None:
        """Enough of this reply: silence, and the model is told what was heard of it."""
        if self._call is not None:
            self._send(self._call.interrupt(self.clock()))

    async def clear(self) -> None:
        """Forget the conversation, here and at the server."""
        if self._call is not None:
            self._send(self._call.clear(self.clock()))

    @property
    def is_active(self) -> bool:
        """It has begun and is not over."""
        return self._call is not None and self._call.stage not in TERMINAL_STAGES

    @property
    def snapshot(self) -> Snapshot | None:
        """The present state of the call; None before it has started."""
        if self._call is None:
            return None
        account = self._session_billing
        return replace(
            self._call.snapshot(),
            server_name=account.server_name,
            latency=self._turn_latency.summary(),
            cost=account.cost,
        )
