"""The items of a conversation: what each is on the wire, and what of it belongs to the model's memory.

The two differ. The wire shows a transcript only where the client asked for one and drops it after a truncation; the
memory always knows what was said, and of a spoken reply only what was heard.
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

MAX_STORED_AUDIO_BYTES = 10 * 60 * 1000 * BYTES_PER_MS
"""Sound kept for `conversation.item.retrieve`: ten minutes a session, the oldest goes first."""

ItemStatus = Literal["in_progress", "completed", "incomplete"]
MessagePartType = Literal["input_text", "input_audio", "output_text", "output_audio"]


class TranscriptStatus(Enum):
    """Whether the words of an item are known yet."""

    READY = "known"
    PENDING = "awaited"
    """Its sound is being recognised."""
    FAILED = "failed"
    """It could not be recognised."""


@dataclass(slots=True)
class SpokenClause:
    """A piece of a spoken reply: its text and the length of its sound in ms."""

    text: str
    duration_ms: float


@dataclass(slots=True, eq=False)
class MessagePart:
    """One content part of a message."""

    type: MessagePartType
    text: str = ""
    """What it says; of a spoken reply, all that was generated (see `clauses` for what of it was heard)."""
    has_public_transcript: bool = True
    """False: the transcript is not for the wire."""
    audio: bytearray = field(default_factory=bytearray)
    """PCM16 at 24 kHz, as far as it is still stored."""
    duration_ms: float = 0.0
    """Length of the sound, also when it is no longer stored."""
    clauses: list[SpokenClause] = field(default_factory=list)
    truncated_at_ms: int | None = None
    """Of a spoken reply that was truncated: how much of it was heard."""

    def append_clause(self, text: str, audio: bytes) -> None:
        """Append one spoken clause."""
        ms = duration_ms(audio)
        self.text += text
        self.clauses.append(SpokenClause(text, ms))
        if self.truncated_at_ms is None:
            self.duration_ms += ms
            self.audio += audio

    def truncate(self, ms: int) -> None:
        """Forget all that comes after `ms` of a spoken reply, and its transcript on the wire."""
        self.truncated_at_ms = ms
        self.duration_ms = float(ms)
        self.has_public_transcript = False
        del self.audio[ms * BYTES_PER_MS :]

    def to_llm_text(self) -> str:
        """The text for the model's memory."""
        if self.type != "output_audio" or self.truncated_at_ms is None:
            return self.text
        left: float = self.truncated_at_ms
        said = ""
        for clause in self.clauses:
            if left < clause.duration_ms:
                return (said + played_words(clause.text, left / clause.duration_ms)).rstrip()
            said += clause.text
            left -= clause.duration_ms
        return said

    def to_json(self, audio_format: str | None = None) -> Json:
        """The part as JSON; with its sound in `audio_format`, where one is named."""
        if self.type in ("input_text", "output_text"):
            return {"type": self.type, "text": self.text}
        part: Json = {"type": self.type, "transcript": self.text if self.has_public_transcript else None}
        if audio_format:
            part["audio"] = to_base64(encode_audio(audio_format, bytes(self.audio)))
        return part


def played_words(text: str, fraction: float) -> str:
    """The words of `text` whose middle was reached when `share` (0 to 1) of its sound had played."""
    said = ""
    for match in WORD_PATTERN.finditer(text):
        middle = (match.end() - len(match.group().lstrip()) / 2) / len(text)
        if middle > fraction:
            break
        said = text[: match.end()]
    return said


@dataclass(slots=True, eq=False)
class ConversationItem:
    """One item of a conversation."""

    id: str
    type: Literal["message", "function_call", "function_call_output"]
    role: Literal["user", "assistant", "system"] = "user"
    status: ItemStatus = "completed"
    parts: list[MessagePart] = field(default_factory=list)
    name: str = ""
    call_id: str = ""
    payload: str = ""
    """A call's `arguments`, or a call output's `output`."""
    transcript_status: TranscriptStatus = TranscriptStatus.READY

    def to_json(self, audio_format: str | None = None) -> Json:
        """The item as JSON; with its sound in `audio_format`, where one is named."""
        if self.type == "function_call_output":
            return {"id": self.id, "type": self.type, "call_id": self.call_id, "output": self.payload}
        head: Json = {"id": self.id, "type": self.type, "status": self.status}
        if self.type == "function_call":
            return {**head, "name": self.name, "call_id": self.call_id, "arguments": self.payload}
        return {**head, "role": self.role, "content": [part.to_json(audio_format) for part in self.parts]}

    @property
    def first_audio_part(self) -> tuple[int, MessagePart] | None:
        """Index and value of the first part with sound in it."""
        for index, part in enumerate(self.parts):
            if part.type in ("input_audio", "output_audio"):
                return index, part
        return None

    def to_llm_message(self) -> LlmMessage | None:
        """The item as the model remembers it; None when nothing was said in it."""
        if self.type == "function_call":
            return LlmMessage("assistant", "", (ToolCall(self.call_id, self.name, self.payload),))
        if self.type == "function_call_output":
            return LlmMessage("tool", self.payload, call_id=self.call_id)
        text = "\n".join(heard for part in self.parts if (heard := part.to_llm_text().strip()))
        role: Role = self.role
        return LlmMessage(role, text) if text else None

    def audio_durations_ms(self) -> tuple[float, float]:
        """Milliseconds of sound in it: of the person, of the model."""
        ms = sum(part.duration_ms for part in self.parts)
        return (0.0, ms) if self.role == "assistant" else (ms, 0.0)


def to_llm_messages(items: list[ConversationItem], instructions: str) -> tuple[LlmMessage, ...]:
    """Instructions and items as the model reads them."""
    head = (LlmMessage("system", instructions),) if instructions else ()
    return head + tuple(message for item in items if (message := item.to_llm_message()))


class ConversationHistory:
    """Items in order."""

    def __init__(self) -> None:
        self.items: list[ConversationItem] = []
        self._by_id: dict[str, ConversationItem] = {}

    def __contains__(self, item_id: str) -> bool:
        return item_id in self._by_id

    def contains_item(self, item: ConversationItem) -> bool:
        """Whether this very item is in the conversation."""
        return self._by_id.get(item.id) is item

    @property
    def last_item_id(self) -> str | None:
        """Id of the last item."""
        return self.items[-1].id if self.items else None

    @property
    def last_spoken_item(self) -> ConversationItem | None:
        """The newest item the model has spoken."""
        return next((item for item in reversed(self.items) if any(part.clauses for part in item.parts)), None)

    def get(self, item_id: str, param: str = "item_id") -> ConversationItem:
        """The item with this id. Raises `ProtocolError` when there is none."""
        if item_id not in self._by_id:
            raise ProtocolError("item_not_found", f"Item with item_id '{item_id[:64]}' not found.", param)
        return self._by_id[item_id]

    def add(self, item: ConversationItem, after: str | None = None) -> None:
        """Insert `item`: at the end, first (after "root"), or after the item with the id `after`."""
        if after is None:
            place = len(self.items)
        elif after == "root":
            place = 0
        else:
            place = self.items.index(self.get(after, "previous_item_id")) + 1
        self.items.insert(place, item)
        self._by_id[item.id] = item
        self._drop_old_audio()

    def previous_item_id(self, item: ConversationItem) -> str | None:
        """Id of the item before `item`, where both are still there."""
        if not self.contains_item(item):
            return None
        place = next(index for index, other in enumerate(self.items) if other is item)
        return self.items[place - 1].id if place else None

    def remove(self, item: ConversationItem) -> None:
        """Forget `item`."""
        self.items = [other for other in self.items if other is not item]
        del self._by_id[item.id]

    def _drop_old_audio(self) -> None:
        room = MAX_STORED_AUDIO_BYTES
        for item in reversed(self.items):
            for part in item.parts:
                room -= len(part.audio)
                if room < 0:
                    part.audio = bytearray()
