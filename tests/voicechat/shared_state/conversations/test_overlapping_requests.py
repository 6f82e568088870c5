"""Overlapping requests: one after the other at a quick Redis, several at once at a slow one."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.shared_state.replica import ReplicaGroup, page_key, texts_of
from voicechat.session.visitor import Visitor
from voicechat.shared_state.conversations.held_conversation import HeldConversation
from voicechat.shared_state.conversations.overlapping_requests import MAX_AT_ONCE, request_each
from voicechat.shared_state.conversations.record_fields import FieldChanges
from voicechat.shared_state.redis_connection import SharedStateUnavailable

PAGES = 2 * MAX_AT_ONCE + 5


class CountedRequests:
    """Requests that are answered once a number of them is under way."""

    def __init__(self, answered_at: int) -> None:
        """`answered_at`: requests under way at which all of them are answered, these and later ones."""
        self._answered_at = answered_at
        self._answer = asyncio.Event()
        self.has_many = asyncio.Event()
        """Set while as many as possible are under way."""
        self.under_way = self.most_under_way = self.done = 0

    async def wait(self, _: object = None) -> None:
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        if self.under_way >= MAX_AT_ONCE:
            self.has_many.set()
        if self.under_way >= self._answered_at:
            self._answer.set()
        await self._answer.wait()
        self.under_way -= 1
        self.done += 1


def is_always_due(_: int) -> bool:
    return True


def stop(_: int, error: Exception) -> bool:
    return True


@pytest.mark.parametrize("answered_at", [1, MAX_AT_ONCE], ids=["quick", "slow"])
async def test_requests_overlap_up_to_their_limit_while_they_are_slow(answered_at: int) -> None:
    requests = CountedRequests(answered_at)
    await request_each(range(PAGES), is_always_due, requests.wait, stop)
    assert (requests.done, requests.most_under_way) == (PAGES, answered_at)


async def test_cancelled_caller_leaves_no_request_under_way() -> None:
    requests = CountedRequests(PAGES)
    caller = asyncio.create_task(request_each(range(PAGES), is_always_due, requests.wait, stop))
    await requests.has_many.wait()
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert len(asyncio.all_tasks()) == 1


@pytest.mark.parametrize("stops", [True, False])
@pytest.mark.parametrize("fails", ["is_due", "request"])
async def test_failure_of_one_item_ends_the_others_only_where_it_says_so(fails: str, stops: bool) -> None:
    failed, seen = list[tuple[int, str]](), list[int]()

    def is_due(item: int) -> bool:
        if fails == "is_due" and item == 1:
            raise ValueError(fails)
        return True

    async def request(item: int) -> None:
        if fails == "request" and item == 1:
            raise ValueError(fails)
        seen.append(item)

    def on_failure(item: int, error: Exception) -> bool:
        failed.append((item, str(error)))
        return stops

    await request_each(range(4), is_due, request, on_failure)
    assert failed == [(1, fails)]
    assert seen == ([0] if stops else [0, 2, 3])


async def open_pages(group: ReplicaGroup) -> list[Visitor]:
    """Open pages of as many browsers, each with a message that is to be written."""
    pages = [await group.replicas[0].open_page(page_key(number, f"browser {number}")) for number in range(PAGES)]
    for number, page in enumerate(pages):
        page.conversation.add_user_message(f"Hello {number}.")
    return pages


async def test_pages_are_written_beside_each_other_where_redis_is_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    group = ReplicaGroup()
    store, pages = group.replicas[0].store, await open_pages(group)
    requests, write = CountedRequests(MAX_AT_ONCE), store._requests.write

    async def write_slowly(held: HeldConversation, changes: FieldChanges) -> bool:
        await requests.wait()
        return await write(held, changes)

    monkeypatch.setattr(store._requests, "write", write_slowly)
    await store.write_changes()
    assert (requests.done, requests.most_under_way) == (PAGES, MAX_AT_ONCE)
    for number, written in enumerate(pages):
        page = await group.replicas[1].open_page(page_key(number, f"browser {number}"))
        assert texts_of(page) == texts_of(written) == ([f"Hello {number}."], [])


async def test_no_further_page_is_written_once_redis_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    group = ReplicaGroup()
    pages, store, asked = await open_pages(group), group.replicas[0].store, 0

    async def fail(held: HeldConversation, changes: FieldChanges) -> bool:
        nonlocal asked
        asked += 1
        raise SharedStateUnavailable

    monkeypatch.setattr(store._requests, "write", fail)
    await store.write_changes()
    assert asked == 1 and len(pages) == PAGES
