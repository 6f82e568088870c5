"""One voice call as a state machine: conversation, loudspeaker and turns held together. Pure.

Server events, typed messages and 20 ms ticks go in with the time; client events to send come out. The socket, the
microphone and the page belong to whoever holds this object.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from voicechat.audio.format import FRAME_S, Samples
from voicechat.audio.playback_buffer import PlaybackBuffer
from voicechat.config.settings import ServerKind, Settings
from voicechat.conversation.conversation import Conversation
from voicechat.protocol.client_events import ClientEventBuilder
from voicechat.protocol.event_fields import (
    decode_audio_delta,
    get_content_index,
    get_object,
    get_response_id,
    get_string,
)
from voicechat.protocol.failures import Failure, failure_of_error
from voicechat.protocol.notices import Notice

from .aec_warmup import AecWarmup
from .barge_in import BargeIn, confirmed_turn_detection
from .call_lifecycle import CallLifecycle
from .interruption_classifier import InterruptionVerdict
from .response_tracker import ASKABLE, PendingResponse, ResponseStatus, ResponseTracker, UserTurnStatus
from .server_errors import ErrorAction, classify_error, is_about_response_request
from .snapshot import TERMINAL_STAGES, CallStage

log = logging.getLogger(__name__)

Event = dict[str, Any]

RESPONSE_TIMEOUT_S = 10.0
"""Seconds without any sign of a reply until the call listens again: noise that was no speech gets none."""
ACTIVE_RESPONSE_TIMEOUT_S = 60.0
"""The same for a reply that was announced: a slow computer may take its time."""
COLLIDED_TURN_TIMEOUT_S = 1.5
"""The same for a server that may have been kept from answering a turn by the reply before it: then it is asked."""
_TRANSCRIPTION_EVENT = "conversation.item.input_audio_transcription"
TRANSCRIPT_FINAL_EVENTS = frozenset({f"{_TRANSCRIPTION_EVENT}.completed", f"{_TRANSCRIPTION_EVENT}.failed"})
TEXT_DELTA_EVENTS = frozenset({"response.output_text.delta", "response.output_audio_transcript.delta"})
TURN_END_EVENTS = frozenset({"input_audio_buffer.speech_stopped", "input_audio_buffer.committed"})


class CallStateMachine(CallLifecycle):
    """The state of one call. `conversation` outlives it and belongs to the visitor."""

    def __init__(self, conversation: Conversation, settings: Settings, now: float) -> None:
        super().__init__(conversation, settings, now)
        self.playback = PlaybackBuffer()
        self._responses = ResponseTracker()
        self._client_events = ClientEventBuilder()
        self._barge_in = BargeIn(conversation, self.playback, self._responses, self._client_events, settings)
        guarded = settings.server_kind is not ServerKind.CUSTOM  # elsewhere an update in mid-call may do anything
        self._aec_warmup = AecWarmup(settings.echo_guard_threshold if guarded else 0.0)
        self._unsent_messages = 0
        """Messages typed while there was no connection: told to the next one, however little else is."""
        conversation.clock.start(now)

    @property
    def idle(self) -> bool:
        """Nobody speaks, and nobody waits for an answer."""
        return super().idle and not self.playback.has_queued_audio and not self._responses.is_response_expected

    # ---------------------------------------------------------------- connection

    def handle_connected(self, now: float) -> list[Event]:
        """A connection is ready: what to tell it of the conversation so far."""
        seed = self.conversation.replay(max(self._settings.replay_items, self._unsent_messages))
        events = self._client_events.with_event_ids("seed", seed)
        self._unsent_messages = 0
        self._responses.clear_in_flight()
        self._barge_in.client_side = False
        self._enter_stage(CallStage.SPEAKING if self.playback.has_queued_audio else CallStage.LISTENING, now)
        self.set_notice(None)
        self._last_activity_at = now
        return events + self._request_response(now)

    def handle_disconnected(self, stage: CallStage, now: float) -> None:
        """The connection is gone. What has been received of a reply is still played."""
        self._barge_in.reset()
        self._aec_warmup.handle_disconnected()
        making = self._responses.status is ResponseStatus.ACTIVE and not self.conversation.is_cancelled(
            self._responses.response_id
        )
        self.playback.assign_new_ids(self.conversation.reset_connection())
        # Of a written reply that was begun, the page may show nothing yet.
        shown = self.conversation.bubbles()
        bare = making and self.conversation.is_text_only and bool(shown) and shown[-1].role == "user"
        self._responses.handle_disconnected(response_lost=self._responses.status is ResponseStatus.REQUESTED or bare)
        self._enter_stage(stage, now)

    def end(self, stage: CallStage, notice: str | None, now: float) -> None:
        """The call is over. What was not heard will not be heard."""
        self._barge_in.reset()
        for cut in self.playback.interrupt(now):
            self.conversation.truncate(*cut)
        self.conversation.reset_connection()
        self.conversation.clock.stop(now)
        self.set_notice(notice)
        self._enter_stage(stage, now)

    # ---------------------------------------------------------------- server events

    def handle_event(self, event: Mapping[str, Any], now: float) -> list[Event]:
        """Take a server event. Never raises for what a server may send. Returns what to send."""
        events = self._barge_in.reject_stale(event, self.stage is CallStage.USER_SPEAKING)
        kind = event.get("type")
        if kind == "response.output_audio.delta":
            if self.conversation.is_text_only:  # a server that speaks whatever it is asked for: nobody listens
                self._last_activity_at = now
            else:
                self._handle_audio_delta(event, now)
            return events
        self.conversation.apply(event, self.conversation.clock.elapsed_s(now))
        if kind in TEXT_DELTA_EVENTS:
            self._handle_text_delta(event, now)
        elif kind == "response.output_audio.done":
            self.playback.finish_part(get_string(event, "item_id"), get_content_index(event))
        elif kind == "session.updated":
            self._barge_in.apply_session(event)
            self._aec_warmup.apply_turn_detection(confirmed_turn_detection(event))
        elif kind == "input_audio_buffer.speech_started":
            events += self._handle_speech_started(get_string(event, "item_id"), now)
        elif kind == f"{_TRANSCRIPTION_EVENT}.delta":
            events += self._apply_verdict(
                self._barge_in.apply_transcript(get_string(event, "item_id"), is_final=False), now
            )
        elif kind in TURN_END_EVENTS:
            events += self._handle_turn_end(event, now)
        elif kind in TRANSCRIPT_FINAL_EVENTS:
            events += self._handle_transcript(event, now)
        elif kind == "response.created":
            events += self._handle_response_created(event, now)
        elif kind == "response.done":
            events += self._handle_response_done(event, now)
        elif kind == "error":
            events += self._handle_error(event, now)
        return events

    def _handle_text_delta(self, event: Mapping[str, Any], now: float) -> None:
        self._last_activity_at = now
        reply = get_response_id(event)
        if self._responses.status is ResponseStatus.REQUESTED and not self.conversation.is_cancelled(reply):
            self._responses.mark_active(
                reply, self.stage is CallStage.USER_SPEAKING
            )  # a server that does not announce its responses

    def _handle_audio_delta(self, event: Mapping[str, Any], now: float) -> None:
        pcm = decode_audio_delta(event)
        if pcm is None:
            log.warning("An audio delta was not base64 and is ignored.")
            return
        reply = get_string(event, "response_id")
        item_id = get_string(event, "item_id") or f"{reply}.message"
        index = get_content_index(event)
        taken = self.playback.push(item_id, index, reply, pcm, now)
        if taken:
            self.conversation.add_audio(item_id, index, reply, taken)
            if self._responses.status is not ResponseStatus.ACTIVE:  # a server that does not announce its responses
                self._responses.mark_active(reply, self.stage is CallStage.USER_SPEAKING)

    def _handle_speech_started(self, item_id: str, now: float) -> list[Event]:
        self._last_activity_at = now
        audible = self._barge_in.classifying or self.stage is CallStage.SPEAKING or self.playback.has_queued_audio
        self._responses.user_turn = UserTurnStatus.OPEN
        self.set_notice(None)
        self._enter_stage(CallStage.USER_SPEAKING, now)
        if not self._barge_in.client_side:
            return self._barge_in.truncate_reply(now)
        return (
            self._apply_verdict(self._barge_in.duck_and_classify(item_id, now), now)
            if audible
            else self._barge_in.interrupt(now)
        )

    def _handle_turn_end(self, event: Mapping[str, Any], now: float) -> list[Event]:
        self._last_activity_at = now
        hearing, forgotten = self.stage is CallStage.USER_SPEAKING, self._responses.user_turn is UserTurnStatus.CLEARED
        if event.get("type") == "input_audio_buffer.committed":
            self._responses.commit_turn(can_collide=self._barge_in.client_side)
        if self._barge_in.classifying:
            return self._apply_verdict(self._barge_in.end_speech(get_string(event, "item_id"), now), now)
        if hearing and forgotten:
            return self._return_to_listening(now)
        if hearing:
            self._enter_stage(CallStage.THINKING, now)
        return []

    def _apply_verdict(self, verdict: InterruptionVerdict | None, now: float) -> list[Event]:
        """What follows from what a sound over the reply turned out to be."""
        if verdict is None:
            return []
        if verdict is InterruptionVerdict.FALSE_INTERRUPTION:
            left = self._barge_in.reply_exhausted
            events = self._barge_in.resume_false_interruption()
            if left:
                return events + self._return_to_listening(now)
            self._enter_stage(CallStage.SPEAKING, now)
            return events
        lasting, unanswered = self._barge_in.speech_active, self._barge_in.needs_response_request
        if not lasting:
            self._enter_stage(CallStage.THINKING, now)
        if verdict is InterruptionVerdict.PENDING:
            return []
        events = self._barge_in.interrupt(now)
        if unanswered and not lasting:
            self._responses.queue_turn_response()
        return events + self._request_response(now)

    def _end_classification(self, now: float) -> None:
        """What the visitor does besides decides: the sound over the reply was their turn."""
        if self._barge_in.classifying and not self._barge_in.speech_active:
            self._enter_stage(CallStage.THINKING, now)
        self._barge_in.reset()

    def _handle_transcript(self, event: Mapping[str, Any], now: float) -> list[Event]:
        verdict = self._barge_in.apply_transcript(get_string(event, "item_id"), is_final=True)
        if verdict is not None or self._barge_in.classifying:
            return self._apply_verdict(verdict, now)
        nothing_said = not get_string(event, "transcript").strip()
        if nothing_said and self.stage is CallStage.THINKING and self._responses.status is ResponseStatus.NONE:
            return self._return_to_listening(now)
        return []

    def _handle_response_created(self, event: Mapping[str, Any], now: float) -> list[Event]:
        self._last_activity_at = now
        reply = get_response_id(event)
        if reply and self.conversation.is_cancelled(reply):
            return []
        self._responses.mark_active(reply, self.stage is CallStage.USER_SPEAKING)
        if self.stage is CallStage.USER_SPEAKING:
            # An answer to a typed message begins while the visitor speaks: the turn's own answer will do for both.
            self._responses.pending = PendingResponse.WITH_TURN
            self.playback.drop_response(self._responses.response_id)
            self.conversation.cancel_response(self._responses.response_id)
            return [self._client_events.cancel_response(self._responses.response_id)]
        if self._responses.pending is PendingResponse.WITH_TURN:
            self._responses.pending = PendingResponse.NONE
        if self.stage is CallStage.LISTENING:
            self._enter_stage(CallStage.THINKING, now)
        return []

    def _handle_response_done(self, event: Mapping[str, Any], now: float) -> list[Event]:
        response, reply = get_object(event, "response"), get_response_id(event)
        self.playback.finish_response(reply or self._responses.response_id)
        if reply and self._responses.response_id and reply != self._responses.response_id:
            return []
        self._responses.status, self._responses.response_id = ResponseStatus.NONE, ""
        self._last_activity_at = now
        if (
            self._barge_in.classifying
            and response.get("status") == "cancelled"
            and not self.conversation.is_cancelled(reply)
        ):
            return self._apply_verdict(InterruptionVerdict.INTERRUPT, now)  # a server that interrupts all the same
        if response.get("status") == "failed":
            failure = failure_of_error(get_object(response, "status_details").get("error"))
            log.warning("A reply failed: %s", failure.value if failure else "no known reason")
            if failure in (Failure.QUOTA, Failure.WRONG_KEY):
                self._fatal_failure = failure
            self.set_notice(Notice.REPLY_FAILED)
        if self._responses.pending in ASKABLE:
            return self._request_response(now)
        # The end of a cancelled response comes late, in the turn that interrupted it: that turn is still thought about.
        if (
            self.stage is CallStage.THINKING
            and not self.playback.has_queued_audio
            and response.get("status") != "cancelled"
        ):
            return self._return_to_listening(now)
        return []

    def _handle_error(self, event: Mapping[str, Any], now: float) -> list[Event]:
        error = get_object(event, "error")
        refused = self._responses.status is ResponseStatus.REQUESTED and is_about_response_request(error)
        awaited = refused or (self.stage is CallStage.THINKING and self._responses.status is ResponseStatus.NONE)
        match classify_error(error, self._responses, client_side=self._barge_in.client_side):
            case ErrorAction.IGNORE:
                return []
            case ErrorAction.REQUEST_RESPONSE:
                return self._request_response(now)
            case ErrorAction.TURN_UNANSWERED:
                self._barge_in.mark_turn_unanswered()
                return self._request_response(now)
        # Servers also complain of what they do not know, to no harm: an answer is missed only where one is awaited.
        self.set_notice(failure_of_error(error) or (Notice.REPLY_FAILED if awaited else self.notice))
        if not refused:
            return []
        self._responses.status = ResponseStatus.NONE
        return self._return_to_listening(now) if self.stage is CallStage.THINKING else []

    # ---------------------------------------------------------------- the visitor

    def send_text(self, text: str, now: float) -> list[Event] | None:
        """A typed message. It interrupts a reply as speech would, and is answered when the server is free.

        Returns None when it is not taken: blank, too long, or the call is over.
        """
        text = text.strip()
        if not text or self.stage in TERMINAL_STAGES:
            return None
        if len(text) > self._settings.max_message_chars:
            self.set_notice(Notice.MESSAGE_TOO_LONG)
            return None
        self._last_activity_at = now
        self.set_notice(None)
        self._end_classification(now)
        events = self._barge_in.interrupt(now)
        item = self.conversation.add_user_message(text, self.conversation.clock.elapsed_s(now))
        events.append(self._client_events.create_item(item))
        self._responses.add_message(self.stage is CallStage.USER_SPEAKING)
        if not self.is_connected:
            self._unsent_messages += 1
            return []
        if self.stage is not CallStage.USER_SPEAKING:
            self._enter_stage(CallStage.THINKING, now)
        return events + self._request_response(now)

    def interrupt(self, now: float) -> list[Event]:
        """Enough: the reply that is being given, or was asked for, ends here."""
        self._end_classification(now)
        events = self._barge_in.interrupt(now)
        self._responses.discard_expected()
        if self.stage in (CallStage.SPEAKING, CallStage.THINKING):
            self._enter_stage(CallStage.LISTENING, now)
        return events if self.is_connected else []

    def clear(self, now: float) -> list[Event]:
        """Forget the conversation, here and at the server, with all that is on its way."""
        self._end_classification(now)
        self.playback.interrupt(now)
        events = []
        if self._responses.status is ResponseStatus.ACTIVE and self.is_connected:
            events.append(self._client_events.cancel_response(self._responses.response_id))
            self.playback.drop_response(self._responses.response_id)
            self.conversation.delete_response_when_seen(self._responses.response_id)
        self._responses.clear()
        self._unsent_messages = 0
        self.set_notice(None)
        gone = self.conversation.clear()
        self.conversation.clock.restart(now)
        if not self.is_connected:
            return []
        if self.stage in (CallStage.SPEAKING, CallStage.THINKING):
            self._enter_stage(CallStage.LISTENING, now)
        return events + self._client_events.delete_items(gone)

    def _request_response(self, now: float) -> list[Event]:
        """Ask for the answer to a typed message, unless one is being given or still to be refused."""
        if not self._responses.can_request() or not self.is_connected:
            return []
        event = self._client_events.create_response()
        self._responses.mark_requested(event["event_id"])
        self._enter_stage(CallStage.THINKING, now)
        return [event]

    def _return_to_listening(self, now: float) -> list[Event]:
        """Nothing is being said or thought. A message typed in a turn that came to nothing is answered now."""
        self._responses.abandon_turn()
        self._enter_stage(
            CallStage.LISTENING if self._responses.pending is PendingResponse.NONE else CallStage.THINKING, now
        )
        return self._request_response(now)

    # ---------------------------------------------------------------- time

    def next_frame(self, now: float) -> Samples:
        """The next 20 ms for the loudspeaker: int16[480]."""
        before = self.playback.played_samples
        samples = self.playback.next_frame(now)
        at = self.conversation.clock.elapsed_s(now)
        for item_id in self.playback.item_ids_at(now):
            self.conversation.mark_played(item_id, at, at + FRAME_S)
        if self.playback.played_samples > before:
            self._last_activity_at = now
            if self.stage in (CallStage.THINKING, CallStage.LISTENING):
                self._enter_stage(CallStage.SPEAKING, now)
        elif (
            self.stage is CallStage.SPEAKING
            and not self.playback.has_queued_audio
            and self._responses.status is ResponseStatus.NONE
        ):
            self._enter_stage(CallStage.LISTENING, now)
        return samples

    def push_audio(self, samples: Samples) -> None:
        """The next 20 ms of the microphone: int16[480]. Only how loud it is counts."""
        self._barge_in.push_audio(samples)

    def tick_20ms(self, now: float) -> list[Event]:
        """Decide what cannot wait. Call it every 20 ms while there is a connection."""
        guard = self._aec_warmup.tick_20ms(now, self.playback.played_samples > 0, self._barge_in.reply_in_progress)
        events = self._apply_verdict(self._barge_in.tick_20ms(now), now)
        return [*events, self._client_events.update_turn_detection(guard)] if guard else events

    def check_timeouts(self, now: float) -> list[Event]:
        """Give up waiting for what does not come. Call it a few times a second."""
        if self.stage not in (CallStage.THINKING, CallStage.SPEAKING) or self.playback.has_queued_audio:
            return []
        if self._responses.has_unanswered_turn and self._idle_s(now) > COLLIDED_TURN_TIMEOUT_S:
            self._responses.queue_turn_response()
            return self._request_response(now)
        making = self._responses.status is ResponseStatus.ACTIVE
        if self._idle_s(now) <= (ACTIVE_RESPONSE_TIMEOUT_S if making else RESPONSE_TIMEOUT_S):
            return []
        events = []
        if making:
            self.set_notice(Notice.REPLY_FAILED)
            events = self._barge_in.interrupt(now)
        self._responses.clear_in_flight()
        return events + self._return_to_listening(now)
