"""Record fields: a visitor's record as fields of a Redis hash, one for each message, and the changes to them. Pure.

A turn writes the one or two messages that have changed, and the header. Fields are numbered in the order of the
messages; the header says which numbers count. What belongs to both conversations has a field of its own. The recording
is left out, and so are the pixels of pictures.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from voicechat.config.call_preferences import CallPreferences
from voicechat.conversation.record import MAX_RECORD_ITEMS, ConversationRecord, ItemRecord
from voicechat.session.conversation_store import MAX_ACCEPTED_MESSAGES, VisitorRecord

FORMAT = 1
"""Number of this format. A record of another one is ignored."""
HEADER, PAGE = "header", "page"
MAX_CONVERSATION_CHARS = 400_000
"""Characters of one conversation. The oldest messages beyond it are not stored."""
CHARS_PER_ITEM = 200
"""Characters for which a message counts besides its text."""
MAX_FIELD_BYTES = 4_000_000
"""Bytes of a field. A character takes at most six."""
MAX_RECORD_FIELDS = 2 * MAX_RECORD_ITEMS + 2
"""Fields of a record: both conversations, the header and the page."""
MAX_RECORD_BYTES = 8_000_000
"""Bytes of all fields of a record."""
_MESSAGE_ID = re.compile(r"[0-9a-f]{16,64}", re.ASCII)
_NAMES = ("voice", "text")


@dataclass(frozen=True, slots=True)
class StoredItems:
    """Messages of one conversation as they are stored: the first has the field number `first`."""

    first: int = 0
    items: tuple[ItemRecord, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class StoredState:
    """What the hash of a record holds."""

    voice: StoredItems = StoredItems()
    text: StoredItems = StoredItems()
    header: str = ""
    page: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class FieldChanges:
    """Changes to the hash of a record, after which it holds `state`."""

    written: dict[str, str] = field(repr=False)
    removed: tuple[str, ...]
    state: StoredState

    @property
    def is_empty(self) -> bool:
        return not (self.written or self.removed)


def build_changes(before: StoredState | None, record: VisitorRecord) -> FieldChanges:
    """Return the changes that make the hash hold `record`. `before`: what it holds; None: it is written whole."""
    old = before or StoredState()
    voice, voice_written, voice_removed = _change_items("voice", old.voice, record.voice.items)
    text, text_written, text_removed = _change_items("text", old.text, record.text.items)
    header = _dump(
        {
            "format": FORMAT,
            "voice": [voice.first, len(voice.items), _elapsed_s(record.voice)],
            "text": [text.first, len(text.items), _elapsed_s(record.text)],
        }
    )
    page = _dump(
        {
            "preferences": record.preferences.to_json(),
            "accepted_messages": record.accepted_messages[-MAX_ACCEPTED_MESSAGES:],
            **({"reply_due_at": record.reply_due_at} if record.reply_due_at else {}),
        }
    )
    written = voice_written | text_written
    if header != old.header:
        written[HEADER] = header
    if page != old.page:
        written[PAGE] = page
    return FieldChanges(written, (*voice_removed, *text_removed), StoredState(voice, text, header, page))


def _change_items(
    name: str, old: StoredItems, all_items: Sequence[ItemRecord]
) -> tuple[StoredItems, dict[str, str], tuple[str, ...]]:
    """Return the new state of one conversation, with the written and the removed fields."""
    items = _newest_items(all_items)
    dropped = old.items.index(items[0]) if items and items[0] in old.items else 0
    first = old.first + dropped
    kept = old.items[dropped:]
    written = {
        f"{name}:{first + index}": _dump_item(item)
        for index, item in enumerate(items)
        if index >= len(kept) or kept[index] != item
    }
    numbers = [*range(old.first, first), *range(first + len(items), old.first + len(old.items))]
    return StoredItems(first, items), written, tuple(f"{name}:{number}" for number in numbers)


def _newest_items(items: Sequence[ItemRecord]) -> tuple[ItemRecord, ...]:
    """Return the newest messages within the limits."""
    room, count = MAX_CONVERSATION_CHARS, 0
    for item in reversed(items[-MAX_RECORD_ITEMS:]):
        room -= item.char_count + CHARS_PER_ITEM
        if room < 0:
            break
        count += 1
    return tuple(items[len(items) - count :])


def _dump_item(item: ItemRecord) -> str:
    return _dump(ConversationRecord((item,)).to_json()["items"][0])


def _elapsed_s(record: ConversationRecord) -> float:
    elapsed_s: float = ConversationRecord((), record.elapsed_s).to_json()["elapsed_s"]
    return elapsed_s


def _dump(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


# ---------------------------------------------------------------- reading


def parse_fields(fields: Mapping[str, bytes]) -> VisitorRecord:
    """Return the record whose hash has these fields. Raises ValueError, which quotes nothing, for any other ones."""
    header = _load(fields, HEADER)
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise ValueError("not a header of this format")
    voice, text = (_parse_conversation(name, header.get(name), fields) for name in _NAMES)
    page = _load(fields, PAGE)
    if not isinstance(page, dict):
        raise ValueError("not the values of a page")
    accepted = page.get("accepted_messages")
    if not isinstance(accepted, list) or len(accepted) > MAX_ACCEPTED_MESSAGES:
        raise ValueError("not a list of messages")
    if not all(isinstance(each, str) and _MESSAGE_ID.fullmatch(each) for each in accepted):
        raise ValueError("not an id of a message")
    preferences = CallPreferences.from_json(page.get("preferences"))
    due_at = page.get("reply_due_at", 0.0)  # records of an older version have none
    if isinstance(due_at, bool) or not isinstance(due_at, int | float) or not 0 <= due_at < math.inf:
        raise ValueError("not a time")
    return VisitorRecord(voice, text, preferences, accepted_messages=tuple(accepted), reply_due_at=float(due_at))


def _parse_conversation(name: str, numbers: object, fields: Mapping[str, bytes]) -> ConversationRecord:
    match numbers:
        case [int(first), int(count), elapsed_s] if 0 <= count <= MAX_RECORD_ITEMS:
            items = [_load(fields, f"{name}:{number}") for number in range(first, first + count)]
            return ConversationRecord.from_json({"items": items, "elapsed_s": elapsed_s})
    raise ValueError("not the numbers of a conversation")


def _load(fields: Mapping[str, bytes], name: str) -> Any:
    if name not in fields:
        raise ValueError("a field of a record is missing")
    try:
        return json.loads(fields[name])
    except (ValueError, RecursionError):
        raise ValueError("not the JSON of a field") from None
