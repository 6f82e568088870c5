"""Shared admission without Redis: shares of the limits, tickets that wait for its return, and a Redis that comes back
empty."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import fakeredis
import pytest
import redis.asyncio as redis

from tests.support.shared_state.fleet_steps import entered, look, started_fleet, states
from tests.support.shared_state.replica_fleet import ReplicaFleet, UnnotifiedSession
from voicechat.limits.admission import AdmissionKind, AdmissionState, ConcurrencyLimits
from voicechat.protocol.notices import Notice
from voicechat.shared_state.redis_connection import RedisConnection, SharedStateUnavailable
from voicechat.shared_state.shared_admission import (
    LEASE_S,
    LOOK_INTERVAL_S,
    OUTAGE_GRACE_S,
    SharedAdmissionController,
)
from voicechat.shared_state.visitor_names import VisitorNames

LEASE_LOOKS = 1 + int(LEASE_S / LOOK_INTERVAL_S)
ADMITTED, QUEUED, RELEASED = AdmissionState.ADMITTED, AdmissionState.QUEUED, AdmissionState.RELEASED


async def test_replicas_without_redis_admit_their_share_and_keep_none_waiting() -> None:
    fleet, _ = await started_fleet(ConcurrencyLimits(calls=5, queue_length=5))
    before = await entered(fleet, fleet.replicas[0])
    for replica in fleet.replicas:
        replica.connection.is_cut = True
    fleet.now += LEASE_S + 1
    sessions = [await entered(fleet, replica) for replica in fleet.replicas for _ in range(4)]
    fleet.now += OUTAGE_GRACE_S
    for replica in fleet.replicas:
        await replica.admission.synchronise()
    refused = [each.ticket.refusal for each in sessions]
    assert refused == [None, None, *[Notice.SERVER_BUSY] * 2, None, None, None, Notice.SERVER_BUSY], "3 of 5 at each"
    assert states(before) == [(ADMITTED, 0)]
    for replica in fleet.replicas:
        replica.connection.is_cut = False
    for replica in fleet.replicas * 2:
        await replica.admission.synchronise()
    inside = [each for each in (before, *sessions) if each.ticket.refusal is None]
    assert states(*inside) == [(ADMITTED, 0)] * 6, "who is in stays in"
    assert fleet.replicas[0].admission.count_everywhere().admitted[AdmissionKind.CALL] == 6
    assert (await entered(fleet, fleet.replicas[1])).ticket.state is QUEUED, "the limit holds for the next one"


async def test_replica_without_redis_counts_the_slots_of_others_while_their_leases_last() -> None:
    fleet, _ = await started_fleet(ConcurrencyLimits(calls=2))
    one, two = fleet.replicas
    for _ in range(2):
        await entered(fleet, one)
    await two.admission.synchronise()
    two.connection.is_cut = True
    await two.admission.synchronise()
    fleet.now += OUTAGE_GRACE_S
    assert (await entered(fleet, two)).ticket.refusal is Notice.SERVER_BUSY
    fleet.now += LEASE_S + 1
    assert (await entered(fleet, two)).ticket.state is ADMITTED


async def test_queued_ticket_is_admitted_by_a_replica_without_redis_when_its_own_slot_is_free() -> None:
    fleet, _ = await started_fleet(ConcurrencyLimits(calls=2, queue_length=1))
    one, two = fleet.replicas
    inside, _, waiting = await entered(fleet, one), await entered(fleet, two), await entered(fleet, one)
    one.connection.is_cut = True
    await one.admission.synchronise()
    assert states(waiting) == [(QUEUED, 1)]
    fleet.release(inside)
    assert states(waiting) == [(ADMITTED, 0)] and waiting.notifications[-1] == (ADMITTED, 0)


async def test_one_late_answer_of_redis_refuses_none_of_the_calls_that_move_from_a_killed_replica() -> None:
    calls = 12
    fleet, _ = await started_fleet(ConcurrencyLimits(calls=2 * calls))
    killed, other = fleet.replicas
    pages = [f"moved {number}" for number in range(calls)]
    for page in pages:
        await entered(fleet, killed, page=page)
    for _ in range(calls):
        await entered(fleet, other)
    fleet.kill(killed)
    other.connection.is_cut = True
    moved = [await entered(fleet, other, page=page) for page in pages]
    assert {each.ticket.state for each in moved} == {AdmissionState.PENDING}
    other.connection.is_cut = False
    await other.admission.synchronise()
    assert states(*moved) == [(ADMITTED, 0)] * calls


async def test_ticket_whose_answer_was_lost_has_one_slot(monkeypatch: pytest.MonkeyPatch) -> None:
    fleet, client = await started_fleet(ConcurrencyLimits(calls=2, calls_per_visitor=1))
    one, two = fleet.replicas
    await entered(fleet, one, "another")
    await two.admission.synchronise()
    answer = two.connection.request

    async def lose(ask: Callable[[redis.Redis], Awaitable[object]]) -> object:
        await answer(ask)
        raise SharedStateUnavailable

    with monkeypatch.context() as patch:
        patch.setattr(two.connection, "request", lose)
        session = await entered(fleet, two, "visitor")
    await two.admission.synchronise()
    assert states(session) == [(ADMITTED, 0)]
    assert await client.hlen("{voice}:admission:entries") == 2
    assert two.admission.count_everywhere().admitted[AdmissionKind.CALL] == 2


async def test_queued_ticket_whose_answer_was_lost_keeps_its_place() -> None:
    fleet, _ = await started_fleet(ConcurrencyLimits(calls=1, queue_length=9))
    first, second = fleet.replicas
    await entered(fleet, first)
    await second.admission.synchronise()
    second.connection.loses_answers = True
    early = await entered(fleet, second)
    assert early.ticket.state is AdmissionState.PENDING
    late = await entered(fleet, first)
    second.connection.loses_answers = False
    await second.admission.synchronise()
    await first.admission.synchronise()
    assert states(early, late) == [(QUEUED, 1), (QUEUED, 2)]


async def test_queued_ticket_that_left_the_offline_server_during_an_outage_holds_no_session_of_it() -> None:
    fleet, _ = await started_fleet(ConcurrencyLimits(calls=1, offline_sessions=1, queue_length=9))
    replica = fleet.replicas[0]
    admitted = await entered(fleet, replica)
    queued = fleet.enter(replica, uses_offline=True)
    await fleet.synchronise(replica)
    replica.connection.is_cut = True
    fleet.switch(queued, False)
    await fleet.synchronise(replica)
    replica.connection.is_cut = False
    await fleet.synchronise(replica)
    assert states(admitted, queued) == [(ADMITTED, 0), (QUEUED, 1)]
    assert not queued.ticket.uses_offline


async def test_replica_that_never_saw_redis_admits_its_share_of_the_expected_replicas() -> None:
    connection = RedisConnection(fakeredis.FakeAsyncRedis(connected=False))
    limits = ConcurrencyLimits(calls=5)
    admission = SharedAdmissionController(limits, connection, "r", VisitorNames(connection), expected_replicas=2)
    tickets = [admission.request_admission(UnnotifiedSession(), AdmissionKind.CALL) for _ in range(4)]
    await admission.synchronise()
    assert [ticket.state for ticket in tickets] == [ADMITTED] * 3 + [AdmissionState.PENDING]


async def test_ticket_released_during_an_outage_leaves_nothing_behind() -> None:
    fleet, client = await started_fleet(ConcurrencyLimits(calls=1))
    one, two = fleet.replicas
    await entered(fleet, one)
    await two.admission.synchronise()
    two.connection.is_cut = True
    session = await entered(fleet, two)
    assert session.ticket.state is AdmissionState.PENDING
    fleet.release(session)
    two.connection.is_cut = False
    await two.admission.synchronise()
    assert session.ticket.state is RELEASED and two.admission.is_empty
    assert await client.hlen("{voice}:admission:entries") == 1


async def test_fault_of_the_client_leaves_no_ticket_pending(monkeypatch: pytest.MonkeyPatch) -> None:
    fleet, client = await started_fleet(ConcurrencyLimits(calls=4, queue_length=2))
    replica = fleet.replicas[0]
    leaving = await entered(fleet, replica)

    async def fail(_: object) -> None:
        raise TypeError("a fault of the client")

    with monkeypatch.context() as patch:
        patch.setattr(replica.connection, "request", fail)
        fleet.release(leaving)
        sessions = [await entered(fleet, replica) for _ in range(3)]
        assert states(*sessions[:2]) == [(ADMITTED, 0)] * 2, "its share"
        fleet.now += OUTAGE_GRACE_S
        await replica.admission.synchronise()
        assert sessions[2].ticket.refusal is Notice.SERVER_BUSY
    await replica.admission.synchronise()
    assert states(*sessions[:2]) == [(ADMITTED, 0)] * 2
    assert await client.hlen("{voice}:admission:entries") == 2, "the slot that was left is free"


async def test_redis_that_comes_back_empty_gets_all_slots_and_the_queue_in_order() -> None:
    fleet, client = await started_fleet(ConcurrencyLimits(calls=3, queue_length=5))
    one, two = fleet.replicas
    inside = [await entered(fleet, replica) for replica in (two, two, one)]
    waiting = [await entered(fleet, replica) for replica in (two, one, two)]
    await one.admission.synchronise()
    await client.flushall()
    await one.admission.synchronise()
    assert states(*inside, waiting[1]) == [(ADMITTED, 0)] * 3 + [(QUEUED, 1)], "the others come back in a moment"
    newcomer = await entered(fleet, one)
    await two.admission.synchronise()
    await one.admission.synchronise()
    assert states(*inside) == [(ADMITTED, 0)] * 3
    assert states(*waiting, newcomer) == [(QUEUED, 1), (QUEUED, 2), (QUEUED, 3), (QUEUED, 4)]
    fleet.release(inside[0])
    await two.admission.synchronise()
    assert states(waiting[0]) == [(ADMITTED, 0)]


async def test_long_silence_of_redis_costs_no_replica_its_slots() -> None:
    fleet, _ = await started_fleet(ConcurrencyLimits(calls=2, queue_length=2))
    one, two = fleet.replicas
    inside = [await entered(fleet, one), await entered(fleet, two)]
    fleet.now += 60.0
    newcomer = await entered(fleet, one)
    assert newcomer.ticket.state is QUEUED, "the other replica may be back a moment later"
    await two.admission.synchronise()
    assert states(*inside) == [(ADMITTED, 0)] * 2


# ---------------------------------------------------------------- live replicas


def replicas_known(fleet: ReplicaFleet) -> list[int]:
    return [replica.admission.count_everywhere().replicas for replica in fleet.replicas]


async def test_replica_counts_those_whose_lease_has_not_ended() -> None:
    fleet, _ = await started_fleet(ConcurrencyLimits(), 3)
    frozen, other, _ = fleet.replicas
    assert replicas_known(fleet) == [3, 3, 3]
    fleet.kill(fleet.replicas[2])
    for _ in range(LEASE_LOOKS):
        await look(fleet, other, 1)
    assert replicas_known(fleet)[:2] == [3, 1]
    await frozen.admission.synchronise()
    await other.admission.synchronise()
    assert replicas_known(fleet)[:2] == [2, 2], "it is awake again"


async def test_number_of_replicas_stays_without_redis_and_until_all_are_back_at_an_empty_one() -> None:
    fleet, client = await started_fleet(ConcurrencyLimits(calls=4), 3)
    one, two, _ = fleet.replicas
    for replica in fleet.replicas:
        replica.connection.is_cut = True
    await look(fleet, one, LEASE_LOOKS)
    assert replicas_known(fleet) == [3, 3, 3]
    await client.flushall()
    one.connection.is_cut = two.connection.is_cut = False
    for replica in (one, two, one, two):
        await replica.admission.synchronise()
    assert replicas_known(fleet) == [3, 3, 3], "the third one may be back a moment later"
    for replica in (one, two, one, two, one, two):
        await look(fleet, replica, 1)
    assert replicas_known(fleet) == [2, 2, 3]


async def test_replica_that_is_back_first_admits_its_share_at_every_exchange() -> None:
    fleet, client = await started_fleet(ConcurrencyLimits(calls=4, queue_length=4))
    one, two = fleet.replicas
    await client.flushall()
    await one.admission.synchronise()
    sessions = [await entered(fleet, one) for _ in range(3)]
    assert [each.ticket.state for each in sessions] == [ADMITTED, ADMITTED, QUEUED]
    two.connection.is_cut = True
    alone = [await entered(fleet, two) for _ in range(3)]
    assert sum(each.ticket.state is ADMITTED for each in alone) == 2
