"""Admission control in memory: concurrency limits and a first-come, first-served waiting queue.

Calls, chats and API clients each have a limit; all three share the sessions of the offline server. A visitor who meets
a limit waits in the queue; an API client is refused and has to try again. A visitor blocked by one limit does not hold
up those behind who wait for another. Pure: no clock and no tasks. Listeners are notified by callback.

`voicechat/shared_state/admission.lua` has the same rules for several replicas; generated tests compare the two.
"""

from __future__ import annotations

from collections import Counter

from voicechat.protocol.notices import Notice

from .admission import (
    SLOT_LOST,
    Admission,
    AdmissionKind,
    AdmissionState,
    AdmissionTicket,
)


class AdmissionController(Admission):
    """Slots and waiting queue of this process."""

    # ---------------------------------------------------------------- admission

    def _request(self, ticket: AdmissionTicket) -> None:
        if self.shutdown_grace_s is not None:
            ticket.refusal = Notice.CLOSING
            return
        rank = self._remove_older(ticket)
        if self._exceeds_visitor_limit(ticket):
            ticket.refusal = Notice.VISITOR_CALL_LIMIT
        elif self._has_capacity(ticket):
            self._admit(ticket)
        elif ticket.kind is AdmissionKind.API_CLIENT or self.queue_length >= self.limits.queue_length:
            ticket.refusal = Notice.SERVER_BUSY
        elif self._exceeds_visitor_queue_limit(ticket.visitor):
            ticket.refusal = Notice.VISITOR_CALL_LIMIT
        else:
            ticket.state = AdmissionState.QUEUED
            self._tickets[id(ticket)] = ticket
        if rank is not None:
            self._move(ticket, rank)
        self._to_notify += [each for each in self._renumber_queue() if each is not ticket]
        if rank is not None:
            self._admit_queued()

    def _remove_older(self, ticket: AdmissionTicket) -> int | None:
        """Take the slot or the queue number from the older ticket of the same page; return its rank."""
        for rank, older in enumerate(self._tickets.values()):
            is_same = older.resume_id == ticket.resume_id and older.kind is ticket.kind
            if ticket.resume_id and is_same and older.state is not AdmissionState.RELEASING:
                self.finished_count += older.state is AdmissionState.ADMITTED
                del self._tickets[id(older)]
                older.state, older.queue_position, older.refusal = AdmissionState.RELEASED, 0, SLOT_LOST
                self._to_notify.append(older)
                return rank
        return None

    def _move(self, ticket: AdmissionTicket, rank: int) -> None:
        """Put the newest ticket at this rank of arrival."""
        if self._tickets.pop(id(ticket), None) is not None:
            tickets = list(self._tickets.values())
            tickets.insert(rank, ticket)
            self._tickets = {id(each): each for each in tickets}

    def _exceeds_visitor_queue_limit(self, visitor: str) -> bool:
        """Return True if this visitor has enough tickets in the short queue, which chats in many tabs could fill."""
        limit = self.limits.calls_per_visitor
        return bool(visitor and limit) and sum(ticket.visitor == visitor for ticket in self._queue()) >= limit

    def _has_capacity(self, ticket: AdmissionTicket) -> bool:
        if self.count_admitted(ticket.kind) >= self.limits.for_kind(ticket.kind):
            return False
        return not ticket.uses_offline or self._has_offline_capacity()

    def _has_offline_capacity(self) -> bool:
        taken = sum(t.uses_offline and t.state is not AdmissionState.QUEUED for t in self._tickets.values())
        return taken < self.limits.offline_sessions

    def _admit(self, ticket: AdmissionTicket) -> None:
        ticket.state, ticket.queue_position = AdmissionState.ADMITTED, 0
        self._tickets[id(ticket)] = ticket

    # ---------------------------------------------------------------- release

    def _release(self, ticket: AdmissionTicket, state: AdmissionState) -> None:
        before = ticket.state
        if before is AdmissionState.RELEASED or before is state:
            return
        ticket.state, ticket.queue_position = state, 0
        if state is AdmissionState.RELEASED:
            self.finished_count += before is not AdmissionState.QUEUED
            del self._tickets[id(ticket)]
        self._admit_queued()
        self._notify_if_empty()

    def _switch_server(self, ticket: AdmissionTicket, uses_offline: bool) -> bool:
        if ticket.uses_offline == uses_offline or ticket.state not in (AdmissionState.QUEUED, AdmissionState.ADMITTED):
            return ticket.state is not AdmissionState.RELEASED
        if ticket.state is AdmissionState.ADMITTED and uses_offline and not self._has_offline_capacity():
            return False
        ticket.uses_offline = uses_offline
        self._admit_queued()
        return True

    def set_offline_sessions(self, sessions: int) -> None:
        super().set_offline_sessions(sessions)
        self._admit_queued()

    def _admit_queued(self) -> None:
        """Admit every queued ticket that has capacity now, in order, and notify."""
        for ticket in self._queue():
            if self._has_capacity(ticket):
                self._admit(ticket)
                self._to_notify.append(ticket)
        self._to_notify += self._renumber_queue()
        self._notify()

    def _renumber_queue(self) -> list[AdmissionTicket]:
        """Number the queue; return the tickets whose number changed. A ticket counts as behind another only if both
        wait for the same limit."""
        ahead: Counter[tuple[AdmissionKind, bool]] = Counter()
        changed = []
        for ticket in self._queue():
            others = (
                (kind is ticket.kind or (offline and ticket.uses_offline), n) for (kind, offline), n in ahead.items()
            )
            number = 1 + sum(n for is_shared, n in others if is_shared)
            ahead[ticket.kind, ticket.uses_offline] += 1
            if ticket.queue_position != number:
                ticket.queue_position = number
                changed.append(ticket)
        return changed
