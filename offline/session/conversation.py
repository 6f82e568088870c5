"""Conversation items: their JSON for the client, and their text for the language model.

The two differ. The client sees a transcript only if it enabled transcription, and none after a truncation. The model
always reads what the user said, and of a spoken reply only the part that was played.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Literal

from offline.audio import BYTES_PER_MS, duration_ms
from offline.chinese_text import WORD_PATTERN
from offline.protocol.audio_formats import encode_audio, to_base64
from offline.protocol.outputs import Json, ProtocolError
from offline.protocol.worker_messages import LlmMessage, Role, ToolCall
from offline.tts.spoken_form.web import hosts_only

MAX_STORED_AUDIO_BYTES = 10 * 60 * 1000 * BYTES_PER_MS
"""Bytes of audio per session kept for `conversation.item.retrieve`: ten minutes. The oldest is dropped first."""

CALL_ID = "item.call_id"
"""Parameter that an error about a function's output names."""

ItemStatus = Literal["in_progress", "completed", "incomplete"]
MessagePartType = Literal["input_text", "input_audio", "input_image", "output_text", "output_audio"]


class TranscriptStatus(Enum):
    """State of an item's transcript."""

    READY = "known"
    PENDING = "awaited"
    """Recognition is in progress."""
    FAILED = "failed"
    """Recognition failed."""


@dataclass(slots=True)
class SpokenClause:
    """Clause of a spoken reply: its text and the milliseconds of its audio."""

    text: str
    duration_ms: float


@dataclass(slots=True, eq=False)
class MessagePart:
    """Content part of a message."""

    type: MessagePartType
    text: str = ""
    """Text or transcript. Of a spoken reply, all that was generated, also if only a part was played."""
    has_public_transcript: bool = True
    """Whether the client may see the transcript."""
    audio: bytearray = field(default_factory=bytearray)
    """PCM16 at 24 kHz; empty once dropped."""
    duration_ms: float = 0.0
    """Milliseconds of the audio, also once dropped."""
    clauses: list[SpokenClause] = field(default_factory=list)
    truncated_at_ms: int | None = None
    """Milliseconds played of a truncated reply."""
    image_url: str = field(default="", repr=False)
    """Data URI of a picture."""

    def append_clause(self, text: str, audio: bytes) -> None:
        """Append a spoken clause with its PCM16 at 24 kHz."""
        ms = duration_ms(audio)
        self.text += text
        self.clauses.append(SpokenClause(text, ms))
        if self.truncated_at_ms is None:
            self.duration_ms += ms
            self.audio += audio

    def truncate(self, ms: int) -> None:
        """Drop a spoken reply after `ms`, and hide its transcript from the client."""
        self.truncated_at_ms = ms
        self.duration_ms = float(ms)
        self.has_public_transcript = False
        del self.audio[ms * BYTES_PER_MS :]

    def to_llm_text(self) -> str:
        """Return the text for the language model: of a truncated reply, the played words."""
        if self.type != "output_audio" or self.truncated_at_ms is None:
            return self.text
        remaining_ms: float = self.truncated_at_ms
        played = ""
        for clause in self.clauses:
            if remaining_ms < clause.duration_ms:
                return (played + played_words(clause.text, remaining_ms / clause.duration_ms)).rstrip()
            played += clause.text
            remaining_ms -= clause.duration_ms
        return played

    def to_json(self, audio_format: str | None = None) -> Json:
        """Return the part as JSON, with its audio if `audio_format` is given."""
        if self.type in ("input_text", "output_text"):
            return {"type": self.type, "text": self.text}
        if self.type == "input_image":  # its content is not sent back with every event about the item
            return {"type": self.type, "detail": "auto"}
        part: Json = {"type": self.type, "transcript": self.text if self.has_public_transcript else None}
        if audio_format:
            part["audio"] = to_base64(encode_audio(audio_format, bytes(self.audio)))
        return part


def played_words(text: str, fraction: float) -> str:
    """Return the words of `text` whose middle is within `fraction` (0 to 1) of its audio. Of a URL the host is said."""
    matches = list(WORD_PATTERN.finditer(text))
    lengths = [len(hosts_only(match.group())) for match in matches]
    played, reached, whole = "", 0, sum(lengths) + len(text) - (matches[-1].end() if matches else 0)
    for match, length in zip(matches, lengths, strict=True):
        reached += length
        if (reached - min(length, len(match.group().lstrip())) / 2) / whole > fraction:
            break
        played = text[: match.end()]
    return played


@dataclass(slots=True, eq=False)
class ConversationItem:
    """Item of a conversation."""

    id: str
    type: Literal["message", "function_call", "function_call_output"]
    role: Literal["user", "assistant", "system"] = "user"
    status: ItemStatus = "completed"
    parts: list[MessagePart] = field(default_factory=list)
    name: str = ""
    call_id: str = ""
    payload: str = ""
    """`arguments` of a function call, or `output` of a function call output."""
    transcript_status: TranscriptStatus = TranscriptStatus.READY

    def to_json(self, audio_format: str | None = None) -> Json:
        """Return the item as JSON, with its audio if `audio_format` is given."""
        if self.type == "function_call_output":
            return {"id": self.id, "type": self.type, "call_id": self.call_id, "output": self.payload}
        head: Json = {"id": self.id, "type": self.type, "status": self.status}
        if self.type == "function_call":
            return {**head, "name": self.name, "call_id": self.call_id, "arguments": self.payload}
        return {**head, "role": self.role, "content": [part.to_json(audio_format) for part in self.parts]}

    @property
    def first_audio_part(self) -> tuple[int, MessagePart] | None:
        """Index and value of the first part with audio."""
        for index, part in enumerate(self.parts):
            if part.type in ("input_audio", "output_audio"):
                return index, part
        return None

    def to_llm_message(self) -> LlmMessage | None:
        """Return the item as a message for the language model; None without text."""
        if self.type == "function_call":
            return LlmMessage("assistant", "", (ToolCall(self.call_id, self.name, self.payload),))
        if self.type == "function_call_output":
            return LlmMessage("tool", self.payload, call_id=self.call_id)
        text = "\n".join(text for part in self.parts if (text := part.to_llm_text().strip()))
        role: Role = self.role
        images = tuple(part.image_url for part in self.parts if part.image_url)
        return LlmMessage(role, text, images=images) if text or images else None

    def audio_durations_ms(self) -> tuple[float, float]:
        """Return the milliseconds of audio of the user and of the model."""
        ms = sum(part.duration_ms for part in self.parts)
        return (0.0, ms) if self.role == "assistant" else (ms, 0.0)


def to_llm_messages(items: list[ConversationItem], instructions: str) -> tuple[LlmMessage, ...]:
    """Return instructions and items as messages for the language model."""
    head = (LlmMessage("system", instructions),) if instructions else ()
    return head + tuple(message for item in items if (message := item.to_llm_message()))


class ConversationHistory:
    """Items of a conversation in order."""

    def __init__(self) -> None:
        self.items: list[ConversationItem] = []
        self._by_id: dict[str, ConversationItem] = {}

    def __contains__(self, item_id: str) -> bool:
        return item_id in self._by_id

    def contains_item(self, item: ConversationItem) -> bool:
        """Return whether this object is in the conversation."""
        return self._by_id.get(item.id) is item

    @property
    def last_item_id(self) -> str | None:
        """Id of the last item."""
        return self.items[-1].id if self.items else None

    @property
    def last_spoken_item(self) -> ConversationItem | None:
        """Newest item spoken by the model."""
        return next((item for item in reversed(self.items) if any(part.clauses for part in item.parts)), None)

    def get(self, item_id: str, param: str = "item_id") -> ConversationItem:
        """Return the item with this id. Raises `ProtocolError` for an unknown one."""
        if item_id not in self._by_id:
            raise ProtocolError("item_not_found", f"Item with item_id '{item_id[:64]}' not found.", param)
        return self._by_id[item_id]

    def check_tool_output(self, item: ConversationItem) -> None:
        """Raise `ProtocolError` for the output of an unknown call, and for a second output of one."""
        if item.type != "function_call_output":
            return
        same = [other.type for other in self.items if other.call_id == item.call_id]
        shown = item.call_id[:64]
        if "function_call" not in same:
            raise ProtocolError("invalid_tool_call_id", f"Tool call ID '{shown}' not found in conversation.", CALL_ID)
        if "function_call_output" in same:
            raise ProtocolError("invalid_tool_call_id", f"Tool call ID '{shown}' already has an output.", CALL_ID)

    def add(self, item: ConversationItem, after: str | None = None) -> None:
        """Insert `item` at the end, after the item with the id `after`, or first for "root"."""
        if after is None:
            index = len(self.items)
        elif after == "root":
            index = 0
        else:
            index = self.items.index(self.get(after, "previous_item_id")) + 1
        self.items.insert(index, item)
        self._by_id[item.id] = item
        self._drop_old_audio()

    def previous_item_id(self, item: ConversationItem) -> str | None:
        """Return the id of the item before `item`; None if it is first or not in the conversation."""
        if not self.contains_item(item):
            return None
        index = next(i for i, other in enumerate(self.items) if other is item)
        return self.items[index - 1].id if index else None

    def remove(self, item: ConversationItem) -> None:
        """Remove `item`."""
        self.items = [other for other in self.items if other is not item]
        del self._by_id[item.id]

    def _drop_old_audio(self) -> None:
        remaining = MAX_STORED_AUDIO_BYTES
        for item in reversed(self.items):
            for part in item.parts:
                remaining -= len(part.audio)
                if remaining < 0:
                    part.audio = bytearray()
