"""Replicas: leases by the time of Redis."""

from __future__ import annotations

import asyncio

import fakeredis
import pytest
from fakeredis.commands_mixins import server_mixin

from tests.support.manual_clock import ManualClock
from tests.support.shared_state.faulty_connection import Fault, FaultyConnection, restart_empty
from voicechat.shared_state.redis_connection import SharedStateUnavailable
from voicechat.shared_state.replicas import BEATS_PER_LEASE, LEASE_S, Replicas


class RedisTime:
    """Stands for the module `time` in fakeredis."""

    def __init__(self) -> None:
        self.time = ManualClock(1_700_000_000.0)


@pytest.fixture
def redis_time(monkeypatch: pytest.MonkeyPatch) -> ManualClock:
    """Return the clock of Redis."""
    time = RedisTime()
    monkeypatch.setattr(server_mixin, "time", time)
    return time.time


async def test_replica_counts_those_whose_lease_has_not_ended(redis_time: ManualClock) -> None:
    server = fakeredis.FakeServer()
    one, two = Replicas(FaultyConnection(server), "one"), Replicas(FaultyConnection(server), "two")
    assert one.count == 1
    await one.beat()
    await two.beat()
    await one.beat()
    assert one.count == two.count == 2
    redis_time.now += LEASE_S - 0.1
    await one.beat()
    redis_time.now += 0.2
    for _ in range(BEATS_PER_LEASE):
        await one.beat()
    assert one.count == 1


async def test_replica_keeps_the_last_count_without_redis_and_after_a_restart(redis_time: ManualClock) -> None:
    server = fakeredis.FakeServer()
    connection = FaultyConnection(server)
    one, two = Replicas(connection, "one"), Replicas(FaultyConnection(server), "two")
    await two.beat()
    await one.beat()
    connection.fault = Fault.REQUEST_LOST
    for _ in range(BEATS_PER_LEASE):
        with pytest.raises(SharedStateUnavailable):
            await one.beat()
    assert one.count == 2
    connection.fault = Fault.NONE
    await restart_empty(server)
    await one.beat()
    assert one.count == 2, "the other has not renewed its lease yet"


async def test_replica_that_ends_gives_up_its_lease() -> None:
    server = fakeredis.FakeServer()
    has_beaten = asyncio.Event()

    async def sleep(_: float) -> None:
        has_beaten.set()
        await asyncio.Event().wait()

    client = fakeredis.FakeAsyncRedis(server=server)
    async with Replicas(FaultyConnection(server), "one", sleep=sleep).run_in_background():
        await has_beaten.wait()
        assert await client.zcard("{voice}:replicas") == 1
    assert await client.zcard("{voice}:replicas") == 0
