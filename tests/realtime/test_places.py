"""Who has a place and who waits, in generated orders of coming and going."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.endpoint import Endpoint, ServerKind
from realtime.failures import Failure
from realtime.places import Kind, Limits, Place, Places, State, needs_session
from realtime.settings import Settings
from realtime.snapshot import Notice


class Guest:
    """Holds a place, and remembers what it was told."""

    def __init__(self) -> None:
        self.place: Place | None = None
        self.told: list[tuple[State, int]] = []
        self.closing_s: float | None = None

    def enters(self, places: Places, kind: Kind = Kind.CALL, visitor: str = "", session: bool = False) -> Place:
        self.place = places.enter(self, kind, visitor, session=session)
        return self.place

    def place_changed(self) -> None:
        assert self.place is not None
        self.told.append((self.place.state, self.place.number))

    def closing(self, seconds: float) -> None:
        self.closing_s = seconds


Come = tuple[Kind, str, bool]
LIMITS = st.builds(
    Limits,
    calls=st.integers(1, 3),
    chats=st.integers(1, 3),
    programs=st.integers(1, 3),
    sessions=st.integers(1, 3),
    waiting=st.integers(0, 4),
    calls_per_visitor=st.integers(0, 2),
)
COMES = st.tuples(st.sampled_from(Kind), st.sampled_from(["", "a", "b"]), st.booleans())
MOVES = st.one_of(COMES, st.tuples(st.sampled_from(["end", "leave", "needs"]), st.integers(0, 30), st.booleans()))


def check(places: Places, guests: list[Guest]) -> None:
    """What is always so."""
    limits = places.limits
    all_places = [guest.place for guest in guests if guest.place is not None]
    for kind in Kind:
        there = [p for p in all_places if p.kind is kind and p.state is State.IN]
        assert len(there) == places.live(kind) <= limits.most(kind)
    sessions = [p for p in all_places if p.session and p.state in (State.IN, State.ENDING)]
    assert len(sessions) == places.sessions <= limits.sessions
    line = [p for p in all_places if p.state is State.WAITING]
    assert len(line) == places.waiting <= limits.waiting
    assert all(p.kind is not Kind.PROGRAM for p in line)
    for visitor in "ab" if limits.calls_per_visitor else "":
        theirs = [p for p in all_places if p.visitor == visitor and p.kind is Kind.CALL]
        assert sum(p.state in (State.IN, State.WAITING) for p in theirs) <= limits.calls_per_visitor
    for p in line:  # nobody is forgotten: whoever waits could not come in
        full = places.live(p.kind) == limits.most(p.kind)
        assert full or (p.session and places.sessions == limits.sessions)
    for at, p in enumerate(line):
        ahead = [q for q in line[:at] if q.kind is p.kind or (q.session and p.session)]
        assert p.number == len(ahead) + 1
    assert places.empty == (not any(p.state is not State.OUT for p in all_places))


@given(LIMITS, st.lists(MOVES, max_size=40))
def test_never_above_a_limit_and_nobody_forgotten(limits: Limits, moves: list[tuple[object, object, bool]]) -> None:
    places, guests = Places(limits), list[Guest]()
    for what, which, flag in moves:
        line = [g for g in guests if g.place and g.place.state is State.WAITING]
        if isinstance(what, Kind):
            guests.append(Guest())
            place = guests[-1].enters(places, what, str(which), flag)
            assert (place.refusal is None) == (place.state is not State.OUT)
        elif guests:
            place = guests[int(str(which)) % len(guests)].place
            if what == "needs":
                line = []  # who then waits for something else may be let in for that alone
                place.needs(flag)
            else:
                getattr(place, str(what))()
        check(places, guests)
        came_in = [g for g in line if g.place and g.place.state is State.IN]
        for g in came_in:  # first come, first served, among those who wait for the same
            assert g.told[-1] == (State.IN, 0)
            same = [h for h in line if h.place and (h.place.kind, h.place.session) == (g.place.kind, g.place.session)]
            assert all(h.place.state is not State.WAITING for h in same[: same.index(g)])
    for guest in reversed(guests):  # nothing is leaked, in whatever order they go
        guest.place.leave()
        check(places, guests)
    assert places.empty and not places.sessions


def test_who_is_kept_by_another_limit_keeps_nobody() -> None:
    places = Places(Limits(calls=1, chats=1, sessions=2, waiting=3))
    first, call, chat = Guest(), Guest(), Guest()
    first.enters(places, session=True)
    assert call.enters(places, session=True).number == 1
    assert chat.enters(places, Kind.CHAT, session=True).state is State.IN
    late = Guest()
    assert late.enters(places, Kind.CHAT).number == 1, "waits for nothing that the call waits for"
    chat.place.leave()
    assert (late.told, call.told) == ([(State.IN, 0)], [])


def test_those_in_line_are_told_as_they_move_up() -> None:
    places = Places(Limits(calls=1, waiting=3))
    guests = [Guest() for _ in range(4)]
    for guest in guests:
        guest.enters(places)
    assert [g.place.number for g in guests] == [0, 1, 2, 3]
    guests[2].place.leave()
    assert guests[3].told == [(State.WAITING, 2)] and guests[1].told == []
    guests[0].place.leave()
    assert guests[1].told == [(State.IN, 0)] and guests[3].told[-1] == (State.WAITING, 1)
    assert Guest().enters(places).number == 2


def test_a_session_that_is_being_closed_is_not_given_to_the_next_one_yet() -> None:
    places = Places(Limits(calls=2, sessions=1, waiting=1))
    one, two = Guest(), Guest()
    one.enters(places, session=True)
    two.enters(places, session=True)
    one.place.end()
    assert places.live(Kind.CALL) == 0 and two.told == []
    one.place.leave()
    assert two.told == [(State.IN, 0)]


def test_who_leaves_upon_being_let_in_makes_room_for_the_next() -> None:
    class Fickle(Guest):
        def place_changed(self) -> None:
            super().place_changed()
            self.place.leave()

    places = Places(Limits(calls=1, waiting=2))
    one, fickle, last = Guest(), Fickle(), Guest()
    for guest in (one, fickle, last):
        guest.enters(places)
    one.place.leave()
    assert last.told[-1] == (State.IN, 0) and places.live(Kind.CALL) == 1


def test_another_server_in_the_middle_of_it() -> None:
    places = Places(Limits(calls=3, sessions=1, waiting=1))
    one, two = Guest(), Guest()
    assert one.enters(places).needs(True)
    place = two.enters(places, session=True)
    assert place.state is State.WAITING
    assert place.needs(False) and two.told == [(State.IN, 0)], "with a key of their own they wait for nothing"
    assert not place.needs(True), "and without it again there is no room for them"


def test_one_visitor_has_only_so_many_calls() -> None:
    places = Places(Limits(calls=1, waiting=5, calls_per_visitor=2))
    assert [Guest().enters(places, visitor="a").refusal for _ in range(3)] == [None, None, Notice.VISITOR_BUSY]
    assert Guest().enters(places, Kind.CHAT, "a").refusal is None
    assert [Guest().enters(places).refusal for _ in range(3)] == [None] * 3, "nobody knows whether these are one"


def test_one_visitor_does_not_fill_the_line() -> None:
    places = Places(Limits(chats=0, waiting=5, calls_per_visitor=2))
    refusals = [Guest().enters(places, Kind.CHAT, "a").refusal for _ in range(3)]
    assert refusals == [None, None, Notice.VISITOR_BUSY]
    assert [Guest().enters(places, Kind.CHAT, who).refusal for who in ("b", "", "")] == [None] * 3


def test_a_full_line_and_programs_are_sent_away() -> None:
    places = Places(Limits(calls=1, programs=1, waiting=1))
    refusals = [Guest().enters(places).refusal for _ in range(3)]
    assert refusals == [None, None, Notice.SERVER_BUSY]
    assert [Guest().enters(places, Kind.PROGRAM).refusal for _ in range(2)] == [None, Notice.SERVER_BUSY]


def test_the_end_of_the_app() -> None:
    places = Places(Limits(calls=1, waiting=1))
    inside, waiting = Guest(), Guest()
    inside.enters(places)
    waiting.enters(places)
    emptied: list[bool] = []
    places.close(10.0, lambda: emptied.append(places.empty))
    places.close(5.0)
    assert inside.closing_s == 10.0 and waiting.closing_s is None
    assert waiting.place is not None and waiting.place.refusal is Notice.CLOSING
    assert waiting.told == [(State.OUT, 0)]
    assert Guest().enters(places, Kind.CHAT).refusal is Notice.CLOSING
    assert not places.empty and not emptied
    inside.place.leave()
    assert places.empty and emptied == [True]
    nobody = Places(Limits())
    nobody.close(1.0, lambda: emptied.append(nobody.empty))
    assert emptied == [True, True]


@pytest.mark.parametrize(
    ("found", "needed"),
    [
        (Endpoint(ServerKind.OFFLINE, "ws://x"), True),
        (Endpoint(ServerKind.OPENAI, "wss://x", own_key=True), False),
        (Failure.LOADING, True),
        (Failure.DAY_SPENT, False),
    ],
)
def test_only_the_embedded_servers_sessions_are_counted(found: Endpoint | Failure, needed: bool) -> None:
    assert needs_session(found) is needed


def test_the_limits_are_the_settings() -> None:
    limits = Limits.of(Settings.from_env({"MAX_CALLS": "3", "OFFLINE_SESSIONS": "4", "MAX_WAITING": "5"}))
    assert (limits.calls, limits.sessions, limits.waiting) == (3, 4, 5)
