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

from .endpoint import Endpoint, ServerKind
from .failures import Failure
from .settings import Settings
from .snapshot import Notice


class Kind(StrEnum):
    """What a place is for."""

    CALL = "call"
    CHAT = "chat"
    PROGRAM = "program"


class State(Enum):
    """Where one stands who asked for a place."""

    WAITING = "waiting"
    IN = "in"
    ENDING = "ending"
    """The place is free; the session at the embedded server is still being closed."""
    OUT = "out"
    """Gone, or never let in: then there is a `Place.refusal`."""


class Holder(Protocol):
    """Who asked for a place."""

    def place_changed(self) -> None:
        """The place is another: in now, or nearer to the head of the line, or out because the app ends."""

    def closing(self, seconds: float) -> None:
        """The app ends: in so many seconds at the latest this has to be over. Told to who is in."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How many there may be at once."""

    calls: int = 8
    chats: int = 32
    programs: int = 64
    sessions: int = 2
    """Of the embedded server, shared by all three."""
    waiting: int = 0
    calls_per_visitor: int = 0
    """Those waiting included; 0: no limit."""

    @classmethod
    def of(cls, settings: Settings) -> Limits:
        places = settings.places
        return cls(
            settings.max_calls,
            settings.max_chats,
            settings.max_sockets,
            places.offline_sessions,
            places.max_waiting,
            places.max_calls_per_visitor,
        )

    def most(self, kind: Kind) -> int:
        return {Kind.CALL: self.calls, Kind.CHAT: self.chats, Kind.PROGRAM: self.programs}[kind]


def needs_session(found: Endpoint | Failure) -> bool:
    """Whether a conversation with this server takes a session of the embedded one; that alone is ever loading."""
    return found.kind is ServerKind.OFFLINE if isinstance(found, Endpoint) else found is Failure.LOADING


class Place:
    """What one has who asked for a place. Given back by `leave()`, however it went."""

    def __init__(self, places: Places, holder: Holder, kind: Kind, visitor: str, session: bool) -> None:
        self._places = places
        self.holder = holder
        self.kind = kind
        self.visitor = visitor
        self.session = session
        """It needs, or has, a session of the embedded server."""
        self.state = State.OUT
        self.number = 0
        """In line: 1 is next. 0 when not waiting."""
        self.refusal: Notice | None = None
        """Why there is no place and no waiting for one."""

    def end(self) -> None:
        """The place is free for the next one, but for the embedded server's session: that one takes a moment to close,
        and `leave()` is to follow. Harmless when there is nothing to give back."""
        self._places._give_back(self, State.ENDING if self.session and self.state is State.IN else State.OUT)

    def leave(self) -> None:
        """Give everything back, or leave the line. Harmless when there is nothing to give back."""
        self._places._give_back(self, State.OUT)

    def needs(self, session: bool) -> bool:
        """It is another server now that this place is for. Returns whether there is room for that; in line that is
        always so, for it only waits for something else."""
        return self._places._needs(self, session)


class Places:
    """The places of this process."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._live: Counter[Kind] = Counter()
        self._sessions = 0
        self._held: dict[int, Place] = {}
        """All that are not out, in the order in which they came."""
        self.ended = 0
        """Conversations that were in and are out."""
        self.closing_s: float | None = None
        """The app ends: what those who were in were told. None: it does not."""
        self._emptied: Callable[[], None] = lambda: None
        self._changed: list[Place] = []
        """Whose holders are to be told."""
        self._telling = False

    # ---------------------------------------------------------------- what others may ask

    def live(self, kind: Kind) -> int:
        """Those of this kind that are in."""
        return self._live[kind]

    @property
    def sessions(self) -> int:
        """Of the embedded server that are taken."""
        return self._sessions

    @property
    def waiting(self) -> int:
        """Those in line."""
        return len(self._line())

    @property
    def empty(self) -> bool:
        """Nobody is in, nobody waits."""
        return not self._held

    # ---------------------------------------------------------------- coming

    def enter(self, holder: Holder, kind: Kind, visitor: str = "", *, session: bool = False) -> Place:
        """Ask for a place: in now, or in line (not for programs), or refused. `visitor`: a key that is the same for all
        that one visitor does, "" when that is not known."""
        place = Place(self, holder, kind, visitor, session)
        if self.closing_s is not None:
            place.refusal = Notice.CLOSING
        elif self._too_many_of(place):
            place.refusal = Notice.VISITOR_BUSY
        elif self._fits(place):
            self._let_in(place)
        elif kind is Kind.PROGRAM or self.waiting >= self.limits.waiting:
            place.refusal = Notice.SERVER_BUSY
        elif self._waits_enough(visitor):
            place.refusal = Notice.VISITOR_BUSY
        else:
            place.state = State.WAITING
            self._held[id(place)] = place
            self._number()
        return place

    def _too_many_of(self, place: Place) -> bool:
        most = self.limits.calls_per_visitor
        if place.kind is not Kind.CALL or not place.visitor or not most:
            return False
        theirs = (p for p in self._held.values() if p.kind is Kind.CALL and p.visitor == place.visitor)
        return sum(each.state is not State.ENDING for each in theirs) >= most

    def _waits_enough(self, visitor: str) -> bool:
        """The line is short, and for everybody: one visitor's chats in many tabs do not fill it either."""
        most = self.limits.calls_per_visitor
        return bool(visitor and most) and sum(place.visitor == visitor for place in self._line()) >= most

    def _fits(self, place: Place) -> bool:
        room = self._live[place.kind] < self.limits.most(place.kind)
        return room and (not place.session or self._sessions < self.limits.sessions)

    def _let_in(self, place: Place) -> None:
        place.state, place.number = State.IN, 0
        self._live[place.kind] += 1
        self._sessions += place.session
        self._held[id(place)] = place

    # ---------------------------------------------------------------- going, and who comes then

    def _give_back(self, place: Place, state: State) -> None:
        before = place.state
        if before is State.OUT or before is state:
            return
        if before is State.IN:
            self._live[place.kind] -= 1
        if state is State.OUT:
            self._sessions -= place.session and before is not State.WAITING
            self.ended += before is not State.WAITING
            del self._held[id(place)]
        place.state, place.number = state, 0
        self._next()
        self._tell_if_empty()

    def _needs(self, place: Place, session: bool) -> bool:
        if place.session == session or place.state not in (State.WAITING, State.IN):
            return place.state is not State.OUT
        if place.state is State.IN:
            if session and self._sessions >= self.limits.sessions:
                return False
            self._sessions += 1 if session else -1
        place.session = session
        self._next()
        return True

    def _next(self) -> None:
        """Let in whoever may come in now."""
        for place in self._line():
            if self._fits(place):
                self._let_in(place)
                self._changed.append(place)
        self._changed += self._number()
        self._tell()

    def _line(self) -> list[Place]:
        return [place for place in self._held.values() if place.state is State.WAITING]

    def _number(self) -> list[Place]:
        """Number the line; returns whose number is another. Who waits for nothing that another waits for is not behind
        that one."""
        ahead: Counter[tuple[Kind, bool]] = Counter()
        changed = []
        for place in self._line():
            others = ((kind is place.kind or (session and place.session), n) for (kind, session), n in ahead.items())
            number = 1 + sum(n for shared, n in others if shared)
            ahead[place.kind, place.session] += 1
            if place.number != number:
                place.number = number
                changed.append(place)
        return changed

    def _tell(self) -> None:
        """Tell the holders, one after the other; what one of them does upon that is told after it."""
        if self._telling:
            return
        self._telling = True
        try:
            while self._changed:
                self._changed.pop(0).holder.place_changed()
        finally:
            self._telling = False

    # ---------------------------------------------------------------- the end of the app

    def close(self, seconds: float, emptied: Callable[[], None] = lambda: None) -> None:
        """Nobody comes in any more; who waits is sent away, and who is in is told that so many seconds are left.
        `emptied` is called once everybody has gone."""
        if self.closing_s is not None:
            return
        self.closing_s, self._emptied = seconds, emptied
        for place in list(self._held.values()):
            if place.state is State.WAITING:
                place.refusal = Notice.CLOSING
                del self._held[id(place)]
                place.state, place.number = State.OUT, 0
                self._changed.append(place)
        self._tell()
        for place in list(self._held.values()):
            if place.state is State.IN:
                place.holder.closing(seconds)
        self._tell_if_empty()

    def _tell_if_empty(self) -> None:
        if self.closing_s is not None and self.empty:
            emptied, self._emptied = self._emptied, lambda: None
            emptied()
