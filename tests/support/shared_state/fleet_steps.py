"""Steps of tests of shared admission: a fleet of replicas that has settled, and what happens to one session."""

from __future__ import annotations

from collections.abc import Callable

import fakeredis
import redis.asyncio as redis

from tests.support.shared_state.comparing_connection import ComparingConnection
from tests.support.shared_state.replica_fleet import Replica, ReplicaFleet, SharedSession
from voicechat.limits.admission import AdmissionState, ConcurrencyLimits
from voicechat.shared_state.shared_admission import (
    LOOK_INTERVAL_S,
)


async def started_fleet(limits: ConcurrencyLimits, replica_count: int = 2) -> tuple[ReplicaFleet, redis.Redis]:
    """Return replicas that have announced themselves, and a client of their Redis."""
    server = fakeredis.FakeServer()
    new_client: Callable[[], redis.Redis] = lambda: fakeredis.FakeAsyncRedis(server=server)  # noqa: E731
    fleet = ReplicaFleet(limits, new_client, replica_count, ComparingConnection)
    await fleet.start()
    return fleet, new_client()


async def entered(fleet: ReplicaFleet, replica: Replica, visitor: str = "", page: str | None = None) -> SharedSession:
    """Return the session of a call that Redis has decided."""
    session = fleet.enter(replica, visitor=visitor, resume_id=page)
    await replica.admission.synchronise()
    return session


async def look(fleet: ReplicaFleet, replica: Replica, count: int) -> None:
    """Let time pass in which this replica alone looks regularly."""
    for _ in range(count):
        fleet.now += LOOK_INTERVAL_S
        await replica.admission.synchronise()


def states(*sessions: SharedSession) -> list[tuple[AdmissionState, int]]:
    return [(each.ticket.state, each.ticket.queue_position) for each in sessions]
