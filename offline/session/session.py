"""The Realtime protocol (GA) of one connection, as a state machine without input or output.

Client events, results of the workers and the time go in; events to send, work to do and the end of the connection come
out, as a list in order (`offline.protocol.outputs.Output`). Nothing here waits, reads a clock or runs a model.

`Session` routes events and holds the conversation's items; `listening` has the person's turns, `transcripts` their
words, `responding` and `responses` the replies.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

from offline.audio import SAMPLES_PER_MS, duration_ms
from offline.protocol.json_codec import read_json
from offline.protocol.outputs import (
    IdGenerator,
    Json,
    Outbox,
    Output,
    ProtocolError,
    invalid_type,
    invalid_value,
    missing_parameter,
)
from offline.protocol.session_config import apply_session_update, default_session
from offline.protocol.worker_messages import (
    CaptionDelta,
    FinalTranscript,
    ProvisionalTranscript,
    RecognitionFailed,
    ReplyRequest,
    WorkResult,
)
from offline.stt.turn_detection import VadModel

from .context import SessionContext
from .conversation import ConversationItem, MessagePart, TranscriptStatus
from .input_turns import InputAudioManager
from .item_parsing import parse_item
from .response_manager import ResponseManager
from .transcripts import TranscriptManager

MAX_SESSION_S = 3600
MAX_CONVERSATION_ITEMS = 5000
SILENCE_PLACEHOLDER = "…"
"""What the model reads where the person said nothing until the idle timeout."""


class SessionState(Enum):
    """Of the session as a whole."""

    OPEN = "open"
    EXPIRED = "expired"


class Session:
    """One connection's conversation. Call `start` first; then the others in any order, times never going back."""

    def __init__(
        self, *, model: str, ids: IdGenerator, vad: VadModel, now: float, unix_time: float, model_is_fixed: bool = False
    ) -> None:
        """`now`: seconds of a clock that only goes forward; `wall`: the same moment in Unix seconds.

        `model_is_fixed`: the client asked for `model` when it connected.
        """
        self.state = SessionState.OPEN
        self.outbox = Outbox(ids)
        self._context = SessionContext(ids, self.outbox, default_session(model), now)
        self._model_is_fixed = model_is_fixed
        self._expires_at = now + MAX_SESSION_S
        self._session_fields: Json = {
            "object": "realtime.session",
            "id": ids.new("sess"),
            "expires_at": int(unix_time) + MAX_SESSION_S,
        }
        self._input_audio = InputAudioManager(self._context, self, vad)
        self._transcripts = TranscriptManager(self._context)
        self._response_manager = ResponseManager(self._context, self._transcripts, self._on_responses_idle)
        self._idle_timeout_at: float | None = None
        self._idle_start_sample = 0
        """The received sample at which the wait for the idle timeout began."""
        self._prefilled_config: Json | None = None
        """The settings whose instructions and tools were last read ahead; None before the first client event."""
        self._handlers: dict[str, Callable[[Json], None]] = {
            "session.update": self._update_session,
            "input_audio_buffer.append": self._input_audio.append,
            "input_audio_buffer.commit": self._input_audio.commit,
            "input_audio_buffer.clear": self._clear_input_audio,
            "conversation.item.create": self._create_item,
            "conversation.item.retrieve": self._retrieve_item,
            "conversation.item.truncate": self._truncate_item,
            "conversation.item.delete": self._delete_item,
            "response.create": self._create_response,
            "response.cancel": self._response_manager.cancel,
        }

    # ------------------------------------------------------------------ what goes in

    def start(self) -> list[Output]:
        """The connection is open."""
        self.outbox.send("session.created", session=self._to_json())
        return self.outbox.drain()

    def handle_text(self, text: str, now: float) -> list[Output]:
        """A text frame of the client."""
        try:
            event = read_json(text)
        except ValueError:
            return self._reject(ProtocolError("invalid_json", "The message is not valid JSON."), now)
        return self.handle_event(event, now)

    def handle_binary(self, now: float) -> list[Output]:
        """A binary frame of the client, which this protocol does not have."""
        message = "Expected a text WebSocket message with a JSON event, got a binary one."
        return self._reject(ProtocolError("invalid_event", message), now)

    def handle_event(self, event: object, now: float) -> list[Output]:
        """A client event, as decoded JSON of any shape."""
        self._advance_clock(now)
        if self.state is SessionState.EXPIRED:
            return self.outbox.drain()
        event_id: str | None = None
        while self.has_pending_audio:
            self._input_audio.process_pending()
        try:
            if not isinstance(event, dict):
                raise ProtocolError("invalid_event", "Expected a JSON object with a 'type'.")
            given = event.get("event_id")
            if given is not None and (not isinstance(given, str) or len(given) > 512):
                raise invalid_type("event_id", "a string of at most 512 characters")
            event_id = given
            self._find_handler(event)(event)
        except ProtocolError as error:
            self.outbox.send_error(error, event_id)
        self._prefill_if_changed()
        return self.outbox.drain()

    @property
    def has_pending_audio(self) -> bool:
        """Some of the last append has not been judged yet: call `hear_on`, before the next event if others wait."""
        return self.state is SessionState.OPEN and len(self._input_audio.pending_audio) > 0

    def process_pending_audio(self, now: float) -> list[Output]:
        """Judge the next second of an append that was longer than that."""
        self._advance_clock(now)
        if self.has_pending_audio:
            self._input_audio.process_pending()
        return self.outbox.drain()

    def handle_result(self, result: WorkResult, now: float) -> list[Output]:
        """A result of the workers. Results about what is gone (cancelled, deleted) are dropped."""
        self._advance_clock(now)
        if self.state is SessionState.EXPIRED:
            return self.outbox.drain()
        if isinstance(result, CaptionDelta):
            self._transcripts.apply_caption_delta(result, self._input_audio.turn_item_id)
        elif isinstance(result, ProvisionalTranscript):
            self._input_audio.apply_provisional_transcript(result.item_id, result.text)
        elif isinstance(result, (FinalTranscript, RecognitionFailed)):
            self._transcripts.apply_final_result(result)
            self._response_manager.start_ready_responses()
        else:
            self._response_manager.handle_result(result)
        return self.outbox.drain()

    def tick(self, now: float) -> list[Output]:
        """Time has passed. Needed at `deadline`; allowed at any moment."""
        self._advance_clock(now)
        return self.outbox.drain()

    def next_deadline(self) -> float | None:
        """When `tick` is to be called at the latest; None: never."""
        if self.state is SessionState.EXPIRED:
            return None
        return self._expires_at if self._idle_timeout_at is None else min(self._idle_timeout_at, self._expires_at)

    def _reject(self, error: ProtocolError, now: float) -> list[Output]:
        self._advance_clock(now)
        if self.state is SessionState.OPEN:
            self.outbox.send_error(error)
        return self.outbox.drain()

    def _find_handler(self, event: Json) -> Callable[[Json], None]:
        kind = event.get("type")
        if kind is None:
            raise missing_parameter("type")
        if not isinstance(kind, str):
            raise invalid_type("type", "a string")
        handler = self._handlers.get(kind)
        if handler is None:
            known = ", ".join(f"'{name}'" for name in self._handlers)
            raise invalid_value("type", f"Supported values are: {known}.")
        return handler

    # ------------------------------------------------------------------ session and time

    def _to_json(self) -> Json:
        config = self._context.config
        head = {"type": config["type"], **self._session_fields}
        return {**head, **{key: value for key, value in config.items() if key != "type"}}

    def _update_session(self, event: Json) -> None:
        if "session" not in event:
            raise missing_parameter("session")
        self._context.config = apply_session_update(
            self._context.config,
            event["session"],
            model_is_fixed=self._model_is_fixed,
            voice_is_fixed=self._response_manager.has_spoken,
        )
        self._input_audio.apply_settings()
        self._transcripts.drop_stale_captions(self._input_audio.turn_item_id)
        if (self._context.turn_detection or {}).get("idle_timeout_ms") is None:
            self._idle_timeout_at = None
        self.outbox.send("session.updated", session=self._to_json())

    def _advance_clock(self, now: float) -> None:
        self._context.now = max(self._context.now, now)
        if self.state is SessionState.EXPIRED:
            return
        if self._context.now >= self._expires_at:
            self.state = SessionState.EXPIRED
            message = "Your session hit the maximum duration of 60 minutes."
            self.outbox.send_error(ProtocolError("session_expired", message))
            self.outbox.close(1001, message)
        elif self._idle_timeout_at is not None and self._context.now >= self._idle_timeout_at:
            self._trigger_idle_timeout()

    # ------------------------------------------------------------------ the person's turns

    def on_turn_started(self) -> None:
        """The person began to speak (see `listening.TurnListener`)."""
        self._idle_timeout_at = None
        if (self._context.turn_detection or {}).get("interrupt_response"):
            self._response_manager.interrupt()

    def on_turn_ended(self, item_id: str, audio: bytes, *, detected: bool) -> None:
        """Make the sound a user message of the conversation and have it recognised (see `listening.TurnListener`)."""
        part = MessagePart(
            "input_audio",
            has_public_transcript=False,
            audio=bytearray(audio),
            duration_ms=duration_ms(audio),
        )
        item = ConversationItem(item_id, "message", "user", parts=[part], transcript_status=TranscriptStatus.PENDING)
        self._commit_item(item)
        if detected and (self._context.turn_detection or {}).get("create_response"):
            self._respond_to(item)

    def predict_request(self) -> ReplyRequest | None:
        """What would be generated if the turn ended now, without its words (see `listening.TurnListener`)."""
        answered = (self._context.turn_detection or {}).get("create_response")
        if not answered or self._response_manager.active_response is not None or self._context.has_pending_transcripts:
            return None
        return self._context.build_request()

    def _commit_item(self, item: ConversationItem) -> None:
        previous = self._context.conversation.last_item_id
        self.outbox.send("input_audio_buffer.committed", previous_item_id=previous, item_id=item.id)
        self._add_item(item)

    def _respond_to(self, item: ConversationItem) -> None:
        self._idle_timeout_at = None
        self._response_manager.respond_to(item)

    def _clear_input_audio(self, event: Json) -> None:
        self._input_audio.clear(event)
        self._transcripts.drop_stale_captions(None)

    def _trigger_idle_timeout(self) -> None:
        start, end = self._idle_start_sample, self._input_audio.received_samples
        item = ConversationItem(
            self._context.ids.new("item"),
            "message",
            parts=[MessagePart("input_audio", SILENCE_PLACEHOLDER, has_public_transcript=False)],
        )
        self.outbox.send(
            "input_audio_buffer.timeout_triggered",
            audio_start_ms=start // SAMPLES_PER_MS,
            audio_end_ms=end // SAMPLES_PER_MS,
            item_id=item.id,
        )
        self._commit_item(item)
        self._respond_to(item)

    def _on_responses_idle(self) -> None:
        """The default conversation's response has ended, and none follows."""
        self._prefill()
        if self._input_audio.turn_item_id is None:
            self._idle_start_sample = self._input_audio.received_samples
            self._start_idle_timer()

    def _start_idle_timer(self) -> None:
        """Let the idle timeout run from where the reply has been played."""
        idle_ms = (self._context.turn_detection or {}).get("idle_timeout_ms")
        if idle_ms is not None:
            self._idle_timeout_at = max(self._context.now, self._response_manager.playback_ends_at) + idle_ms / 1000

    def _on_playback_stopped(self) -> None:
        """The client has stopped playing the reply."""
        self._response_manager.playback_ends_at = self._context.now
        if self._idle_timeout_at is not None:
            self._start_idle_timer()

    def _prefill_if_changed(self) -> None:
        """Have instructions and tools read ahead: the first ones at the first event, which mostly brings them."""
        known, config = self._prefilled_config, self._context.config
        if known is None or any(config[key] != known[key] for key in ("instructions", "tools")):
            self._prefill()

    def _prefill(self) -> None:
        self._prefilled_config = self._context.config
        if self._response_manager.active_response is None:
            self._context.prefill()

    # ------------------------------------------------------------------ conversation items

    def _add_item(self, item: ConversationItem, after: str | None = None) -> None:
        conversation = self._context.conversation
        conversation.add(item, after)
        previous = conversation.previous_item_id(item)
        for kind in ("conversation.item.added", "conversation.item.done"):
            self.outbox.send(kind, previous_item_id=previous, item=item.to_json())
        self._transcripts.request_transcript(item)

    def _is_item_id_taken(self, item_id: str) -> bool:
        known = item_id in self._context.conversation or self._transcripts.is_pending(item_id)
        return known or item_id in ("root", self._input_audio.turn_item_id)

    def _create_item(self, event: Json) -> None:
        if "item" not in event:
            raise missing_parameter("item")
        after = None
        if event.get("previous_item_id") is not None:
            after = _require_text(event, "previous_item_id")
            if after != "root":
                self._context.conversation.get(after, "previous_item_id")
        item = parse_item(event["item"], "item", self._context.ids, self._context.input_format)
        if self._is_item_id_taken(item.id):
            raise invalid_value("item.id", "An item with this id exists already.")
        if len(self._context.conversation.items) >= MAX_CONVERSATION_ITEMS:
            raise invalid_value("item", f"A conversation holds at most {MAX_CONVERSATION_ITEMS} items: delete some.")
        self._add_item(item, after)

    def _retrieve_item(self, event: Json) -> None:
        item = self._context.conversation.get(_require_text(event, "item_id"))
        side = "output" if item.role == "assistant" else "input"
        self.outbox.send(
            "conversation.item.retrieved", item=item.to_json(self._context.config["audio"][side]["format"]["type"])
        )

    def _truncate_item(self, event: Json) -> None:
        item = self._context.conversation.get(_require_text(event, "item_id"))
        index, end_ms = _require_integer(event, "content_index"), _require_integer(event, "audio_end_ms")
        part = item.parts[index] if 0 <= index < len(item.parts) else None
        if item.role != "assistant" or part is None or not part.clauses:
            raise ProtocolError(None, "Only model output audio messages can be truncated.")
        if end_ms < 0:
            raise invalid_value("audio_end_ms", "It must be 0 or more.")
        if end_ms > part.duration_ms:
            message = f"Audio content of {int(part.duration_ms)}ms is already shorter than {end_ms}ms"
            raise ProtocolError("invalid_value", message, "audio_end_ms")
        part.truncate(end_ms)
        self._on_playback_stopped()
        self.outbox.send("conversation.item.truncated", item_id=item.id, content_index=index, audio_end_ms=end_ms)
        self._prefill()

    def _delete_item(self, event: Json) -> None:
        item = self._context.conversation.get(_require_text(event, "item_id"))
        if item is self._context.conversation.last_spoken_item:
            self._on_playback_stopped()
        self._context.conversation.remove(item)
        self._transcripts.on_item_deleted(item)
        self._response_manager.on_item_deleted(item)
        self.outbox.send("conversation.item.deleted", item_id=item.id)
        self._response_manager.start_ready_responses()

    # ------------------------------------------------------------------ responses

    def _create_response(self, event: Json) -> None:
        self._response_manager.create(event, self._is_item_id_taken)
        if self._response_manager.active_response is not None:
            self._idle_timeout_at = None


def _require_text(event: Json, key: str) -> str:
    value = event.get(key)
    if value is None:
        raise missing_parameter(key)
    if not isinstance(value, str):
        raise invalid_type(key, "a string")
    return value


def _require_integer(event: Json, key: str) -> int:
    value = event.get(key)
    if value is None:
        raise missing_parameter(key)
    if isinstance(value, bool) or not isinstance(value, int):
        raise invalid_type(key, "an integer")
    return value
