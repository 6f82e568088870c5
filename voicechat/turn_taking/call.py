"""One voice call as a state machine: conversation, playback buffer and turn-taking. Pure.

Server events, typed messages and 20 ms ticks go in with the time; client events to send come out. The socket, the
microphone and the page belong to the owner of this object.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

from voicechat.audio.format import FRAME_S, Samples
from voicechat.conversation.incomplete_reason import IncompleteReason
from voicechat.pictures.picture import Picture
from voicechat.protocol import server_events
from voicechat.protocol.failures import loggable_code
from voicechat.protocol.notices import Notice

from .call_connection import RESPONSE_TIMEOUT_S, CallConnection
from .interruption_classifier import InterruptionVerdict
from .reply_outcomes import (
    ErrorAction,
    classify_error,
    is_about_response_request,
    judge_ending,
    notice_of_error,
    notice_of_silence,
)
from .session_capabilities import InterruptionPolicy
from .snapshot import TERMINAL_STAGES, CallStage
from .user_turn import UserTurnStatus

log = logging.getLogger(__name__)

Event = dict[str, Any]

ACTIVE_RESPONSE_TIMEOUT_S = 60.0
"""The same for a reply that was announced: a slow computer may take its time."""
COLLIDED_TURN_TIMEOUT_S = 1.5
"""The same before a reply is requested for a turn that collided with the reply before it."""


class CallStateMachine(CallConnection):
    """The state of a call. `conversation` outlives it and belongs to the visitor."""

    # ---------------------------------------------------------------- server events

    def handle_event(self, event: server_events.ServerEvent, now: float) -> list[Event]:
        """Take a server event; never raises. Return the events to send."""
        if isinstance(event, server_events.AudioDelta) and self._registry.is_wanted(event.response_id):
            self._handle_audio_delta(event, now)
            return []
        events = self._barge_in.reject_stale(event, self.stage is CallStage.USER_SPEAKING)
        self.conversation.apply(event, self.conversation.clock.elapsed_s(now))
        events += self._track_tools(event, now)
        handler = _HANDLERS.get(type(event))
        return events if handler is None else events + handler(self, event, now) + self._take_tool_events()

    def _handle_audio_delta(self, event: server_events.AudioDelta, now: float) -> list[Event]:
        if self.conversation.is_text_only:  # a server that speaks although text was requested
            self._touch(now)
            return []
        pcm = event.decode()
        if pcm is None:
            log.warning("call: audio delta ignored reason=not_base64")
            return []
        taken = self.playback.push(event.item_id, event.content_index, event.response_id, pcm, now)
        if taken:
            if self.notice is not None:
                self._clear_answer_notice()
            self.conversation.add_audio(event.item_id, event.content_index, event.response_id, taken)
            if not self._registry.is_active:  # a server that does not announce its responses
                self._mark_active(event.response_id)
        return []

    def _handle_audio_done(self, event: server_events.AudioDone, now: float) -> list[Event]:
        self.playback.finish_part(event.item_id, event.content_index)
        return []

    def _handle_text_delta(self, event: server_events.TextDelta, now: float) -> list[Event]:
        self._touch(now)
        if not event.delta or self._registry.is_stale(event.response_id):
            return []
        if self._registry.is_requested:  # a server that does not announce its responses
            self._mark_active(event.response_id)
        self._clear_answer_notice()
        return []

    def _handle_session_updated(self, event: server_events.SessionUpdated, now: float) -> list[Event]:
        self._barge_in.apply_turn_detection(event.session.turn_detection)
        self._aec_warmup.apply_turn_detection(self._barge_in.adjustable_turn_detection)
        return []

    def _handle_item_truncated(self, event: server_events.ItemTruncated, now: float) -> list[Event]:
        self._barge_in.take_late_answer(event)
        return []

    def _handle_input_cleared(self, event: server_events.InputCleared, now: float) -> list[Event]:
        """Await no end of a turn whose audio the server has dropped."""
        if self._tracker.user_turn is not UserTurnStatus.OPEN or self._barge_in.classifying:
            return []
        self._tracker.dismiss_turn()
        return self._return_to_listening(now)

    def _handle_speech_started(self, event: server_events.SpeechStarted, now: float) -> list[Event]:
        self._touch(now)
        audible = self._barge_in.classifying or self.stage is CallStage.SPEAKING or self.playback.has_queued_audio
        self._tracker.start_turn()
        self.set_notice(None)  # a deferred one stays: the sound may be no interruption
        self._enter_stage(CallStage.USER_SPEAKING, now)
        if self._barge_in.policy is InterruptionPolicy.SERVER:
            self._clear_answer_notice()
            return self._barge_in.truncate_reply(now)
        if self._barge_in.policy is InterruptionPolicy.FIRST_SOUND or not audible:
            return self._interrupt_reply(now)
        return self._apply_verdict(self._barge_in.duck_and_classify(event.item_id, now), now)

    def _handle_turn_end(
        self, event: server_events.SpeechStopped | server_events.InputCommitted, now: float
    ) -> list[Event]:
        self._touch(now)
        user_speaking = self.stage is CallStage.USER_SPEAKING
        cleared = self._tracker.user_turn is UserTurnStatus.CLEARED
        if isinstance(event, server_events.InputCommitted):
            self._tracker.commit_turn(can_collide=self._barge_in.client_side)
        if self._barge_in.classifying:
            return self._apply_verdict(self._barge_in.end_speech(event.item_id, now), now)
        if user_speaking and cleared:
            return self._return_to_listening(now)
        if user_speaking:
            self._enter_stage(CallStage.THINKING, now)
        return []

    def _apply_verdict(self, verdict: InterruptionVerdict | None, now: float) -> list[Event]:
        """Act on the classification of a sound over the reply."""
        if verdict is None:
            return []
        if verdict is InterruptionVerdict.FALSE_INTERRUPTION:
            exhausted = self._barge_in.reply_exhausted
            events = self._barge_in.resume_false_interruption()
            if exhausted:
                return events + self._return_to_listening(now)
            self._enter_stage(CallStage.SPEAKING, now)
            return events
        still_speaking, unanswered = self._barge_in.speech_active, self._barge_in.needs_response_request
        if not still_speaking:
            self._enter_stage(CallStage.THINKING, now)
        if verdict is InterruptionVerdict.PENDING:
            return []
        events = self._interrupt_reply(now)
        if unanswered and not still_speaking:
            self._tracker.queue_turn_response()
        return events + self._request_response(now)

    def _end_classification(self, now: float) -> None:
        """Take the sound over the reply for a turn, because the visitor typed, stopped or cleared."""
        if self._barge_in.classifying and not self._barge_in.speech_active:
            self._enter_stage(CallStage.THINKING, now)
        self._barge_in.reset()

    def _handle_transcript_delta(self, event: server_events.TranscriptDelta, now: float) -> list[Event]:
        return self._apply_verdict(self._barge_in.apply_transcript(event.item_id, is_final=False), now)

    def _handle_transcript(self, event: server_events.ServerEvent, now: float) -> list[Event]:
        if isinstance(event, server_events.TranscriptFailed):
            log.warning("call: transcription failed code=%s", loggable_code(event.error_code))
            self._incomplete_reasons.append(IncompleteReason.TRANSCRIPTION_FAILED)
        elif isinstance(event, server_events.TranscriptCompleted):
            self._fallbacks.note_transcript(event)
        verdict = self._barge_in.apply_transcript(event.item_id, is_final=True)
        if verdict is not None or self._barge_in.classifying:
            return self._apply_verdict(verdict, now)
        has_words = self.conversation.has_unanswered_words
        if self._has_unexplained_silence and self.stage is CallStage.LISTENING and has_words:
            self._report_reply(Notice.REPLY_FAILED, after_reply=False)
        has_no_words = isinstance(event, server_events.TranscriptCompleted) and not event.transcript.strip()
        if has_no_words and self.stage is CallStage.THINKING and self._registry.is_free:
            return self._return_to_listening(now)
        return []

    def _handle_response_created(self, event: server_events.ResponseCreated, now: float) -> list[Event]:
        self._touch(now)
        if self._registry.is_stale(event.response_id):
            return []
        self._mark_active(event.response_id)
        if self.stage is CallStage.USER_SPEAKING:
            # A reply to a typed message begins while the visitor speaks: the reply to the turn answers both.
            self._tracker.fold_into_turn()
            self.conversation.cancel_response(event.response_id)
            return [self._client_events.cancel_response(event.response_id)]
        self._tracker.mark_turn_answered()
        if self.stage is CallStage.LISTENING:
            self._enter_stage(CallStage.THINKING, now)
        return []

    def _handle_response_done(self, event: server_events.ResponseDone, now: float) -> list[Event]:
        response_id = event.response_id or self._registry.current_id
        self.playback.finish_response(response_id)
        if event.status == "cancelled":
            self._barge_in.confirm_cancels()
        given_up = self._registry.is_given_up(response_id)
        if not self._registry.finish(event.response_id):
            return []
        self._touch(now)
        if self._barge_in.classifying and event.status == "cancelled" and not given_up:
            return self._apply_verdict(InterruptionVerdict.INTERRUPT, now)  # the server interrupts all the same
        ending = judge_ending(event, self.conversation, response_id, self._fallbacks, given_up=given_up)
        self._fatal_failure = ending.fatal_failure or self._fatal_failure
        if ending.reason is not None:
            self._incomplete_reasons.append(ending.reason)
        if ending.is_whole:
            self._clear_answer_notice()
        user_speaking = self.stage is CallStage.USER_SPEAKING
        if ending.can_ask_again and not user_speaking:
            self._tracker.retry_empty()
        if self._tracker.is_response_askable:
            return self._request_response(now)
        has_words = self.conversation.has_unanswered_words
        self._has_unexplained_silence = ending.is_silent and not has_words
        if ending.notice is not None and not self._has_unexplained_silence:
            self._report_reply(ending.notice, after_reply=user_speaking or self.playback.has_queued_audio)
        # A cancelled reply ends late, during the turn that interrupted it: the reply to that turn is still awaited.
        over = not (given_up or event.status == "cancelled") or not self._tracker.is_response_expected
        over = over and not self.tools.tracker.has_open_output  # a reply to the results is still to come
        if self.stage is CallStage.THINKING and not self.playback.has_queued_audio and over:
            return self._return_to_listening(now)
        return []

    def _handle_error(self, event: server_events.ServerError, now: float) -> list[Event]:
        if (resent := self._take_picture_refusal(event, now)) is not None:
            return resent
        refused = self._registry.is_requested and is_about_response_request(event)
        late = self._barge_in.take_late_answer(event)
        match classify_error(event, self._tracker, client_side=self._barge_in.client_side, answer_is_due=late):
            case ErrorAction.IGNORE:
                return []
            case ErrorAction.REQUEST_RESPONSE:
                return self._request_response(now)
            case ErrorAction.TURN_UNANSWERED:
                self._barge_in.mark_turn_unanswered()
                return self._request_response(now)
        # Servers also report harmless errors: without an awaited reply, the visitor sees none of them.
        if notice := notice_of_error(event, awaited=refused or self.stage is CallStage.THINKING):
            self.set_notice(notice)
        if not refused:
            return []
        self._registry.release()
        return self._return_to_listening(now) if self.stage is CallStage.THINKING else []

    # ---------------------------------------------------------------- the visitor

    def send_text(self, text: str, now: float, pictures: Sequence[Picture] = ()) -> list[Event] | None:
        """Send a typed message. It interrupts a reply as speech does, and is answered once the server is free.

        Return None when it is not taken: blank, too long, or after the call.
        """
        text = text.strip()
        if not text or self.stage in TERMINAL_STAGES:
            return None
        if len(text) > self._settings.max_message_chars:
            self.set_notice(Notice.MESSAGE_TOO_LONG)
            return None
        self._touch(now)
        self.set_notice(Notice.PICTURE_UNSEEN if pictures and not self.pictures.support.takes_pictures else None)
        self._end_classification(now)
        events = self._interrupt_reply(now)
        at = self.conversation.clock.elapsed_s(now)
        events += self.pictures.create_message(text, pictures, at, is_connected=self.is_connected)
        events += self._do(self.tools.note_typed(text, now, has_pictures=bool(pictures)), now)
        self._tracker.add_message(user_speaking=self.stage is CallStage.USER_SPEAKING)
        if not self.is_connected:
            self._unsent_messages += 1
            return []
        if self.stage is not CallStage.USER_SPEAKING:
            self._enter_stage(CallStage.THINKING, now)
        return events + self._request_response(now)

    def interrupt(self, now: float) -> list[Event]:
        """Stop the reply that is being given or was requested."""
        self._end_classification(now)
        events = self._interrupt_reply(now) + self._do(self.tools.tracker.stop(now), now)
        self._tracker.discard_expected()
        if self.stage in (CallStage.SPEAKING, CallStage.THINKING):
            self._enter_stage(CallStage.LISTENING, now)
        return events if self.is_connected else []

    def clear(self, now: float) -> list[Event]:
        """Clear the conversation here and at the server, with every reply that is to come."""
        self._end_classification(now)
        self.playback.interrupt(now)
        events: list[Event] = []
        if self._registry.is_busy and self.is_connected:
            events.append(self._client_events.cancel_response(self._registry.current_id))
            self._registry.ignore(self._registry.current_id)
        events += self._do(self.tools.clear(now), now)
        self._tracker.clear()
        self._unsent_messages = 0
        self.set_notice(None)
        self._clear_answer_notice()
        deleted = self.conversation.clear()
        self.conversation.clock.restart(now)
        if not self.is_connected:
            return []
        if self.stage in (CallStage.SPEAKING, CallStage.THINKING):
            self._enter_stage(CallStage.LISTENING, now)
        return events + self._client_events.delete_items(deleted)

    # ---------------------------------------------------------------- time

    def next_frame(self, now: float) -> Samples:
        """Return the next 20 ms for the loudspeaker: int16[480]."""
        before = self.playback.played_samples
        samples = self.playback.next_frame(now)
        at = self.conversation.clock.elapsed_s(now)
        for item_id in self.playback.item_ids_at(now):
            self.conversation.mark_played(item_id, at, at + FRAME_S)
        if self.playback.played_samples > before:
            self._touch(now)
            if self.stage in (CallStage.THINKING, CallStage.LISTENING):
                self._enter_stage(CallStage.SPEAKING, now)
        elif self.stage is CallStage.SPEAKING and not self.playback.has_queued_audio and self._registry.is_free:
            awaits_tool = self.tools.tracker.has_open_output
            self._enter_stage(CallStage.THINKING if awaits_tool else CallStage.LISTENING, now)
        return self._mix_waiting_sound(samples, now)

    def push_audio(self, samples: Samples) -> None:
        """Take the next 20 ms of the microphone: int16[480]. Only its loudness counts."""
        self._barge_in.push_audio(samples, user_speaking=self.stage is CallStage.USER_SPEAKING)

    def tick_20ms(self, now: float) -> list[Event]:
        """Classify a sound over the reply by time. To be called every 20 ms of a connection."""
        warmup = self._aec_warmup.tick_20ms(now, self.playback.played_samples > 0, self._barge_in.reply_in_progress)
        events = self._apply_verdict(self._barge_in.tick_20ms(now), now)
        events += self._take_tool_events()
        return [*events, self._client_events.update_turn_detection(warmup)] if warmup else events

    def check_timeouts(self, now: float) -> list[Event]:
        """Give up awaiting a reply, or the end of a turn, that does not come. To be called a few times a second."""
        events = self._tick_tools(now)
        return events + self._check_silence(now)

    def _check_silence(self, now: float) -> list[Event]:
        if self.stage is CallStage.USER_SPEAKING:
            return self._check_open_turn(now)
        if self.stage is CallStage.LISTENING and self._has_unexplained_silence:
            self._check_unexplained_silence(now)
        if self.stage not in (CallStage.THINKING, CallStage.SPEAKING) or self.playback.has_queued_audio:
            return []
        if self._tracker.has_unanswered_turn and self._idle_s(now) > COLLIDED_TURN_TIMEOUT_S:
            self._tracker.queue_turn_response()
            return self._request_response(now)
        was_busy = self._registry.is_busy
        if self._idle_s(now) <= (ACTIVE_RESPONSE_TIMEOUT_S if was_busy else RESPONSE_TIMEOUT_S):
            return []
        being_given = self._registry.is_active  # not one that was given up, whose end the server still owes
        notice, events = notice_of_silence(self.conversation, self._registry.current_id, being_given=being_given), []
        if was_busy:
            events = self._interrupt_reply(now)
        self._tracker.clear_in_flight()
        events += self._return_to_listening(now)
        if not self._tracker.is_response_expected:
            log.warning("call: no reply in time announced=%s", was_busy)
            self.set_notice(notice)
        return events


_HANDLERS: dict[type[server_events.ServerEvent], Callable[[CallStateMachine, Any, float], list[Event]]] = {
    server_events.AudioDelta: CallStateMachine._handle_audio_delta,
    server_events.AudioDone: CallStateMachine._handle_audio_done,
    server_events.TextDelta: CallStateMachine._handle_text_delta,
    server_events.SessionUpdated: CallStateMachine._handle_session_updated,
    server_events.SpeechStarted: CallStateMachine._handle_speech_started,
    server_events.SpeechStopped: CallStateMachine._handle_turn_end,
    server_events.InputCommitted: CallStateMachine._handle_turn_end,
    server_events.ItemTruncated: CallStateMachine._handle_item_truncated,
    server_events.InputCleared: CallStateMachine._handle_input_cleared,
    server_events.TranscriptDelta: CallStateMachine._handle_transcript_delta,
    server_events.TranscriptCompleted: CallStateMachine._handle_transcript,
    server_events.TranscriptFailed: CallStateMachine._handle_transcript,
    server_events.ResponseCreated: CallStateMachine._handle_response_created,
    server_events.ResponseDone: CallStateMachine._handle_response_done,
    server_events.ServerError: CallStateMachine._handle_error,
}
