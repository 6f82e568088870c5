"""Full Redis: its memory is used up, and it evicts nothing. Replicas do not take that for an outage."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import redis

from tests.support.shared_state.redis_process import RedisProcess, running_redis
from tests.support.shared_state.replica import TTL_S, page_key, texts_of
from voicechat.config.groups.limit_settings import LimitSettings
from voicechat.config.groups.scale_settings import ScaleSettings
from voicechat.config.settings import Settings
from voicechat.limits.admission import AdmissionKind
from voicechat.session.conversation_store import InMemoryConversationStore
from voicechat.session.page_resume import PageResume
from voicechat.session.visitor import Visitor
from voicechat.shared_state.conversations.redis_conversation_store import RedisConversationStore
from voicechat.shared_state.redis_connection import FAILURES_TO_OPEN, SharedStateFull
from voicechat.shared_state.services import SharedServices

LIMIT_BYTES, FILLING_BYTES = 16_000_000, 50_000
FILLING = "filling"


class FullReplica:
    """Services, pages and conversations of one process."""

    def __init__(self, server: RedisProcess) -> None:
        limits = LimitSettings(max_visitor_seconds_per_day=100)
        self.services = SharedServices.open(Settings(scale=ScaleSettings(redis_url=server.url), limits=limits))
        self.connection = self.services.connection
        self.store = RedisConversationStore(
            self.connection, self.services.names, InMemoryConversationStore(TTL_S), TTL_S
        )
        self.pages = PageResume(self.store)

    async def open_page(self, number: int = 0) -> Visitor:
        visitor = Visitor()
        await self.pages.fetch(page_key(number), visitor)
        self.pages.open_page(page_key(number), visitor)
        return visitor


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisProcess]:
    with running_redis(tmp_path, "--maxmemory", str(LIMIT_BYTES), "--maxmemory-policy", "noeviction") as process:
        yield process


@asynccontextmanager
async def replicas(server: RedisProcess, count: int = 1) -> AsyncIterator[list[FullReplica]]:
    """Return replicas whose tasks do not run, and close their connections in the end."""
    found = [FullReplica(server) for _ in range(count)]
    try:
        yield found
    finally:
        for each in found:
            await each.connection._client.aclose()


def fill(server: RedisProcess) -> None:
    """Use up the server's memory."""
    with redis.Redis(port=server.port) as client:
        with pytest.raises(redis.exceptions.OutOfMemoryError):
            for _ in range(LIMIT_BYTES):
                client.rpush(FILLING, "x" * FILLING_BYTES)
        client.config_set("maxmemory", LIMIT_BYTES - 40 * FILLING_BYTES)  # buffers of connections make no room


def make_room(server: RedisProcess) -> None:
    with redis.Redis(port=server.port) as client:
        client.delete(FILLING)


def stored_fields(server: RedisProcess) -> int:
    """Return the number of sealed fields of all conversations."""
    with redis.Redis(port=server.port) as client:
        keys = client.keys("*:conversation:*")
        assert isinstance(keys, list)
        return sum(b":" in field for key in keys for field in client.hkeys(key))  # type: ignore[union-attr]


async def test_full_redis_is_reachable_and_warned_of_once(
    server: RedisProcess, caplog: pytest.LogCaptureFixture
) -> None:
    async with replicas(server) as (replica,):
        fill(server)
        for _ in range(FAILURES_TO_OPEN + 1):
            with pytest.raises(SharedStateFull):
                await replica.connection.request(lambda client: client.set("word", "x"))
        assert replica.connection.is_reachable
        assert await replica.connection.request(lambda client: client.ping())
        assert [record.getMessage() for record in caplog.records] == ["shared state: redis is full"]


async def test_conversation_is_written_once_there_is_room(server: RedisProcess) -> None:
    async with replicas(server, 2) as (replica, other):
        visitor = await replica.open_page()
        visitor.conversation.add_user_message("One.")
        await replica.store.write_changes()
        fill(server)
        visitor.conversation.add_user_message("Two.")
        late = await replica.open_page(1)
        late.conversation.add_user_message("Late.")
        for _ in range(3):
            await replica.store.write_changes()
        assert stored_fields(server) == 1, "neither a change nor a whole record"
        replica.store._on_return()
        await replica.store.write_changes()
        assert stored_fields(server) == 1
        make_room(server)
        await replica.store.write_changes()
        assert texts_of(await other.open_page())[0] == ["One.", "Two."]
        assert texts_of(await other.open_page(1))[0] == ["Late."]


@pytest.mark.parametrize("erasure", ["clear", "forget"])
async def test_erasure_needs_no_room(server: RedisProcess, erasure: str) -> None:
    async with replicas(server) as (replica,):
        visitor = await replica.open_page()
        visitor.conversation.add_user_message("Secret.")
        await replica.store.write_changes()
        fill(server)
        new = await replica.open_page(1)
        new.conversation.add_user_message("It has no room.")
        await replica.store.write_changes()
        if erasure == "clear":
            await visitor.clear()
        else:
            replica.pages.forget(visitor)
        await replica.store.write_changes()
        assert stored_fields(server) == 0


async def test_page_moves_to_another_replica(server: RedisProcess) -> None:
    async with replicas(server, 2) as (replica, other):
        visitor = await replica.open_page()
        visitor.conversation.add_user_message("Hello.")
        await replica.store.write_changes()
        fill(server)
        assert texts_of(await other.open_page())[0] == ["Hello."]
        visitor.conversation.add_user_message("Late.")
        await replica.store.write_changes()
        assert texts_of(visitor) == ([], []), "it learns that another replica has the page"


async def test_limits_of_all_replicas_still_hold(server: RedisProcess) -> None:
    async with replicas(server, 2) as (replica, other):
        for each in (replica, other):
            await each.services.admission.synchronise()
        fill(server)
        for each in (replica, other):
            each.services.daily_quota.add("visitor", 60)
            each.services.daily_spend.add(1.0)
            await each.services.sum_exchange.exchange_due()
            each.services.admission.request_admission(FullRedisListener(), AdmissionKind.CALL)
            await each.services.admission.synchronise()
            assert await each.services.password_attempts.take("visitor")
        counts = other.services.admission.count_everywhere()
        assert (counts.admitted[AdmissionKind.CALL], counts.replicas) == (2, 2)
        assert other.services.daily_quota.is_exhausted("visitor")
        assert other.services.daily_spend.today_usd >= 2.0
        assert replica.connection.is_reachable and other.connection.is_reachable


class FullRedisListener:
    """Listener of a ticket that needs no news."""

    def on_admission_changed(self) -> None:
        pass

    def on_shutdown(self, grace_s: float) -> None:
        pass
