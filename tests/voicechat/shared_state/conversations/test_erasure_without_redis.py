"""Erasure while Redis does not answer: a page that loads again does not get back what was erased."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from tests.support.shared_state.replica import ConversationReplica, ReplicaGroup, page_key, texts_of
from voicechat.session.visitor import Visitor

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
