"""Late records: pages that opened without an answer from Redis get what they had before, and destroy nothing."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio as redis

from tests.support.shared_state.redis_process import running_redis
from tests.support.shared_state.replica import ConversationReplica, ReplicaGroup, Way, page_key, start_call, texts_of
from voicechat.config.call_preferences import CallPreferences
from voicechat.session.visitor import Visitor
from voicechat.shared_state.conversations.conversation_scripts import TAKE_OVER
from voicechat.shared_state.redis_connection import BREAKER_S

KEY = page_key()
EARLIER = ["Long talk one.", "Long talk two."]


async def store_earlier_record(group: ReplicaGroup) -> None:
    """Store a record by a replica that dies then."""
    visitor = await group.replicas[0].open_page(KEY)
    for text in EARLIER:
        visitor.conversation.add_user_message(text)
    visitor.text_conversation.add_user_message("Written.")
    visitor.preferences = CallPreferences(voice="cedar")
    visitor.accepted_messages.append("0123456789abcdef")
    await group.replicas[0].store.write_changes()


async def open_without_answer(group: ReplicaGroup, way: Way) -> tuple[ConversationReplica, Visitor]:
    """Open the page at another replica while Redis hangs, and let Redis answer again."""
    replica = group.replicas[1]
    replica.connection.way = way
    visitor = await replica.open_page(KEY)
    assert texts_of(visitor) == ([], [])
    replica.connection.way = Way.OPEN
    replica.connection.drop_late()
    return replica, visitor


@pytest.mark.parametrize("way", [Way.ANSWER_LOST, Way.LATE])
async def test_page_that_is_still_empty_gets_its_earlier_record(way: Way) -> None:
    group = ReplicaGroup()
    await store_earlier_record(group)
    replica, visitor = await open_without_answer(group, way)
    await replica.store.write_changes()
    assert texts_of(visitor) == (EARLIER, ["Written."])
    assert (visitor.preferences.voice, list(visitor.accepted_messages)) == ("cedar", ["0123456789abcdef"])
    assert texts_of(await group.replicas[0].open_page(KEY)) == (EARLIER, ["Written."])


@pytest.mark.parametrize("way", [Way.ANSWER_LOST, Way.LATE])
@pytest.mark.parametrize("in_call", [False, True])
async def test_page_that_was_used_gets_its_earlier_messages_before_the_new_ones(way: Way, in_call: bool) -> None:
    group = ReplicaGroup()
    await store_earlier_record(group)
    replica, visitor = await open_without_answer(group, way)
    call = start_call(visitor) if in_call else None
    visitor.conversation.add_user_message("Hello?")
    visitor.accepted_messages.append("fedcba9876543210")
    await replica.store.write_changes()
    assert texts_of(visitor) == ([*EARLIER, "Hello?"], ["Written."])
    assert list(visitor.accepted_messages) == ["0123456789abcdef", "fedcba9876543210"]
    assert call is None or call.is_active
    assert texts_of(await group.replicas[0].open_page(KEY)) == ([*EARLIER, "Hello?"], ["Written."])


@pytest.mark.parametrize("has_session", [False, True])
@pytest.mark.parametrize("new", [[], ["Hello?"]])
async def test_page_that_was_closed_meanwhile_keeps_its_earlier_record(has_session: bool, new: list[str]) -> None:
    group = ReplicaGroup()
    await store_earlier_record(group)
    replica, visitor = await open_without_answer(group, Way.LATE)
    for text in new:
        visitor.conversation.add_user_message(text)
    replica.pages.close_page(visitor)
    kept = [visitor] if has_session else []
    del visitor
    await replica.store.write_changes()
    for number in (1, 0):
        assert texts_of(await group.replicas[number].open_page(KEY)) == ([*EARLIER, *new], ["Written."])
        await group.replicas[number].store.write_changes()
    assert len(kept) == has_session


@pytest.mark.parametrize("new", [[], ["Hello?"]])
async def test_page_that_is_loaded_again_gets_its_earlier_record(new: list[str]) -> None:
    group = ReplicaGroup()
    await store_earlier_record(group)
    replica, visitor = await open_without_answer(group, Way.LATE)
    for text in new:
        visitor.conversation.add_user_message(text)
    back = await replica.open_page(KEY)
    assert texts_of(back) == ([*EARLIER, *new], ["Written."])
    await replica.store.write_changes()
    assert texts_of(await group.replicas[0].open_page(KEY)) == ([*EARLIER, *new], ["Written."])


async def test_earlier_record_is_erased_where_the_visitor_has_erased_it() -> None:
    group = ReplicaGroup()
    await store_earlier_record(group)
    replica, visitor = await open_without_answer(group, Way.LATE)
    await visitor.clear()
    visitor.conversation.add_user_message("New.")
    await replica.store.write_changes()
    assert texts_of(await group.replicas[0].open_page(KEY)) == (["New."], [])


async def test_page_waits_through_the_pause_after_one_failed_request() -> None:
    group = ReplicaGroup()
    await store_earlier_record(group)
    replica = group.replicas[1]
    replica.connection._note_failure(TimeoutError())

    def pass_pause() -> None:
        group.clock.now += BREAKER_S

    replica.on_pause = pass_pause
    assert texts_of(await replica.open_page(KEY)) == (EARLIER, ["Written."])


async def test_page_opens_at_once_where_redis_has_been_lost_for_long() -> None:
    group = ReplicaGroup()
    replica = group.replicas[1]
    pauses: list[None] = []
    replica.on_pause = lambda: pauses.append(None)
    group.stop_redis()
    await replica.open_page(KEY)
    assert len(pauses) == 2
    group.clock.now += 5
    await replica.open_page(page_key(1))
    assert len(pauses) == 2
    group.start_redis()
    await replica.open_page(page_key(2))
    group.stop_redis()
    await replica.open_page(page_key(3))
    assert len(pauses) == 4, "it was lost a moment ago only"


async def test_page_that_moves_to_a_busy_replica_has_its_conversation_at_once(tmp_path: Path) -> None:
    with running_redis(tmp_path) as server:
        before, after = (ConversationReplica(redis.Redis.from_url(server.url), time.monotonic) for _ in range(2))
        visitor = await before.open_page(KEY)
        visitor.conversation.add_user_message("Hello.")
        await before.store.write_changes()
        is_over = False

        async def keep_the_loop_busy() -> None:
            while not is_over:
                time.sleep(0.03)  # noqa: ASYNC251  the loop is to be busy
                await asyncio.sleep(0)

        busy = [asyncio.create_task(keep_the_loop_busy()) for _ in range(4)]
        back = await after.open_page(KEY)
        is_over = True
        await asyncio.gather(*busy)
        assert texts_of(back) == (["Hello."], [])


async def test_take_over_that_was_too_late_is_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    group = ReplicaGroup()
    await store_earlier_record(group)
    replica = group.replicas[1]
    original, sent = replica.connection.run_script, 0

    async def delay_the_first(source: str, keys: Any, arguments: Any) -> Any:
        nonlocal sent
        if source == TAKE_OVER:
            sent += 1
            if sent == 1:  # its time is over when Redis gets it
                arguments = [*arguments[:-1], 0]
        return await original(source, keys, arguments)

    monkeypatch.setattr(replica.connection, "run_script", delay_the_first)
    visitor = await replica.open_page(KEY)
    assert sent == 2 and any(texts_of(visitor))
