"""What a visitor's sound, message or button does to the reply that is being given. Pure.

`Call` says what happened; this stops the reply, or lowers it and judges (`ducking.py`), and gives the events that tell
the server. Where the server does not leave that to us it has stopped the reply by itself at the first sound.
"""

from __future__ import annotations

from typing import Any

from voicechat.audio.format import Samples
from voicechat.audio.playback_buffer import PlaybackBuffer
from voicechat.audio.voice_activity import EnergyVad
from voicechat.config.settings import Settings, TurnDetection
from voicechat.conversation.conversation import Conversation
from voicechat.protocol.client_events import ClientEventBuilder
from voicechat.protocol.event_fields import Event, get_object, get_response_id, get_string, to_count

from .interruption_classifier import ClassifierState, InterruptionClassifier, InterruptionVerdict
from .response_tracker import ResponseStatus, ResponseTracker, UserTurnStatus

DUCKED_GAIN = 0.2
"""Loudness of a reply while a sound over it is judged (-14 dB): soft enough to speak over, and not gone."""
SEMANTIC_VAD_SILENCE_S = 0.8
"""What `semantic_vad` mostly waits after a sound without words."""


class BargeIn:
    """Of one call."""

    def __init__(
        self,
        conversation: Conversation,
        playback: PlaybackBuffer,
        responses: ResponseTracker,
        client_events: ClientEventBuilder,
        settings: Settings,
    ) -> None:
        self._conversation = conversation
        self._playback = playback
        self._responses = responses
        self._client_events = client_events
        semantic = settings.turn_detection is TurnDetection.SEMANTIC
        self._classifier = InterruptionClassifier(
            SEMANTIC_VAD_SILENCE_S if semantic else settings.vad_silence_ms / 1000
        )
        self._energy_vad = EnergyVad()
        self.client_side = False
        """The server leaves interruptions to us, and has confirmed that."""
        self.needs_response_request = False
        """The server will not answer the sound that is judged: it could not, or its answer was refused."""

    # ---------------------------------------------------------------- stopping a reply

    def truncate_reply(self, now: float) -> list[dict[str, Any]]:
        """Stop the reply here; returns what tells the server how much of it was heard."""
        events: list[dict[str, Any]] = []
        for cut in self._playback.interrupt(now):
            self._conversation.truncate(*cut)
            if self._conversation.is_replayed(cut.item_id):
                events += self._client_events.with_event_ids("retell", self._conversation.resend_truncated(cut.item_id))
                continue
            events.append(self._client_events.truncate_item(cut, self._conversation.server_id(cut.item_id)))
        if self._responses.status is ResponseStatus.ACTIVE:
            self._playback.drop_response(self._responses.response_id)
            # Without sound there is nothing to truncate; what was not heard at all is taken out.
            events += self._client_events.delete_items(self._conversation.cancel_response(self._responses.response_id))
        return events

    def interrupt(self, now: float) -> list[dict[str, Any]]:
        """Stop the reply here and at the server, after which nothing is judged any more."""
        self.reset()
        making = self._responses.status is ResponseStatus.ACTIVE and not self._conversation.is_cancelled(
            self._responses.response_id
        )
        events = self.truncate_reply(now)
        return [*events, self._client_events.cancel_response(self._responses.response_id)] if making else events

    def reject_stale(self, event: Event, user_speaking: bool) -> list[dict[str, Any]]:
        """Turn away, at the first sign of it, what still comes of the conversation before Clear, and an answer to a
        sound that is no turn, or not yet known to be one. `hearing`: the visitor is speaking."""
        kind, reply, answers = event.get("type"), get_response_id(event), self._responses
        events: list[dict[str, Any]] = []
        if kind == "input_audio_buffer.committed" and answers.user_turn is UserTurnStatus.CLEARED:
            self._conversation.delete_item_when_seen(get_string(event, "item_id"))
        new = bool(reply) and reply != answers.response_id and not self._conversation.is_cancelled(reply)
        undecided = new and self.classifying and not self._playback.has_response(reply)
        if undecided:
            self.needs_response_request = True
            answers.reject_unclassified(reply)
        if undecided or (new and answers.reject_if_stale(reply, user_speaking)):
            self._conversation.delete_response_when_seen(reply)
            self._playback.drop_response(reply)
            if kind != "response.done":
                events.append(self._client_events.cancel_response(reply))
        return events + self._client_events.delete_items(self._conversation.take_late_items(event))

    # ---------------------------------------------------------------- judging a sound

    @property
    def classifying(self) -> bool:
        """A sound is being judged while the reply goes on, softly."""
        return self._classifier.classifying

    @property
    def speech_active(self) -> bool:
        """The sound that is judged has not ended yet."""
        return self._classifier.state is ClassifierState.SPEECH_ACTIVE

    @property
    def reply_exhausted(self) -> bool:
        """The reply has run out, and there may be something to answer."""
        return self._classifier.state is ClassifierState.AWAITING_TRANSCRIPT

    @property
    def reply_in_progress(self) -> bool:
        """Sound of the reply is waiting, or more of it is to come."""
        making = self._responses.status is ResponseStatus.ACTIVE and not self._conversation.is_cancelled(
            self._responses.response_id
        )
        return self._playback.has_queued_audio or making

    def apply_session(self, event: Event) -> None:
        """Settings that the server confirms."""
        turns = confirmed_turn_detection(event)
        self.client_side = turns.get("interrupt_response") is False and turns.get("type") in list(TurnDetection)
        if turns.get("type") == TurnDetection.SERVER and (silence_ms := to_count(turns.get("silence_duration_ms"))):
            self._classifier.set_silence_duration(silence_ms / 1000)

    def push_audio(self, samples: Samples) -> None:
        """The next 20 ms of the microphone."""
        if self.client_side:
            self._energy_vad.push(samples)

    def duck_and_classify(self, item_id: str, now: float) -> InterruptionVerdict | None:
        """The visitor makes a sound over the reply: lower it, and judge."""
        if not self.classifying:
            self.reset()
        self._playback.set_gain(DUCKED_GAIN)
        return self._classifier.start_speech(item_id, now)

    def end_speech(self, item_id: str, now: float) -> InterruptionVerdict | None:
        """The sound has ended."""
        return self._classifier.end_speech(item_id, now)

    def mark_turn_unanswered(self) -> None:
        """The server cannot answer the visitor's turn by itself."""
        if self.classifying:
            self.needs_response_request = True
        else:
            self._responses.queue_turn_response()

    def apply_transcript(self, item_id: str, *, is_final: bool) -> InterruptionVerdict | None:
        """The conversation knows more of what was said in a sound; `whole`: all there will be."""
        return self._classifier.apply_transcript(item_id, self._conversation.get_transcript(item_id), is_final=is_final)

    def tick_20ms(self, now: float) -> InterruptionVerdict | None:
        """20 ms have passed."""
        if self._classifier.state is ClassifierState.IDLE:
            return None
        voice_s = (
            self._energy_vad.voice_duration_s(now - self._classifier.speech_started_at) if self.speech_active else 0.0
        )
        return self._classifier.tick_20ms(now, voice_s, self.reply_in_progress, not self.needs_response_request)

    def resume_false_interruption(self) -> list[dict[str, Any]]:
        """It was no interruption. Returns what takes sounds without words out of the server's memory."""
        nothing = self.reset()
        self._responses.dismiss_turn()
        return self._client_events.delete_items(
            [name for item_id in nothing for name in self._conversation.discard_empty_turn(item_id)]
        )

    def reset(self) -> list[str]:
        """Nothing is judged any more: full loudness. Returns the items in which nothing was said."""
        self.needs_response_request = False
        self._playback.set_gain(1.0)
        return self._classifier.reset()


def confirmed_turn_detection(event: Event) -> Event:
    """Of a `session.updated`; empty where there is none."""
    heard = get_object(get_object(get_object(event, "session"), "audio"), "input")
    return get_object(heard, "turn_detection") if get_string(event, "type") == "session.updated" else {}
