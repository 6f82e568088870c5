"""Owner names: how a browser is called in Redis. Two replicas find the same name, and a reader of Redis no address."""

from __future__ import annotations

import asyncio
import hashlib

import pytest

from tests.support.shared_state.replica import ReplicaGroup, page_key, texts_of

ADDRESS = "address 192.0.2.7"
SECRET = b"of the settings"


def owner_keys(group: ReplicaGroup) -> set[bytes]:
    """Return the keys of all browsers."""
    return set(group.client.keys("*:conversation-owner:*"))


def hashes_of(owner: str) -> list[str]:
    """Return what a reader of Redis computes for a possible owner: hashes, and hashes of hashes."""
    once = hashlib.sha256(owner.encode()).hexdigest()
    words = [owner, once, *(f"{kind} {once}" for kind in ("owner", "conversation", "conversation owner"))]
    return [once, *(hashlib.sha256(word.encode()).hexdigest() for word in words)]


async def test_address_is_not_found_by_hashing_candidates() -> None:
    group = ReplicaGroup(secret=SECRET)
    visitor = await group.replicas[0].open_page(page_key(0, ADDRESS))
    visitor.conversation.add_user_message("Hello.")
    await group.replicas[0].store.write_changes()
    assert len(owner_keys(group)) == 1
    stored = b" ".join(group.client.keys("*")).decode()
    stored += "".join(str(group.client.zrange(key, 0, -1)) for key in owner_keys(group))
    assert [each for each in hashes_of(ADDRESS) if each[:12] in stored] == []


@pytest.mark.parametrize("secret", [SECRET, b""])
async def test_two_replicas_call_a_browser_the_same(secret: bytes) -> None:
    group = ReplicaGroup(secret=secret)
    for number, replica in enumerate(group.replicas):
        visitor = await replica.open_page(page_key(number))
        visitor.conversation.add_user_message("Hello.")
        await replica.store.write_changes()
    assert len(owner_keys(group)) == 1


@pytest.mark.parametrize("secret", [SECRET, b""])
@pytest.mark.parametrize("is_noticed", [False, True])
@pytest.mark.parametrize("is_emptied", [False, True])
async def test_forgetting_reaches_the_pages_of_all_replicas(secret: bytes, is_noticed: bool, is_emptied: bool) -> None:
    group = ReplicaGroup(3, secret=secret)
    first, second, new = group.replicas
    pages = [await replica.open_page(page_key(number)) for number, replica in enumerate((first, second))]
    for replica, page in zip((first, second), pages, strict=True):
        page.conversation.add_user_message("Hello.")
        await replica.store.write_changes()
    if is_noticed:
        group.stop_redis()
        for replica in (first, second):
            await replica.store.write_changes()
        group.start_redis()
    if is_emptied:
        group.client.flushall()
    third = await new.open_page(page_key(2))  # after a restart, its secret is the first that Redis gets
    third.conversation.add_user_message("Hello.")
    for replica, page in zip((first, second), pages, strict=True):
        page.conversation.add_user_message("Still here.")
        await replica.store.write_changes()
    await new.store.write_changes()
    assert len(group.contents()) == 3 and len(owner_keys(group)) == 1
    new.pages.forget(third)
    await new.store.write_changes()
    assert group.contents() == {}
    for replica, page in zip((first, second), pages, strict=True):
        page.conversation.add_user_message("Late.")
        await replica.store.write_changes()
        assert texts_of(page) == ([], [])
    assert group.contents() == {}


async def test_page_that_opened_before_redis_was_emptied_is_erased_too() -> None:
    group = ReplicaGroup()
    first, new = group.replicas
    page = await first.open_page(page_key(0))
    group.client.flushall()
    third = await new.open_page(page_key(1))
    page.conversation.add_user_message("Hello.")
    await first.store.write_changes()
    assert len(group.contents()) == 1
    new.pages.forget(third)
    await new.store.write_changes()
    assert group.contents() == {}


@pytest.mark.parametrize("is_written", [False, True])
async def test_page_that_an_emptied_redis_did_not_know_is_forgotten_too(is_written: bool) -> None:
    group = ReplicaGroup()
    first, new = group.replicas
    page = await first.open_page(page_key(0))
    group.client.flushall()
    page.conversation.add_user_message("Hello.")  # not written yet
    await asyncio.sleep(0.002)  # Redis' clock moves
    new.pages.forget(await new.open_page(page_key(1)))
    await new.store.write_changes()
    if is_written:
        await first.store.write_changes()
        assert texts_of(page) == ([], []) and group.contents() == {}
    assert texts_of(await first.open_page(page_key(0))) == ([], [])


async def test_page_opens_and_is_stored_where_the_clock_of_redis_was_set_back_since_an_erasure() -> None:
    group = ReplicaGroup()
    first, new = group.replicas
    first.pages.forget(await first.open_page(page_key(0)))
    await first.store.write_changes()
    (owner_key,) = owner_keys(group)
    later = float(group.client.zscore(owner_key, "-") or 0) + 3_600_000
    group.client.zadd(owner_key, {"-": later})
    page = await new.open_page(page_key(1))
    page.conversation.add_user_message("Hello.")
    await new.store.write_changes()
    assert texts_of(await first.open_page(page_key(1))) == (["Hello."], [])
