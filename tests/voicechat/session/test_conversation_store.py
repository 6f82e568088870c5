"""Conversation store: what is kept, for how long, for whom, and how much of it."""

from __future__ import annotations

import logging
from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.manual_clock import ManualClock
from voicechat.audio.recording import Recording, RecordingState
from voicechat.config.call_preferences import CallPreferences
from voicechat.conversation.conversation import Conversation
from voicechat.conversation.record import ConversationRecord
from voicechat.session.conversation_store import (
    MAX_CHARS,
    MAX_RECORDING_BYTES,
    MAX_RECORDINGS,
    MIN_RECORD_CHARS,
    InMemoryConversationStore,
    ResumeKey,
    VisitorRecord,
    resume_key,
)

TTL_S = 60.0
TOKEN = "0123456789abcdef" * 4


def make_recording() -> Recording:
    recording = Recording(10)
    recording.write_speaker(0.0, np.ones(480, dtype=np.int16))
    return recording


def make_record(text: str = "Hello.", recording: Recording | None = None) -> VisitorRecord:
    conversation = Conversation()
    conversation.add_user_message(text)
    return VisitorRecord(conversation.to_record(0.0), ConversationRecord(), CallPreferences(), recording)


def key_of(owner: str, number: int = 0) -> ResumeKey:
    return ResumeKey(owner, f"page {number}")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def store(clock: ManualClock) -> InMemoryConversationStore:
    return InMemoryConversationStore(TTL_S, clock)


def test_record_is_taken_once(store: InMemoryConversationStore) -> None:
    record = make_record(recording=make_recording())
    store.put(key_of("a"), record)
    assert store.take(key_of("a")) is record
    assert store.take(key_of("a")) is None
    assert record.recording is not None and record.recording.state is RecordingState.OPEN


def test_record_is_kept_for_its_time_and_no_longer(store: InMemoryConversationStore, clock: ManualClock) -> None:
    first, second = (make_record(recording=make_recording()) for _ in range(2))
    store.put(key_of("a"), first)
    clock.now += TTL_S - 1
    store.put(key_of("b"), second)
    clock.now += 1
    assert store.take(key_of("a")) is None
    assert store.take(key_of("b")) is second
    assert first.recording is not None and first.recording.state is RecordingState.CLOSED


def test_expiry_erases_without_another_use(store: InMemoryConversationStore, clock: ManualClock) -> None:
    record = make_record(recording=make_recording())
    store.put(key_of("a"), record)
    clock.now += TTL_S
    store.expire()
    assert len(store) == 0
    assert record.recording is not None and record.recording.state is RecordingState.CLOSED


def test_store_without_a_time_keeps_nothing(clock: ManualClock) -> None:
    store = InMemoryConversationStore(0, clock)
    record = make_record(recording=make_recording())
    store.put(key_of("a"), record)
    assert not store.is_enabled
    assert store.take(key_of("a")) is None
    assert record.recording is not None and record.recording.state is RecordingState.CLOSED


@pytest.mark.parametrize("by", ["key", "owner", "close"])
def test_erased_record_and_its_recording_are_erased_at_once(store: InMemoryConversationStore, by: str) -> None:
    record, other = make_record(recording=make_recording()), make_record(recording=make_recording())
    store.put(key_of("a"), record)
    store.put(key_of("b"), other)
    match by:
        case "key":
            store.erase(key_of("a"))
        case "owner":
            store.erase_owner("a")
        case "close":
            store.close()
    assert store.take(key_of("a")) is None
    assert record.recording is not None and record.recording.state is RecordingState.CLOSED
    assert (store.take(key_of("b")) is other) is (by != "close")


def test_newer_record_replaces_the_older_one(store: InMemoryConversationStore) -> None:
    older, newer = make_record(recording=make_recording()), make_record("Newer.")
    store.put(key_of("a"), older)
    store.put(key_of("a"), newer)
    assert store.take(key_of("a")) is newer
    assert older.recording is not None and older.recording.state is RecordingState.CLOSED


def test_empty_record_is_not_kept(store: InMemoryConversationStore) -> None:
    silent = VisitorRecord(ConversationRecord(), ConversationRecord(), CallPreferences(), Recording(10))
    store.put(key_of("a"), silent)
    assert len(store) == 0
    chosen = VisitorRecord(ConversationRecord(), ConversationRecord(), CallPreferences(voice="cedar"))
    store.put(key_of("a"), chosen)
    assert store.take(key_of("a")) is chosen


def test_visitor_with_very_many_pages_pushes_out_their_own_only(store: InMemoryConversationStore) -> None:
    store.put(key_of("quiet"), make_record(), "198.51.100.1")
    for number in range(2 * MAX_CHARS // MIN_RECORD_CHARS):
        store.put(key_of(f"browser {number}", number), make_record(), "203.0.113.7")  # another cookie each time
    assert len(store) == MAX_CHARS // MIN_RECORD_CHARS
    assert store.take(key_of("quiet")) is not None


def test_visitor_with_very_long_conversations_pushes_out_their_own_only(store: InMemoryConversationStore) -> None:
    store.put(key_of("quiet"), make_record())
    for number in range(300):
        store.put(key_of("loud", number), make_record("x" * 99_000))
    assert store.take(key_of("quiet")) is not None
    assert store.take(key_of("loud", 299)) is not None, "their newest one"
    assert store.take(key_of("loud", 0)) is None


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5), st.integers(1, 200_000)), max_size=40))
def test_kept_characters_never_exceed_the_limit(puts: list[tuple[int, int, int]]) -> None:
    limit = 10 * MIN_RECORD_CHARS
    store = InMemoryConversationStore(TTL_S, ManualClock(), max_chars=limit)
    records = {}
    for owner, page, length in puts:
        key = key_of(str(owner), page)
        records[key] = make_record("x" * min(length, 100_000))
        store.put(key, records[key])
    kept = [record for key in records if (record := store.take(key)) is not None]
    assert len(kept) <= 10
    assert sum(record.char_count for record in kept) <= limit
    assert bool(kept) is bool(puts)


# ---------------------------------------------------------------- keys


@pytest.mark.parametrize(
    "token", [None, 5, "", "short", "x" * 31, "x" * 129, "../" * 20, "é" * 40, " " * 40, TOKEN + "\n", [TOKEN]]
)
def test_token_that_no_page_makes_has_no_key(token: object) -> None:
    assert resume_key(token, "browser a") is None


def test_key_depends_on_token_and_owner() -> None:
    keys = {resume_key(TOKEN, "browser a"), resume_key(TOKEN, "browser b"), resume_key(TOKEN[::-1], "browser a")}
    assert len(keys) == 3 and None not in keys
    assert resume_key(TOKEN, "browser a") == resume_key(TOKEN, "browser a")
    assert resume_key(TOKEN, "") is None
    assert TOKEN not in str(keys) and "browser" not in str(keys)


def test_record_has_no_key_of_the_visitor_and_says_nothing_in_a_log(caplog: pytest.LogCaptureFixture) -> None:
    assert [field.name for field in fields(VisitorRecord)] == [
        "voice",
        "text",
        "preferences",
        "recording",
        "accepted_messages",  # random ids
        "reply_due_at",  # a time
    ]
    assert not any("key" in field.name for field in fields(CallPreferences))
    record = VisitorRecord(
        make_record("spoken secret").voice,
        make_record("written secret").voice,
        CallPreferences(instructions="prompt secret"),
    )
    with caplog.at_level(logging.DEBUG):
        store = InMemoryConversationStore(TTL_S)
        store.put(key_of("a"), record)
        assert store.take(key_of("a")) is record
    assert "secret" not in repr(record) + caplog.text


def is_open(record: VisitorRecord) -> bool:
    return record.recording is not None and record.recording.state is RecordingState.OPEN


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=12), st.integers(1, 4), st.booleans())
def test_recordings_are_bounded_and_dropped_before_any_text(owners: list[str], limit: int, by_bytes: bool) -> None:
    records = [make_record(recording=make_recording()) for _ in owners]
    assert records[0].recording is not None
    limits = {"max_recording_bytes": limit * records[0].recording.byte_count} if by_bytes else {"max_recordings": limit}
    store = InMemoryConversationStore(TTL_S, ManualClock(), **limits)
    for number, (owner, record) in enumerate(zip(owners, records, strict=True)):
        store.put(key_of(owner, number), record)
    assert sum(map(is_open, records)) == min(limit, len(owners))
    kept = [store.take(key_of(owner, number)) for number, owner in enumerate(owners)]
    for record, back in zip(records, kept, strict=True):
        assert back is not None and back.voice == record.voice, "the text is kept"
        assert (back.recording is record.recording) is is_open(record)
    for owner in set(owners):
        own = [is_open(record) for each, record in zip(owners, records, strict=True) if each == owner]
        assert own == sorted(own), "the oldest first"


def test_visitor_with_the_most_sound_loses_the_oldest_recording() -> None:
    store = InMemoryConversationStore(TTL_S, ManualClock(), max_recordings=3)
    mine = make_record(recording=make_recording())
    store.put(key_of("mine"), mine, "me")
    flood = [make_record(recording=make_recording()) for _ in range(6)]
    for number, record in enumerate(flood):
        store.put(key_of("flood", number), record, "flood")
    assert is_open(mine) and [is_open(record) for record in flood] == [False] * 4 + [True] * 2


def test_recordings_of_all_closed_pages_fit_a_small_disk_and_few_files() -> None:
    assert MAX_RECORDING_BYTES <= 1_000_000_000 and MAX_RECORDINGS <= 100
