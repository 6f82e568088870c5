"""Barge-in: how the visitor's voice, message or button affects the reply being given. Pure.

`CallStateMachine` reports events; this ducks the reply, classifies the sound (`interruption_classifier.py`), stops the
reply, and returns the client events that tell the server. A server that interrupts by itself stops at the first sound.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from voicechat.audio.format import Samples
from voicechat.audio.playback_buffer import PlaybackBuffer
from voicechat.audio.voice_activity import EnergyVad
from voicechat.config.settings import Settings, TurnDetection
from voicechat.conversation.conversation import Conversation
from voicechat.protocol.client_events import ClientEventBuilder
from voicechat.protocol.event_fields import Event, to_count
from voicechat.protocol.server_events import InputCommitted, ResponseDone, ServerError, ServerEvent

from .interruption_classifier import ClassifierState, InterruptionClassifier, InterruptionVerdict
from .response_tracker import ResponseTracker
from .session_capabilities import ConfirmedTurnDetection, InterruptionPolicy
from .user_turn import UserTurnStatus

DUCKED_GAIN = 0.2
"""Loudness of a reply while a sound over it is classified (-14 dB): low enough to speak over, and still audible."""
RECENT_VOICE_S = 0.3
"""Seconds of the newest audio in which a voice shows that the visitor still speaks."""
SEMANTIC_VAD_SILENCE_S = 0.8
"""Seconds that `semantic_vad` usually waits after a sound without words."""


class BargeIn:
    """Barge-in of a call."""

    def __init__(
        self,
        conversation: Conversation,
        playback: PlaybackBuffer,
        tracker: ResponseTracker,
        client_events: ClientEventBuilder,
        settings: Settings,
    ) -> None:
        self._conversation = conversation
        self._playback = playback
        self._tracker = tracker
        self._registry = tracker.registry
        self._client_events = client_events
        semantic = settings.turn_detection is TurnDetection.SEMANTIC
        self._classifier = InterruptionClassifier(
            SEMANTIC_VAD_SILENCE_S if semantic else settings.vad_silence_ms / 1000
        )
        self._energy_vad = EnergyVad()
        self._has_new_audio = False
        self._confirmed = ConfirmedTurnDetection(settings)
        self._needs_response_request = False
        self._sent_truncations = 0
        """Truncations that the server has neither confirmed nor refused. Some servers do neither."""
        self._sent_cancels = 0
        """Cancellations of replies, likewise. A reply that ends as cancelled confirms all of them."""
        self.before_cut: Callable[[float], None] = lambda now: None
        """Called before a reply is cut where playback stands."""

    @property
    def policy(self) -> InterruptionPolicy:
        """Action at the first sound over a reply, by what the server has confirmed."""
        return self._confirmed.capabilities.interruption

    @property
    def client_side(self) -> bool:
        """The server leaves interruptions to the client, and has confirmed that."""
        return self.policy is InterruptionPolicy.CLASSIFY

    @property
    def needs_response_request(self) -> bool:
        """The server will not answer the classified sound: it could not, or its reply was rejected."""
        return self._needs_response_request

    # ---------------------------------------------------------------- connection

    @property
    def adjustable_turn_detection(self) -> Event:
        """`turn_detection` that the server has confirmed; {} where its threshold cannot be changed."""
        return self._confirmed.fields if self._confirmed.capabilities.has_threshold else {}

    def handle_connected(self) -> None:
        """Start on a server that has confirmed nothing."""
        self._confirmed.handle_connected()
        self.forget_late_answers()

    def apply_turn_detection(self, turn_detection: Event) -> None:
        """Take over the settings that the server confirms."""
        self._confirmed.confirm(turn_detection)
        fields = self._confirmed.fields
        if fields.get("type") == TurnDetection.SERVER and (silence_ms := to_count(fields.get("silence_duration_ms"))):
            self._classifier.set_silence_duration(silence_ms / 1000)

    # ---------------------------------------------------------------- stopping a reply

    def truncate_reply(self, now: float) -> list[dict[str, Any]]:
        """Stop the reply here. Return the events that tell the server how much of it was heard."""
        self.before_cut(now)
        events: list[dict[str, Any]] = []
        for cut in self._playback.interrupt(now):
            self._conversation.truncate(*cut)
            if self._conversation.is_replayed(cut.item_id):
                events += self._client_events.with_event_ids("retell", self._conversation.resend_truncated(cut.item_id))
                continue
            self._sent_truncations += 1
            events.append(self._client_events.truncate_item(cut, self._conversation.server_id(cut.item_id)))
        if self._registry.is_busy:
            # Items without audio cannot be truncated; they are deleted.
            events += self._client_events.delete_items(self._conversation.cancel_response(self._registry.current_id))
        return events

    def take_late_answer(self, answer: ServerEvent) -> bool:
        """Note that an event may answer a truncation or, as an error, a cancellation.

        Return whether it does, as far as that can be seen.
        """
        if isinstance(answer, ServerError) and answer.event_id:
            return False
        if self._sent_truncations > 0:
            self._sent_truncations -= 1
            return True
        was_unanswered = isinstance(answer, ServerError) and self._sent_cancels > 0
        self._sent_cancels -= was_unanswered
        return was_unanswered

    def confirm_cancels(self) -> None:
        """Note that a reply ended as cancelled."""
        self._sent_cancels = 0

    def forget_late_answers(self) -> None:
        """Await no answer to a truncation or cancellation: the server makes the next reply already."""
        self._sent_truncations = self._sent_cancels = 0

    def interrupt(self, now: float) -> list[dict[str, Any]]:
        """Stop the reply here and at the server, and end the classification."""
        self.reset()
        was_active = self._registry.is_active
        events = self.truncate_reply(now)
        self._sent_cancels += was_active
        return [*events, self._client_events.cancel_response(self._registry.current_id)] if was_active else events

    def reject_stale(self, event: ServerEvent, user_speaking: bool) -> list[dict[str, Any]]:
        """Reject, at its first event, a reply to what was cleared, to no turn, or to a sound still being classified.

        Return the events that cancel it and delete its items.
        """
        if isinstance(event, InputCommitted) and self._tracker.user_turn is UserTurnStatus.CLEARED:
            self._conversation.delete_item_when_seen(event.item_id)
        response_id, events = event.response_id, []
        new = response_id not in ("", self._registry.current_id) and not self._registry.is_stale(response_id)
        if new and self._reject_response(response_id, user_speaking) and not isinstance(event, ResponseDone):
            events.append(self._client_events.cancel_response(response_id))
        return events + self._client_events.delete_items(self._conversation.take_late_items(event))

    def _reject_response(self, response_id: str, user_speaking: bool) -> bool:
        """Reject a new reply unless it is wanted. Return whether it was rejected."""
        if self.classifying and not self._playback.has_response(response_id):
            self._needs_response_request = True
            self._tracker.reject_unclassified(response_id)
            return True
        return self._tracker.reject_if_stale(response_id, user_speaking=user_speaking)

    # ---------------------------------------------------------------- classifying a sound

    @property
    def classifying(self) -> bool:
        """A sound is being classified while the reply goes on, ducked."""
        return self._classifier.classifying

    @property
    def speech_active(self) -> bool:
        """The sound that is classified has not ended."""
        return self._classifier.state is ClassifierState.SPEECH_ACTIVE

    @property
    def reply_exhausted(self) -> bool:
        """The reply has run out while the transcript of the sound is awaited."""
        return self._classifier.state is ClassifierState.AWAITING_TRANSCRIPT

    @property
    def reply_in_progress(self) -> bool:
        """Audio of the reply is queued, or more of it is to come."""
        return self._playback.has_queued_audio or self._registry.is_active

    def push_audio(self, samples: Samples, *, user_speaking: bool) -> None:
        """Take the next 20 ms of the microphone."""
        if self.client_side or user_speaking:
            self._energy_vad.push(samples)
            self._has_new_audio = True

    def take_voice(self) -> bool:
        """Return whether the newest audio since the last call of this method is voice."""
        is_new, self._has_new_audio = self._has_new_audio, False
        return is_new and self._energy_vad.voice_duration_s(RECENT_VOICE_S) > 0

    def duck_and_classify(self, item_id: str, now: float) -> InterruptionVerdict | None:
        """Duck the reply and classify a sound over it."""
        if not self.classifying:
            self.reset()
        self._playback.set_gain(DUCKED_GAIN)
        return self._classifier.start_speech(item_id, now)

    def end_speech(self, item_id: str, now: float) -> InterruptionVerdict | None:
        """Note the end of the sound."""
        return self._classifier.end_speech(item_id, now)

    def mark_turn_unanswered(self) -> None:
        """Note that the server cannot answer the visitor's turn by itself."""
        if self.classifying:
            self._needs_response_request = True
        else:
            self._tracker.queue_turn_response()

    def apply_transcript(self, item_id: str, *, is_final: bool) -> InterruptionVerdict | None:
        """Classify a sound by its transcript. `is_final`: no more of it comes."""
        return self._classifier.apply_transcript(item_id, self._conversation.get_transcript(item_id), is_final=is_final)

    def tick_20ms(self, now: float) -> InterruptionVerdict | None:
        """Classify a sound by its duration, every 20 ms."""
        if self._classifier.state is ClassifierState.IDLE:
            return None
        voice_s = (
            self._energy_vad.voice_duration_s(now - self._classifier.speech_started_at) if self.speech_active else 0.0
        )
        return self._classifier.tick_20ms(now, voice_s, self.reply_in_progress, not self._needs_response_request)

    def resume_false_interruption(self) -> list[dict[str, Any]]:
        """Resume the reply at full loudness. Return the events that delete the sounds without words."""
        empty = self.reset()
        self._tracker.dismiss_turn()
        return self._client_events.delete_items(
            [name for item_id in empty for name in self._conversation.discard_empty_turn(item_id)]
        )

    def reset(self) -> list[str]:
        """End the classification at full loudness. Return the items without words."""
        self._needs_response_request = False
        self._playback.set_gain(1.0)
        return self._classifier.reset()
