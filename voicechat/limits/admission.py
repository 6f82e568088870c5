"""Admission of sessions: its kinds and states, the ticket of one session, and what every admission control offers.

`waiting_queue.AdmissionController` decides in the memory of one process, at once. `voicechat/shared_state` decides for
several replicas: then a ticket is pending until the shared state answers. Pure: no clock and no tasks.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
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

    PENDING = "pending"
    """The shared state has not answered yet. Never in memory."""
    QUEUED = "queued"
    ADMITTED = "admitted"
    RELEASING = "releasing"
    """The slot is free; the session at the offline server is still being closed."""
    RELEASED = "released"
    """Released, never admitted, or lost: then `AdmissionTicket.refusal` has the reason."""


SLOT_LOST = Failure.LOST
"""Reason of a ticket whose slot another session has: its replica did not run for longer than its lease, or the same
page has a newer session."""


class AdmissionListener(Protocol):
    """Session that holds a ticket."""

    def on_admission_changed(self) -> None:
        """Handle a ticket that was decided, admitted, moved up in the queue, lost, or refused because the app shuts
        down."""

    def on_shutdown(self, grace_s: float) -> None:
        """End within this many seconds, because the app shuts down. Called for admitted tickets."""


@dataclass(frozen=True, slots=True)
class ConcurrencyLimits:
    """Highest number of simultaneous sessions of each kind, of all replicas together."""

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


@dataclass(frozen=True, slots=True)
class SlotCounts:
    """Slots taken at all replicas together, as far as this one knows."""

    admitted: Mapping[AdmissionKind, int]
    queued: int
    replicas: int = 1
    """Live replicas, this one included. It stays while Redis is lost, and does not sink while the others come back."""


def needs_offline_session(found: Endpoint | Failure) -> bool:
    """Return True if the connection takes a session of the embedded server, which may not be ready yet."""
    if isinstance(found, Endpoint):
        return found.kind is ServerKind.OFFLINE
    return found in (Failure.LOADING, Failure.EMBEDDED_UNREACHABLE)


class AdmissionTicket:
    """One request for a slot. Give the slot back with `release()`, whatever the outcome."""

    def __init__(
        self, admission: Admission, listener: AdmissionListener, kind: AdmissionKind, visitor: str, resume_id: str = ""
    ) -> None:
        """`visitor`: key shared by all sessions of one visitor, "" when unknown. Nothing is requested yet.

        `resume_id`: the same for all sessions of one page, "" when unknown. A newer ticket of the same kind and page
        takes the slot or the queue number of the older one at once.
        """
        self._admission = admission
        self.listener = listener
        self.kind = kind
        self.visitor = visitor
        self.resume_id = resume_id
        self.uses_offline = False
        """The session needs, or has, a session of the offline server."""
        self.state = AdmissionState.RELEASED
        self.queue_position = 0
        """1 is next; 0 when not queued."""
        self.refusal: Notice | Failure | None = None
        """Reason why the ticket was neither admitted nor queued, or has lost its slot."""

    def request(self, *, uses_offline: bool = False) -> None:
        """Request admission, once: afterwards the ticket is admitted, queued (never an API client), refused or
        pending."""
        self.uses_offline = uses_offline
        self._admission._request(self)

    async def decided(self) -> None:
        """Wait while the ticket is pending. In memory it never is."""
        await self._admission._wait_for_decision(self)

    def begin_release(self) -> None:
        """Free the slot for the next session, but keep the offline server's session until `release()`: closing that one
        takes a moment. Do nothing if the ticket holds no slot."""
        self._admission._release(
            self,
            AdmissionState.RELEASING
            if self.uses_offline and self.state is AdmissionState.ADMITTED
            else AdmissionState.RELEASED,
        )

    def release(self) -> None:
        """Free everything, or leave the queue. Do nothing if the ticket holds nothing."""
        self._admission._release(self, AdmissionState.RELEASED)

    def switch_server(self, uses_offline: bool) -> bool:
        """Move the ticket to or from the offline server. Return False if that has no room, or has not answered yet; a
        queued ticket always moves, and waits for the other limit."""
        return self._admission._switch_server(self, uses_offline)


class Admission(ABC):
    """Admission control of one process, with what its kinds have in common: tickets, notifications and shutdown."""

    def __init__(self, limits: ConcurrencyLimits) -> None:
        self.limits = limits
        self._tickets: dict[int, AdmissionTicket] = {}
        """All tickets of this process that are not released, in order of arrival."""
        self.finished_count = 0
        """Sessions that were admitted and have ended."""
        self.shutdown_grace_s: float | None = None
        """Seconds that admitted sessions have left; None while the app does not shut down."""
        self._on_empty: Callable[[], None] = lambda: None
        self._to_notify: list[AdmissionTicket] = []
        self._is_notifying = False

    # ---------------------------------------------------------------- queries

    def count_admitted(self, kind: AdmissionKind) -> int:
        """Return the number of sessions of this process that have a slot."""
        return sum(t.kind is kind and t.state is AdmissionState.ADMITTED for t in self._tickets.values())

    @property
    def queue_length(self) -> int:
        """Tickets of this process in the waiting queue."""
        return len(self._queue())

    @property
    def is_empty(self) -> bool:
        """No session of this process is pending, admitted, releasing or queued."""
        return not self._tickets

    def count_everywhere(self) -> SlotCounts:
        """Return the slots taken at all replicas."""
        return SlotCounts({kind: self.count_admitted(kind) for kind in AdmissionKind}, self.queue_length)

    # ---------------------------------------------------------------- admission

    def set_offline_sessions(self, sessions: int) -> None:
        """Change the sessions of the offline server, and admit the visitors that fit now. Admitted sessions go on."""
        self.limits = replace(self.limits, offline_sessions=sessions)

    def request_admission(
        self,
        listener: AdmissionListener,
        kind: AdmissionKind,
        visitor: str = "",
        *,
        uses_offline: bool = False,
        resume_id: str = "",
    ) -> AdmissionTicket:
        """Create a ticket and request its admission."""
        ticket = AdmissionTicket(self, listener, kind, visitor, resume_id)
        ticket.request(uses_offline=uses_offline)
        return ticket

    @abstractmethod
    def _request(self, ticket: AdmissionTicket) -> None: ...

    @abstractmethod
    def _release(self, ticket: AdmissionTicket, state: AdmissionState) -> None: ...

    @abstractmethod
    def _switch_server(self, ticket: AdmissionTicket, uses_offline: bool) -> bool: ...

    async def _wait_for_decision(self, ticket: AdmissionTicket) -> None:
        """Return once the ticket is decided. In memory it is decided when it is requested."""
        assert ticket.state is not AdmissionState.PENDING

    def _exceeds_visitor_limit(self, ticket: AdmissionTicket) -> bool:
        """Return True if this visitor has enough calls in this process, without this one."""
        limit = self.limits.calls_per_visitor
        if ticket.kind is not AdmissionKind.CALL or not ticket.visitor or not limit:
            return False
        free = (AdmissionState.RELEASING, AdmissionState.PENDING)
        theirs = (t for t in self._tickets.values() if t.kind is AdmissionKind.CALL and t.visitor == ticket.visitor)
        return sum(each.state not in free for each in theirs) >= limit

    def _queue(self) -> list[AdmissionTicket]:
        return [ticket for ticket in self._tickets.values() if ticket.state is AdmissionState.QUEUED]

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
        """Admit no more sessions, refuse those that wait, and give the admitted ones `grace_s` seconds to end. Call
        `on_empty` after the last one. Only this process closes: other replicas go on."""
        if self.shutdown_grace_s is not None:
            return
        self.shutdown_grace_s, self._on_empty = grace_s, on_empty
        for ticket in list(self._tickets.values()):
            if ticket.state in (AdmissionState.QUEUED, AdmissionState.PENDING):
                ticket.refusal = Notice.CLOSING
                self._dismiss(ticket)
                self._to_notify.append(ticket)
        self._notify()
        for ticket in list(self._tickets.values()):
            if ticket.state is AdmissionState.ADMITTED:
                ticket.listener.on_shutdown(grace_s)
        self._notify_if_empty()

    def _dismiss(self, ticket: AdmissionTicket) -> None:
        """Take a ticket without a slot out of the queue, because this process shuts down."""
        del self._tickets[id(ticket)]
        ticket.state, ticket.queue_position = AdmissionState.RELEASED, 0

    def _notify_if_empty(self) -> None:
        if self.shutdown_grace_s is not None and self.is_empty:
            on_empty, self._on_empty = self._on_empty, lambda: None
            on_empty()
