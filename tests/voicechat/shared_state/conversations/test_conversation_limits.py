"""Conversations in Redis: what is written and what is left out, limits, damaged records, and an unreachable Redis."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.support.realtime import server_events
from tests.support.sessions.fake_session import FakeSession
from tests.support.shared_state.replica import TTL_S, ReplicaGroup, page_key, start_call, texts_of
from voicechat.audio.playback_buffer import Truncation
from voicechat.audio.recording import Recording, RecordingState
from voicechat.config.call_preferences import CallPreferences
from voicechat.conversation.conversation import BubbleState
from voicechat.protocol.server_events import parse_event
from voicechat.session.conversation_store import VisitorRecord
from voicechat.session.page_resume import CLOCK_STEP_S
from voicechat.session.visitor import Visitor
from voicechat.shared_state.conversations import conversation_requests
from voicechat.shared_state.conversations.conversation_requests import MAX_PAGES_PER_OWNER
from voicechat.shared_state.conversations.overlapping_requests import SCANNED_AT_ONCE

KEY = page_key()


class SpeakingSession(FakeSession):
    """Call in the middle of a reply."""

    heard_ms = 0

    def unfinished_playback(self) -> list[Any]:
        return [Truncation("a1", 0, self.heard_ms)]


class IdlePage:
    """Page that has been closed: there is nothing to write."""

    version = None

    def to_record(self) -> VisitorRecord:
        raise AssertionError("nothing is to be written")

    def restore_earlier(self, record: VisitorRecord, *, may_overlap: bool) -> bool:
        return False

    def on_taken_over(self) -> None:
        """Let the page end."""


async def speaking_page(group: ReplicaGroup) -> tuple[Visitor, SpeakingSession]:
    """Open a page whose call is in the middle of a reply of four words, which take 400 ms each."""
    visitor = await group.replicas[0].open_page(KEY)
    for event in [
        *server_events.response_started("r1", "a1"),
        *server_events.clause_deltas("r1", "a1", "one two three four", 1600, 4),
    ]:
        parsed = parse_event(event)
        visitor.conversation.apply(parsed)
        if event["type"] == "response.output_audio.delta":
            visitor.conversation.add_audio("a1", 0, "r1", 9600)
    call: Any = SpeakingSession(visitor.conversation)
    visitor.call = call
    return visitor, call


async def test_reply_under_way_is_stored_as_far_as_it_was_heard() -> None:
    group = ReplicaGroup()
    visitor, call = await speaking_page(group)
    call.heard_ms = 800
    await group.replicas[0].store.write_changes()
    call.heard_ms = 1600
    (bubble,) = (await group.replicas[1].open_page(KEY)).conversation.bubbles()
    assert (bubble.text, bubble.unheard.strip()) == ("one two", "three four")
    assert bubble.state is BubbleState.INTERRUPTED
    assert visitor.conversation.bubbles()[0].text == "one two three four"


async def test_playback_alone_is_a_change() -> None:
    group = ReplicaGroup()
    _, call = await speaking_page(group)
    written = []
    for heard_ms in (400, 800, 800):
        call.heard_ms = heard_ms
        await group.replicas[0].store.write_changes()
        (fields,) = group.contents().values()
        written.append(fields[b"voice:0"])
    assert written[0] != written[1] == written[2]


async def test_time_of_a_silent_call_is_stored_in_steps() -> None:
    group = ReplicaGroup()
    visitor = await group.replicas[0].open_page(KEY)
    visitor.conversation.add_user_message("Hello.")
    start_call(visitor)
    visitor.conversation.clock.start(group.clock())
    group.clock.now += 3 * CLOCK_STEP_S
    await group.replicas[0].store.write_changes()
    group.clock.now += 0.9 * CLOCK_STEP_S
    await group.replicas[0].store.write_changes()
    back = await group.replicas[1].open_page(KEY)
    assert back.conversation.clock.elapsed_s(group.clock()) == 3 * CLOCK_STEP_S


async def test_everything_but_key_and_recording_moves_to_the_other_replica() -> None:
    group = ReplicaGroup()
    visitor = await group.replicas[0].open_page(KEY)
    visitor.conversation.add_user_message("Spoken.")
    visitor.text_conversation.add_user_message("Written.")
    visitor.preferences = CallPreferences(voice="cedar", switched_off_tools=frozenset({"roll_dice"}))
    visitor.own_key = "sk-visitor"
    visitor.accepted_messages.append("0123456789abcdef")
    recording = visitor.recording = Recording(10)
    recording.write_speaker(0.0, np.ones(480, dtype=np.int16))
    call = start_call(visitor)
    await group.replicas[0].store.write_changes()

    back = await group.replicas[1].open_page(KEY)
    assert texts_of(back) == (["Spoken."], ["Written."])
    assert (back.preferences, list(back.accepted_messages)) == (visitor.preferences, ["0123456789abcdef"])
    assert (back.own_key, back.recording) == ("", None)

    visitor.conversation.add_user_message("Late.")
    await group.replicas[0].store.write_changes()
    assert not call.is_active and texts_of(visitor) == ([], []), "the replica before ends its call"
    assert recording.state is RecordingState.CLOSED
    group.replicas[0].pages.close_page(visitor)
    await group.replicas[0].store.write_changes()
    assert texts_of(await group.replicas[0].open_page(KEY)) == (["Spoken."], ["Written."])


async def test_record_expires_after_its_last_change() -> None:
    group = ReplicaGroup()
    visitor = await group.replicas[0].open_page(KEY)
    visitor.conversation.add_user_message("Hello.")
    await group.replicas[0].store.write_changes()
    (key,) = group.contents()
    assert 0 < group.client.pttl(key) <= 1000 * TTL_S
    group.client.pexpire(key, 5)
    await group.replicas[0].store.write_changes()
    assert group.client.pttl(key) <= 5, "nothing has changed"
    visitor.conversation.add_user_message("Again.")
    await group.replicas[0].store.write_changes()
    assert group.client.pttl(key) > 5


async def test_page_that_was_never_used_stores_nothing() -> None:
    group = ReplicaGroup()
    visitor = await group.replicas[0].open_page(KEY)
    await group.replicas[0].store.write_changes()
    group.replicas[0].pages.close_page(visitor)
    await group.replicas[0].store.write_changes()
    assert group.contents() == {}


@pytest.mark.parametrize("damage", ["value", "field", "swap", "kind"])
async def test_damaged_record_is_ignored_with_one_line(caplog: pytest.LogCaptureFixture, damage: str) -> None:
    group = ReplicaGroup()
    visitor = await group.replicas[0].open_page(KEY)
    visitor.conversation.add_user_message("Hello.")
    visitor.conversation.add_user_message("Canary.")
    await group.replicas[0].store.write_changes()
    ((key, fields),) = group.contents().items()
    match damage:
        case "value":
            group.client.hset(key, "voice:0", fields[b"voice:0"][:-1] + b"x")
        case "field":
            group.client.hdel(key, "voice:1")
        case "swap":
            group.client.hset(key, "voice:0", fields[b"voice:1"])
        case "kind":
            group.client.hset(key, b"voice:\xff", b"x" * 40)
    caplog.clear()
    assert texts_of(await group.replicas[1].open_page(KEY)) == ([], [])
    assert [record.getMessage().split(" error=")[0] for record in caplog.records] == ["conversations: record ignored"]
    assert "Canary" not in caplog.text


async def test_browser_with_very_many_pages_pushes_out_its_own_only() -> None:
    group = ReplicaGroup(1)
    for number in range(MAX_PAGES_PER_OWNER + 3):
        visitor = await group.replicas[0].open_page(page_key(number))
        visitor.conversation.add_user_message("Hello.")
        if number == 0:
            other = await group.replicas[0].open_page(page_key(0, "browser two"))
            other.conversation.add_user_message("Hello.")
        await group.replicas[0].store.write_changes()
    assert len(group.contents()) == MAX_PAGES_PER_OWNER + 1


async def test_replica_without_room_drops_the_oldest_of_the_browser_with_the_most() -> None:
    group = ReplicaGroup(2, max_held_bytes=30_000)
    for number, owner in ((0, "one"), (1, "one"), (0, "two"), (2, "one")):
        visitor = await group.replicas[0].open_page(page_key(number, owner))
        visitor.conversation.add_user_message("x" * 9000)
        await group.replicas[0].store.write_changes()
        group.clock.now += 1
    await group.replicas[0].store.write_changes()
    await group.replicas[0].store.write_changes()
    found = {
        (number, owner): any(texts_of(await group.replicas[1].open_page(page_key(number, owner))))
        for number, owner in ((0, "one"), (1, "one"), (2, "one"), (0, "two"))
    }
    assert found == {(0, "one"): False, (1, "one"): True, (2, "one"): True, (0, "two"): True}


async def test_unreachable_redis_lets_pages_open_and_gets_their_records_later() -> None:
    group = ReplicaGroup()
    group.stop_redis()
    visitor = await group.replicas[0].open_page(KEY)
    visitor.conversation.add_user_message("Hello.")
    call = start_call(visitor)
    await group.replicas[0].store.write_changes()
    assert call.is_active and group.replicas[0].pages.open_page(page_key(1), Visitor()) is False
    group.start_redis()
    await group.replicas[0].store.write_changes()
    assert texts_of(await group.replicas[1].open_page(KEY)) == (["Hello."], [])


async def test_page_that_opened_without_redis_gives_way_to_a_later_one() -> None:
    group = ReplicaGroup()
    group.replicas[0].connection.way = group.replicas[0].connection.way.LATE
    visitor = await group.replicas[0].open_page(KEY)
    group.replicas[0].connection.drop_late()
    visitor.conversation.add_user_message("Of the earlier one.")
    later = await group.replicas[1].open_page(KEY)
    later.conversation.add_user_message("Of the later one.")
    await group.replicas[1].store.write_changes()
    group.clock.now += 60  # the page at the first replica is older than the take-over by the second
    group.replicas[0].connection.way = group.replicas[1].connection.way
    await group.replicas[0].store.write_changes()
    assert texts_of(visitor) == ([], [])
    assert texts_of(later)[0] == ["Of the later one."]
    assert texts_of(await group.replicas[0].open_page(KEY))[0] == ["Of the later one."]


async def test_take_over_that_redis_carries_out_too_late_takes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    group = ReplicaGroup()
    visitor = await group.replicas[0].open_page(KEY)
    visitor.conversation.add_user_message("Hello.")
    await group.replicas[0].store.write_changes()
    monkeypatch.setattr(conversation_requests, "TAKE_OVER_MS", -1)
    assert texts_of(await group.replicas[1].open_page(KEY)) == ([], [])
    visitor.conversation.add_user_message("Still here.")
    await group.replicas[0].store.write_changes()
    assert texts_of(visitor)[0] == ["Hello.", "Still here."], "it is not fenced"


async def test_end_of_the_app_leaves_the_record_for_the_next_replica() -> None:
    group = ReplicaGroup()
    first = group.replicas[0]
    async with first.pages.run_in_background():
        closed, opened = await first.open_page(KEY), await first.open_page(page_key(1))
        closed.conversation.add_user_message("Closed.")
        opened.conversation.add_user_message("Open.")
        first.pages.close_page(closed)
    assert len(first.local) == 0 and texts_of(closed) == ([], [])
    assert [texts_of(await group.replicas[1].open_page(page_key(each)))[0] for each in (0, 1)] == [
        ["Closed."],
        ["Open."],
    ]


async def test_erasure_does_not_wait_for_the_next_write() -> None:
    group = ReplicaGroup()
    first = group.replicas[0]
    visitor = await first.open_page(KEY)
    visitor.conversation.add_user_message("Hello.")
    await first.store.write_changes()
    async with first.store.run_in_background():
        visitor.conversation.add_user_message("Not yet written.")
        await visitor.clear()
        while group.contents():
            await first.connection.request(lambda client: client.ping())
    assert group.contents() == {}


async def test_words_and_keys_are_in_no_representation() -> None:
    group = ReplicaGroup()
    visitor = await group.replicas[0].open_page(KEY)
    visitor.conversation.add_user_message("canary")
    await group.replicas[0].store.write_changes()
    held = group.replicas[0].store._held[KEY]
    shown = repr(held) + repr(replace(visitor.to_record(0.0)))
    assert "canary" not in shown and repr(KEY.secret) not in shown


async def test_frames_of_calls_get_their_turn_while_many_pages_are_looked_at() -> None:
    group, pages = ReplicaGroup(1), 8 * SCANNED_AT_ONCE
    (replica,) = group.replicas
    for number in range(pages):
        replica.store.follow(page_key(number), IdlePage())
    turns = 0

    async def play_frames() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    frames = asyncio.create_task(play_frames())
    before = turns
    await replica.store._for_each_held(lambda held: held.is_write_due, replica.store._write)
    frames.cancel()
    assert turns - before >= pages // SCANNED_AT_ONCE - 1


async def test_long_call_takes_no_room_from_an_idle_conversation() -> None:
    group = ReplicaGroup(2, max_held_bytes=30_000)
    store = group.replicas[0].store
    idle = await group.replicas[0].open_page(page_key(0, "one"))
    idle.conversation.add_user_message("x" * 20_000)
    caller = await group.replicas[0].open_page(page_key(0, "two"))
    caller.conversation.add_user_message("Hello.")
    start_call(caller)
    caller.conversation.clock.start(group.clock())
    for _ in range(200):
        group.clock.now += CLOCK_STEP_S
        await store.write_changes()
    stored = [sum(map(len, fields.values())) for fields in group.contents().values()]
    assert len(stored) == 2 and 20_000 < sum(stored) < 30_000
    assert sum(held.byte_count for held in store._held.values()) == sum(stored)
