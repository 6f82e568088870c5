"""Shared admission: leases and fencing, replicas without Redis, Redis that comes back empty, and pages that move."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.shared_state.fleet_steps import entered, look, started_fleet, states
from voicechat.limits.admission import SLOT_LOST, AdmissionKind, AdmissionState, ConcurrencyLimits
from voicechat.protocol.notices import Notice
from voicechat.shared_state.shared_admission import (
    HOLD_S,
    LEASE_S,
    LOOK_INTERVAL_S,
    MAX_QUEUED_OPERATIONS,
)

LEASE_LOOKS = 1 + int(LEASE_S / LOOK_INTERVAL_S)
ADMITTED, QUEUED, RELEASED = AdmissionState.ADMITTED, AdmissionState.QUEUED, AdmissionState.RELEASED


async def test_ticket_is_pending_until_redis_answers() -> None:
    fleet, _ = await started_fleet(ConcurrencyLimits(api_clients=1))
    one, two = (fleet.enter(replica, AdmissionKind.API_CLIENT) for replica in fleet.replicas)
    decisions = [asyncio.create_task(each.ticket.decided()) for each in (one, two)]
    await asyncio.sleep(0)
    assert {each.ticket.state for each in (one, two)} == {AdmissionState.PENDING}
    assert not any(task.done() for task in decisions)
    for replica in fleet.replicas:
        assert not replica.admission.is_empty
        await fleet.synchronise(replica)
    await asyncio.gather(*decisions)
    assert (one.ticket.state, two.ticket.refusal) == (ADMITTED, Notice.SERVER_BUSY)


async def test_ticket_released_while_pending_never_reaches_redis() -> None:
    fleet, client = await started_fleet(ConcurrencyLimits(calls=1))
    session = fleet.enter(fleet.replicas[0])
    decision = asyncio.create_task(session.ticket.decided())
    await asyncio.sleep(0)
    fleet.release(session)
    await decision
    await fleet.synchronise(fleet.replicas[0])
    assert await client.hlen("{voice}:admission:entries") == 0
    assert fleet.replicas[0].admission.is_empty and fleet.replicas[0].admission.finished_count == 0


# ---------------------------------------------------------------- leases


async def test_slot_of_a_frozen_replica_is_given_away_and_the_woken_session_is_ended() -> None:
    fleet, _ = await started_fleet(ConcurrencyLimits(calls=1, queue_length=1))
    frozen, other = fleet.replicas
    old, new = await entered(fleet, frozen), await entered(fleet, other)
    await look(fleet, other, LEASE_LOOKS - 1)
    assert states(new) == [(QUEUED, 1)], "the lease lasts"
    await look(fleet, other, 1)
    assert states(new) == [(ADMITTED, 0)]
    await frozen.admission.synchronise()
    assert (old.ticket.state, old.ticket.refusal) == (RELEASED, SLOT_LOST)
    assert old.notifications[-1] == (RELEASED, 0)
    assert frozen.admission.finished_count == 1 and states(new) == [(ADMITTED, 0)]


async def test_woken_session_keeps_a_slot_that_is_still_free() -> None:
    fleet, _ = await started_fleet(ConcurrencyLimits(calls=2, queue_length=2))
    frozen, other = fleet.replicas
    inside, waiting = [await entered(fleet, frozen) for _ in range(2)], await entered(fleet, frozen)
    await look(fleet, other, LEASE_LOOKS)
    await frozen.admission.synchronise()
    assert states(*inside, waiting) == [(ADMITTED, 0), (ADMITTED, 0), (QUEUED, 1)]


async def test_call_of_a_killed_replica_is_admitted_again_before_its_lease_ends() -> None:
    fleet, _ = await started_fleet(ConcurrencyLimits(calls=1, queue_length=2, calls_per_visitor=1))
    killed, other = fleet.replicas
    await entered(fleet, killed, "visitor", "page")
    fleet.kill(killed)
    refused, again = await entered(fleet, other, "visitor", "another"), await entered(fleet, other, "visitor", "page")
    assert refused.ticket.refusal is Notice.VISITOR_CALL_LIMIT
    assert states(again) == [(ADMITTED, 0)]


async def test_queued_call_of_a_killed_replica_keeps_its_number() -> None:
    fleet, _ = await started_fleet(ConcurrencyLimits(calls=1, queue_length=5), 3)
    killed, other, third = fleet.replicas
    await entered(fleet, third)
    await entered(fleet, killed, page="page")
    behind = await entered(fleet, other)
    fleet.kill(killed)
    again = await entered(fleet, other, page="page")
    assert states(again, behind) == [(QUEUED, 1), (QUEUED, 2)]


# ---------------------------------------------------------------- shutdown


async def test_shutdown_of_one_replica_keeps_the_numbers_of_its_pages() -> None:
    fleet, _ = await started_fleet(ConcurrencyLimits(calls=1, queue_length=5))
    closing, other = fleet.replicas
    inside, moving = await entered(fleet, closing), await entered(fleet, closing, page="page")
    behind, emptied = await entered(fleet, other), list[bool]()
    closing.admission.begin_shutdown(9.0, lambda: emptied.append(True))
    assert inside.shutdown_grace_s == 9.0 and moving.ticket.refusal is Notice.CLOSING
    assert fleet.enter(closing).ticket.refusal is Notice.CLOSING
    await closing.admission.synchronise()
    await other.admission.synchronise()
    assert states(behind) == [(QUEUED, 2)], "the page that moves has number 1"
    moved = await entered(fleet, other, page="page")
    assert states(moved, behind) == [(QUEUED, 1), (QUEUED, 2)]
    assert not emptied
    fleet.release(inside)
    await closing.admission.synchronise()
    await other.admission.synchronise()
    assert emptied and states(moved, behind) == [(ADMITTED, 0), (QUEUED, 1)]


async def test_number_of_a_page_that_does_not_come_is_given_up() -> None:
    fleet, _ = await started_fleet(ConcurrencyLimits(calls=1, queue_length=5))
    closing, other = fleet.replicas
    await entered(fleet, other)
    await entered(fleet, closing, page="page")
    behind = await entered(fleet, other)
    closing.admission.begin_shutdown(9.0)
    await closing.admission.synchronise()
    await look(fleet, other, 1 + int(HOLD_S / LOOK_INTERVAL_S))
    assert states(behind) == [(QUEUED, 1)]


async def test_replica_that_ends_gives_its_slots_back_at_once() -> None:
    fleet, _ = await started_fleet(ConcurrencyLimits(calls=1, queue_length=1))
    ending, other = fleet.replicas
    await entered(fleet, ending)
    waiting = await entered(fleet, other)
    async with ending.admission.run_in_background():
        pass
    await other.admission.synchronise()
    assert states(waiting) == [(ADMITTED, 0)] and other.admission.count_everywhere().replicas == 1


# ---------------------------------------------------------------- the offline server


async def test_session_with_a_slot_moves_to_the_offline_server_when_redis_agrees() -> None:
    fleet, _ = await started_fleet(ConcurrencyLimits(calls=3, offline_sessions=1))
    one, two = fleet.replicas
    first, second = await entered(fleet, one), await entered(fleet, two)
    assert not first.ticket.switch_server(True), "Redis has not answered yet"
    await one.admission.synchronise()
    assert first.ticket.switch_server(True) and first.ticket.uses_offline
    assert not second.ticket.switch_server(True)
    await two.admission.synchronise()
    assert not second.ticket.switch_server(True), "the other replica has the only session"
    assert first.ticket.switch_server(False)
    await one.admission.synchronise()
    await two.admission.synchronise()
    assert second.ticket.switch_server(True)


# ---------------------------------------------------------------- data


async def test_visitor_in_redis_is_a_digest_that_all_replicas_share() -> None:
    fleet, client = await started_fleet(ConcurrencyLimits(calls=3, calls_per_visitor=1))
    one, two = fleet.replicas
    first, second = await entered(fleet, one, "203.0.113.77", "canary-page"), await entered(fleet, two, "203.0.113.77")
    assert (first.ticket.state, second.ticket.refusal) == (ADMITTED, Notice.VISITOR_CALL_LIMIT)
    stored = b"".join(await client.hvals("{voice}:admission:entries"))
    assert b"visitor" in stored and b"203.0.113.77" not in stored and b"canary" not in stored
    await client.flushall()
    for replica in fleet.replicas * 2:
        await replica.admission.synchronise()
    assert (await entered(fleet, two, "203.0.113.77")).ticket.refusal is Notice.VISITOR_CALL_LIMIT


async def test_operations_are_bounded_and_the_next_beat_replaces_those_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert MAX_QUEUED_OPERATIONS >= 1000
    monkeypatch.setattr("voicechat.shared_state.shared_admission.MAX_QUEUED_OPERATIONS", 2)
    fleet, client = await started_fleet(ConcurrencyLimits(calls=9))
    replica = fleet.replicas[0]
    inside = [await entered(fleet, replica) for _ in range(3)]
    for session in inside:
        session.ticket.release()
    assert fleet.enter(replica).ticket.refusal is Notice.SERVER_BUSY
    await replica.admission.synchronise()
    assert await client.hlen("{voice}:admission:entries") == 0


async def test_queue_keeps_its_order_while_replicas_come_back() -> None:
    fleet, client = await started_fleet(ConcurrencyLimits(calls=1, queue_length=5))
    one, two = fleet.replicas
    inside, first, second = await entered(fleet, one), await entered(fleet, two), await entered(fleet, one)
    await client.flushall()
    await one.admission.synchronise()
    await two.admission.synchronise()
    fleet.release(inside)
    await one.admission.synchronise()
    assert states(first, second) == [(QUEUED, 1), (QUEUED, 2)]
    newcomer = await entered(fleet, one)
    for replica in (one, one, two, one):  # until Redis has settled
        await look(fleet, replica, 1)
    assert states(first, second, newcomer) == [(ADMITTED, 0), (QUEUED, 1), (QUEUED, 2)]
