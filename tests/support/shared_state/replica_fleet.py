"""Several replicas with shared admission over one Redis, and the pure controller beside them as their oracle.

Each operation reaches the oracle when its replica exchanges with Redis, in the same order. After an exchange the
tickets of that replica must be what the oracle says. What the oracle does not know (leases, and replicas without
Redis) is applied to it here, by its own rules.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import redis.asyncio as redis

from tests.support.shared_state.cuttable_connection import CuttableConnection
from voicechat.limits.admission import SLOT_LOST, AdmissionKind, AdmissionState, AdmissionTicket, ConcurrencyLimits
from voicechat.limits.waiting_queue import AdmissionController
from voicechat.shared_state.shared_admission import (
    LEASE_S,
    LOOK_INTERVAL_S,
    OUTAGE_GRACE_S,
    QUIET_S,
    RESYNC_AFTER_S,
    SharedAdmissionController,
)
from voicechat.shared_state.visitor_names import VisitorNames

HELD_STATES = (AdmissionState.QUEUED, AdmissionState.ADMITTED, AdmissionState.RELEASING)


class SharedSession:
    """A session at one replica: its ticket there, and the oracle's."""

    def __init__(
        self, fleet: ReplicaFleet, replica: Replica, kind: AdmissionKind, visitor: str = "", resume_id: str = ""
    ) -> None:
        self.replica = replica
        self.notifications: list[tuple[AdmissionState, int]] = []
        self.ticket = AdmissionTicket(replica.admission, self, kind, visitor, resume_id)
        self.expected = AdmissionTicket(fleet.oracle, UnnotifiedSession(), kind, visitor, resume_id)
        self.arrival = 0
        """Number of arrival at Redis; 0 before it."""
        self.shutdown_grace_s: float | None = None

    def on_admission_changed(self) -> None:
        self.notifications.append((self.ticket.state, self.ticket.queue_position))

    def on_shutdown(self, grace_s: float) -> None:
        self.shutdown_grace_s = grace_s

    def assert_as_expected(self) -> None:
        """Check that the replica knows what the oracle says."""
        ours, oracle = self.ticket, self.expected
        if ours.state is AdmissionState.RELEASED:
            assert oracle.state is AdmissionState.RELEASED
            assert ours.refusal in (None, oracle.refusal)
        else:
            assert (ours.state, ours.queue_position) == (oracle.state, oracle.queue_position)
            assert ours.uses_offline == oracle.uses_offline


class UnnotifiedSession:
    """Listener of the oracle's tickets."""

    def on_admission_changed(self) -> None:
        pass

    def on_shutdown(self, grace_s: float) -> None:
        pass


class Replica:
    """One replica: it may be frozen, killed, or cut off from Redis."""

    def __init__(self, fleet: ReplicaFleet, replica_id: str, client: redis.Redis) -> None:
        self.id = replica_id
        self.connection = fleet.connection_type(client, clock=lambda: fleet.now)
        self.admission = SharedAdmissionController(
            fleet.limits,
            self.connection,
            replica_id,
            VisitorNames(self.connection),
            clock=lambda: fleet.now,
            redis_time_ms=lambda: round(fleet.now * 1000),
        )
        self.sessions: list[SharedSession] = []
        self.operations: list[tuple[str, SharedSession, bool]] = []
        """Operations that its next exchange brings to Redis."""
        self.unknown_sessions: list[SharedSession] = []
        """Sessions that ended while answers were lost: Redis may have them until the next beat."""
        self.is_running = True
        self.has_missed_message = False
        self.needs_beat = True
        self.lease_end = -math.inf
        self.synchronised_at = -math.inf
        self.replicas_seen = 1
        self.failing_since: float | None = None
        """Time of the first failed exchange since the newest answer."""

    @property
    def is_cut(self) -> bool:
        return self.connection.is_cut

    @property
    def pending(self) -> list[SharedSession]:
        """Sessions that its beat names as not decided."""
        return [each for each in self.sessions if each.ticket.state is AdmissionState.PENDING]

    @property
    def listed(self) -> list[tuple[SharedSession, AdmissionState, bool]]:
        """What its beat says."""
        held = (each for each in self.sessions if each.ticket.state in HELD_STATES)
        return [(each, each.ticket.state, each.ticket.uses_offline) for each in held]


class ReplicaFleet:
    """All replicas and the oracle, by one manual clock."""

    def __init__(
        self,
        limits: ConcurrencyLimits,
        new_client: Callable[[], redis.Redis],
        replica_count: int,
        connection_type: type[CuttableConnection] = CuttableConnection,
    ) -> None:
        self.limits = limits
        self.connection_type = connection_type
        self.now = 1_000_000.0
        self.oracle = AdmissionController(limits)
        self._new_client = new_client
        self._arrivals = 0
        self._pages = 0
        self.replicas = [Replica(self, f"r{number}", new_client()) for number in range(replica_count)]
        self.all_replicas = list(self.replicas)
        self._messages: Any = None
        self.loses_messages = False
        self.reads_messages = True
        """False for a server whose messages arrive at some time."""

    async def start(self) -> None:
        """Let all replicas announce themselves, until Redis has settled."""
        self._messages = self._new_client().pubsub(ignore_subscribe_messages=True)
        await self._messages.subscribe(self.replicas[0].connection.key("admission", "changed"))
        for _ in range(3):
            self.now += QUIET_S - 0.5
            for replica in self.replicas:
                await self.synchronise(replica)

    # ---------------------------------------------------------------- operations of sessions

    def enter(
        self,
        replica: Replica,
        kind: AdmissionKind = AdmissionKind.CALL,
        visitor: str = "",
        uses_offline: bool = False,
        resume_id: str | None = None,
    ) -> SharedSession:
        """Request admission at a replica, for a new page unless `resume_id` names one."""
        self._pages += 1
        session = SharedSession(self, replica, kind, visitor, f"page {self._pages}" if resume_id is None else resume_id)
        replica.sessions.append(session)
        replica.operations.append(("enter", session, False))
        session.ticket.request(uses_offline=uses_offline)
        return session

    def release(self, session: SharedSession, *, begin: bool = False) -> None:
        """Release a session's slot; with `begin`, keep its session of the offline server."""
        before, operations = session.ticket.state, session.replica.operations
        if begin:
            session.ticket.begin_release()
        else:
            session.ticket.release()
        if before is session.ticket.state:
            return
        if session.ticket.state is AdmissionState.RELEASING:
            operations.append(("releasing", session, False))
        elif ("enter", session, False) in operations:
            session.replica.operations = [each for each in operations if each[1] is not session]
        else:
            operations.append(("leave", session, False))

    def switch(self, session: SharedSession, uses_offline: bool) -> None:
        """Move a session to or from the offline server."""
        before, operations = session.ticket.state, session.replica.operations
        if session.ticket.uses_offline == uses_offline:
            return
        session.ticket.switch_server(uses_offline)
        is_asked = ("enter", session, False) not in operations and not session.replica.needs_beat
        if before in (AdmissionState.QUEUED, AdmissionState.ADMITTED) and is_asked:
            operations.append(("switch", session, uses_offline))

    # ---------------------------------------------------------------- faults

    def kill(self, replica: Replica) -> None:
        """End a replica without a word, and start another one in its place."""
        replica.is_running = False
        number = self.replicas.index(replica)
        self.replicas[number] = Replica(self, f"r{number}-{len(self.all_replicas)}", self._new_client())
        self.all_replicas.append(self.replicas[number])

    async def wait_for_looks(self, count: int) -> None:
        """Let time pass; each running replica looks regularly."""
        for _ in range(count):
            self.now += LOOK_INTERVAL_S
            for replica in self.replicas:
                if replica.is_running:
                    await self.synchronise(replica)

    # ---------------------------------------------------------------- exchange

    async def synchronise(self, replica: Replica) -> None:
        """Let a replica exchange with Redis, bring the oracle to the same point, and compare the two."""
        if replica.is_cut:
            replica.unknown_sessions += await self._fail_to_synchronise(replica)
            return
        operations, listed, pending = replica.operations, replica.listed, replica.pending
        offline = {each: each.ticket.uses_offline for _, each, _ in operations}
        with_beat = replica.needs_beat or self.now - replica.synchronised_at > RESYNC_AFTER_S
        is_known = replica.lease_end >= self.now
        if replica.connection.loses_answers:
            replica.unknown_sessions += await self._fail_to_synchronise(replica)
            if not (with_beat or is_known):
                return  # Redis has only asked for all entries
        else:
            replica.operations = []
            await replica.admission.synchronise()
            replica.synchronised_at, replica.failing_since = self.now, None
            replica.needs_beat = replica.has_missed_message = False
        replica.lease_end = self.now + LEASE_S
        self._expire_leases()
        if with_beat:
            self._apply_beat(replica, listed, pending, is_known=is_known)
        for name, session, flag in operations:
            self._apply(name, session, offline[session] if name == "enter" else flag)
        if not replica.connection.loses_answers:
            self._compare(replica)
        await self._deliver_messages()

    async def _fail_to_synchronise(self, replica: Replica) -> list[SharedSession]:
        """Let a replica decide alone, and check that it gives its share only and keeps none waiting for long.

        Returns the sessions that it has refused, or that had ended before.
        """
        ended = []
        asked = [session for name, session, _ in replica.operations if name == "enter"]
        before = {kind: replica.admission.count_admitted(kind) for kind in AdmissionKind}
        await replica.admission.synchronise()
        replica.failing_since = self.now if replica.failing_since is None else replica.failing_since
        kept = [session for session in asked if session.ticket.state is AdmissionState.PENDING]
        replica.needs_beat = True
        replica.operations = [operation for operation in replica.operations if operation[1] in kept]
        assert not kept or self.now - replica.failing_since < OUTAGE_GRACE_S
        for session in asked:
            assert session in kept or session.ticket.state in (AdmissionState.ADMITTED, AdmissionState.RELEASED)
            if session.ticket.state is AdmissionState.RELEASED:
                replica.sessions.remove(session)
                ended.append(session)
        for kind in AdmissionKind:
            share = math.ceil(self.limits.for_kind(kind) / replica.replicas_seen)
            assert replica.admission.count_admitted(kind) <= max(before[kind], share)
        return ended

    def _compare(self, replica: Replica) -> None:
        for session in replica.sessions:
            session.assert_as_expected()
        counts = replica.admission.count_everywhere()
        assert counts.admitted == {kind: self.oracle.count_admitted(kind) for kind in AdmissionKind}
        assert counts.queued == self.oracle.queue_length
        replica.replicas_seen = sum(each.lease_end >= self.now for each in self.all_replicas)
        assert counts.replicas == replica.replicas_seen

    async def _deliver_messages(self) -> None:
        """Wake the replicas that Redis has named, or lose the messages."""
        if not self.reads_messages:
            return
        while (message := await self._messages.get_message()) is not None:
            named = [each for each in self.replicas if each.id in message["data"].decode().split()]
            for replica in named:
                replica.has_missed_message = True
            for replica in named:
                if replica.is_running and not replica.is_cut and not self.loses_messages:
                    await self.synchronise(replica)
        for replica in self.replicas:  # who is not named is not concerned
            is_current = not replica.connection.loses_answers and not (
                replica.has_missed_message or replica.operations or replica.needs_beat
            )
            if is_current and replica.is_running and not replica.is_cut and replica.lease_end >= self.now:
                for session in replica.sessions:
                    session.assert_as_expected()

    # ---------------------------------------------------------------- the oracle

    def _apply(self, name: str, session: SharedSession, flag: bool) -> None:
        ticket = session.expected
        if name == "enter" and ticket.state in HELD_STATES:  # repeated
            if ticket.uses_offline != flag:
                ticket.switch_server(flag)
        elif name == "enter":
            same = (
                each for each in self._sessions if each.expected is not ticket and self._is_same_page(each, session)
            )
            older = next(same, None)
            session.arrival = older.arrival if older is not None else self._next_arrival()
            ticket.request(uses_offline=flag)
        elif name == "leave":
            ticket.release()
        elif name == "releasing" and ticket.state is AdmissionState.ADMITTED:
            self.oracle._release(ticket, AdmissionState.RELEASING)
        elif name == "switch" and ticket.state in (AdmissionState.QUEUED, AdmissionState.ADMITTED):
            ticket.switch_server(flag)

    @property
    def _sessions(self) -> list[SharedSession]:
        return [each for replica in self.all_replicas for each in (*replica.sessions, *replica.unknown_sessions)]

    @staticmethod
    def _is_same_page(older: SharedSession, newer: SharedSession) -> bool:
        ours, theirs = newer.expected, older.expected
        is_there = theirs.state in (AdmissionState.QUEUED, AdmissionState.ADMITTED)
        return is_there and bool(ours.resume_id) and (ours.resume_id, ours.kind) == (theirs.resume_id, theirs.kind)

    def _next_arrival(self) -> int:
        self._arrivals += 1
        return self._arrivals

    def _expire_leases(self) -> None:
        """Drop the entries of the replicas that were silent for too long, all at once."""
        for replica in self.all_replicas:
            if replica.lease_end < self.now:
                replica.lease_end = -math.inf
                self._drop([*replica.sessions, *replica.unknown_sessions], SLOT_LOST)
        self.oracle._admit_queued()

    def _drop(self, sessions: Sequence[SharedSession], refusal: Any) -> None:
        for session in sessions:
            ticket = session.expected
            if self.oracle._tickets.pop(id(ticket), None) is not None:
                ticket.refusal = None if ticket.state is AdmissionState.RELEASING else refusal
                ticket.state, ticket.queue_position = AdmissionState.RELEASED, 0

    def _apply_beat(
        self,
        replica: Replica,
        listed: list[tuple[SharedSession, AdmissionState, bool]],
        pending: list[SharedSession],
        *,
        is_known: bool,
    ) -> None:
        """Bring the oracle to what a replica holds. After the end of its lease it gets only what is still free."""
        names = [*(session for session, _, _ in listed), *pending]
        self._drop([each for each in (*replica.sessions, *replica.unknown_sessions) if each not in names], None)
        replica.unknown_sessions = [each for each in replica.unknown_sessions if each in names]
        for session, state, uses_offline in listed:
            ticket = session.expected
            if ticket.state in HELD_STATES:
                if state is not AdmissionState.QUEUED or ticket.state is AdmissionState.QUEUED:
                    ticket.state, ticket.uses_offline = state, uses_offline
            else:
                ticket.uses_offline = uses_offline
                is_replaced = any(self._is_same_page(each, session) for each in self._sessions)
                is_free = state is AdmissionState.QUEUED or is_known or self._has_room(ticket, state)
                if is_free and not is_replaced:
                    self._insert(session, state)
                else:
                    ticket.refusal = None if state is AdmissionState.RELEASING else SLOT_LOST
            if ticket.state is not AdmissionState.QUEUED:
                ticket.queue_position = 0
        self.oracle._admit_queued()

    def _has_room(self, ticket: AdmissionTicket, state: AdmissionState) -> bool:
        if state is AdmissionState.ADMITTED:
            return self.oracle._has_capacity(ticket)
        return not ticket.uses_offline or self.oracle._has_offline_capacity()

    def _insert(self, session: SharedSession, state: AdmissionState) -> None:
        session.arrival = session.arrival or self._next_arrival()
        ticket = session.expected
        ticket.state, ticket.refusal = state, None
        arrivals = {id(each.expected): each.arrival for each in self._sessions}
        tickets = sorted([*self.oracle._tickets.values(), ticket], key=lambda each: arrivals[id(each)])
        self.oracle._tickets = {id(each): each for each in tickets}
