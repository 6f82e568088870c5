"""Shared admission over Debian's Redis, by Redis' own time: messages, and a server that dies, hangs and comes back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from tests.support.shared_state.redis_process import RedisProcess, running_redis
from voicechat.limits.admission import AdmissionKind, AdmissionState, AdmissionTicket, ConcurrencyLimits
from voicechat.protocol.notices import Notice
from voicechat.shared_state.redis_connection import RedisConnection
from voicechat.shared_state.shared_admission import SharedAdmissionController
from voicechat.shared_state.visitor_names import VisitorNames

WAIT_S = 30.0
"""Seconds for anything here to happen on a busy machine."""


class WaitingListener:
    """Session that waits for its ticket."""

    def __init__(self) -> None:
        self.changed = asyncio.Event()

    def on_admission_changed(self) -> None:
        self.changed.set()

    def on_shutdown(self, grace_s: float) -> None:
        pass


class LiveReplica:
    """A replica with its background tasks."""

    def __init__(self, url: str, replica_id: str, limits: ConcurrencyLimits) -> None:
        self.connection = RedisConnection.open(url, "voice")
        self.admission = SharedAdmissionController(limits, self.connection, replica_id, VisitorNames(self.connection))

    async def enter(self, kind: AdmissionKind = AdmissionKind.CALL) -> AdmissionTicket:
        """Return a ticket that has been decided."""
        ticket = self.admission.request_admission(WaitingListener(), kind)
        async with asyncio.timeout(WAIT_S):
            await ticket.decided()
        return ticket


async def wait_until(condition: Callable[[], bool], *tickets: AdmissionTicket) -> None:
    """Wait for a condition that changes when one of the tickets is notified, or when Redis is asked again."""
    async with asyncio.timeout(WAIT_S):
        while not condition():
            events = [each.listener.changed.wait() for each in tickets if isinstance(each.listener, WaitingListener)]
            waiting = [asyncio.create_task(event) for event in events] or [asyncio.create_task(asyncio.sleep(0.05))]
            await asyncio.wait(waiting, timeout=0.2, return_when=asyncio.FIRST_COMPLETED)
            for task in waiting:
                task.cancel()


@asynccontextmanager
async def running_replicas(
    server: RedisProcess, limits: ConcurrencyLimits
) -> AsyncIterator[tuple[LiveReplica, LiveReplica]]:
    replicas = LiveReplica(server.url, "one", limits), LiveReplica(server.url, "two", limits)
    async with AsyncExitStack() as stack:
        for replica in replicas:
            await stack.enter_async_context(replica.connection.run_in_background())
            await stack.enter_async_context(replica.admission.run_in_background())
        await wait_until(lambda: all(each.admission.count_everywhere().replicas == 2 for each in replicas))
        yield replicas


@pytest.fixture
async def redis_server(tmp_path: Path) -> AsyncIterator[RedisProcess]:
    with running_redis(tmp_path) as server:
        yield server


async def test_released_slot_at_one_replica_admits_the_next_at_the_other(redis_server: RedisProcess) -> None:
    async with running_replicas(redis_server, ConcurrencyLimits(calls=1, api_clients=1, queue_length=2)) as (one, two):
        first = await one.enter()
        assert first.state is AdmissionState.ADMITTED
        second, third = await two.enter(), await one.enter()
        assert [(each.state, each.queue_position) for each in (second, third)] == [
            (AdmissionState.QUEUED, 1),
            (AdmissionState.QUEUED, 2),
        ]
        first.release()
        await wait_until(lambda: second.state is AdmissionState.ADMITTED and third.queue_position == 1, second, third)
        client = await two.enter(AdmissionKind.API_CLIENT)
        assert (await one.enter(AdmissionKind.API_CLIENT)).refusal is Notice.SERVER_BUSY
        client.release()


async def test_sessions_outlive_a_redis_that_is_killed_and_comes_back_empty(redis_server: RedisProcess) -> None:
    async with running_replicas(redis_server, ConcurrencyLimits(calls=4, queue_length=2)) as (one, two):
        inside = [await replica.enter() for replica in (one, one, two)]
        redis_server.kill()
        alone = await two.enter()
        assert alone.state is AdmissionState.ADMITTED, "its share is two"
        assert (await two.enter()).refusal is Notice.SERVER_BUSY
        redis_server.start()
        both = (one.admission, two.admission)
        await wait_until(lambda: all(each.count_everywhere().admitted[AdmissionKind.CALL] == 4 for each in both))
        assert all(ticket.state is AdmissionState.ADMITTED for ticket in (*inside, alone))
        waiting = await one.enter()
        assert (waiting.state, waiting.queue_position) == (AdmissionState.QUEUED, 1)
        alone.release()
        await wait_until(lambda: waiting.state is AdmissionState.ADMITTED, waiting)


async def test_sessions_are_decided_while_redis_hangs(redis_server: RedisProcess) -> None:
    async with running_replicas(redis_server, ConcurrencyLimits(calls=4)) as (one, two):
        inside = await one.enter()
        redis_server.freeze()
        alone = [await one.enter(), await one.enter()]
        assert [each.refusal for each in alone] == [None, Notice.SERVER_BUSY]
        assert not one.connection.is_reachable
        redis_server.thaw()
        await wait_until(lambda: two.admission.count_everywhere().admitted[AdmissionKind.CALL] == 2)
        assert inside.state is alone[0].state is AdmissionState.ADMITTED


async def test_lease_of_a_replica_that_stops_ends_by_the_time_of_redis(
    redis_server: RedisProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("voicechat.shared_state.shared_admission.LEASE_S", 3.0)
    limits = ConcurrencyLimits(calls=1, queue_length=1)
    async with running_replicas(redis_server, limits) as (_, two):
        stopped = LiveReplica(redis_server.url, "stopped", limits)
        ticket = stopped.admission.request_admission(WaitingListener(), AdmissionKind.CALL)
        await stopped.admission.synchronise()  # once only: nothing renews its lease
        waiting = await two.enter()
        assert (ticket.state, waiting.state) == (AdmissionState.ADMITTED, AdmissionState.QUEUED)
        await wait_until(lambda: waiting.state is AdmissionState.ADMITTED, waiting)
        await stopped.admission.synchronise()
        assert ticket.refusal is not None and waiting.state is AdmissionState.ADMITTED
