"""Voice call: microphone and loudspeaker frames on one side, the Realtime connection of `BaseSession` on the other."""

from __future__ import annotations

import base64
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np

from voicechat.audio.format import FRAME_S, Samples
from voicechat.audio.recording import Recording
from voicechat.audio.spooled_audio import DiskExecutor
from voicechat.audio.uplink_buffer import SILENCE_FRAME, UplinkBuffer
from voicechat.config.call_preferences import CallPreferences
from voicechat.config.session_update import SessionMode, build_session_update
from voicechat.config.settings import Endpoint, Settings, TurnDetection
from voicechat.conversation.conversation import Conversation
from voicechat.limits.admission import Admission, AdmissionKind
from voicechat.limits.billing import BillingService
from voicechat.pictures.picture import Picture
from voicechat.protocol.failures import Failure
from voicechat.protocol.notices import Notice
from voicechat.tools.calls.call_admission import RecentCalls
from voicechat.tools.calls.tool_call import ToolCall
from voicechat.tools.runtime import ToolRuntime
from voicechat.transport.stream_handler import PacedStreamHandler
from voicechat.turn_taking.snapshot import CallStage, Snapshot
from voicechat.turn_taking.turn_latency import TurnLatencyTracker
from voicechat.upstream.reconnecting_client import EndpointSource, EventObserver

from .base_session import TICK_INTERVAL_S, BaseSession, LiveCall

CLOSE_TIMEOUT_S = 1.0
"""Seconds to wait for the tasks of a call whose browser has disconnected."""


MAX_CATCH_UP_FRAMES = 50
"""Frames of silence (20 ms each) sent at once after a pause of the event loop. More would only delay what follows."""


class CallOwner(Protocol):
    """Owner of a call (`Visitor`). Preferences and recording may change during the call."""

    conversation: Conversation
    visitor_key: str
    resume_id: str
    preferences: CallPreferences
    recording: Recording | None
    timezone: str
    recent_calls: RecentCalls
    call: VoiceSession | None
    reply_left_at: float

    def take_due_reply(self) -> bool: ...


class VoiceSession(BaseSession):
    """One call of one visitor. `handler` carries it, over WebRTC or over an audio socket."""

    mode = SessionMode.VOICE
    admission_kind = AdmissionKind.CALL

    def __init__(
        self,
        handler: PacedStreamHandler,
        visitor: CallOwner,
        uplink_buffer: UplinkBuffer,
        settings: Settings,
        endpoint_source: EndpointSource,
        admission: Admission,
        billing: BillingService,
        disk_executor: DiskExecutor,
        tools: ToolRuntime | None = None,
    ) -> None:
        """`uplink_buffer` may hold frames that came before the page's inputs."""
        super().__init__(
            settings,
            endpoint_source,
            admission,
            billing,
            visitor.conversation,
            visitor.visitor_key,
            quota_key=visitor.visitor_key,
            resume_id=visitor.resume_id,
            tools=tools,
            disabled_tools=visitor.preferences.switched_off_tools,
            timezone=visitor.timezone,
            recent_calls=visitor.recent_calls,
            clock=handler.clock,
            sleep=handler.sleep,
        )
        if visitor.take_due_reply():
            self._call.ask_again()
        self.handler = handler
        self._visitor = visitor
        self._uplink_buffer = uplink_buffer
        self._uplink_due_at = self.clock()
        self._disk_executor = disk_executor
        self._turn_latency = TurnLatencyTracker(
            settings.vad_silence_ms if settings.turn_detection is TurnDetection.SERVER else 0,
            padding_ms=settings.vad_prefix_padding_ms,
            output_latency_ms=settings.output_latency_ms,
        )
        self._model = visitor.preferences.model
        self._shown_version: tuple[object, ...] = ()

    # ---------------------------------------------------------------- life

    def start(self) -> None:
        super().start()
        if self._live is None:
            self._uplink_buffer.clear()

    def _go_live(self) -> None:
        visitor = self._visitor
        if self.settings.record_calls and visitor.recording is None:
            visitor.recording = Recording(self.settings.max_recording_seconds, self._disk_executor)
        self._billing.visitor_limit_usd = visitor.preferences.max_cost_usd
        self._model = visitor.preferences.model  # kept to the end of the call, also over another connection
        super()._go_live()

    def _check_presence(self, now: float) -> None:
        # A little earlier than the setting says, so that all is over by then.
        longest = self.settings.vanished_seconds
        if now - self._last_seen_at > max(longest / 2, longest - 2 * TICK_INTERVAL_S):
            self._end(CallStage.ENDED, Notice.NO_MICROPHONE)

    def _close_page(self) -> None:
        self.handler.begin_close()

    def fail(self, error: Exception) -> None:
        super().fail(error)
        self.handler.begin_close()

    def _release_resources(self) -> None:
        super()._release_resources()
        self._uplink_buffer.clear()

    def _finish_now(self, stage: CallStage, notice: str | None) -> None:
        if self.owes_reply:
            self._visitor.reply_left_at = time.time()
        super()._finish_now(stage, notice)

    async def close(self) -> None:
        """End the call because its browser has disconnected, and give everything back."""
        self.end_by_user()
        self._release_resources()
        if self._visitor.call is self:
            self._visitor.call = None
        await self.wait_closed(CLOSE_TIMEOUT_S)
        self._ticket.release()

    # ---------------------------------------------------------------- upstream

    def _observers(self) -> Sequence[EventObserver]:
        return *super()._observers(), self._turn_latency

    def _resolve_endpoint(self) -> Endpoint | Failure:
        found = super()._resolve_endpoint()
        if isinstance(found, Failure) or self._visitor.preferences == CallPreferences():
            return found
        # A copy: a field that a server rejects for this visitor's preferences is not rejected for everyone.
        return replace(
            found.with_visitor_model(self._model, self.settings.models),
            unsupported_fields=found.unsupported_fields.copy(),
        )

    def _preferred_update(self, endpoint: Endpoint) -> dict[str, Any]:
        """Return the `session.update` by the visitor's present preferences."""
        preferred = self._visitor.preferences.apply_to(self.settings)
        return build_session_update(
            preferred,
            SessionMode.VOICE,
            kind=endpoint.kind,
            model=endpoint.model,
            tools=self._declared_tools(endpoint),
        )

    def apply_preferences(self) -> None:
        """Send the changes that a running session can take. The next connection begins with all of them."""
        self._call.clear_preference_notice()
        self._billing.visitor_limit_usd = self._visitor.preferences.max_cost_usd
        self._send(self._build_live_updates())

    def _on_upstream_ready(self, live: LiveCall) -> None:
        self.apply_preferences()  # they may have changed while it was being opened
        for pcm in self._uplink_buffer.drain():
            self._append_audio(live, pcm)

    # ---------------------------------------------------------------- audio

    def push_audio(self, pcm: bytes) -> None:
        """Take about 20 ms of the microphone: PCM16 mono 24 kHz. Without admission it is dropped."""
        self._last_seen_at = now = self.clock()
        live = self._live
        if live is None:
            return
        samples, recording = np.frombuffer(pcm, dtype="<i2"), self._visitor.recording
        if recording is not None:
            recording.write_microphone(self._call_time_s(now), samples)
        self._call.push_audio(samples)
        if self._uplink_buffer.push(pcm, now, is_connected=live.upstream.is_connected):
            self._append_audio(live, pcm)
        self._run_uplink_clock(live, now)

    def next_frame(self, now: float) -> Samples:
        """Return the next 20 ms for the loudspeaker: int16[480]."""
        live = self._live
        if live is not None:
            self._run_uplink_clock(live, now)
        samples = self._call.next_frame(now)
        latency = self._turn_latency.on_frame_played(self._call.playback.item_ids_at(now), now)
        if latency is not None:
            self._metrics.record_turn(None if latency.is_typed else latency.total_s)
        recording = self._visitor.recording
        if recording is not None and live is not None:
            recording.write_speaker(self._call_time_s(now), samples)
        return samples

    def _on_tick(self, live: LiveCall, now: float) -> None:
        self._run_uplink_clock(live, now)
        if self._session_sync.take_rejection():
            self._call.set_notice(Notice.PREFERENCE_REJECTED)

    def _on_tool_ended(self, call: ToolCall) -> None:
        if call.started_at is not None and call.ended_at is not None:
            self._turn_latency.add_tool_run(call.started_at, call.ended_at)

    def _run_uplink_clock(self, live: LiveCall, now: float) -> None:
        """Send due silence and barge-in verdicts, once per 20 ms.

        Events that come anyway drive this clock: microphone frames, pulled loudspeaker frames and the coarse tick. The
        first after the due time does the work (2 us); the others return at the comparison. A timer of its own costs
        7-20 us per tick, as much as one frame both ways (9 us). A verdict needs speech, so microphone frames arrive,
        and it falls in time even if no loudspeaker frame is pulled. Silence is due when the microphone stalls: then the
        pull paces it, or the coarse tick sends up to 0.5 s at once, never more than the time that has passed.
        """
        if now < self._uplink_due_at:
            return
        periods = 1 + int((now - self._uplink_due_at) / FRAME_S)
        self._uplink_due_at += periods * FRAME_S
        if not live.upstream.is_connected:
            return
        for _ in range(min(periods, MAX_CATCH_UP_FRAMES)):
            if not self._uplink_buffer.needs_silence(now):
                break
            self._append_audio(live, SILENCE_FRAME)
        self._send(self._call.tick_20ms(now))

    def _append_audio(self, live: LiveCall, pcm: bytes) -> None:
        self._turn_latency.add_sent_audio(len(pcm) // 2, self.clock())
        live.upstream.append_audio(base64.b64encode(pcm).decode("ascii"))

    def _call_time_s(self, now: float) -> float:
        """Return seconds of the call clock."""
        return self._visitor.conversation.clock.elapsed_s(now)

    # ---------------------------------------------------------------- page

    def send_text(self, text: str, pictures: Sequence[Picture] = ()) -> bool:
        is_taken = super().send_text(text, pictures)
        if is_taken:
            self._turn_latency.start_typed_turn(self.clock())
        return is_taken

    def next_update(self) -> Snapshot | None:
        """Return the snapshot if it may differ from the last one returned here."""
        version = self._call.version, self._turn_latency.version, self._billing.version
        if version == self._shown_version:
            return None
        self._shown_version = version
        return self.snapshot

    @property
    def snapshot(self) -> Snapshot:
        return replace(super().snapshot, latency=self._turn_latency.summary())
