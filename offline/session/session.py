"""Session: the Realtime protocol (GA) of one connection, as a state machine without input or output.

Client events, worker results and the time go in. Events to send, work to submit and the close of the connection come
out, as a list in order (`offline.protocol.outputs.Output`). It never waits, reads a clock or runs a model.

`Session` owns the items, `input_turns` the user's turns, `transcripts` their words, `response_manager` the replies.
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
from offline.protocol.validators import read_integer, read_string
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
from .response_manager import ResponseManager
from .transcripts import TranscriptManager

MAX_SESSION_S = 3600
"""Seconds of a session, as in the service."""
MAX_CONVERSATION_ITEMS = 5000
"""Items of a conversation."""
SILENCE_PLACEHOLDER = "…"
"""Text that the model reads for a user who was silent until the idle timeout."""


class SessionState(Enum):
    """State of a session."""

    OPEN = "open"
    EXPIRED = "expired"


class Session:
    """Conversation of one connection. Call `start` first, then the other methods in any order with increasing times."""

    def __init__(
        self,
        *,
        model: str,
        ids: IdGenerator,
        vad: VadModel,
        now: float,
        unix_time: float,
        model_is_fixed: bool = False,
        sees_images: Callable[[], bool] = lambda: False,
    ) -> None:
        """`now` is in seconds of a monotonic clock; `unix_time` is the same moment in Unix seconds.

        `model_is_fixed`: the client named `model` in the URL. `sees_images`: whether the model may see pictures.
        """
        self.state = SessionState.OPEN
        self.outbox = Outbox(ids)
        self._context = SessionContext(ids, self.outbox, default_session(model), now, sees_images=sees_images)
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
        """Received sample at which the idle timeout began."""
        self._prefilled_config: Json | None = None
        """Settings of the last prefill of instructions and tools; None before the first client event."""
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

    # ------------------------------------------------------------------ inputs

    def start(self) -> list[Output]:
        """Return the outputs of a new connection."""
        self.outbox.send("session.created", session=self._to_json())
        return self.outbox.drain()

    def handle_text(self, text: str, now: float) -> list[Output]:
        """Handle a text frame of the client."""
        try:
            event = read_json(text)
        except ValueError:
            return self._reject(ProtocolError("invalid_json", "The message is not valid JSON."), now)
        return self.handle_event(event, now)

    def handle_binary(self, now: float) -> list[Output]:
        """Handle a binary frame of the client, which the protocol does not allow."""
        message = "Expected a text WebSocket message with a JSON event, got a binary one."
        return self._reject(ProtocolError("invalid_event", message), now)

    def handle_event(self, event: object, now: float) -> list[Output]:
        """Handle a client event: decoded JSON of any shape."""
        self._advance_clock(now)
        if self.state is SessionState.EXPIRED:
            return self.outbox.drain()
        event_id: str | None = None
        while self.has_pending_audio:
            self._input_audio.process_pending()
        try:
            if not isinstance(event, dict):
                raise ProtocolError("invalid_event", "Expected a JSON object with a 'type'.")
            raw_id = event.get("event_id")
            if raw_id is not None and (not isinstance(raw_id, str) or len(raw_id) > 512):
                raise invalid_type("event_id", "a string of at most 512 characters")
            event_id = raw_id
            self._find_handler(event)(event)
        except ProtocolError as error:
            self.outbox.send_error(error, event_id)
        self._prefill_if_changed()
        return self.outbox.drain()

    @property
    def has_pending_audio(self) -> bool:
        """Return whether audio of the last append is unprocessed.

        If so, call `process_pending_audio`, before the next event if possible.
        """
        return self.state is SessionState.OPEN and len(self._input_audio.pending_audio) > 0

    def process_pending_audio(self, now: float) -> list[Output]:
        """Process the next second of a long append."""
        self._advance_clock(now)
        if self.has_pending_audio:
            self._input_audio.process_pending()
        return self.outbox.drain()

    def handle_result(self, result: WorkResult, now: float) -> list[Output]:
        """Handle a worker result. Results about cancelled or deleted objects are dropped."""
        self._advance_clock(now)
        if self.state is SessionState.EXPIRED:
            return self.outbox.drain()
        if isinstance(result, CaptionDelta):
            self._transcripts.apply_caption_delta(result, self._input_audio.turn_item_id)
        elif isinstance(result, ProvisionalTranscript):
            self._input_audio.apply_provisional_transcript(result)
        elif isinstance(result, (FinalTranscript, RecognitionFailed)):
            self._transcripts.apply_final_result(result)
            self._response_manager.start_ready_responses()
        else:
            self._response_manager.handle_result(result)
        return self.outbox.drain()

    def tick(self, now: float) -> list[Output]:
        """Advance the time. Required at `next_deadline`, allowed at any time."""
        self._advance_clock(now)
        return self.outbox.drain()

    def next_deadline(self) -> float | None:
        """Return the latest time for `tick`; None for never."""
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
            supported = ", ".join(f"'{name}'" for name in self._handlers)
            raise invalid_value("type", f"Supported values are: {supported}.")
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
        if self._context.turn_detection_field("idle_timeout_ms") is None:
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

    # ------------------------------------------------------------------ the user's turns

    def on_turn_started(self) -> None:
        """Interrupt the reply if configured (see `input_turns.TurnListener`)."""
        self._idle_timeout_at = None
        if self._context.turn_detection_field("interrupt_response"):
            self._response_manager.interrupt()

    def on_turn_ended(self, item_id: str, audio: bytes, *, detected: bool) -> None:
        """Add the turn as a user message and recognise it (see `input_turns.TurnListener`)."""
        part = MessagePart(
            "input_audio",
            has_public_transcript=False,
            audio=bytearray(audio),
            duration_ms=duration_ms(audio),
        )
        item = ConversationItem(item_id, "message", "user", parts=[part], transcript_status=TranscriptStatus.PENDING)
        self._commit_item(item)
        if detected and self._context.turn_detection_field("create_response"):
            self._respond_to(item)

    def predict_request(self) -> ReplyRequest | None:
        """Return the request that would follow the turn (see `input_turns.TurnListener`)."""
        creates_response = self._context.turn_detection_field("create_response")
        if (
            not creates_response
            or self._response_manager.active_response is not None
            or self._context.has_pending_transcripts
        ):
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
        """Prefill and start the idle timeout after the last response."""
        self._prefill()
        if self._input_audio.turn_item_id is None:
            self._idle_start_sample = self._input_audio.received_samples
            self._start_idle_timer()

    def _start_idle_timer(self) -> None:
        """Start the idle timeout at the end of the reply's playback."""
        idle_ms = self._context.turn_detection_field("idle_timeout_ms")
        if idle_ms is not None:
            self._idle_timeout_at = max(self._context.now, self._response_manager.playback_ends_at) + idle_ms / 1000

    def _on_playback_stopped(self) -> None:
        """Update the idle timeout after the client has stopped the playback."""
        self._response_manager.playback_ends_at = self._context.now
        if self._idle_timeout_at is not None:
            self._start_idle_timer()

    def _prefill_if_changed(self) -> None:
        """Prefill changed instructions and tools. The first client event usually brings them."""
        prefilled, config = self._prefilled_config, self._context.config
        if prefilled is None or any(config[key] != prefilled[key] for key in ("instructions", "tools")):
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
        is_known = item_id in self._context.conversation or self._transcripts.is_pending(item_id)
        return is_known or item_id in ("root", self._input_audio.turn_item_id)

    def _create_item(self, event: Json) -> None:
        if "item" not in event:
            raise missing_parameter("item")
        after = read_string(event, "previous_item_id") if event.get("previous_item_id") is not None else None
        if after not in (None, "root"):
            self._context.conversation.get(after, "previous_item_id")
        item = self._context.parse_item(event["item"], "item")
        if self._is_item_id_taken(item.id):
            raise invalid_value("item.id", "An item with this id exists already.")
        if len(self._context.conversation.items) >= MAX_CONVERSATION_ITEMS:
            raise invalid_value("item", f"A conversation holds at most {MAX_CONVERSATION_ITEMS} items: delete some.")
        self._context.conversation.check_tool_output(item)
        self._add_item(item, after)

    def _retrieve_item(self, event: Json) -> None:
        item = self._context.conversation.get(read_string(event, "item_id"))
        side = "output" if item.role == "assistant" else "input"
        self.outbox.send(
            "conversation.item.retrieved", item=item.to_json(self._context.config["audio"][side]["format"]["type"])
        )

    def _truncate_item(self, event: Json) -> None:
        item = self._context.conversation.get(read_string(event, "item_id"))
        index, end_ms = read_integer(event, "content_index"), read_integer(event, "audio_end_ms")
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
        item = self._context.conversation.get(read_string(event, "item_id"))
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
