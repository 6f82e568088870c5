"""Index of admission: an exchange reads no entry that it does not need, and lost or foreign contents are read again."""

from __future__ import annotations

import asyncio

import fakeredis
import pytest
import redis.asyncio as redis
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.shared_state.comparing_connection import ComparingConnection
from tests.support.shared_state.cuttable_connection import CuttableConnection
from tests.support.shared_state.replica_fleet import Replica, ReplicaFleet, SharedSession
from voicechat.limits.admission import AdmissionKind, AdmissionState, ConcurrencyLimits
from voicechat.shared_state.shared_admission import LOOK_INTERVAL_S

LIMITS = ConcurrencyLimits(calls=20, chats=20, queue_length=5, calls_per_visitor=2)
ENTRIES, META = "{voice}:admission:entries", "{voice}:admission:meta"
KEYS = (ENTRIES, "{voice}:admission:replicas", META, "{voice}:admission:index")
ADMITTED = AdmissionState.ADMITTED


async def started_fleet(
    connection_type: type[CuttableConnection], replica_count: int = 2
) -> tuple[ReplicaFleet, redis.Redis]:
    server = fakeredis.FakeServer()
    fleet = ReplicaFleet(LIMITS, lambda: fakeredis.FakeAsyncRedis(server=server), replica_count, connection_type)
    await fleet.start()
    return fleet, fakeredis.FakeAsyncRedis(server=server)


async def entered(
    fleet: ReplicaFleet, replica: Replica, kind: AdmissionKind = AdmissionKind.CALL, visitor: str = ""
) -> SharedSession:
    session = fleet.enter(replica, kind, visitor)
    await replica.admission.synchronise()
    return session


async def test_exchange_reads_no_entry_of_other_replicas_calls() -> None:
    fleet, client = await started_fleet(CuttableConnection)
    one, two = fleet.replicas
    unread = [await entered(fleet, two, visitor="b") for _ in range(2)]
    await entered(fleet, one, visitor="a")
    for entry_id in await client.hkeys(ENTRIES):
        if b"r1" in await client.hget(ENTRIES, entry_id):
            await client.hset(ENTRIES, entry_id, "unreadable")
    session, chat = await entered(fleet, one, visitor="a"), await entered(fleet, one, AdmissionKind.CHAT)
    assert session.ticket.state is chat.ticket.state is ADMITTED
    fleet.release(session)
    await one.admission.synchronise()
    fleet.now += LOOK_INTERVAL_S
    await one.admission.synchronise()
    assert one.connection.is_reachable
    counts = one.admission.count_everywhere().admitted
    assert (counts[AdmissionKind.CALL], counts[AdmissionKind.CHAT]) == (3, 1)
    assert all(each.ticket.state is ADMITTED for each in unread)
    await client.hdel(META, "indexed")
    counts_before = one.admission.count_everywhere()
    await one.admission.synchronise()
    assert one.admission.count_everywhere() is counts_before, "without the index it reads all of them, and fails"


@settings(max_examples=15)
@given(st.lists(st.tuples(st.sampled_from(KEYS), st.integers(0, 1)), max_size=4), st.booleans())
def test_key_that_redis_evicts_costs_no_session_and_no_slot(
    lost: list[tuple[str, int]], is_visitor_known: bool
) -> None:
    async def run() -> None:
        fleet, client = await started_fleet(ComparingConnection)
        visitor = "visitor" if is_visitor_known else ""
        sessions = [await entered(fleet, replica, visitor=visitor) for replica in fleet.replicas]
        for key, number in lost:
            await client.delete(key)
            if key == ENTRIES:
                for replica in fleet.replicas:  # what a replica does not list in time is lost with the key
                    replica.admission._on_redis_return()
            await fleet.replicas[number].admission.synchronise()
        for replica in fleet.replicas * 2:
            await replica.admission.synchronise()
        assert [each.ticket.state for each in sessions] == [ADMITTED, ADMITTED]
        for session in sessions:
            fleet.release(session)
        for replica in fleet.replicas * 2:
            await replica.admission.synchronise()
        assert set(fleet.replicas[0].admission.count_everywhere().admitted.values()) == {0}
        assert not await client.exists(ENTRIES, KEYS[3])

    asyncio.run(run())


async def test_entering_page_takes_the_slot_that_only_the_index_of_pages_leads_to() -> None:
    fleet, _ = await started_fleet(ComparingConnection)
    killed, other = fleet.replicas
    for _ in range(LIMITS.calls - 1):
        await entered(fleet, other)
    old = await entered(fleet, killed)
    fleet.kill(killed)
    again = fleet.enter(other, resume_id=old.ticket.resume_id)
    await other.admission.synchronise()
    assert again.ticket.state is ADMITTED, "its lease has not ended"


@pytest.mark.parametrize("visitor", ["", "visitor"])
async def test_change_by_a_version_without_an_index_is_read(visitor: str) -> None:
    fleet, client = await started_fleet(ComparingConnection)
    one, two = fleet.replicas
    await entered(fleet, two, visitor=visitor)
    entry_id, entry = next(iter((await client.hgetall(ENTRIES)).items()))
    await client.hset(ENTRIES, entry_id, entry.replace(b'"admitted"', b'"releasing"'))
    await client.hset(META, "last", round(fleet.now * 1000) + 1)
    await one.admission.synchronise()
    assert one.admission.count_everywhere().admitted[AdmissionKind.CALL] == 0
    await two.admission.synchronise()


async def test_contents_end_after_the_last_exchange() -> None:
    fleet, client = await started_fleet(CuttableConnection)
    await entered(fleet, fleet.replicas[0])
    assert all([0 < await client.ttl(key) <= 60 for key in KEYS])
