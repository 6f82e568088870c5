"""One voice call as a state machine: conversation, loudspeaker and turns held together. Pure.

Server events, typed messages and 20 ms ticks go in with the time; client events to send come out. The socket, the
microphone and the page belong to whoever holds this object.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from .answers import TO_ASK, Answers, Reply, Turn, Want
from .client_events import ClientEvents
from .conversation import Conversation
from .course import Course
from .ducking import Verdict
from .echo_guard import EchoGuard
from .failures import Failure, failure_of_error
from .fields import content_index, response_id, sound, string, table
from .interruptions import Interruptions, turn_detection
from .playback import FRAME_S, Playback, Samples
from .server_errors import Meaning, asks, meaning_of
from .settings import ServerKind, Settings
from .snapshot import OVER, Notice, Stage

log = logging.getLogger(__name__)

Event = dict[str, Any]

PATIENCE_S = 10.0
"""Seconds without any sign of a reply until the call listens again: noise that was no speech gets none."""
SLOW_ANSWER_S = 60.0
"""The same for a reply that was announced: a slow computer may take its time."""
UNANSWERED_S = 1.5
"""The same for a server that may have been kept from answering a turn by the reply before it: then it is asked."""
_HEARD = "conversation.item.input_audio_transcription"
TRANSCRIBED = frozenset({f"{_HEARD}.completed", f"{_HEARD}.failed"})
WORDS = frozenset({"response.output_text.delta", "response.output_audio_transcript.delta"})
TURN_OVER = frozenset({"input_audio_buffer.speech_stopped", "input_audio_buffer.committed"})


class Call(Course):
    """The state of one call. `conversation` outlives it and belongs to the visitor."""

    def __init__(self, conversation: Conversation, settings: Settings, now: float) -> None:
        super().__init__(conversation, settings, now)
        self.playback = Playback()
        self._answers = Answers()
        self._send = ClientEvents()
        self._floor = Interruptions(conversation, self.playback, self._answers, self._send, settings)
        guarded = settings.kind is not ServerKind.CUSTOM  # elsewhere an update in mid-call may do anything
        self._guard = EchoGuard(settings.echo_guard_threshold if guarded else 0.0)
        self._untold = 0
        """Messages typed while there was no connection: told to the next one, however little else is."""
        conversation.clock.start(now)

    @property
    def quiet(self) -> bool:
        """Nobody speaks, and nobody waits for an answer."""
        return super().quiet and not self.playback.busy and not self._answers.expected

    # ---------------------------------------------------------------- connection

    def connect(self, now: float) -> list[Event]:
        """A connection is ready: what to tell it of the conversation so far."""
        seed = self.conversation.replay(max(self._settings.replay_items, self._untold))
        events = self._send.numbered("seed", seed)
        self._untold = 0
        self._answers.nothing_coming()
        self._floor.ours = False
        self._go(Stage.SPEAKING if self.playback.busy else Stage.LISTENING, now)
        self.tell(None)
        self._active_at = now
        return events + self._ask(now)

    def disconnect(self, stage: Stage, now: float) -> None:
        """The connection is gone. What has been received of a reply is still played."""
        self._floor.over()
        self._guard.line_lost()
        making = self._answers.reply is Reply.ACTIVE and not self.conversation.is_given_up(self._answers.reply_id)
        self.playback.rename(self.conversation.restart())
        # Of a written reply that was begun, the page may show nothing yet.
        shown = self.conversation.bubbles()
        bare = making and self.conversation.written and bool(shown) and shown[-1].role == "user"
        self._answers.line_lost(unanswered=self._answers.reply is Reply.ASKED or bare)
        self._go(stage, now)

    def end(self, stage: Stage, notice: str | None, now: float) -> None:
        """The call is over. What was not heard will not be heard."""
        self._floor.over()
        for cut in self.playback.interrupt(now):
            self.conversation.cut(*cut)
        self.conversation.restart()
        self.conversation.clock.stop(now)
        self.tell(notice)
        self._go(stage, now)

    # ---------------------------------------------------------------- server events

    def receive(self, event: Mapping[str, Any], now: float) -> list[Event]:
        """Take a server event. Never raises for what a server may send. Returns what to send."""
        events = self._floor.refuse(event, self.stage is Stage.HEARING)
        kind = event.get("type")
        if kind == "response.output_audio.delta":
            if self.conversation.written:  # a server that speaks whatever it is asked for: nobody listens
                self._active_at = now
            else:
                self._sound(event, now)
            return events
        self.conversation.receive(event, self.conversation.clock.at(now))
        if kind in WORDS:
            self._words(event, now)
        elif kind == "response.output_audio.done":
            self.playback.finish(string(event, "item_id"), content_index(event))
        elif kind == "session.updated":
            self._floor.session(event)
            self._guard.session(turn_detection(event))
        elif kind == "input_audio_buffer.speech_started":
            events += self._speech_started(string(event, "item_id"), now)
        elif kind == f"{_HEARD}.delta":
            events += self._decided(self._floor.heard(string(event, "item_id"), whole=False), now)
        elif kind in TURN_OVER:
            events += self._turn_over(event, now)
        elif kind in TRANSCRIBED:
            events += self._transcribed(event, now)
        elif kind == "response.created":
            events += self._response_created(event, now)
        elif kind == "response.done":
            events += self._response_done(event, now)
        elif kind == "error":
            events += self._error(event, now)
        return events

    def _words(self, event: Mapping[str, Any], now: float) -> None:
        self._active_at = now
        reply = response_id(event)
        if self._answers.reply is Reply.ASKED and not self.conversation.is_given_up(reply):
            self._answers.announced(reply, self.stage is Stage.HEARING)  # a server that does not announce its responses

    def _sound(self, event: Mapping[str, Any], now: float) -> None:
        pcm = sound(event)
        if pcm is None:
            log.warning("An audio delta was not base64 and is ignored.")
            return
        reply = string(event, "response_id")
        item_id = string(event, "item_id") or f"{reply}.message"
        index = content_index(event)
        taken = self.playback.receive(item_id, index, reply, pcm, now)
        if taken:
            self.conversation.audio(item_id, index, reply, taken)
            if self._answers.reply is not Reply.ACTIVE:  # a server that does not announce its responses
                self._answers.announced(reply, self.stage is Stage.HEARING)

    def _speech_started(self, item_id: str, now: float) -> list[Event]:
        self._active_at = now
        audible = self._floor.undecided or self.stage is Stage.SPEAKING or self.playback.busy
        self._answers.turn = Turn.OPEN
        self.tell(None)
        self._go(Stage.HEARING, now)
        if not self._floor.ours:
            return self._floor.cut(now)
        return self._decided(self._floor.duck(item_id, now), now) if audible else self._floor.stop(now)

    def _turn_over(self, event: Mapping[str, Any], now: float) -> list[Event]:
        self._active_at = now
        hearing, forgotten = self.stage is Stage.HEARING, self._answers.turn is Turn.FORGOTTEN
        if event.get("type") == "input_audio_buffer.committed":
            self._answers.committed(collides=self._floor.ours)
        if self._floor.undecided:
            return self._decided(self._floor.stopped(string(event, "item_id"), now), now)
        if hearing and forgotten:
            return self._listen(now)
        if hearing:
            self._go(Stage.THINKING, now)
        return []

    def _decided(self, verdict: Verdict | None, now: float) -> list[Event]:
        """What follows from what a sound over the reply turned out to be."""
        if verdict is None:
            return []
        if verdict is Verdict.RESUME:
            left = self._floor.left
            events = self._floor.resume()
            if left:
                return events + self._listen(now)
            self._go(Stage.SPEAKING, now)
            return events
        lasting, unanswered = self._floor.lasting, self._floor.unanswered
        if not lasting:
            self._go(Stage.THINKING, now)
        if verdict is Verdict.WAIT:
            return []
        events = self._floor.stop(now)
        if unanswered and not lasting:
            self._answers.unanswered()
        return events + self._ask(now)

    def _settle(self, now: float) -> None:
        """What the visitor does besides decides: the sound over the reply was their turn."""
        if self._floor.undecided and not self._floor.lasting:
            self._go(Stage.THINKING, now)
        self._floor.over()

    def _transcribed(self, event: Mapping[str, Any], now: float) -> list[Event]:
        verdict = self._floor.heard(string(event, "item_id"), whole=True)
        if verdict is not None or self._floor.undecided:
            return self._decided(verdict, now)
        nothing_said = not string(event, "transcript").strip()
        if nothing_said and self.stage is Stage.THINKING and self._answers.reply is Reply.NONE:
            return self._listen(now)
        return []

    def _response_created(self, event: Mapping[str, Any], now: float) -> list[Event]:
        self._active_at = now
        reply = response_id(event)
        if reply and self.conversation.is_given_up(reply):
            return []
        self._answers.announced(reply, self.stage is Stage.HEARING)
        if self.stage is Stage.HEARING:
            # An answer to a typed message begins while the visitor speaks: the turn's own answer will do for both.
            self._answers.want = Want.WITH_TURN
            self.playback.drop(self._answers.reply_id)
            self.conversation.cancel(self._answers.reply_id)
            return [self._send.cancel(self._answers.reply_id)]
        if self._answers.want is Want.WITH_TURN:
            self._answers.want = Want.NOTHING
        if self.stage is Stage.LISTENING:
            self._go(Stage.THINKING, now)
        return []

    def _response_done(self, event: Mapping[str, Any], now: float) -> list[Event]:
        response, reply = table(event, "response"), response_id(event)
        self.playback.finish_response(reply or self._answers.reply_id)
        if reply and self._answers.reply_id and reply != self._answers.reply_id:
            return []
        self._answers.reply, self._answers.reply_id = Reply.NONE, ""
        self._active_at = now
        if self._floor.undecided and response.get("status") == "cancelled" and not self.conversation.is_given_up(reply):
            return self._decided(Verdict.INTERRUPT, now)  # a server that interrupts all the same
        if response.get("status") == "failed":
            failure = failure_of_error(table(response, "status_details").get("error"))
            log.warning("A reply failed: %s", failure.value if failure else "no known reason")
            if failure in (Failure.QUOTA, Failure.WRONG_KEY):
                self._fatal = failure
            self.tell(Notice.REPLY_FAILED)
        if self._answers.want in TO_ASK:
            return self._ask(now)
        # The end of a cancelled response comes late, in the turn that interrupted it: that turn is still thought about.
        if self.stage is Stage.THINKING and not self.playback.busy and response.get("status") != "cancelled":
            return self._listen(now)
        return []

    def _error(self, event: Mapping[str, Any], now: float) -> list[Event]:
        error = table(event, "error")
        refused = self._answers.reply is Reply.ASKED and asks(error)
        awaited = refused or (self.stage is Stage.THINKING and self._answers.reply is Reply.NONE)
        match meaning_of(error, self._answers, own_turns=self._floor.ours):
            case Meaning.HARMLESS:
                return []
            case Meaning.ASK:
                return self._ask(now)
            case Meaning.TURN_UNANSWERED:
                self._floor.not_answered()
                return self._ask(now)
        # Servers also complain of what they do not know, to no harm: an answer is missed only where one is awaited.
        self.tell(failure_of_error(error) or (Notice.REPLY_FAILED if awaited else self.notice))
        if not refused:
            return []
        self._answers.reply = Reply.NONE
        return self._listen(now) if self.stage is Stage.THINKING else []

    # ---------------------------------------------------------------- the visitor

    def say(self, text: str, now: float) -> list[Event] | None:
        """A typed message. It interrupts a reply as speech would, and is answered when the server is free.

        Returns None when it is not taken: blank, too long, or the call is over.
        """
        text = text.strip()
        if not text or self.stage in OVER:
            return None
        if len(text) > self._settings.max_message_chars:
            self.tell(Notice.MESSAGE_TOO_LONG)
            return None
        self._active_at = now
        self.tell(None)
        self._settle(now)
        events = self._floor.stop(now)
        item = self.conversation.say(text, self.conversation.clock.at(now))
        events.append(self._send.say(item))
        self._answers.typed(self.stage is Stage.HEARING)
        if not self.connected:
            self._untold += 1
            return []
        if self.stage is not Stage.HEARING:
            self._go(Stage.THINKING, now)
        return events + self._ask(now)

    def stop(self, now: float) -> list[Event]:
        """Enough: the reply that is being given, or was asked for, ends here."""
        self._settle(now)
        events = self._floor.stop(now)
        self._answers.stop()
        if self.stage in (Stage.SPEAKING, Stage.THINKING):
            self._go(Stage.LISTENING, now)
        return events if self.connected else []

    def clear(self, now: float) -> list[Event]:
        """Forget the conversation, here and at the server, with all that is on its way."""
        self._settle(now)
        self.playback.interrupt(now)
        events = []
        if self._answers.reply is Reply.ACTIVE and self.connected:
            events.append(self._send.cancel(self._answers.reply_id))
            self.playback.drop(self._answers.reply_id)
            self.conversation.forget_reply(self._answers.reply_id)
        self._answers.clear()
        self._untold = 0
        self.tell(None)
        gone = self.conversation.clear()
        self.conversation.clock.restart(now)
        if not self.connected:
            return []
        if self.stage in (Stage.SPEAKING, Stage.THINKING):
            self._go(Stage.LISTENING, now)
        return events + self._send.delete(gone)

    def _ask(self, now: float) -> list[Event]:
        """Ask for the answer to a typed message, unless one is being given or still to be refused."""
        if not self._answers.may_ask() or not self.connected:
            return []
        event = self._send.answer()
        self._answers.ask(event["event_id"])
        self._go(Stage.THINKING, now)
        return [event]

    def _listen(self, now: float) -> list[Event]:
        """Nothing is being said or thought. A message typed in a turn that came to nothing is answered now."""
        self._answers.turn_came_to_nothing()
        self._go(Stage.LISTENING if self._answers.want is Want.NOTHING else Stage.THINKING, now)
        return self._ask(now)

    # ---------------------------------------------------------------- time

    def frame(self, now: float) -> Samples:
        """The next 20 ms for the loudspeaker: int16[480]."""
        before = self.playback.played
        samples = self.playback.frame(now)
        at = self.conversation.clock.at(now)
        for item_id in self.playback.items_at(now):
            self.conversation.sounded(item_id, at, at + FRAME_S)
        if self.playback.played > before:
            self._active_at = now
            if self.stage in (Stage.THINKING, Stage.LISTENING):
                self._go(Stage.SPEAKING, now)
        elif self.stage is Stage.SPEAKING and not self.playback.busy and self._answers.reply is Reply.NONE:
            self._go(Stage.LISTENING, now)
        return samples

    def hear(self, samples: Samples) -> None:
        """The next 20 ms of the microphone: int16[480]. Only how loud it is counts."""
        self._floor.hear(samples)

    def beat(self, now: float) -> list[Event]:
        """Decide what cannot wait. Call it every 20 ms while there is a connection."""
        guard = self._guard.beat(now, self.playback.played > 0, self._floor.reply_goes_on)
        events = self._decided(self._floor.beat(now), now)
        return [*events, self._send.guard(guard)] if guard else events

    def tick(self, now: float) -> list[Event]:
        """Give up waiting for what does not come. Call it a few times a second."""
        if self.stage not in (Stage.THINKING, Stage.SPEAKING) or self.playback.busy:
            return []
        if self._answers.kept_waiting and self._quiet_s(now) > UNANSWERED_S:
            self._answers.unanswered()
            return self._ask(now)
        making = self._answers.reply is Reply.ACTIVE
        if self._quiet_s(now) <= (SLOW_ANSWER_S if making else PATIENCE_S):
            return []
        events = []
        if making:
            self.tell(Notice.REPLY_FAILED)
            events = self._floor.stop(now)
        self._answers.nothing_coming()
        return events + self._listen(now)
