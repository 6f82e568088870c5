"""Shared admission in generated interleavings of two and three replicas, against the controller in memory.

Messages and answers are lost, replicas freeze, die, lose Redis and come back, leases end, and pages move to other
replicas. Beside each exchange the script also reads all entries of a copy, without its index: answer and contents must
be the same.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import fakeredis
import pytest
import redis.asyncio as redis
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.shared_state.comparing_connection import ComparingConnection
from tests.support.shared_state.redis_process import running_redis
from tests.support.shared_state.replica_fleet import HELD_STATES, Replica, ReplicaFleet
from voicechat.limits.admission import AdmissionKind, AdmissionState, ConcurrencyLimits
from voicechat.shared_state.shared_admission import LEASE_S, LOOK_INTERVAL_S

DEFAULT_INTERLEAVINGS, LONG_INTERLEAVINGS = 15, 10_000
LEASE_LOOKS = 1 + int(LEASE_S / LOOK_INTERVAL_S)
"""Looks of the others in which the lease of a silent replica ends."""
NUMBERS = st.integers(0, 40)
LIMITS = st.builds(
    ConcurrencyLimits,
    calls=st.integers(1, 3),
    chats=st.integers(1, 3),
    api_clients=st.integers(1, 3),
    offline_sessions=st.integers(1, 3),
    queue_length=st.integers(0, 4),
    calls_per_visitor=st.integers(0, 2),
)
ENTERS = st.tuples(
    st.just("enter"), NUMBERS, st.sampled_from(AdmissionKind), st.sampled_from(["", "a", "b"]), st.booleans()
)
FAULTS = st.tuples(st.sampled_from(["freeze", "thaw", "kill", "cut", "deafen", "join"]), NUMBERS)
STEPS = st.one_of(
    ENTERS,
    ENTERS,
    st.tuples(st.just("synchronise"), NUMBERS),
    st.tuples(st.just("synchronise"), NUMBERS),
    st.tuples(st.sampled_from(["release", "begin_release"]), NUMBERS),
    st.tuples(st.just("switch"), NUMBERS, st.booleans()),
    st.tuples(st.just("move"), NUMBERS, NUMBERS),
    st.tuples(st.just("look"), st.integers(1, LEASE_LOOKS)),
    st.tuples(st.just("lose messages"), st.booleans()),
    FAULTS,
)
INTERLEAVINGS = st.lists(STEPS, min_size=12, max_size=60)
Step = tuple[object, ...]


def usable(fleet: ReplicaFleet) -> list[Replica]:
    """Return the replicas that run and get answers."""
    found = (replica for replica in fleet.replicas if replica.is_running and not replica.is_cut)
    return [replica for replica in found if not replica.connection.loses_answers]


async def take_step(fleet: ReplicaFleet, step: Step) -> None:
    """Take one step; what is not possible is left out."""
    name, arguments = step[0], step[1:]
    number = arguments[0]
    assert isinstance(number, int)
    replica = fleet.replicas[number % len(fleet.replicas)]
    sessions = [each for other in fleet.replicas if other.is_running for each in other.sessions]
    session = sessions[number % len(sessions)] if sessions else None
    if name == "look":
        await fleet.wait_for_looks(number)
    elif name == "lose messages":
        fleet.loses_messages = bool(number)
    elif name == "thaw":
        replica.is_running = True
    elif name == "join":
        replica.connection.is_cut = replica.connection.loses_answers = False
    elif name in ("freeze", "kill", "cut", "deafen"):
        if [each for each in usable(fleet) if each is not replica]:
            if name == "freeze":
                replica.is_running = False
            elif name == "kill":
                fleet.kill(replica)
            elif name == "cut":
                replica.connection.is_cut = True
            else:
                replica.connection.loses_answers = True
    elif name == "enter" and replica.is_running:
        kind, visitor, uses_offline = arguments[1:]
        fleet.enter(replica, AdmissionKind(kind), str(visitor), bool(uses_offline))
    elif name == "synchronise" and replica.is_running:
        await fleet.synchronise(replica)
    elif name == "move":
        known = [each for other in fleet.all_replicas for each in other.sessions]
        moving = [each for each in known if each.ticket.state in HELD_STATES] or known
        target = fleet.replicas[int(str(arguments[1])) % len(fleet.replicas)]
        if moving and target.is_running:
            old = moving[number % len(moving)].ticket
            fleet.enter(target, old.kind, old.visitor, old.uses_offline, old.resume_id)
    elif session is not None and name == "switch":
        fleet.switch(session, bool(arguments[1]))
    elif session is not None and name in ("release", "begin_release"):
        fleet.release(session, begin=name == "begin_release")


async def run_interleaving(
    limits: ConcurrencyLimits, replica_count: int, steps: list[Step], redis_url: str = ""
) -> None:
    """Run one interleaving on a Redis in this process, or on the one at an address, which is emptied."""
    server = fakeredis.FakeServer()
    clients: list[redis.Redis] = []

    def new_client() -> redis.Redis:
        new = redis.Redis.from_url(redis_url) if redis_url else fakeredis.FakeAsyncRedis(server=server)
        clients.append(new)
        return new

    await new_client().flushall()
    try:
        fleet = ReplicaFleet(limits, new_client, replica_count, ComparingConnection)
        await _run_interleaving(fleet, steps, reads_messages=not redis_url)
    finally:
        for client in clients:
            await client.aclose()


async def _run_interleaving(fleet: ReplicaFleet, steps: list[Step], *, reads_messages: bool) -> None:
    fleet.reads_messages, replica_count = reads_messages, len(fleet.replicas)
    await fleet.start()
    for step in steps:
        await take_step(fleet, step)
    fleet.loses_messages = False
    for replica in fleet.replicas:
        replica.is_running, replica.connection.is_cut, replica.connection.loses_answers = True, False, False
    await fleet.wait_for_looks(LEASE_LOOKS if len(fleet.all_replicas) > replica_count else 1)
    for replica in fleet.replicas:
        for session in replica.sessions:
            fleet.release(session)
    await fleet.wait_for_looks(1)
    assert fleet.oracle.is_empty
    connection = fleet.replicas[0].connection
    left = await connection.request(lambda client: client.hgetall(connection.key("admission", "entries")))
    assert left == {}, "a slot is lost"
    admitted = [fleet.enter(fleet.replicas[0]) for _ in range(fleet.limits.calls)]
    await fleet.synchronise(fleet.replicas[0])
    assert all(session.ticket.state is AdmissionState.ADMITTED for session in admitted)


@settings(max_examples=DEFAULT_INTERLEAVINGS)
@given(LIMITS, st.sampled_from([2, 3]), INTERLEAVINGS)
def test_shared_admission_in_any_interleaving_equals_admission_in_memory(
    limits: ConcurrencyLimits, replica_count: int, steps: list[Step]
) -> None:
    asyncio.run(run_interleaving(limits, replica_count, steps))


def test_shared_admission_on_a_redis_server_equals_admission_in_memory(tmp_path: Path) -> None:
    with running_redis(tmp_path) as server:

        @settings(max_examples=DEFAULT_INTERLEAVINGS)
        @given(LIMITS, st.sampled_from([2, 3]), INTERLEAVINGS)
        def run(limits: ConcurrencyLimits, replica_count: int, steps: list[Step]) -> None:
            asyncio.run(run_interleaving(limits, replica_count, steps, server.url))

        run()


@pytest.mark.long
@pytest.mark.timeout(7200)
@settings(max_examples=LONG_INTERLEAVINGS)
@given(LIMITS, st.sampled_from([2, 3]), INTERLEAVINGS)
def test_shared_admission_in_many_interleavings_equals_admission_in_memory(
    limits: ConcurrencyLimits, replica_count: int, steps: list[Step]
) -> None:
    asyncio.run(run_interleaving(limits, replica_count, steps))
