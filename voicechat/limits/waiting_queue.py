"""Admission control: concurrency limits and a first-come, first-served waiting queue.

Calls, chats and API clients each have a limit; all three share the sessions of the offline server. A visitor who meets
a limit waits in the queue; an API client is refused and has to try again. A visitor blocked by one limit does not hold
up those behind who wait for another. Pure: no clock and no tasks. Listeners are notified by callback.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum, StrEnum
from typing import Protocol

from voicechat.config.settings import Settings
from voicechat.protocol.endpoint import Endpoint, ServerKind
from voicechat.protocol.failures import Failure
from voicechat.protocol.notices import Notice


class AdmissionKind(StrEnum):
    """Kind of session that a ticket admits."""

    CALL = "call"
    CHAT = "chat"
    API_CLIENT = "program"


class AdmissionState(Enum):
    """State of one ticket."""

    QUEUED = "waiting"
    ADMITTED = "in"
    RELEASING = "ending"
    """The slot is free; the session at the offline server is still being closed."""
    RELEASED = "out"
    """Released, or never admitted: then `AdmissionTicket.refusal` has the reason."""


class AdmissionListener(Protocol):
    """Session that holds a ticket."""

    def on_admission_changed(self) -> None:
        """Handle a ticket that was admitted, moved up in the queue, or refused because the app shuts down."""

    def on_shutdown(self, grace_s: float) -> None:
        """End within this many seconds, because the app shuts down. Called for admitted tickets."""


@dataclass(frozen=True, slots=True)
class ConcurrencyLimits:
    """Highest number of simultaneous sessions of each kind."""

    calls: int = 8
    chats: int = 32
    api_clients: int = 64
    offline_sessions: int = 2
    """Sessions of the offline server, shared by all three kinds."""
    queue_length: int = 0
    calls_per_visitor: int = 0
    """Calls of one visitor, queued ones included; 0: no limit."""

    @classmethod
    def from_settings(cls, settings: Settings) -> ConcurrencyLimits:
        limits = settings.limits
        return cls(
            settings.max_calls,
            settings.max_chats,
            settings.max_sockets,
            limits.offline_sessions,
            limits.max_waiting,
            limits.max_calls_per_visitor,
        )

    def for_kind(self, kind: AdmissionKind) -> int:
        return {
            AdmissionKind.CALL: self.calls,
            AdmissionKind.CHAT: self.chats,
            AdmissionKind.API_CLIENT: self.api_clients,
        }[kind]


def needs_offline_session(found: Endpoint | Failure) -> bool:
    """Return True if the connection takes a session of the offline server, the only server that ever loads."""
    return found.kind is ServerKind.OFFLINE if isinstance(found, Endpoint) else found is Failure.LOADING


class AdmissionTicket:
    """One request for a slot. Give the slot back with `release()`, whatever the outcome."""

    def __init__(
        self, controller: AdmissionController, listener: AdmissionListener, kind: AdmissionKind, visitor: str
    ) -> None:
        """`visitor`: key shared by all sessions of one visitor, "" when unknown. Nothing is requested yet."""
        self._controller = controller
        self.listener = listener
        self.kind = kind
        self.visitor = visitor
        self.uses_offline = False
        """The session needs, or has, a session of the offline server."""
        self.state = AdmissionState.RELEASED
        self.queue_position = 0
        """1 is next; 0 when not queued."""
        self.refusal: Notice | None = None
        """Reason why the ticket was neither admitted nor queued."""

    def request(self, *, uses_offline: bool = False) -> None:
        """Request admission, once: afterwards the ticket is admitted, queued (never an API client) or refused."""
        self.uses_offline = uses_offline
        self._controller._request(self)

    def begin_release(self) -> None:
        """Free the slot for the next session, but keep the offline server's session until `release()`: closing that one
        takes a moment. Do nothing if the ticket holds no slot."""
        self._controller._release(
            self,
            AdmissionState.RELEASING
            if self.uses_offline and self.state is AdmissionState.ADMITTED
            else AdmissionState.RELEASED,
        )

    def release(self) -> None:
        """Free everything, or leave the queue. Do nothing if the ticket holds nothing."""
        self._controller._release(self, AdmissionState.RELEASED)

    def switch_server(self, uses_offline: bool) -> bool:
        """Move the ticket to or from the offline server. Return False if that has no room; a queued ticket always
        moves, and waits for the other limit."""
        return self._controller._switch_server(self, uses_offline)


class AdmissionController:
    """Slots and waiting queue of this process."""

    def __init__(self, limits: ConcurrencyLimits) -> None:
        self.limits = limits
        self._tickets: dict[int, AdmissionTicket] = {}
        """All tickets that are not released, in order of arrival."""
        self.finished_count = 0
        """Sessions that were admitted and have ended."""
        self.shutdown_grace_s: float | None = None
        """Seconds that admitted sessions have left; None while the app does not shut down."""
        self._on_empty: Callable[[], None] = lambda: None
        self._to_notify: list[AdmissionTicket] = []
        self._is_notifying = False

    # ---------------------------------------------------------------- queries

    def count_admitted(self, kind: AdmissionKind) -> int:
        return sum(t.kind is kind and t.state is AdmissionState.ADMITTED for t in self._tickets.values())

    @property
    def queue_length(self) -> int:
        return len(self._queue())

    @property
    def is_empty(self) -> bool:
        """No session is admitted, releasing or queued."""
        return not self._tickets

    # ---------------------------------------------------------------- admission

    def request_admission(
        self, listener: AdmissionListener, kind: AdmissionKind, visitor: str = "", *, uses_offline: bool = False
    ) -> AdmissionTicket:
        """Create a ticket and request its admission."""
        ticket = AdmissionTicket(self, listener, kind, visitor)
        ticket.request(uses_offline=uses_offline)
        return ticket

    def _request(self, ticket: AdmissionTicket) -> None:
        if self.shutdown_grace_s is not None:
            ticket.refusal = Notice.CLOSING
        elif self._exceeds_visitor_limit(ticket):
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
            self._renumber_queue()

    def _exceeds_visitor_limit(self, ticket: AdmissionTicket) -> bool:
        limit = self.limits.calls_per_visitor
        if ticket.kind is not AdmissionKind.CALL or not ticket.visitor or not limit:
            return False
        theirs = (t for t in self._tickets.values() if t.kind is AdmissionKind.CALL and t.visitor == ticket.visitor)
        return sum(each.state is not AdmissionState.RELEASING for each in theirs) >= limit

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
        """Change the sessions of the offline server, and admit the visitors that fit now. Admitted sessions go on."""
        self.limits = replace(self.limits, offline_sessions=sessions)
        self._admit_queued()

    def _admit_queued(self) -> None:
        """Admit every queued ticket that has capacity now, in order, and notify."""
        for ticket in self._queue():
            if self._has_capacity(ticket):
                self._admit(ticket)
                self._to_notify.append(ticket)
        self._to_notify += self._renumber_queue()
        self._notify()

    def _queue(self) -> list[AdmissionTicket]:
        return [ticket for ticket in self._tickets.values() if ticket.state is AdmissionState.QUEUED]

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

    def _notify(self) -> None:
        """Notify the listeners one after the other. Changes that a listener causes are notified after it returns."""
        if self._is_notifying:
            return
        self._is_notifying = True
        try:
            while self._to_notify:
                self._to_notify.pop(0).listener.on_admission_changed()
        finally:
            self._is_notifying = False

    # ---------------------------------------------------------------- shutdown

    def begin_shutdown(self, grace_s: float, on_empty: Callable[[], None] = lambda: None) -> None:
        """Admit no more sessions, refuse the queued ones, and give the admitted ones `grace_s` seconds to end. Call
        `on_empty` after the last one."""
        if self.shutdown_grace_s is not None:
            return
        self.shutdown_grace_s, self._on_empty = grace_s, on_empty
        for ticket in self._queue():
            ticket.refusal = Notice.CLOSING
            del self._tickets[id(ticket)]
            ticket.state, ticket.queue_position = AdmissionState.RELEASED, 0
            self._to_notify.append(ticket)
        self._notify()
        for ticket in list(self._tickets.values()):
            if ticket.state is AdmissionState.ADMITTED:
                ticket.listener.on_shutdown(grace_s)
        self._notify_if_empty()

    def _notify_if_empty(self) -> None:
        if self.shutdown_grace_s is not None and self.is_empty:
            on_empty, self._on_empty = self._on_empty, lambda: None
            on_empty()
