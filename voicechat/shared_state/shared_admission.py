"""Shared admission: the slots and the waiting queue of several replicas, in Redis.

`admission.lua` decides, by the rules of `limits/waiting_queue.py`. Each replica holds its entries there under a lease,
which every exchange renews. The number of leases is the number of live replicas, for all of shared state.
A ticket is pending until the answer to its exchange; other operations are sent in order. While Redis does not answer,
the replica decides alone: sessions stay, and new ones get its share of each limit. Those beyond it are pending for
`OUTAGE_GRACE_S`, then refused: none waits in a queue. Afterwards one `beat` brings Redis to what this replica holds.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from voicechat.limits.admission import (
    SLOT_LOST,
    Admission,
    AdmissionKind,
    AdmissionState,
    AdmissionTicket,
    ConcurrencyLimits,
    SlotCounts,
)
from voicechat.logs import error_location
from voicechat.protocol.failures import Failure
from voicechat.protocol.notices import Notice

from .admission_entries import OFFLINE, AdmissionEntry, AdmissionOperation, limits_to_json
from .redis_connection import RedisConnection, SharedStateUnavailable
from .visitor_names import VisitorNames

log = logging.getLogger(__name__)

LOOK_INTERVAL_S = 2.0
"""Seconds between two exchanges without a reason: each renews the lease, and finds what a lost message announced."""
LEASE_S = 10.0
"""Seconds after which the slots of a silent replica are given away."""
RESYNC_AFTER_S = 5.0
"""Seconds without an answer after which a replica lists all its entries again."""
OUTAGE_GRACE_S = 3.5
"""Seconds after the first failed exchange in which a ticket beyond this replica's share stays pending: a pause of the
circuit breaker, a ping and an exchange. Redis may only have been slow once."""
RETRY_INTERVAL_S = 0.5
"""Seconds between two exchanges while operations are due."""
QUIET_S = 4.0
"""Seconds without any exchange after which Redis was away, and leases do not expire for `SETTLE_S`."""
SETTLE_S = 5.0
"""Seconds for the replicas to come back: a pause of the circuit breaker, a ping and an exchange."""
HOLD_S = 30.0
"""Seconds for which a queued visitor keeps the number while the page moves to another replica."""
KEEP_S = 60.0
"""Seconds after the last exchange of any replica in which Redis keeps all this."""
MAX_QUEUED_OPERATIONS = 2000
"""Operations that wait for their exchange. Beyond it new sessions are refused."""
SCRIPT = Path(__file__).with_name("admission.lua").read_text("utf-8")
_REFUSALS = {"visitor": Notice.VISITOR_CALL_LIMIT, "busy": Notice.SERVER_BUSY}


class SharedAdmissionController(Admission):
    """Slots of this replica, decided over Redis. For one event loop."""

    def __init__(
        self,
        limits: ConcurrencyLimits,
        connection: RedisConnection,
        replica_id: str,
        names: VisitorNames,
        *,
        expected_replicas: int = 1,
        has_own_offline_server: bool = False,
        clock: Callable[[], float] = time.monotonic,
        redis_time_ms: Callable[[], int] | None = None,
    ) -> None:
        """`expected_replicas`: those that share the limits before Redis has first answered.

        `has_own_offline_server`: its sessions count for this replica alone. `redis_time_ms`: in tests.
        """
        super().__init__(limits)
        self.replica_id = replica_id
        self._connection = connection
        self._clock = clock
        self._redis_time_ms = redis_time_ms
        self._names = names
        self._has_own_offline_server = has_own_offline_server
        self._keys = [connection.key("admission", part) for part in ("entries", "replicas", "meta", "index")]
        self._channel = connection.key("admission", "changed")
        self._entries: dict[AdmissionTicket, AdmissionEntry] = {}
        self._outbox: list[AdmissionOperation] = []
        self._wake = asyncio.Event()
        self._exchanging = asyncio.Lock()
        self._needs_beat = True
        self._is_alone = False
        """Redis did not answer the newest exchange."""
        self._failing_since = 0.0
        """Time of the first failed exchange since the newest answer. Valid while the replica is alone."""
        self._is_stopping = self._is_leaving = False
        self._answered_at = clock()
        """Time at which the newest answered exchange began."""
        self._counts = SlotCounts(dict.fromkeys(AdmissionKind, 0), 0, expected_replicas)
        self._seq = 0
        """Newest number of arrival, in the newest answer."""
        self._others: dict[str, int] = {}
        """Slots of the other replicas by limit, in the newest answers."""
        connection.subscribe(self._channel, self._on_message)
        connection.on_return(self._on_redis_return)

    def count_everywhere(self) -> SlotCounts:
        return self._counts

    # ---------------------------------------------------------------- operations

    def _request(self, ticket: AdmissionTicket) -> None:
        if self.shutdown_grace_s is not None:
            ticket.refusal = Notice.CLOSING
        elif len(self._outbox) >= MAX_QUEUED_OPERATIONS:
            ticket.refusal = Notice.SERVER_BUSY
        else:
            ticket.state = AdmissionState.PENDING
            self._tickets[id(ticket)] = ticket
            self._entries[ticket] = AdmissionEntry(secrets.token_hex(8))
            self._send("enter", ticket)

    async def _wait_for_decision(self, ticket: AdmissionTicket) -> None:
        if ticket.state is AdmissionState.PENDING:
            await self._entries[ticket].decided.wait()

    def _release(self, ticket: AdmissionTicket, state: AdmissionState) -> None:
        before = ticket.state
        if before is AdmissionState.RELEASED or before is state:
            return
        if state is AdmissionState.RELEASED:
            self.finished_count += before in (AdmissionState.ADMITTED, AdmissionState.RELEASING)
            self._send("leave", ticket)
            self._forget(ticket)
        else:
            ticket.state = state
            self._send("releasing", ticket)
        if self._is_alone:
            self._admit_own_share()
        self._notify_if_empty()

    def _dismiss(self, ticket: AdmissionTicket) -> None:
        self._send("hold" if ticket.resume_id else "leave", ticket)
        self._forget(ticket)

    def _forget(self, ticket: AdmissionTicket) -> None:
        """Take a ticket out of this process."""
        del self._tickets[id(ticket)]
        ticket.state, ticket.queue_position = AdmissionState.RELEASED, 0
        self._entries.pop(ticket).decided.set()

    def _switch_server(self, ticket: AdmissionTicket, uses_offline: bool) -> bool:
        """As in memory, but a session that has a slot moves to the offline server only after Redis has agreed: until
        then False, and the next connection asks again."""
        movable = (AdmissionState.PENDING, AdmissionState.QUEUED, AdmissionState.ADMITTED)
        if ticket.uses_offline == uses_offline or ticket.state not in movable:
            return ticket.state is not AdmissionState.RELEASED
        entry = self._entries[ticket]
        if ticket.state is AdmissionState.ADMITTED and uses_offline:
            if self._is_alone:
                ticket.uses_offline = self._has_own_share(OFFLINE)
            elif not entry.awaits_switch:
                entry.awaits_switch = True
                self._send("switch", ticket, offline=True)
            return ticket.uses_offline
        ticket.uses_offline = uses_offline
        self._send("switch", ticket, offline=uses_offline)
        return True

    def _send(self, name: str, ticket: AdmissionTicket, *, offline: bool = False) -> None:
        """Queue an operation for the next exchange. A ticket that Redis has not been asked for needs none."""
        entry_id = self._entries[ticket].id
        unsent = [operation for operation in self._outbox if operation.ticket is ticket and operation.name == "enter"]
        if unsent:
            if name in ("leave", "hold"):
                self._outbox = [operation for operation in self._outbox if operation.ticket is not ticket]
            return  # the others change what `enter` says when it is sent
        if len(self._outbox) >= MAX_QUEUED_OPERATIONS:
            self._needs_beat = True  # it says the same
            return
        self._outbox.append(AdmissionOperation(name, ticket, entry_id, offline))
        self._wake.set()

    # ---------------------------------------------------------------- exchange

    async def synchronise(self) -> None:
        """Send the queued operations, renew the lease, and take over what Redis has decided."""
        async with self._exchanging:
            await self._synchronise()

    async def _synchronise(self) -> None:
        sent, self._outbox = self._outbox, []
        began_at = self._clock()
        with_beat = self._needs_beat or began_at - self._answered_at > RESYNC_AFTER_S
        try:
            answer = await self._exchange(sent, with_beat=with_beat)
            if not answer["known"]:  # Redis was restarted, or the lease is over
                began_at = self._clock()
                answer = await self._exchange(sent, with_beat=True)
        except Exception as error:  # tickets must be decided, whatever happened
            if not isinstance(error, SharedStateUnavailable):
                log.error("shared admission: internal error error=%s", error_location(error))
            self._failing_since = self._failing_since if self._is_alone else self._clock()
            self._needs_beat = self._is_alone = True
            kept = self._decide_alone({operation.ticket for operation in sent})
            again = [operation for operation in sent if operation.name == "hold" or operation.ticket in kept]
            self._outbox = again + self._outbox
            if kept and self._connection.is_reachable:
                self._wake.set()
        else:
            self._is_alone, self._answered_at = False, began_at
            self._take_over(answer)

    async def _exchange(self, sent: list[AdmissionOperation], *, with_beat: bool) -> dict[str, Any]:
        """Run the script with these operations. Raises `SharedStateUnavailable`."""
        if with_beat:
            self._names.renew()  # Redis may have been restarted empty
        await self._names.agree()
        operations = [self._to_json(operation) for operation in sent if operation.name == "hold"]
        if with_beat:
            self._needs_beat = False
            held = [ticket for ticket in self._entries if ticket.state is not AdmissionState.PENDING]
            pending = [entry.id for ticket, entry in self._entries.items() if ticket.state is AdmissionState.PENDING]
            entries = [self._entry_json(ticket) for ticket in held]
            operations.append({"op": "beat", "entries": entries, "pending": pending})
            for ticket in held:
                self._entries[ticket].is_entered = True
        operations += [self._to_json(operation) for operation in sent if operation.name != "hold"]
        request = {
            "replica": self.replica_id,
            "now": self._redis_time_ms() if self._redis_time_ms is not None else -1,
            "limits": limits_to_json(self.limits),
            "own_offline": self._has_own_offline_server,
            "replicas": self._counts.replicas,
            "others": self._others,
            "seq": self._seq,
            "lease_ms": LEASE_S * 1000,
            "quiet_ms": QUIET_S * 1000,
            "settle_ms": SETTLE_S * 1000,
            "hold_ms": HOLD_S * 1000,
            "keep_ms": KEEP_S * 1000,
            "has_beat": with_beat,
            "is_leaving": self._is_leaving,
            "operations": operations,
        }
        arguments = [json.dumps(request), self._channel]
        answer: dict[str, Any] = json.loads(await self._connection.run_script(SCRIPT, self._keys, arguments))
        return answer

    def _to_json(self, operation: AdmissionOperation) -> dict[str, Any]:
        if operation.name != "enter":
            return {"op": operation.name, "id": operation.entry_id, "offline": operation.offline}
        if operation.ticket not in self._entries:  # released while the first exchange was refused
            return {"op": "leave", "id": operation.entry_id}
        self._entries[operation.ticket].is_entered = True
        return {"op": "enter", **self._entry_json(operation.ticket)}

    def _entry_json(self, ticket: AdmissionTicket) -> dict[str, Any]:
        entry = self._entries[ticket]
        return {
            "id": entry.id,
            "seq": entry.seq,
            "kind": ticket.kind.value,
            "visitor": self._names.name(ticket.visitor) if ticket.visitor else "",
            "resume": self._names.name(ticket.resume_id) if ticket.resume_id else "",
            "offline": ticket.uses_offline,
            "state": ticket.state.value,
        }

    def _take_over(self, answer: dict[str, Any]) -> None:
        """Bring the tickets to what Redis has decided, and notify the sessions concerned."""
        own, others = answer["own"], answer["others"]
        if answer["settling"]:  # the others are not all back yet
            others = {name: max(taken, self._others.get(name, 0)) for name, taken in others.items()}
        self._others, self._seq = others, answer["seq"]
        admitted = {kind: answer["taken"][kind.value] for kind in AdmissionKind}
        self._counts = SlotCounts(admitted, answer["queued"], answer["replicas"])
        waiting_operations = {operation.ticket for operation in self._outbox}
        for ticket, entry in list(self._entries.items()):
            if entry.id in answer["refused"]:
                self._end_ticket(ticket, _REFUSALS[answer["refused"][entry.id]])
            elif entry.id in own:
                state, position, offline, entry.seq = own[entry.id]
                if ticket not in waiting_operations and ticket.state is not AdmissionState.RELEASING:
                    ticket.uses_offline, entry.awaits_switch = offline, False
                self._decide(ticket, AdmissionState(state), position)
            elif entry.is_entered:
                self._end_ticket(ticket, SLOT_LOST)
        self._notify()
        self._notify_if_empty()

    def _decide(self, ticket: AdmissionTicket, state: AdmissionState, position: int = 0) -> None:
        if ticket.state not in (AdmissionState.PENDING, AdmissionState.QUEUED):
            return
        if (ticket.state, ticket.queue_position) != (state, position):
            ticket.state, ticket.queue_position = state, position
            self._entries[ticket].decided.set()
            self._to_notify.append(ticket)

    def _end_ticket(self, ticket: AdmissionTicket, refusal: Notice | Failure) -> None:
        """Refuse a ticket, or take its slot away."""
        self.finished_count += ticket.state in (AdmissionState.ADMITTED, AdmissionState.RELEASING)
        if ticket.state is not AdmissionState.RELEASING:
            ticket.refusal = refusal
            self._to_notify.append(ticket)
        self._forget(ticket)

    # ---------------------------------------------------------------- without Redis

    def _decide_alone(self, asked: set[AdmissionTicket]) -> set[AdmissionTicket]:
        """Decide the tickets of a failed exchange by this replica's share, in order of arrival.

        Returns those that stay pending: the next exchange asks for them again.
        """
        kept: set[AdmissionTicket] = set()
        is_grace = self._clock() - self._failing_since < OUTAGE_GRACE_S
        for ticket in list(self._tickets.values()):
            self._entries[ticket].awaits_switch = False
            if ticket.state is not AdmissionState.PENDING or ticket not in asked:
                continue
            if self._exceeds_visitor_limit(ticket):
                self._end_ticket(ticket, Notice.VISITOR_CALL_LIMIT)
            elif self._fits_own_share(ticket):
                self._decide(ticket, AdmissionState.ADMITTED)
            elif is_grace:
                kept.add(ticket)
            else:
                self._end_ticket(ticket, Notice.SERVER_BUSY)
        self._admit_own_share()
        self._notify_if_empty()
        return kept

    def _admit_own_share(self) -> None:
        """Admit those who were queued when Redis was lost, in order, as far as this replica's share has room."""
        for ticket in self._queue():
            if self._fits_own_share(ticket):
                self._decide(ticket, AdmissionState.ADMITTED)
        self._notify()

    def _fits_own_share(self, ticket: AdmissionTicket) -> bool:
        return self._has_own_share(ticket.kind.value) and (not ticket.uses_offline or self._has_own_share(OFFLINE))

    def _has_own_share(self, name: str) -> bool:
        """Return whether this replica's share of a limit has room. The slots that the others had count too, until
        their leases would be over."""
        if name == OFFLINE:
            limit, held = self.limits.offline_sessions, (AdmissionState.ADMITTED, AdmissionState.RELEASING)
            own = sum(each.uses_offline and each.state in held for each in self._tickets.values())
            if self._has_own_offline_server:
                return own < limit
        else:
            limit, own = self.limits.for_kind(AdmissionKind(name)), self.count_admitted(AdmissionKind(name))
        if self._clock() - self._answered_at <= LEASE_S and own + self._others.get(name, 0) >= limit:
            return False
        return own < math.ceil(limit / self._counts.replicas)

    # ---------------------------------------------------------------- background

    def _on_message(self, message: bytes) -> None:
        if self.replica_id in message.decode("ascii", "replace").split():
            self._wake.set()

    def _on_redis_return(self) -> None:
        self._needs_beat = True
        self._wake.set()

    @asynccontextmanager
    async def run_in_background(self) -> AsyncIterator[None]:
        """Exchange with Redis in this event loop. On exit, give this replica's lease back."""
        task = asyncio.create_task(self._run(), name="shared admission")
        try:
            yield
        finally:
            # Not cancelled: an exchange under way ends by itself, and a client may lose a cancellation.
            self._is_stopping = True
            self._wake.set()
            await asyncio.wait([task])
            self._needs_beat = self._is_leaving = True
            await self.synchronise()

    async def _run(self) -> None:
        while not self._is_stopping:
            try:
                await self.synchronise()
            except Exception as error:  # a listener's fault must not end the admission of all others
                log.error("shared admission: internal error error=%s", error_location(error))
            with suppress(TimeoutError):
                async with asyncio.timeout(RETRY_INTERVAL_S if self._outbox else LOOK_INTERVAL_S):
                    await self._wake.wait()
            self._wake.clear()
