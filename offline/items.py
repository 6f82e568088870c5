"""The items of a conversation: what each is on the wire, and what of it belongs to the model's memory.

The two differ. The wire shows a transcript only where the client asked for one and drops it after a truncation; the
memory always knows what was said, and of a spoken reply only what was heard.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum
from typing import Literal

from offline.audio_formats import BYTES_PER_MS, encode, to_base64
from offline.events import Json, ProtocolError
from offline.work import Message, Role, ToolCall

STORED_AUDIO_BYTES = 10 * 60 * 1000 * BYTES_PER_MS
"""Sound kept for `conversation.item.retrieve`: ten minutes a session, the oldest goes first."""

WORD = re.compile(r"\s*(?:[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]|[^\s\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]+)")
"""A word with the space before it; in Chinese, a character."""

Status = Literal["in_progress", "completed", "incomplete"]
PartType = Literal["input_text", "input_audio", "output_text", "output_audio"]


class Words(Enum):
    """Whether the words of an item are known yet."""

    KNOWN = "known"
    AWAITED = "awaited"
    """Its sound is being recognised."""
    FAILED = "failed"
    """It could not be recognised."""


@dataclass(slots=True)
class Clause:
    """A piece of a spoken reply: its text and the length of its sound in ms."""

    text: str
    ms: float


@dataclass(slots=True, eq=False)
class Part:
    """One content part of a message."""

    type: PartType
    text: str = ""
    """What it says; of a spoken reply, all that was generated (see `clauses` for what of it was heard)."""
    shown: bool = True
    """False: the transcript is not for the wire."""
    audio: bytearray = field(default_factory=bytearray)
    """PCM16 at 24 kHz, as far as it is still stored."""
    ms: float = 0.0
    """Length of the sound, also when it is no longer stored."""
    clauses: list[Clause] = field(default_factory=list)
    cut_ms: int | None = None
    """Of a spoken reply that was truncated: how much of it was heard."""

    def add_sound(self, text: str, audio: bytes) -> None:
        """Append one spoken clause."""
        ms = len(audio) / BYTES_PER_MS
        self.text += text
        self.clauses.append(Clause(text, ms))
        if self.cut_ms is None:
            self.ms += ms
            self.audio += audio

    def cut(self, ms: int) -> None:
        """Forget all that comes after `ms` of a spoken reply, and its transcript on the wire."""
        self.cut_ms = ms
        self.ms = float(ms)
        self.shown = False
        del self.audio[ms * BYTES_PER_MS :]

    def heard(self) -> str:
        """The text for the model's memory."""
        if self.type != "output_audio" or self.cut_ms is None:
            return self.text
        left: float = self.cut_ms
        said = ""
        for clause in self.clauses:
            if left < clause.ms:
                return (said + begun(clause.text, left / clause.ms)).rstrip()
            said += clause.text
            left -= clause.ms
        return said

    def wire(self, audio_format: str | None = None) -> Json:
        """The part as JSON; with its sound in `audio_format`, where one is named."""
        if self.type in ("input_text", "output_text"):
            return {"type": self.type, "text": self.text}
        part: Json = {"type": self.type, "transcript": self.text if self.shown else None}
        if audio_format:
            part["audio"] = to_base64(encode(audio_format, bytes(self.audio)))
        return part


def begun(text: str, share: float) -> str:
    """The words of `text` whose middle was reached when `share` (0 to 1) of its sound had played."""
    said = ""
    for match in WORD.finditer(text):
        middle = (match.end() - len(match.group().lstrip()) / 2) / len(text)
        if middle > share:
            break
        said = text[: match.end()]
    return said


@dataclass(slots=True, eq=False)
class Item:
    """One item of a conversation."""

    id: str
    type: Literal["message", "function_call", "function_call_output"]
    role: Literal["user", "assistant", "system"] = "user"
    status: Status = "completed"
    parts: list[Part] = field(default_factory=list)
    name: str = ""
    call_id: str = ""
    payload: str = ""
    """A call's `arguments`, or a call output's `output`."""
    words: Words = Words.KNOWN

    def wire(self, audio_format: str | None = None) -> Json:
        """The item as JSON; with its sound in `audio_format`, where one is named."""
        if self.type == "function_call_output":
            return {"id": self.id, "type": self.type, "call_id": self.call_id, "output": self.payload}
        head: Json = {"id": self.id, "type": self.type, "status": self.status}
        if self.type == "function_call":
            return {**head, "name": self.name, "call_id": self.call_id, "arguments": self.payload}
        return {**head, "role": self.role, "content": [part.wire(audio_format) for part in self.parts]}

    @property
    def audio_part(self) -> tuple[int, Part] | None:
        """Index and value of the first part with sound in it."""
        for index, part in enumerate(self.parts):
            if part.type in ("input_audio", "output_audio"):
                return index, part
        return None

    def message(self) -> Message | None:
        """The item as the model remembers it; None when nothing was said in it."""
        if self.type == "function_call":
            return Message("assistant", "", (ToolCall(self.call_id, self.name, self.payload),))
        if self.type == "function_call_output":
            return Message("tool", self.payload, call_id=self.call_id)
        text = "\n".join(heard for part in self.parts if (heard := part.heard().strip()))
        role: Role = self.role
        return Message(role, text) if text else None

    def audio_ms(self) -> tuple[float, float]:
        """Milliseconds of sound in it: of the person, of the model."""
        ms = sum(part.ms for part in self.parts)
        return (0.0, ms) if self.role == "assistant" else (ms, 0.0)


def messages(items: list[Item], instructions: str) -> tuple[Message, ...]:
    """Instructions and items as the model reads them."""
    head = (Message("system", instructions),) if instructions else ()
    return head + tuple(message for item in items if (message := item.message()))


class Conversation:
    """Items in order."""

    def __init__(self) -> None:
        self.items: list[Item] = []
        self._by_id: dict[str, Item] = {}

    def __contains__(self, item_id: str) -> bool:
        return item_id in self._by_id

    def holds(self, item: Item) -> bool:
        """Whether this very item is in the conversation."""
        return self._by_id.get(item.id) is item

    @property
    def last_id(self) -> str | None:
        """Id of the last item."""
        return self.items[-1].id if self.items else None

    @property
    def last_spoken(self) -> Item | None:
        """The newest item the model has spoken."""
        return next((item for item in reversed(self.items) if any(part.clauses for part in item.parts)), None)

    def get(self, item_id: str, param: str = "item_id") -> Item:
        """The item with this id. Raises `ProtocolError` when there is none."""
        if item_id not in self._by_id:
            raise ProtocolError("item_not_found", f"Item with item_id '{item_id[:64]}' not found.", param)
        return self._by_id[item_id]

    def add(self, item: Item, after: str | None = None) -> None:
        """Insert `item`: at the end, first (after "root"), or after the item with the id `after`."""
        if after is None:
            place = len(self.items)
        elif after == "root":
            place = 0
        else:
            place = self.items.index(self.get(after, "previous_item_id")) + 1
        self.items.insert(place, item)
        self._by_id[item.id] = item
        self._forget_old_sound()

    def previous(self, item: Item) -> str | None:
        """Id of the item before `item`, where both are still there."""
        if not self.holds(item):
            return None
        place = next(index for index, other in enumerate(self.items) if other is item)
        return self.items[place - 1].id if place else None

    def remove(self, item: Item) -> None:
        """Forget `item`."""
        self.items = [other for other in self.items if other is not item]
        del self._by_id[item.id]

    def _forget_old_sound(self) -> None:
        room = STORED_AUDIO_BYTES
        for item in reversed(self.items):
            for part in item.parts:
                room -= len(part.audio)
                if room < 0:
                    part.audio = bytearray()
