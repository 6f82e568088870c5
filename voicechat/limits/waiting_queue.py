"""Who has a place, and who waits in line for one. Pure: no clock, no tasks; who holds a place is told by a call.

There are limits for calls, for chats and for programs, and one that they share: the sessions of the embedded server.
Whoever finds a limit reached waits in line, but for programs, which are told to come again. The line goes first come,
first served; one who is kept by one limit does not keep those behind who are not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Protocol

from voicechat.config.settings import Settings
from voicechat.protocol.endpoint import Endpoint, ServerKind
from voicechat.protocol.failures import Failure
from voicechat.protocol.notices import Notice


class AdmissionKind(StrEnum):
    """What a place is for."""

    CALL = "call"
    CHAT = "chat"
    API_CLIENT = "program"


class AdmissionState(Enum):
    """Where one stands who asked for a place."""

    QUEUED = "waiting"
    ADMITTED = "in"
    RELEASING = "ending"
    """The place is free; the session at the embedded server is still being closed."""
    RELEASED = "out"
    """Gone, or never let in: then there is a `AdmissionTicket.refusal`."""


class AdmissionListener(Protocol):
    """Who asked for a place."""

    def on_admission_changed(self) -> None:
        """The place is another: in now, or nearer to the head of the line, or out because the app ends."""

    def on_shutdown(self, grace_s: float) -> None:
        """The app ends: in so many seconds at the latest this has to be over. Told to who is in."""


@dataclass(frozen=True, slots=True)
class ConcurrencyLimits:
    """How many there may be at once."""

    calls: int = 8
    chats: int = 32
    api_clients: int = 64
    offline_sessions: int = 2
    """Of the embedded server, shared by all three."""
    queue_length: int = 0
    calls_per_visitor: int = 0
    """Those waiting included; 0: no limit."""

    @classmethod
    def from_settings(cls, settings: Settings) -> ConcurrencyLimits:
        places = settings.limits
        return cls(
            settings.max_calls,
            settings.max_chats,
            settings.max_sockets,
            places.offline_sessions,
            places.max_waiting,
            places.max_calls_per_visitor,
        )

    def for_kind(self, kind: AdmissionKind) -> int:
        return {
            AdmissionKind.CALL: self.calls,
            AdmissionKind.CHAT: self.chats,
            AdmissionKind.API_CLIENT: self.api_clients,
        }[kind]


def needs_offline_session(found: Endpoint | Failure) -> bool:
    """Whether a conversation with this server takes a session of the embedded one; that alone is ever loading."""
    return found.kind is ServerKind.OFFLINE if isinstance(found, Endpoint) else found is Failure.LOADING


class AdmissionTicket:
    """What one has who asked for a place. Given back by `leave()`, however it went."""

    def __init__(
        self,
        controller: AdmissionController,
        listener: AdmissionListener,
        kind: AdmissionKind,
        visitor: str,
        uses_offline: bool,
    ) -> None:
        self._controller = controller
        self.listener = listener
        self.kind = kind
        self.visitor = visitor
        self.uses_offline = uses_offline
        """It needs, or has, a session of the embedded server."""
        self.state = AdmissionState.RELEASED
        self.queue_position = 0
        """In line: 1 is next. 0 when not waiting."""
        self.refusal: Notice | None = None
        """Why there is no place and no waiting for one."""

    def begin_release(self) -> None:
        """The place is free for the next one, but for the embedded server's session: that one takes a moment to close,
        and `leave()` is to follow. Harmless when there is nothing to give back."""
        self._controller._release(
            self,
            AdmissionState.RELEASING
            if self.uses_offline and self.state is AdmissionState.ADMITTED
            else AdmissionState.RELEASED,
        )

    def release(self) -> None:
        """Give everything back, or leave the line. Harmless when there is nothing to give back."""
        self._controller._release(self, AdmissionState.RELEASED)

    def switch_server(self, uses_offline: bool) -> bool:
        """It is another server now that this place is for. Returns whether there is room for that; in line that is
        always so, for it only waits for something else."""
        return self._controller._switch_server(self, uses_offline)


class AdmissionController:
    """The places of this process."""

    def __init__(self, limits: ConcurrencyLimits) -> None:
        self.limits = limits
        self._admitted: Counter[AdmissionKind] = Counter()
        self._offline_sessions = 0
        self._tickets: dict[int, AdmissionTicket] = {}
        """All that are not out, in the order in which they came."""
        self.finished_count = 0
        """Conversations that were in and are out."""
        self.shutdown_grace_s: float | None = None
        """The app ends: what those who were in were told. None: it does not."""
        self._on_empty: Callable[[], None] = lambda: None
        self._to_notify: list[AdmissionTicket] = []
        """Whose holders are to be told."""
        self._is_notifying = False

    # ---------------------------------------------------------------- what others may ask

    def count_admitted(self, kind: AdmissionKind) -> int:
        """Those of this kind that are in."""
        return self._admitted[kind]

    @property
    def offline_sessions(self) -> int:
        """Of the embedded server that are taken."""
        return self._offline_sessions

    @property
    def queue_length(self) -> int:
        """Those in line."""
        return len(self._queue())

    @property
    def is_empty(self) -> bool:
        """Nobody is in, nobody waits."""
        return not self._tickets

    # ---------------------------------------------------------------- coming

    def request_admission(
        self, listener: AdmissionListener, kind: AdmissionKind, visitor: str = "", *, uses_offline: bool = False
    ) -> AdmissionTicket:
        """Ask for a place: in now, or in line (not for programs), or refused. `visitor`: a key that is the same for all
        that one visitor does, "" when that is not known."""
        place = AdmissionTicket(self, listener, kind, visitor, uses_offline)
        if self.shutdown_grace_s is not None:
            place.refusal = Notice.CLOSING
        elif self._exceeds_visitor_limit(place):
            place.refusal = Notice.VISITOR_CALL_LIMIT
        elif self._has_capacity(place):
            self._admit(place)
        elif kind is AdmissionKind.API_CLIENT or self.queue_length >= self.limits.queue_length:
            place.refusal = Notice.SERVER_BUSY
        elif self._exceeds_visitor_queue_limit(visitor):
            place.refusal = Notice.VISITOR_CALL_LIMIT
        else:
            place.state = AdmissionState.QUEUED
            self._tickets[id(place)] = place
            self._renumber_queue()
        return place

    def _exceeds_visitor_limit(self, ticket: AdmissionTicket) -> bool:
        most = self.limits.calls_per_visitor
        if ticket.kind is not AdmissionKind.CALL or not ticket.visitor or not most:
            return False
        theirs = (p for p in self._tickets.values() if p.kind is AdmissionKind.CALL and p.visitor == ticket.visitor)
        return sum(each.state is not AdmissionState.RELEASING for each in theirs) >= most

    def _exceeds_visitor_queue_limit(self, visitor: str) -> bool:
        """The line is short, and for everybody: one visitor's chats in many tabs do not fill it either."""
        most = self.limits.calls_per_visitor
        return bool(visitor and most) and sum(place.visitor == visitor for place in self._queue()) >= most

    def _has_capacity(self, ticket: AdmissionTicket) -> bool:
        room = self._admitted[ticket.kind] < self.limits.for_kind(ticket.kind)
        return room and (not ticket.uses_offline or self._offline_sessions < self.limits.offline_sessions)

    def _admit(self, ticket: AdmissionTicket) -> None:
        ticket.state, ticket.queue_position = AdmissionState.ADMITTED, 0
        self._admitted[ticket.kind] += 1
        self._offline_sessions += ticket.uses_offline
        self._tickets[id(ticket)] = ticket

    # ---------------------------------------------------------------- going, and who comes then

    def _release(self, ticket: AdmissionTicket, state: AdmissionState) -> None:
        before = ticket.state
        if before is AdmissionState.RELEASED or before is state:
            return
        if before is AdmissionState.ADMITTED:
            self._admitted[ticket.kind] -= 1
        if state is AdmissionState.RELEASED:
            self._offline_sessions -= ticket.uses_offline and before is not AdmissionState.QUEUED
            self.finished_count += before is not AdmissionState.QUEUED
            del self._tickets[id(ticket)]
        ticket.state, ticket.queue_position = state, 0
        self._admit_queued()
        self._notify_if_empty()

    def _switch_server(self, ticket: AdmissionTicket, uses_offline: bool) -> bool:
        if ticket.uses_offline == uses_offline or ticket.state not in (AdmissionState.QUEUED, AdmissionState.ADMITTED):
            return ticket.state is not AdmissionState.RELEASED
        if ticket.state is AdmissionState.ADMITTED:
            if uses_offline and self._offline_sessions >= self.limits.offline_sessions:
                return False
            self._offline_sessions += 1 if uses_offline else -1
        ticket.uses_offline = uses_offline
        self._admit_queued()
        return True

    def _admit_queued(self) -> None:
        """Let in whoever may come in now."""
        for place in self._queue():
            if self._has_capacity(place):
                self._admit(place)
                self._to_notify.append(place)
        self._to_notify += self._renumber_queue()
        self._notify()

    def _queue(self) -> list[AdmissionTicket]:
        return [place for place in self._tickets.values() if place.state is AdmissionState.QUEUED]

    def _renumber_queue(self) -> list[AdmissionTicket]:
        """Number the line; returns whose number is another. Who waits for nothing that another waits for is not behind
        that one."""
        ahead: Counter[tuple[AdmissionKind, bool]] = Counter()
        changed = []
        for place in self._queue():
            others = (
                (kind is place.kind or (session and place.uses_offline), n) for (kind, session), n in ahead.items()
            )
            number = 1 + sum(n for shared, n in others if shared)
            ahead[place.kind, place.uses_offline] += 1
            if place.queue_position != number:
                place.queue_position = number
                changed.append(place)
        return changed

    def _notify(self) -> None:
        """Tell the holders, one after the other; what one of them does upon that is told after it."""
        if self._is_notifying:
            return
        self._is_notifying = True
        try:
            while self._to_notify:
                self._to_notify.pop(0).listener.on_admission_changed()
        finally:
            self._is_notifying = False

    # ---------------------------------------------------------------- the end of the app

    def begin_shutdown(self, grace_s: float, on_empty: Callable[[], None] = lambda: None) -> None:
        """Nobody comes in any more; who waits is sent away, and who is in is told that so many seconds are left.
        `emptied` is called once everybody has gone."""
        if self.shutdown_grace_s is not None:
            return
        self.shutdown_grace_s, self._on_empty = grace_s, on_empty
        for place in list(self._tickets.values()):
            if place.state is AdmissionState.QUEUED:
                place.refusal = Notice.CLOSING
                del self._tickets[id(place)]
                place.state, place.queue_position = AdmissionState.RELEASED, 0
                self._to_notify.append(place)
        self._notify()
        for place in list(self._tickets.values()):
            if place.state is AdmissionState.ADMITTED:
                place.listener.on_shutdown(grace_s)
        self._notify_if_empty()

    def _notify_if_empty(self) -> None:
        if self.shutdown_grace_s is not None and self.is_empty:
            emptied, self._on_empty = self._on_empty, lambda: None
            emptied()
