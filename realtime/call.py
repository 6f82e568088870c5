"""One voice call as a state machine: conversation, loudspeaker and turns held together. Pure.

Server events, typed messages and 20 ms ticks go in with the time; client events to send come out. The socket, the
microphone and the page belong to whoever holds this object.
"""

from __future__ import annotations

import base64
import binascii
import logging
from collections.abc import Mapping
from typing import Any

from .answers import Answers, Reply, Turn, Want
from .client_events import ANSWER, FORGIVABLE, ClientEvents
from .conversation import Conversation
from .failures import Failure, failure_of_error, safe_word
from .fields import content_index, response_id, string, table
from .playback import FRAME_S, Playback, Samples
from .settings import Settings
from .snapshot import CONNECTED, OVER, Notice, Snapshot, Stage

log = logging.getLogger(__name__)

Event = dict[str, Any]

PATIENCE_S = 10.0
"""Seconds without any sign of a reply until the call listens again: noise that was no speech gets none."""
SLOW_ANSWER_S = 60.0
"""The same for a reply that was announced: a slow computer may take its time."""
TRANSCRIBED = frozenset(
    {
        "conversation.item.input_audio_transcription.completed",
        "conversation.item.input_audio_transcription.failed",
    }
)
WORDS = frozenset({"response.output_text.delta", "response.output_audio_transcript.delta"})
TURN_OVER = frozenset({"input_audio_buffer.speech_stopped", "input_audio_buffer.committed"})
AT_WORK = frozenset({Stage.HEARING, Stage.THINKING, Stage.SPEAKING})
"""Somebody speaks or is about to: no idleness, however long it lasts."""
HARMLESS = frozenset({"response_cancel_not_active", "item_not_found"})
"""Errors that only say that something was over before our event arrived."""


class Call:
    """The state of one call. `conversation` outlives it and belongs to the visitor."""

    def __init__(self, conversation: Conversation, settings: Settings, now: float) -> None:
        self.conversation = conversation
        self.playback = Playback(latency_ms=settings.output_latency_ms)
        self.stage = Stage.CONNECTING
        self.notice: str | None = None
        self._settings = settings
        self._began = now
        self._active_at = now
        self._stage_since = now
        self._answers = Answers()
        self._send = ClientEvents()
        self._untold = 0
        """Messages typed while there was no connection: told to the next one, however little else is."""
        self._changes = 0
        self._fatal: Failure | None = None
        conversation.clock.start(now)

    # ---------------------------------------------------------------- what is shown

    @property
    def version(self) -> tuple[int, int]:
        """Differs whenever `snapshot()` may differ."""
        return self._changes, self.conversation.version

    def snapshot(self) -> Snapshot:
        return Snapshot(self.conversation.captions(), self.stage, self.notice)

    def _go(self, stage: Stage, now: float) -> None:
        if stage is not self.stage and self.stage not in OVER:
            self.stage = stage
            self._stage_since = now
            self._changes += 1

    def tell(self, notice: str | None) -> None:
        """Show a notice, or none."""
        if notice != self.notice:
            self.notice = notice
            self._changes += 1

    @property
    def connected(self) -> bool:
        return self.stage in CONNECTED

    @property
    def fatal(self) -> Failure | None:
        """A failure said inside the session (no money left) after which going on makes no sense."""
        return self._fatal

    @property
    def quiet(self) -> bool:
        """Nobody speaks, and nobody waits for an answer."""
        return self.stage is Stage.LISTENING and not self.playback.busy and not self._answers.expected

    # ---------------------------------------------------------------- connection

    def connect(self, now: float) -> list[Event]:
        """A connection is ready: what to tell it of the conversation so far."""
        seed = self.conversation.replay(max(self._settings.replay_items, self._untold))
        events = self._send.numbered("seed", seed)
        self._untold = 0
        self._answers.nothing_coming()
        self._go(Stage.SPEAKING if self.playback.busy else Stage.LISTENING, now)
        self.tell(None)
        self._active_at = now
        return events + self._ask(now)

    def disconnect(self, stage: Stage, now: float) -> None:
        """The connection is gone. What has been received of a reply is still played."""
        making = self._answers.reply is Reply.ACTIVE and not self.conversation.is_given_up(self._answers.reply_id)
        self.playback.rename(self.conversation.restart())
        # Of a written reply that was begun, the page may show nothing yet.
        bare = making and self.conversation.written and self._last_words_are_the_visitors()
        self._answers.line_lost(unanswered=self._answers.reply is Reply.ASKED or bare)
        self._go(stage, now)

    def _last_words_are_the_visitors(self) -> bool:
        bubbles = self.conversation.bubbles()
        return bool(bubbles) and bubbles[-1].role == "user"

    def end(self, stage: Stage, notice: str | None, now: float) -> None:
        """The call is over. What was not heard will not be heard."""
        for cut in self.playback.interrupt(now):
            self.conversation.cut(*cut)
        self.conversation.restart()
        self.conversation.clock.stop(now)
        self.tell(notice)
        self._go(stage, now)

    # ---------------------------------------------------------------- server events

    def receive(self, event: Mapping[str, Any], now: float) -> list[Event]:
        """Take a server event. Never raises for what a server may send. Returns what to send."""
        events = self._refuse(event)
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
        elif kind == "input_audio_buffer.speech_started":
            events += self._speech_started(now)
        elif kind in TURN_OVER:
            events += self._turn_over(kind == "input_audio_buffer.committed", now)
        elif kind in TRANSCRIBED:
            events += self._transcribed(event, now)
        elif kind == "response.created":
            events += self._response_created(event, now)
        elif kind == "response.done":
            events += self._response_done(event, now)
        elif kind == "error":
            events += self._error(event, now)
        return events

    def _refuse(self, event: Mapping[str, Any]) -> list[Event]:
        """Turn away what still comes of the conversation before Clear, at the first sign of it."""
        kind, reply, events = event.get("type"), response_id(event), list[Event]()
        if kind == "input_audio_buffer.committed" and self._answers.turn is Turn.FORGOTTEN:
            self.conversation.forget_item(string(event, "item_id"))
        new = bool(reply) and reply != self._answers.reply_id and not self.conversation.is_given_up(reply)
        if new and self._answers.refuses(reply, self.stage is Stage.HEARING):
            self.conversation.forget_reply(reply)
            self.playback.drop(reply)
            if kind != "response.done":
                events.append(self._send.cancel(reply))
        return events + self._send.delete(self.conversation.leftovers(event))

    def _words(self, event: Mapping[str, Any], now: float) -> None:
        self._active_at = now
        reply = response_id(event)
        if self._answers.reply is Reply.ASKED and not self.conversation.is_given_up(reply):
            self._answers.announced(reply, self.stage is Stage.HEARING)  # a server that does not announce its responses

    def _sound(self, event: Mapping[str, Any], now: float) -> None:
        try:
            pcm = base64.b64decode(string(event, "delta"), validate=True)
        except (binascii.Error, ValueError):
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

    def _speech_started(self, now: float) -> list[Event]:
        self._active_at = now
        self._answers.turn = Turn.OPEN
        self.tell(None)
        events = self._interrupt(now)
        self._go(Stage.HEARING, now)
        return events

    def _turn_over(self, committed: bool, now: float) -> list[Event]:
        self._active_at = now
        hearing, forgotten = self.stage is Stage.HEARING, self._answers.turn is Turn.FORGOTTEN
        if committed:
            self._answers.committed()
        if hearing and forgotten:
            return self._listen(now)
        if hearing:
            self._go(Stage.THINKING, now)
        return []

    def _transcribed(self, event: Mapping[str, Any], now: float) -> list[Event]:
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
        if response.get("status") == "failed":
            failure = failure_of_error(table(response, "status_details").get("error"))
            log.warning("A reply failed: %s", failure.value if failure else "no known reason")
            if failure in (Failure.QUOTA, Failure.WRONG_KEY):
                self._fatal = failure
            self.tell(Notice.REPLY_FAILED)
        if self._answers.want is Want.ANSWER:
            return self._ask(now)
        # The end of a cancelled response comes late, in the turn that interrupted it: that turn is still thought about.
        if self.stage is Stage.THINKING and not self.playback.busy and response.get("status") != "cancelled":
            return self._listen(now)
        return []

    def _error(self, event: Mapping[str, Any], now: float) -> list[Event]:
        error = table(event, "error")
        code, about = string(error, "code"), string(error, "event_id")
        if about.startswith(ANSWER) and about != self._answers.asked:  # what it should have answered was cleared
            self._answers.refused_by_server()
            return self._ask(now)
        if code == "conversation_already_has_active_response":
            if self._answers.asked:  # another response was quicker than ours: ask again when it is done
                self._answers.reply = Reply.ACTIVE
                self._answers.want = Want.ANSWER
            return []
        if code in HARMLESS or about.startswith(FORGIVABLE):
            # The answer that was asked for meanwhile is not meant.
            if code == "response_cancel_not_active" and self._answers.reply is Reply.ACTIVE:
                self._answers.reply = Reply.NONE
                return self._ask(now)
            return []
        log.warning("The server reports an error: code %s, field %s", safe_word(code), safe_word(error.get("param")))
        refused = self._answers.reply is Reply.ASKED and about.startswith(ANSWER)
        awaited = refused or (self.stage is Stage.THINKING and self._answers.reply is Reply.NONE)
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
        events = self._interrupt(now)
        if self._answers.reply is Reply.ACTIVE and self.connected:
            events.append(self._send.cancel(self._answers.reply_id))
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
        being_made = self._answers.reply is Reply.ACTIVE and self.connected
        events = self._interrupt(now)
        if being_made:
            events.append(self._send.cancel(self._answers.reply_id))
        self._answers.stop()
        if self.stage in (Stage.SPEAKING, Stage.THINKING):
            self._go(Stage.LISTENING, now)
        return events

    def clear(self, now: float) -> list[Event]:
        """Forget the conversation, here and at the server, with all that is on its way."""
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

    def _interrupt(self, now: float) -> list[Event]:
        """Stop the reply; returns what tells the server how much of it was heard."""
        events: list[Event] = []
        for cut in self.playback.interrupt(now):
            self.conversation.cut(*cut)
            if self.conversation.is_replayed(cut.item_id):
                events += self._send.numbered("retell", self.conversation.retell(cut.item_id))
                continue
            events.append(self._send.truncate(cut, self.conversation.server_id(cut.item_id)))
        if self._answers.reply is Reply.ACTIVE:
            self.playback.drop(self._answers.reply_id)
            # Without sound there is nothing to truncate; what was not heard at all is taken out.
            events += self._send.delete(self.conversation.cancel(self._answers.reply_id))
        return events if self.connected else []

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

    def tick(self, now: float) -> list[Event]:
        """Give up waiting for what does not come. Call it a few times a second."""
        if self.stage not in (Stage.THINKING, Stage.SPEAKING) or self.playback.busy:
            return []
        making = self._answers.reply is Reply.ACTIVE
        if self._quiet_s(now) <= (SLOW_ANSWER_S if making else PATIENCE_S):
            return []
        events = []
        if making:
            self.tell(Notice.REPLY_FAILED)
            events = [*self._interrupt(now), self._send.cancel(self._answers.reply_id)]
        self._answers.nothing_coming()
        return events + self._listen(now)

    def time_up(self, now: float) -> Notice | None:
        """Why the call must end now, or None."""
        if now - self._began > self._settings.max_call_seconds:
            return Notice.TIME_LIMIT
        if self.stage not in AT_WORK and self._quiet_s(now) > self._settings.idle_seconds:
            return Notice.IDLE
        return None

    def _quiet_s(self, now: float) -> float:
        """Seconds since anything happened."""
        return now - max(self._stage_since, self._active_at)
