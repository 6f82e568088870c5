"""What a visitor's sound, message or button does to the reply that is being given. Pure.

`Call` says what happened; this stops the reply, or lowers it and judges (`ducking.py`), and gives the events that tell
the server. Where the server does not leave that to us it has stopped the reply by itself at the first sound.
"""

from __future__ import annotations

from typing import Any

from .answers import Answers, Reply, Turn
from .client_events import ClientEvents
from .conversation import Conversation
from .ducking import Ducking, State, Verdict
from .fields import Event, number, response_id, string, table
from .loudness import Loudness
from .playback import Playback, Samples
from .settings import Settings, TurnDetection

LOWERED = 0.2
"""Loudness of a reply while a sound over it is judged (-14 dB): soft enough to speak over, and not gone."""
SEMANTIC_SILENCE_S = 0.8
"""What `semantic_vad` mostly waits after a sound without words."""


class Interruptions:
    """Of one call."""

    def __init__(
        self, conversation: Conversation, playback: Playback, answers: Answers, send: ClientEvents, settings: Settings
    ) -> None:
        self._conversation = conversation
        self._playback = playback
        self._answers = answers
        self._send = send
        semantic = settings.turn_detection is TurnDetection.SEMANTIC
        self._ducking = Ducking(SEMANTIC_SILENCE_S if semantic else settings.vad_silence_ms / 1000)
        self._microphone = Loudness()
        self.ours = False
        """The server leaves interruptions to us, and has confirmed that."""
        self.unanswered = False
        """The server will not answer the sound that is judged: it could not, or its answer was refused."""

    # ---------------------------------------------------------------- stopping a reply

    def cut(self, now: float) -> list[dict[str, Any]]:
        """Stop the reply here; returns what tells the server how much of it was heard."""
        events: list[dict[str, Any]] = []
        for cut in self._playback.interrupt(now):
            self._conversation.cut(*cut)
            if self._conversation.is_replayed(cut.item_id):
                events += self._send.numbered("retell", self._conversation.retell(cut.item_id))
                continue
            events.append(self._send.truncate(cut, self._conversation.server_id(cut.item_id)))
        if self._answers.reply is Reply.ACTIVE:
            self._playback.drop(self._answers.reply_id)
            # Without sound there is nothing to truncate; what was not heard at all is taken out.
            events += self._send.delete(self._conversation.cancel(self._answers.reply_id))
        return events

    def stop(self, now: float) -> list[dict[str, Any]]:
        """Stop the reply here and at the server, after which nothing is judged any more."""
        self.over()
        making = self._answers.reply is Reply.ACTIVE and not self._conversation.is_given_up(self._answers.reply_id)
        events = self.cut(now)
        return [*events, self._send.cancel(self._answers.reply_id)] if making else events

    def refuse(self, event: Event, hearing: bool) -> list[dict[str, Any]]:
        """Turn away, at the first sign of it, what still comes of the conversation before Clear, and an answer to a
        sound that is no turn, or not yet known to be one. `hearing`: the visitor is speaking."""
        kind, reply, answers = event.get("type"), response_id(event), self._answers
        events: list[dict[str, Any]] = []
        if kind == "input_audio_buffer.committed" and answers.turn is Turn.FORGOTTEN:
            self._conversation.forget_item(string(event, "item_id"))
        new = bool(reply) and reply != answers.reply_id and not self._conversation.is_given_up(reply)
        undecided = new and self.undecided and not self._playback.knows(reply)
        if undecided:
            self.unanswered = True
            answers.undecided(reply)
        if undecided or (new and answers.refuses(reply, hearing)):
            self._conversation.forget_reply(reply)
            self._playback.drop(reply)
            if kind != "response.done":
                events.append(self._send.cancel(reply))
        return events + self._send.delete(self._conversation.leftovers(event))

    # ---------------------------------------------------------------- judging a sound

    @property
    def undecided(self) -> bool:
        """A sound is being judged while the reply goes on, softly."""
        return self._ducking.undecided

    @property
    def lasting(self) -> bool:
        """The sound that is judged has not ended yet."""
        return self._ducking.state is State.SPEAKING

    @property
    def left(self) -> bool:
        """The reply has run out, and there may be something to answer."""
        return self._ducking.state is State.LEFT

    @property
    def reply_goes_on(self) -> bool:
        """Sound of the reply is waiting, or more of it is to come."""
        making = self._answers.reply is Reply.ACTIVE and not self._conversation.is_given_up(self._answers.reply_id)
        return self._playback.busy or making

    def session(self, event: Event) -> None:
        """Settings that the server confirms."""
        turns = turn_detection(event)
        self.ours = turns.get("interrupt_response") is False and turns.get("type") in list(TurnDetection)
        if turns.get("type") == TurnDetection.SERVER and (silence_ms := number(turns.get("silence_duration_ms"))):
            self._ducking.expect(silence_ms / 1000)

    def hear(self, samples: Samples) -> None:
        """The next 20 ms of the microphone."""
        if self.ours:
            self._microphone.hear(samples)

    def duck(self, item_id: str, now: float) -> Verdict | None:
        """The visitor makes a sound over the reply: lower it, and judge."""
        if not self.undecided:
            self.over()
        self._playback.duck(LOWERED)
        return self._ducking.begin(item_id, now)

    def stopped(self, item_id: str, now: float) -> Verdict | None:
        """The sound has ended."""
        return self._ducking.stopped(item_id, now)

    def not_answered(self) -> None:
        """The server cannot answer the visitor's turn by itself."""
        if self.undecided:
            self.unanswered = True
        else:
            self._answers.unanswered()

    def heard(self, item_id: str, *, whole: bool) -> Verdict | None:
        """The conversation knows more of what was said in a sound; `whole`: all there will be."""
        return self._ducking.heard(item_id, self._conversation.said(item_id), whole=whole)

    def beat(self, now: float) -> Verdict | None:
        """20 ms have passed."""
        if self._ducking.state is State.IDLE:
            return None
        voice_s = self._microphone.voice_s(now - self._ducking.noticed_at) if self.lasting else 0.0
        return self._ducking.beat(now, voice_s, self.reply_goes_on, not self.unanswered)

    def resume(self) -> list[dict[str, Any]]:
        """It was no interruption. Returns what takes sounds without words out of the server's memory."""
        nothing = self.over()
        self._answers.dismissed()
        return self._send.delete([name for item_id in nothing for name in self._conversation.dismiss(item_id)])

    def over(self) -> list[str]:
        """Nothing is judged any more: full loudness. Returns the items in which nothing was said."""
        self.unanswered = False
        self._playback.duck(1.0)
        return self._ducking.over()


def turn_detection(event: Event) -> Event:
    """Of a `session.updated`; empty where there is none."""
    heard = table(table(table(event, "session"), "audio"), "input")
    return table(heard, "turn_detection") if string(event, "type") == "session.updated" else {}
