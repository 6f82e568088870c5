"""Record of a conversation: the values from which it can be rebuilt, here or in another process. Pure.

A record holds what was heard: an interrupted reply keeps its cut. A reply under way at the time of the record is cut
where playback stood.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from voicechat.pictures.picture import MAX_PICTURES_PER_MESSAGE, Picture, picture_from_json

from .audio_text_alignment import MAX_TEXT_CHARS
from .call_clock import TimeSpan
from .incomplete_reason import IncompleteReason
from .items import MAX_CONTENT_PARTS, Item, ItemKind, Items
from .shown.bubble import OPEN_STATES, BubbleState
from .shown.tool_use import ToolUse

MAX_RECORD_ITEMS = 400
"""Messages of a record in JSON."""
MAX_ELAPSED_S = 30 * 86_400.0
"""Seconds of all calls of a record in JSON."""
Value = TypeVar("Value")

RECORDED_KINDS = {kind.value: kind for kind in ItemKind if kind is not ItemKind.OTHER}
RECORDED_STATES = {state.value: state for state in BubbleState if state not in OPEN_STATES}
RECORDED_REASONS = {reason.value: reason for reason in IncompleteReason}
_SURROGATE = re.compile("[\ud800-\udfff]")

PartRecord = tuple[str, int | None]
"""Text of a content part, and its heard characters; None: all were heard."""


@dataclass(frozen=True, slots=True)
class ItemRecord:
    """One message. Its text is left out of `repr`, so that it reaches no log."""

    kind: ItemKind
    state: BubbleState
    parts: tuple[PartRecord, ...] = field(repr=False)
    span: TimeSpan | None = None
    incomplete_reason: IncompleteReason | None = None
    """Why the rest is missing; None unless the state is INCOMPLETE."""
    is_typed: bool = False
    """The visitor typed it."""
    tool_use: ToolUse | None = None
    """The call of a tool; None for a message."""
    pictures: tuple[Picture, ...] = field(default=(), repr=False)
    """In memory with their content; in JSON without."""

    @property
    def char_count(self) -> int:
        in_tool = 0 if self.tool_use is None else len(self.tool_use.arguments) + len(self.tool_use.result)
        return in_tool + sum(len(text) for text, _ in self.parts)


@dataclass(frozen=True, slots=True)
class ConversationRecord:
    """All messages, and the seconds of the calls so far."""

    items: tuple[ItemRecord, ...] = ()
    elapsed_s: float = 0.0

    @property
    def char_count(self) -> int:
        """Characters of all messages."""
        return sum(item.char_count for item in self.items)

    def to_json(self) -> dict[str, Any]:
        """Return the record as values of JSON. Of more than `MAX_RECORD_ITEMS` messages, the newest are kept."""
        return {
            "elapsed_s": min(self.elapsed_s, MAX_ELAPSED_S),
            "items": [
                {
                    "kind": item.kind.value,
                    "state": item.state.value,
                    "parts": [[_SURROGATE.sub("\ufffd", text), heard] for text, heard in item.parts],
                    "span": [min(at, MAX_ELAPSED_S) for at in item.span] if item.span is not None else None,
                    "incomplete_reason": item.incomplete_reason,
                    "is_typed": item.is_typed,
                    **({"tool_use": item.tool_use.to_json()} if item.tool_use is not None else {}),
                    **({"pictures": [each.view.to_json() for each in item.pictures]} if item.pictures else {}),
                }
                for item in self.items[-MAX_RECORD_ITEMS:]
            ],
        }

    def follow_up(self, earlier: ConversationRecord, *, may_overlap: bool) -> ConversationRecord:
        """Return the record with the messages of an earlier one before the newer ones.

        `may_overlap`: this one began with messages of the earlier one.
        """
        first, alike, further = _missing_items(earlier.items, self.items if may_overlap else ())
        return replace(self, items=(*first, *self.items[:alike], *further, *self.items[alike:]))

    @classmethod
    def from_json(cls, value: object) -> ConversationRecord:
        """Return the record of `to_json`. Raises ValueError, which quotes nothing, for any other value."""
        record = _fields(value, "items", "elapsed_s")
        items = tuple(_parse_item(item) for item in _list(record["items"], MAX_RECORD_ITEMS))
        return cls(items, _seconds(record["elapsed_s"]))


def record_item(item: Item, cuts: Iterable[tuple[int, int]] = (), *, is_text_only: bool = False) -> ItemRecord | None:
    """Return the record of a message or a shown tool call; None for anything else and for a message without text.

    `cuts`: content parts whose audio has not been played to its end, each with the ms that were heard.
    """
    if item.kind is ItemKind.TOOL:
        use = item.tool_use
        is_shown = use is not None and use.is_shown
        return (
            ItemRecord(item.kind, BubbleState.DONE, (), item.span, tool_use=use.close()) if use and is_shown else None
        )
    if item.kind is ItemKind.OTHER or not (item.full_text.strip() or item.is_untranscribed):
        return None
    heard, cuts = item, tuple(cuts)
    if item.is_open or cuts:  # else it is as it was heard: a record of a long conversation copies only what it must
        heard = replace(item, parts={index: replace(part) for index, part in item.parts.items()})
        for content_index, heard_ms in cuts:
            heard.truncate(content_index, heard_ms)
        heard.close(is_text_only=is_text_only)
    recorded = tuple((part.text, part.heard_chars) for _, part in sorted(heard.parts.items()))
    reason = heard.incomplete_reason
    return ItemRecord(item.kind, heard.state, recorded, item.span, reason, item.is_typed, pictures=item.pictures)


def restore_item(record: ItemRecord, item: Item) -> None:
    """Fill a new item from its record."""
    item.state, item.span, item.is_typed = record.state, record.span, record.is_typed
    item.tool_use = record.tool_use
    item.pictures = record.pictures
    if record.incomplete_reason is not None:
        item.mark_incomplete(record.incomplete_reason)
    for index, (text, heard_chars) in enumerate(record.parts):
        part = item.part(index)
        part.text, part.heard_chars = text, heard_chars


# ---------------------------------------------------------------- an earlier record that came late


def insert_earlier(items: Items, earlier: ConversationRecord, *, may_overlap: bool, is_text_only: bool) -> None:
    """Insert the messages of an earlier record before the newer ones, as `ConversationRecord.follow_up` does.

    Where there is no room for all, the newest of them are inserted.
    """
    recorded = [(item, record_item(item, is_text_only=is_text_only)) for item in items]
    shown = [(item, record) for item, record in recorded if record is not None]
    first, alike, further = _missing_items(earlier.items, [record for _, record in shown] if may_overlap else ())
    after = [item for item, _ in recorded].index(shown[alike - 1][0]) + 1 if alike else 0
    missing = [*first, *further]
    skipped = max(0, len(missing) - items.room)
    for offset, each in enumerate(missing[skipped:]):
        place = offset if offset + skipped < len(first) else after + offset
        restore_item(each, items.insert(place, each.kind, each.state))


def _missing_items(
    earlier: Sequence[ItemRecord], shown: Sequence[ItemRecord]
) -> tuple[list[ItemRecord], int, list[ItemRecord]]:
    """Return the messages to insert first, how many shown ones are alike, and the messages to insert after these.

    Without their times: those are of another clock.
    """

    def are_alike(new: ItemRecord, index: int) -> bool:
        text, before = _key(new), _key(earlier[index])
        may_have_grown = index == len(earlier) - 1 and before[-1] != "" and text[-1].startswith(before[-1])
        return text == before or (may_have_grown and text[:-1] == before[:-1])

    start = next((index for index in range(len(earlier)) if shown and are_alike(shown[0], index)), len(earlier))
    alike = 0
    while alike < min(len(shown), len(earlier) - start) and are_alike(shown[alike], start + alike):
        alike += 1
    missing = [replace(each, span=None) for each in earlier]
    return missing[:start], alike, missing[start + alike :]


def _key(record: ItemRecord) -> tuple[ItemKind, str, str]:
    """Return what tells a message from others, its text last."""
    call_id = record.tool_use.call_id if record.tool_use is not None else ""
    return record.kind, call_id, "".join(text for text, _ in record.parts)


# ---------------------------------------------------------------- values that a browser has sent


def _parse_item(value: object) -> ItemRecord:
    item = _fields(value, "kind", "state", "parts", "span", "incomplete_reason")
    parts = tuple(_parse_part(part) for part in _list(item["parts"], MAX_CONTENT_PARTS))
    kind, state = _one_of(RECORDED_KINDS, item["kind"]), _one_of(RECORDED_STATES, item["state"])
    reason = None if item["incomplete_reason"] is None else _one_of(RECORDED_REASONS, item["incomplete_reason"])
    if (reason is None) is (state is BubbleState.INCOMPLETE):
        raise ValueError("an incomplete message without a reason, or a reason without one")
    if kind is ItemKind.TOOL:
        if parts or state is not BubbleState.DONE:
            raise ValueError("not a tool call of a record")
        return ItemRecord(kind, state, (), _parse_span(item["span"]), tool_use=ToolUse.from_json(item.get("tool_use")))
    if not parts and (kind is not ItemKind.USER or reason is None):
        raise ValueError("a message without text")
    is_typed = kind is ItemKind.USER and item.get("is_typed") is True  # records of older versions lack it
    sent = _list(item.get("pictures", ()), MAX_PICTURES_PER_MESSAGE)
    pictures = tuple(picture_from_json(each) for each in sent) if kind is ItemKind.USER else ()
    return ItemRecord(kind, state, parts, _parse_span(item["span"]), reason, is_typed, pictures=pictures)


def _one_of(values: Mapping[str, Value], name: object) -> Value:
    if not isinstance(name, str) or name not in values:
        raise ValueError("a kind, a state or a reason that no recorded message has")
    return values[name]


def _parse_part(value: object) -> PartRecord:
    text, heard = _list(value, 2, 2)
    if not isinstance(text, str) or len(text) > MAX_TEXT_CHARS:
        raise ValueError("not a text of a record")
    if heard is not None and (type(heard) is not int or not 0 <= heard <= len(text)):
        raise ValueError("not a count of heard characters")
    return _SURROGATE.sub("\ufffd", text), heard


def _parse_span(value: object) -> TimeSpan | None:
    if value is None:
        return None
    start, end = (_seconds(at) for at in _list(value, 2, 2))
    if start > end:
        raise ValueError("a span that ends before it starts")
    return TimeSpan(start, end)


def _seconds(value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= MAX_ELAPSED_S:
        raise ValueError("not a time of a record")
    return float(value)


def _fields(value: object, *names: str) -> dict[str, Any]:
    if not isinstance(value, dict) or not value.keys() >= set(names):
        raise ValueError("a field of a record is missing")
    return value


def _list(value: object, max_count: int, min_count: int = 0) -> list[Any]:
    if not isinstance(value, list | tuple) or not min_count <= len(value) <= max_count:
        raise ValueError("not a list of a record")
    return list(value)
