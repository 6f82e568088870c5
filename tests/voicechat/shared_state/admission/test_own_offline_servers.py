"""Admission of replicas that each have an embedded server of their own: its sessions are not shared."""

from __future__ import annotations

import fakeredis
import pytest

from tests.support.shared_state.comparing_connection import ComparingConnection
from tests.support.shared_state.replica_fleet import UnnotifiedSession
from voicechat.limits.admission import AdmissionKind, AdmissionState, AdmissionTicket, ConcurrencyLimits
from voicechat.shared_state.shared_admission import QUIET_S, SETTLE_S, SharedAdmissionController
from voicechat.shared_state.visitor_names import VisitorNames

LIMITS = ConcurrencyLimits(calls=8, offline_sessions=1, queue_length=5)
ADMITTED, QUEUED = AdmissionState.ADMITTED, AdmissionState.QUEUED


class TwoReplicas:
    """Two replicas on one Redis, by one manual clock."""

    def __init__(self, *, has_own_offline_server: bool) -> None:
        self.now = 1000.0
        self.server = fakeredis.FakeServer()
        self.admissions = [self._open(f"r{number}", has_own_offline_server) for number in range(2)]

    def _open(self, replica_id: str, is_own: bool) -> SharedAdmissionController:
        connection = ComparingConnection(fakeredis.FakeAsyncRedis(server=self.server), clock=lambda: self.now)
        return SharedAdmissionController(
            LIMITS,
            connection,
            replica_id,
            VisitorNames(connection),
            has_own_offline_server=is_own,
            clock=lambda: self.now,
            redis_time_ms=lambda: round(self.now * 1000),
        )

    async def synchronise(self) -> None:
        for admission in self.admissions:
            await admission.synchronise()

    async def settle(self) -> None:
        """Let both announce themselves, until Redis has settled."""
        for _ in range(round(SETTLE_S // (QUIET_S - 0.5)) + 2):
            self.now += QUIET_S - 0.5
            await self.synchronise()

    async def call(self, replica: int) -> AdmissionTicket:
        """Return the decided ticket of a call that needs a session of an embedded server."""
        ticket = self.admissions[replica].request_admission(UnnotifiedSession(), AdmissionKind.CALL, uses_offline=True)
        await self.synchronise()
        return ticket


@pytest.mark.parametrize("is_settled", [True, False], ids=["settled", "settling"])
async def test_own_embedded_servers_admit_one_call_each_and_the_next_waits_for_its_own(is_settled: bool) -> None:
    replicas = TwoReplicas(has_own_offline_server=True)
    if is_settled:
        await replicas.settle()
    first, second, third = await replicas.call(0), await replicas.call(1), await replicas.call(0)
    assert [each.state for each in (first, second, third)] == [ADMITTED, ADMITTED, QUEUED]
    second.release()
    await replicas.synchronise()
    assert third.state is QUEUED, "the free session is at the other replica"
    first.release()
    await replicas.synchronise()
    assert third.state is ADMITTED


async def test_shared_embedded_server_admits_one_call_of_both_replicas() -> None:
    replicas = TwoReplicas(has_own_offline_server=False)
    await replicas.settle()
    first, second = await replicas.call(0), await replicas.call(1)
    assert [each.state for each in (first, second)] == [ADMITTED, QUEUED]
    first.release()
    await replicas.synchronise()
    await replicas.synchronise()
    assert second.state is ADMITTED


async def test_own_embedded_server_admits_its_whole_number_without_redis() -> None:
    replicas = TwoReplicas(has_own_offline_server=True)
    await replicas.settle()
    replicas.server.connected = False
    first = await replicas.call(0)
    assert (first.state, (await replicas.call(0)).state is ADMITTED) == (ADMITTED, False)
