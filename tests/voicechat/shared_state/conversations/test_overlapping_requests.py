"""Overlapping requests: one after the other at a quick Redis, several at once at a slow one."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.shared_state.replica import ReplicaGroup, page_key, texts_of
from voicechat.session.visitor import Visitor
from voicechat.shared_state.conversations.held_conversation import HeldConversation
from voicechat.shared_state.conversations.overlapping_requests import MAX_AT_ONCE, SOON_S, request_each
from voicechat.shared_state.conversations.record_fields import FieldChanges
from voicechat.shared_state.redis_connection import SharedStateUnavailable

PAGES = 2 * MAX_AT_ONCE + 5


class CountedRequests:
    """Requests that are answered together, once a number of them is under way."""

    def __init__(self, answered_at: int) -> None:
        self._answered_at = answered_at
        self._answer = asyncio.Event()
        self.has_many = asyncio.Event()
        """As many as possible have been under way."""
        self.under_way = self.most_under_way = self.done = 0

    async def wait(self, _: object = None) -> None:
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        if self.under_way >= MAX_AT_ONCE:
            self.has_many.set()
        if self.under_way >= self._answered_at:
            self._answer.set()
        await self._answer.wait()
        for _ in range(5):  # longer than it takes another one to begin
            await asyncio.sleep(0)
        self.under_way -= 1
        self.done += 1


def slots() -> asyncio.Semaphore:
    return asyncio.Semaphore(MAX_AT_ONCE)


def is_always_due(_: int) -> bool:
    return True


def stop(_: int, error: Exception) -> bool:
    return True


@pytest.mark.parametrize("answered_at", [1, MAX_AT_ONCE], ids=["quick", "slow"])
async def test_requests_overlap_up_to_their_limit_while_they_are_slow(answered_at: int) -> None:
    requests = CountedRequests(answered_at)
    await request_each(range(PAGES), is_always_due, requests.wait, stop, slots=slots())
    assert (requests.done, requests.most_under_way) == (PAGES, answered_at)


async def test_passes_at_the_same_time_share_the_limit() -> None:
    requests, shared = CountedRequests(MAX_AT_ONCE), slots()
    passes = [request_each(range(PAGES), is_always_due, requests.wait, stop, slots=shared) for _ in range(3)]
    await asyncio.gather(*passes)
    assert (requests.done, requests.most_under_way) == (3 * PAGES, MAX_AT_ONCE)


async def test_long_pass_of_quick_requests_stays_one_after_the_other() -> None:
    loop, requests, soon_s = asyncio.get_running_loop(), CountedRequests(1), 0.05
    until = loop.time() + 4 * soon_s
    numbers = iter(lambda: int(loop.time() < until), 0)  # until the time is over
    await request_each(numbers, is_always_due, requests.wait, stop, slots=slots(), soon_s=soon_s)
    assert requests.done > 4 and requests.most_under_way == 1


async def test_frames_come_between_requests_that_are_built_after_answers_at_the_same_time() -> None:
    requests, turn, built_in = CountedRequests(MAX_AT_ONCE), 0, list[int]()

    async def count_turns() -> None:
        nonlocal turn
        while True:
            turn += 1
            await asyncio.sleep(0)

    async def build(item: int) -> None:
        built_in.append(turn)
        await requests.wait()

    frames = asyncio.create_task(count_turns())
    await request_each(range(PAGES), is_always_due, build, stop, slots=slots())
    frames.cancel()
    assert requests.most_under_way == MAX_AT_ONCE
    assert len(built_in) == len(set(built_in)) == PAGES


async def test_cancelled_caller_leaves_no_request_under_way() -> None:
    requests = CountedRequests(PAGES)
    caller = asyncio.create_task(request_each(range(PAGES), is_always_due, requests.wait, stop, slots=slots()))
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

    await request_each(range(4), is_due, request, on_failure, slots=slots())
    assert failed == [(1, fails)]
    assert seen == ([0] if stops else [0, 2, 3])


async def test_nothing_begins_after_a_failure_while_others_hang() -> None:
    begun, fails, has_begun = list[int](), asyncio.Event(), asyncio.Event()

    async def request(item: int) -> None:
        begun.append(item)
        if len(begun) == 4:
            has_begun.set()
        if item == 0:
            await fails.wait()
            raise ValueError
        await asyncio.Event().wait()

    caller = asyncio.create_task(request_each(range(PAGES), is_always_due, request, stop, slots=slots()))
    await has_begun.wait()
    fails.set()
    before = len(begun)
    await asyncio.sleep(5 * SOON_S)  # in which five more would begin
    assert len(begun) == before
    caller.cancel()


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


async def test_page_that_opens_starts_no_second_pass_of_erasures(monkeypatch: pytest.MonkeyPatch) -> None:
    group = ReplicaGroup()
    store, pages = group.replicas[0].store, await open_pages(group)
    await store.write_changes()
    requests, erase = CountedRequests(MAX_AT_ONCE), store._requests.erase

    async def erase_slowly(held: HeldConversation) -> None:
        await requests.wait()
        await erase(held)

    monkeypatch.setattr(store._requests, "erase", erase_slowly)
    for page in pages:
        await page.clear()
    await asyncio.gather(store.write_changes(), *(store.fetch(page_key(n, f"browser {n}")) for n in range(4)))
    assert requests.most_under_way == MAX_AT_ONCE
    assert not group.contents()


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
