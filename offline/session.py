"""The Realtime protocol (GA) of one connection, as a state machine without input or output.

Client events, results of the workers and the time go in; events to send, work to do and the end of the connection come
out, as a list in order (`offline.events.Output`). Nothing here waits, reads a clock or runs a model.

`Session` routes events and holds the conversation's items; `listening` has the person's turns, `transcripts` their
words, `responding` and `responses` the replies.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

from offline.audio_formats import SAMPLES_PER_MS
from offline.core import Core
from offline.events import Ids, Json, Outbox, Output, ProtocolError, invalid_type, invalid_value, missing
from offline.item_parsing import parse_item
from offline.items import Item, Part, Words
from offline.listening import Listener
from offline.responding import Responder
from offline.session_config import defaults, updated
from offline.transcripts import Transcripts
from offline.turn_detection import Probability
from offline.wire import read_json
from offline.work import Hearing, Provisional, RecognitionFailed, Recognized, Request, Result

SESSION_SECONDS = 3600
MAX_ITEMS = 5000
NO_WORDS = "…"
"""What the model reads where the person said nothing until the idle timeout."""


class State(Enum):
    """Of the session as a whole."""

    OPEN = "open"
    EXPIRED = "expired"


class Session:
    """One connection's conversation. Call `start` first; then the others in any order, times never going back."""

    def __init__(
        self, *, model: str, ids: Ids, probability: Probability, now: float, wall: float, model_is_fixed: bool = False
    ) -> None:
        """`now`: seconds of a clock that only goes forward; `wall`: the same moment in Unix seconds.

        `model_is_fixed`: the client asked for `model` when it connected.
        """
        self.state = State.OPEN
        self.out = Outbox(ids)
        self._core = Core(ids, self.out, defaults(model), now)
        self._model_is_fixed = model_is_fixed
        self._expires = now + SESSION_SECONDS
        self._head: Json = {
            "object": "realtime.session",
            "id": ids.new("sess"),
            "expires_at": int(wall) + SESSION_SECONDS,
        }
        self._listener = Listener(self._core, self, probability)
        self._transcripts = Transcripts(self._core)
        self._responder = Responder(self._core, self._transcripts, self._at_rest)
        self._idle_at: float | None = None
        self._idle_from = 0
        """The received sample at which the wait for the idle timeout began."""
        self._read_for: Json | None = None
        """The settings whose instructions and tools were last read ahead; None before the first client event."""
        self._handlers: dict[str, Callable[[Json], None]] = {
            "session.update": self._update,
            "input_audio_buffer.append": self._listener.append,
            "input_audio_buffer.commit": self._listener.commit,
            "input_audio_buffer.clear": self._clear,
            "conversation.item.create": self._create_item,
            "conversation.item.retrieve": self._retrieve_item,
            "conversation.item.truncate": self._truncate_item,
            "conversation.item.delete": self._delete_item,
            "response.create": self._create_response,
            "response.cancel": self._responder.cancel,
        }

    # ------------------------------------------------------------------ what goes in

    @property
    def item_ids(self) -> list[str]:
        """Ids of the conversation's items, in order."""
        return [item.id for item in self._core.conversation.items]

    def start(self) -> list[Output]:
        """The connection is open."""
        self.out.send("session.created", session=self._wire())
        return self.out.take()

    def receive_text(self, text: str, now: float) -> list[Output]:
        """A text frame of the client."""
        try:
            event = read_json(text)
        except ValueError:
            return self._refuse(ProtocolError("invalid_json", "The message is not valid JSON."), now)
        return self.receive(event, now)

    def receive_binary(self, now: float) -> list[Output]:
        """A binary frame of the client, which this protocol does not have."""
        message = "Expected a text WebSocket message with a JSON event, got a binary one."
        return self._refuse(ProtocolError("invalid_event", message), now)

    def receive(self, event: object, now: float) -> list[Output]:
        """A client event, as decoded JSON of any shape."""
        self._advance_clock(now)
        if self.state is State.EXPIRED:
            return self.out.take()
        event_id: str | None = None
        while self.has_unheard:
            self._listener.hear_on()
        try:
            if not isinstance(event, dict):
                raise ProtocolError("invalid_event", "Expected a JSON object with a 'type'.")
            given = event.get("event_id")
            if given is not None and (not isinstance(given, str) or len(given) > 512):
                raise invalid_type("event_id", "a string of at most 512 characters")
            event_id = given
            self._handler(event)(event)
        except ProtocolError as error:
            self.out.error(error, event_id)
        self._read_new_settings()
        return self.out.take()

    @property
    def has_unheard(self) -> bool:
        """Some of the last append has not been judged yet: call `hear_on`, before the next event if others wait."""
        return self.state is State.OPEN and len(self._listener.unheard) > 0

    def hear_on(self, now: float) -> list[Output]:
        """Judge the next second of an append that was longer than that."""
        self._advance_clock(now)
        if self.has_unheard:
            self._listener.hear_on()
        return self.out.take()

    def deliver(self, result: Result, now: float) -> list[Output]:
        """A result of the workers. Results about what is gone (cancelled, deleted) are dropped."""
        self._advance_clock(now)
        if self.state is State.EXPIRED:
            return self.out.take()
        if isinstance(result, Hearing):
            self._transcripts.heard_more(result, self._listener.turn_id)
        elif isinstance(result, Provisional):
            self._listener.words(result.item_id, result.text)
        elif isinstance(result, (Recognized, RecognitionFailed)):
            self._transcripts.heard_all(result)
            self._responder.go_on()
        else:
            self._responder.reply(result)
        return self.out.take()

    def tick(self, now: float) -> list[Output]:
        """Time has passed. Needed at `deadline`; allowed at any moment."""
        self._advance_clock(now)
        return self.out.take()

    def deadline(self) -> float | None:
        """When `tick` is to be called at the latest; None: never."""
        if self.state is State.EXPIRED:
            return None
        return self._expires if self._idle_at is None else min(self._idle_at, self._expires)

    def _refuse(self, error: ProtocolError, now: float) -> list[Output]:
        self._advance_clock(now)
        if self.state is State.OPEN:
            self.out.error(error)
        return self.out.take()

    def _handler(self, event: Json) -> Callable[[Json], None]:
        kind = event.get("type")
        if kind is None:
            raise missing("type")
        if not isinstance(kind, str):
            raise invalid_type("type", "a string")
        handler = self._handlers.get(kind)
        if handler is None:
            known = ", ".join(f"'{name}'" for name in self._handlers)
            raise invalid_value("type", f"Supported values are: {known}.")
        return handler

    # ------------------------------------------------------------------ session and time

    def _wire(self) -> Json:
        config = self._core.config
        head = {"type": config["type"], **self._head}
        return {**head, **{key: value for key, value in config.items() if key != "type"}}

    def _update(self, event: Json) -> None:
        if "session" not in event:
            raise missing("session")
        self._core.config = updated(
            self._core.config,
            event["session"],
            model_is_fixed=self._model_is_fixed,
            voice_is_fixed=self._responder.has_spoken,
        )
        self._listener.adapt()
        self._transcripts.drop_captions(self._listener.turn_id)
        if (self._core.turn_detection or {}).get("idle_timeout_ms") is None:
            self._idle_at = None
        self.out.send("session.updated", session=self._wire())

    def _advance_clock(self, now: float) -> None:
        self._core.now = max(self._core.now, now)
        if self.state is State.EXPIRED:
            return
        if self._core.now >= self._expires:
            self.state = State.EXPIRED
            message = "Your session hit the maximum duration of 60 minutes."
            self.out.error(ProtocolError("session_expired", message))
            self.out.close(1001, message)
        elif self._idle_at is not None and self._core.now >= self._idle_at:
            self._idle_timeout()

    # ------------------------------------------------------------------ the person's turns

    def turn_began(self) -> None:
        """The person began to speak (see `listening.Floor`)."""
        self._idle_at = None
        if (self._core.turn_detection or {}).get("interrupt_response"):
            self._responder.interrupt()

    def turn_ended(self, item_id: str, audio: bytes, *, detected: bool) -> None:
        """Make the sound a user message of the conversation and have it recognised (see `listening.Floor`)."""
        part = Part("input_audio", shown=False, audio=bytearray(audio), ms=len(audio) / 2 / SAMPLES_PER_MS)
        item = Item(item_id, "message", "user", parts=[part], words=Words.AWAITED)
        self._commit(item)
        if detected and (self._core.turn_detection or {}).get("create_response"):
            self._answer(item)

    def expected_request(self) -> Request | None:
        """What would be generated if the turn ended now, without its words (see `listening.Floor`)."""
        answered = (self._core.turn_detection or {}).get("create_response")
        if not answered or self._responder.active is not None or self._core.words_awaited:
            return None
        return self._core.request()

    def _commit(self, item: Item) -> None:
        previous = self._core.conversation.last_id
        self.out.send("input_audio_buffer.committed", previous_item_id=previous, item_id=item.id)
        self._add(item)

    def _answer(self, item: Item) -> None:
        self._idle_at = None
        self._responder.answer(item)

    def _clear(self, event: Json) -> None:
        self._listener.clear(event)
        self._transcripts.drop_captions(None)

    def _idle_timeout(self) -> None:
        start, end = self._idle_from, self._listener.received
        item = Item(self._core.ids.new("item"), "message", parts=[Part("input_audio", NO_WORDS, shown=False)])
        self.out.send(
            "input_audio_buffer.timeout_triggered",
            audio_start_ms=start // SAMPLES_PER_MS,
            audio_end_ms=end // SAMPLES_PER_MS,
            item_id=item.id,
        )
        self._commit(item)
        self._answer(item)

    def _at_rest(self) -> None:
        """The default conversation's response has ended, and none follows."""
        self._read_ahead()
        if self._listener.turn_id is None:
            self._idle_from = self._listener.received
            self._await_caller()

    def _await_caller(self) -> None:
        """Let the idle timeout run from where the reply has been played."""
        idle_ms = (self._core.turn_detection or {}).get("idle_timeout_ms")
        if idle_ms is not None:
            self._idle_at = max(self._core.now, self._responder.playing_until) + idle_ms / 1000

    def _playing_ended(self) -> None:
        """The client has stopped playing the reply."""
        self._responder.playing_until = self._core.now
        if self._idle_at is not None:
            self._await_caller()

    def _read_new_settings(self) -> None:
        """Have instructions and tools read ahead: the first ones at the first event, which mostly brings them."""
        known, config = self._read_for, self._core.config
        if known is None or any(config[key] != known[key] for key in ("instructions", "tools")):
            self._read_ahead()

    def _read_ahead(self) -> None:
        self._read_for = self._core.config
        if self._responder.active is None:
            self._core.prefill()

    # ------------------------------------------------------------------ conversation items

    def _add(self, item: Item, after: str | None = None) -> None:
        conversation = self._core.conversation
        conversation.add(item, after)
        previous = conversation.previous(item)
        for kind in ("conversation.item.added", "conversation.item.done"):
            self.out.send(kind, previous_item_id=previous, item=item.wire())
        self._transcripts.recognize(item)

    def _is_taken(self, item_id: str) -> bool:
        known = item_id in self._core.conversation or self._transcripts.awaits(item_id)
        return known or item_id in ("root", self._listener.turn_id)

    def _create_item(self, event: Json) -> None:
        if "item" not in event:
            raise missing("item")
        after = None
        if event.get("previous_item_id") is not None:
            after = _text(event, "previous_item_id")
            if after != "root":
                self._core.conversation.get(after, "previous_item_id")
        item = parse_item(event["item"], "item", self._core.ids, self._core.input_format)
        if self._is_taken(item.id):
            raise invalid_value("item.id", "An item with this id exists already.")
        if len(self._core.conversation.items) >= MAX_ITEMS:
            raise invalid_value("item", f"A conversation holds at most {MAX_ITEMS} items: delete some.")
        self._add(item, after)

    def _retrieve_item(self, event: Json) -> None:
        item = self._core.conversation.get(_text(event, "item_id"))
        side = "output" if item.role == "assistant" else "input"
        self.out.send("conversation.item.retrieved", item=item.wire(self._core.config["audio"][side]["format"]["type"]))

    def _truncate_item(self, event: Json) -> None:
        item = self._core.conversation.get(_text(event, "item_id"))
        index, end_ms = _integer(event, "content_index"), _integer(event, "audio_end_ms")
        part = item.parts[index] if 0 <= index < len(item.parts) else None
        if item.role != "assistant" or part is None or not part.clauses:
            raise ProtocolError(None, "Only model output audio messages can be truncated.")
        if end_ms < 0:
            raise invalid_value("audio_end_ms", "It must be 0 or more.")
        if end_ms > part.ms:
            message = f"Audio content of {int(part.ms)}ms is already shorter than {end_ms}ms"
            raise ProtocolError("invalid_value", message, "audio_end_ms")
        part.cut(end_ms)
        self._playing_ended()
        self.out.send("conversation.item.truncated", item_id=item.id, content_index=index, audio_end_ms=end_ms)
        self._read_ahead()

    def _delete_item(self, event: Json) -> None:
        item = self._core.conversation.get(_text(event, "item_id"))
        if item is self._core.conversation.last_spoken:
            self._playing_ended()
        self._core.conversation.remove(item)
        self._transcripts.forget(item)
        self._responder.forget(item)
        self.out.send("conversation.item.deleted", item_id=item.id)
        self._responder.go_on()

    # ------------------------------------------------------------------ responses

    def _create_response(self, event: Json) -> None:
        self._responder.create(event, self._is_taken)
        if self._responder.active is not None:
            self._idle_at = None


def _text(event: Json, key: str) -> str:
    value = event.get(key)
    if value is None:
        raise missing(key)
    if not isinstance(value, str):
        raise invalid_type(key, "a string")
    return value


def _integer(event: Json, key: str) -> int:
    value = event.get(key)
    if value is None:
        raise missing(key)
    if isinstance(value, bool) or not isinstance(value, int):
        raise invalid_type(key, "an integer")
    return value
