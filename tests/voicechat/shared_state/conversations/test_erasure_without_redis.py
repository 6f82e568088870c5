"""Erasure while Redis does not answer: a page that loads again does not get back what was erased."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.support.shared_state.replica import ConversationReplica, ReplicaGroup, page_key, texts_of
from voicechat.session.visitor import Visitor
from voicechat.shared_state.conversations.conversation_scripts import ERASE, WRITE

KEY, OTHER_TAB = page_key(0), page_key(1)


async def forget(replica: ConversationReplica, visitor: Visitor) -> None:
    replica.pages.forget(visitor)


async def clear(replica: ConversationReplica, visitor: Visitor) -> None:
    await visitor.clear()
    replica.store.erase(KEY)


@pytest.mark.parametrize("erase", [forget, clear])
async def test_page_loaded_again_after_an_erasure_that_redis_missed_is_empty(
    erase: Callable[[ConversationReplica, Visitor], Awaitable[None]],
) -> None:
    group = ReplicaGroup()
    replica = group.replicas[0]
    visitor = await replica.open_page(KEY)
    visitor.conversation.add_user_message("Secret.")
    await replica.store.write_changes()
    assert group.contents()
    group.stop_redis()
    await erase(replica, visitor)
    await replica.store.write_changes()
    group.start_redis()
    assert texts_of(await replica.open_page(KEY)) == ([], []), "asked at once, before the next write"
    await replica.store.write_changes()
    assert not group.contents()


async def test_other_tab_of_a_forgotten_browser_opens_empty_without_redis() -> None:
    group = ReplicaGroup()
    replica = group.replicas[0]
    visitor, other = await replica.open_page(KEY), await replica.open_page(OTHER_TAB)
    other.conversation.add_user_message("Secret.")
    await replica.store.write_changes()
    group.stop_redis()
    replica.pages.forget(visitor)
    assert texts_of(await replica.open_page(OTHER_TAB)) == ([], [])
    group.start_redis()
    await replica.store.write_changes()
    assert not group.contents()


@pytest.mark.parametrize("is_erasure_answered_first", [False, True])
async def test_write_that_is_answered_beside_an_erasure_leaves_other_and_later_words_readable(
    is_erasure_answered_first: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    group = ReplicaGroup(2)
    replica = group.replicas[0]
    visitor = await replica.open_page(KEY)
    visitor.conversation.add_user_message("One.")
    visitor.text_conversation.add_user_message("Written.")
    await replica.store.write_changes()
    original = replica.connection.run_script
    is_done = {source: asyncio.Event() for source in (WRITE, ERASE)}
    may_answer = {source: asyncio.Event() for source in (WRITE, ERASE)}

    async def hold_answers(source: str, keys: Any, arguments: Any) -> Any:
        answer = await original(source, keys, arguments)
        if source in is_done:
            is_done[source].set()
            await may_answer[source].wait()
        return answer

    monkeypatch.setattr(replica.connection, "run_script", hold_answers)
    visitor.conversation.add_user_message("Two.")
    writing = asyncio.create_task(replica.store.write_changes())
    await is_done[WRITE].wait()
    await visitor.clear()
    erasing = asyncio.create_task(replica.store._erase_due())  # another page opens, and waits for its own erasure
    await is_done[ERASE].wait()
    steps = [(WRITE, writing), (ERASE, erasing)]
    for source, step in reversed(steps) if is_erasure_answered_first else steps:
        may_answer[source].set()
        await step
    visitor.conversation.add_user_message("Three.")
    await replica.store.write_changes()
    assert texts_of(await group.replicas[1].open_page(KEY)) == (["Three."], ["Written."])
