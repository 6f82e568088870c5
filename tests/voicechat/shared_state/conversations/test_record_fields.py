"""Record fields: the hash always equals the newest record, and a turn writes little."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.shared_state.record_strategies import items, preferences, records
from voicechat.config.call_preferences import CallPreferences
from voicechat.conversation.items import ItemKind
from voicechat.conversation.record import MAX_RECORD_ITEMS, ConversationRecord, ItemRecord
from voicechat.conversation.shown.bubble import BubbleState
from voicechat.session.conversation_store import VisitorRecord
from voicechat.shared_state.conversations.record_fields import (
    CHARS_PER_ITEM,
    HEADER,
    MAX_CONVERSATION_CHARS,
    PAGE,
    FieldChanges,
    build_changes,
    parse_fields,
)


def message(text: str) -> ItemRecord:
    return ItemRecord(ItemKind.ASSISTANT, BubbleState.DONE, ((text, None),))


def record_of(*texts: str, preferences: CallPreferences | None = None) -> VisitorRecord:
    voice = ConversationRecord(tuple(message(text) for text in texts))
    return VisitorRecord(voice, ConversationRecord(), preferences or CallPreferences())


def write(stored: dict[str, bytes], changes: FieldChanges) -> None:
    """Carry out the changes of a hash."""
    for name in changes.removed:
        del stored[name]
    stored.update({name: text.encode() for name, text in changes.written.items()})


@st.composite
def next_records(draw: st.DrawFn, record: VisitorRecord) -> VisitorRecord:
    """Draw a record after `record`: messages grow, come, are dropped at the front, are removed or moved."""
    found = list(record.voice.items)
    for _ in range(draw(st.integers(0, 3))):
        place = draw(st.integers(0, len(found)))
        match draw(st.sampled_from(["add", "insert", "change", "drop", "remove", "swap", "clear"])):
            case "add":
                found.append(draw(items))
            case "insert":
                found.insert(place, draw(items))
            case "change" if found:
                found[place % len(found)] = draw(items)
            case "drop":
                del found[:place]
            case "remove" if found:
                del found[place % len(found)]
            case "swap" if found:
                found[0], found[place % len(found)] = found[place % len(found)], found[0]
            case "clear":
                found.clear()
    text = ConversationRecord((*record.text.items, *draw(st.lists(items, max_size=1))))
    kept = record.preferences if draw(st.booleans()) else draw(preferences)
    return replace(record, voice=ConversationRecord(tuple(found), draw(st.floats(0, 100))), text=text, preferences=kept)


@given(st.data(), records())
@settings(deadline=None, max_examples=150)
def test_hash_equals_the_newest_record_after_any_changes(data: st.DataObject, record: VisitorRecord) -> None:
    stored: dict[str, bytes] = {}
    state = None
    for _ in range(4):
        changes = build_changes(state, record)
        write(stored, changes)
        state = changes.state
        assert parse_fields(stored) == record
        assert build_changes(state, record).is_empty
        assert len(stored) == len(record.voice.items) + len(record.text.items) + 2, "old fields remain"
        record = data.draw(next_records(record))


def test_turn_of_a_long_conversation_writes_only_its_own_messages() -> None:
    texts = [f"{number} {'x' * 150}" for number in range(200)]
    state = build_changes(None, record_of(*texts)).state
    changes = build_changes(state, record_of(*texts[2:], "Where is it?", "In the"))
    assert sorted(changes.written) == [HEADER, "voice:200", "voice:201"]
    assert changes.removed == ("voice:0", "voice:1")
    grown = build_changes(changes.state, record_of(*texts[2:], "Where is it?", "In the garden."))
    assert list(grown.written) == ["voice:201"], "the header has not changed"
    assert sum(map(len, grown.written.values())) < 250


def test_200_messages_of_150_characters_take_less_than_70_kb() -> None:
    whole = build_changes(None, record_of(*(f"{number:150}" for number in range(200))))
    assert sum(map(len, whole.written.values())) < 70_000


def test_record_keeps_the_newest_messages_within_its_limits() -> None:
    long = "x" * (MAX_CONVERSATION_CHARS // 3)
    assert len(build_changes(None, record_of(long, long, long)).state.voice.items) == 2
    assert build_changes(None, record_of("x" * MAX_CONVERSATION_CHARS)).state.voice.items == ()
    many = build_changes(None, record_of(*map(str, range(MAX_RECORD_ITEMS + 5)))).state.voice.items
    assert [each.parts[0][0] for each in many][:2] == ["5", "6"] and len(many) == MAX_RECORD_ITEMS
    assert CHARS_PER_ITEM * MAX_RECORD_ITEMS < MAX_CONVERSATION_CHARS


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 10**30) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@st.composite
def damaged_fields(draw: st.DrawFn) -> dict[str, bytes]:
    """Draw the fields of a record of which one value is another one."""
    fields = {name: json.loads(text) for name, text in build_changes(None, draw(records())).written.items()}
    name = draw(st.sampled_from(sorted(fields)))
    if draw(st.booleans()):
        del fields[name]
    elif isinstance(fields[name], dict) and draw(st.booleans()):
        key = draw(st.sampled_from(sorted(fields[name])))
        fields[name][key] = draw(json_values)
    else:
        fields[name] = draw(json_values)
    return {each: json.dumps(value).encode() for each, value in fields.items()}


@given(damaged_fields())
@settings(deadline=None, max_examples=300)
def test_damaged_record_is_refused_or_read_within_the_limits(fields: dict[str, bytes]) -> None:
    try:
        record = parse_fields(fields)
    except ValueError as error:
        assert len(str(error)) < 80
    else:
        assert isinstance(record, VisitorRecord)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"[" * 100_000, b"1" * 5000, b"null"])
@pytest.mark.parametrize("name", [HEADER, PAGE, "voice:0"])
def test_field_that_cannot_be_read_is_refused(name: str, content: bytes) -> None:
    stored: dict[str, bytes] = {}
    write(stored, build_changes(None, record_of("Hello.")))
    with pytest.raises(ValueError):
        parse_fields(stored | {name: content})


def test_record_of_another_format_is_refused() -> None:
    stored: dict[str, bytes] = {}
    write(stored, build_changes(None, record_of("Hello.")))
    header: dict[str, Any] = json.loads(stored[HEADER])
    with pytest.raises(ValueError, match="format"):
        parse_fields(stored | {HEADER: json.dumps({**header, "format": 2}).encode()})


def test_words_are_in_no_representation() -> None:
    changes = build_changes(None, record_of("canary", preferences=CallPreferences(instructions="canary")))
    assert "canary" not in repr(changes)
