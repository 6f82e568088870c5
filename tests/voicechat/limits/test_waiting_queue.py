"""Admission control in generated orders of requests and releases."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicechat.config.settings import Settings
from voicechat.limits.waiting_queue import (
    AdmissionController,
    AdmissionKind,
    AdmissionState,
    AdmissionTicket,
    ConcurrencyLimits,
    needs_offline_session,
)
from voicechat.protocol.endpoint import Endpoint, ServerKind
from voicechat.protocol.failures import Failure
from voicechat.protocol.notices import Notice


class FakeAdmissionListener:
    """Holds a slot, and records its notifications."""

    def __init__(self) -> None:
        self.ticket: AdmissionTicket | None = None
        self.notifications: list[tuple[AdmissionState, int]] = []
        self.closing_s: float | None = None

    def enter(
        self,
        places: AdmissionController,
        kind: AdmissionKind = AdmissionKind.CALL,
        visitor: str = "",
        session: bool = False,
    ) -> AdmissionTicket:
        self.ticket = places.request_admission(self, kind, visitor, uses_offline=session)
        return self.ticket

    def on_admission_changed(self) -> None:
        assert self.ticket is not None
        self.notifications.append((self.ticket.state, self.ticket.queue_position))

    def on_shutdown(self, grace_s: float) -> None:
        self.closing_s = grace_s


Arrival = tuple[AdmissionKind, str, bool]
LIMITS = st.builds(
    ConcurrencyLimits,
    calls=st.integers(1, 3),
    chats=st.integers(1, 3),
    api_clients=st.integers(1, 3),
    offline_sessions=st.integers(1, 3),
    queue_length=st.integers(0, 4),
    calls_per_visitor=st.integers(0, 2),
)
ARRIVALS = st.tuples(st.sampled_from(AdmissionKind), st.sampled_from(["", "a", "b"]), st.booleans())
ACTIONS = st.one_of(
    ARRIVALS,
    st.tuples(st.sampled_from(["begin_release", "release", "switch_server"]), st.integers(0, 30), st.booleans()),
)


def assert_invariants(places: AdmissionController, guests: list[FakeAdmissionListener]) -> None:
    """Check that limits, queue order and counts agree."""
    limits = places.limits
    all_places = [guest.ticket for guest in guests if guest.ticket is not None]
    for kind in AdmissionKind:
        there = [p for p in all_places if p.kind is kind and p.state is AdmissionState.ADMITTED]
        assert len(there) == places.count_admitted(kind) <= limits.for_kind(kind)
    sessions = [
        p for p in all_places if p.uses_offline and p.state in (AdmissionState.ADMITTED, AdmissionState.RELEASING)
    ]
    assert len(sessions) <= limits.offline_sessions
    line = [p for p in all_places if p.state is AdmissionState.QUEUED]
    assert len(line) == places.queue_length <= limits.queue_length
    assert all(p.kind is not AdmissionKind.API_CLIENT for p in line)
    for visitor in "ab" if limits.calls_per_visitor else "":
        theirs = [p for p in all_places if p.visitor == visitor and p.kind is AdmissionKind.CALL]
        assert (
            sum(p.state in (AdmissionState.ADMITTED, AdmissionState.QUEUED) for p in theirs) <= limits.calls_per_visitor
        )
    for p in line:  # no ticket is forgotten: a queued one could not be admitted
        full = places.count_admitted(p.kind) == limits.for_kind(p.kind)
        assert full or (p.uses_offline and len(sessions) == limits.offline_sessions)
    for at, p in enumerate(line):
        ahead = [q for q in line[:at] if q.kind is p.kind or (q.uses_offline and p.uses_offline)]
        assert p.queue_position == len(ahead) + 1
    assert places.is_empty == (not any(p.state is not AdmissionState.RELEASED for p in all_places))


@given(LIMITS, st.lists(ACTIONS, max_size=40))
def test_admission_in_any_order_keeps_limits_and_queue_order(
    limits: ConcurrencyLimits, moves: list[tuple[object, object, bool]]
) -> None:
    places, guests = AdmissionController(limits), list[FakeAdmissionListener]()
    for what, which, flag in moves:
        line = [g for g in guests if g.ticket and g.ticket.state is AdmissionState.QUEUED]
        if isinstance(what, AdmissionKind):
            guests.append(FakeAdmissionListener())
            place = guests[-1].enter(places, what, str(which), flag)
            assert (place.refusal is None) == (place.state is not AdmissionState.RELEASED)
        elif guests:
            place = guests[int(str(which)) % len(guests)].ticket
            if what == "switch_server":
                line = []  # who then waits for something else may be let in for that alone
                place.switch_server(flag)
            else:
                getattr(place, str(what))()
        assert_invariants(places, guests)
        came_in = [g for g in line if g.ticket and g.ticket.state is AdmissionState.ADMITTED]
        for g in came_in:  # first come, first served, among those who wait for the same
            assert g.notifications[-1] == (AdmissionState.ADMITTED, 0)
            same = [
                h
                for h in line
                if h.ticket and (h.ticket.kind, h.ticket.uses_offline) == (g.ticket.kind, g.ticket.uses_offline)
            ]
            assert all(h.ticket.state is not AdmissionState.QUEUED for h in same[: same.index(g)])
    for guest in reversed(guests):  # nothing is leaked, in whatever order they go
        guest.ticket.release()
        assert_invariants(places, guests)
    assert places.is_empty
    for number in range(1 + limits.offline_sessions):  # every session of the offline server is free again
        is_free = number < min(limits.offline_sessions, limits.api_clients)
        place = FakeAdmissionListener().enter(places, AdmissionKind.API_CLIENT, session=True)
        assert place.refusal is (None if is_free else Notice.SERVER_BUSY)


def test_ticket_blocked_by_one_limit_does_not_block_others() -> None:
    places = AdmissionController(ConcurrencyLimits(calls=1, chats=1, offline_sessions=2, queue_length=3))
    first, call, chat = FakeAdmissionListener(), FakeAdmissionListener(), FakeAdmissionListener()
    first.enter(places, session=True)
    assert call.enter(places, session=True).queue_position == 1
    assert chat.enter(places, AdmissionKind.CHAT, session=True).state is AdmissionState.ADMITTED
    late = FakeAdmissionListener()
    assert late.enter(places, AdmissionKind.CHAT).queue_position == 1, "waits for nothing that the call waits for"
    chat.ticket.release()
    assert (late.notifications, call.notifications) == ([(AdmissionState.ADMITTED, 0)], [])


def test_queued_tickets_are_notified_of_new_positions() -> None:
    places = AdmissionController(ConcurrencyLimits(calls=1, queue_length=3))
    guests = [FakeAdmissionListener() for _ in range(4)]
    for guest in guests:
        guest.enter(places)
    assert [g.ticket.queue_position for g in guests] == [0, 1, 2, 3]
    guests[2].ticket.release()
    assert guests[3].notifications == [(AdmissionState.QUEUED, 2)] and guests[1].notifications == []
    guests[0].ticket.release()
    assert guests[1].notifications == [(AdmissionState.ADMITTED, 0)] and guests[3].notifications[-1] == (
        AdmissionState.QUEUED,
        1,
    )
    assert FakeAdmissionListener().enter(places).queue_position == 2


def test_releasing_ticket_keeps_its_offline_session() -> None:
    places = AdmissionController(ConcurrencyLimits(calls=2, offline_sessions=1, queue_length=1))
    one, two = FakeAdmissionListener(), FakeAdmissionListener()
    one.enter(places, session=True)
    two.enter(places, session=True)
    one.ticket.begin_release()
    assert places.count_admitted(AdmissionKind.CALL) == 0 and two.notifications == []
    one.ticket.release()
    assert two.notifications == [(AdmissionState.ADMITTED, 0)]


def test_ticket_released_when_admitted_admits_next() -> None:
    class Fickle(FakeAdmissionListener):
        def on_admission_changed(self) -> None:
            super().on_admission_changed()
            self.ticket.release()

    places = AdmissionController(ConcurrencyLimits(calls=1, queue_length=2))
    one, fickle, last = FakeAdmissionListener(), Fickle(), FakeAdmissionListener()
    for guest in (one, fickle, last):
        guest.enter(places)
    one.ticket.release()
    assert last.notifications[-1] == (AdmissionState.ADMITTED, 0) and places.count_admitted(AdmissionKind.CALL) == 1


def test_switch_server_moves_offline_session() -> None:
    places = AdmissionController(ConcurrencyLimits(calls=3, offline_sessions=1, queue_length=1))
    one, two = FakeAdmissionListener(), FakeAdmissionListener()
    assert one.enter(places).switch_server(True)
    place = two.enter(places, session=True)
    assert place.state is AdmissionState.QUEUED
    assert place.switch_server(False) and two.notifications == [(AdmissionState.ADMITTED, 0)], (
        "with a key of their own they wait for nothing"
    )
    assert not place.switch_server(True), "and without it again there is no room for them"


def test_visitor_limit_refuses_more_calls() -> None:
    places = AdmissionController(ConcurrencyLimits(calls=1, queue_length=5, calls_per_visitor=2))
    assert [FakeAdmissionListener().enter(places, visitor="a").refusal for _ in range(3)] == [
        None,
        None,
        Notice.VISITOR_CALL_LIMIT,
    ]
    assert FakeAdmissionListener().enter(places, AdmissionKind.CHAT, "a").refusal is None
    assert [FakeAdmissionListener().enter(places).refusal for _ in range(3)] == [None] * 3, (
        "nobody knows whether these are one"
    )


def test_visitor_limit_bounds_queued_chats() -> None:
    places = AdmissionController(ConcurrencyLimits(chats=0, queue_length=5, calls_per_visitor=2))
    refusals = [FakeAdmissionListener().enter(places, AdmissionKind.CHAT, "a").refusal for _ in range(3)]
    assert refusals == [None, None, Notice.VISITOR_CALL_LIMIT]
    assert [FakeAdmissionListener().enter(places, AdmissionKind.CHAT, who).refusal for who in ("b", "", "")] == [
        None
    ] * 3


def test_full_queue_and_api_clients_are_refused() -> None:
    places = AdmissionController(ConcurrencyLimits(calls=1, api_clients=1, queue_length=1))
    refusals = [FakeAdmissionListener().enter(places).refusal for _ in range(3)]
    assert refusals == [None, None, Notice.SERVER_BUSY]
    assert [FakeAdmissionListener().enter(places, AdmissionKind.API_CLIENT).refusal for _ in range(2)] == [
        None,
        Notice.SERVER_BUSY,
    ]


def test_shutdown_refuses_queued_and_notifies_admitted() -> None:
    places = AdmissionController(ConcurrencyLimits(calls=1, queue_length=1))
    inside, waiting = FakeAdmissionListener(), FakeAdmissionListener()
    inside.enter(places)
    waiting.enter(places)
    emptied: list[bool] = []
    places.begin_shutdown(10.0, lambda: emptied.append(places.is_empty))
    places.begin_shutdown(5.0)
    assert inside.closing_s == 10.0 and waiting.closing_s is None
    assert waiting.ticket is not None and waiting.ticket.refusal is Notice.CLOSING
    assert waiting.notifications == [(AdmissionState.RELEASED, 0)]
    assert FakeAdmissionListener().enter(places, AdmissionKind.CHAT).refusal is Notice.CLOSING
    assert not places.is_empty and not emptied
    inside.ticket.release()
    assert places.is_empty and emptied == [True]
    empty_controller = AdmissionController(ConcurrencyLimits())
    empty_controller.begin_shutdown(1.0, lambda: emptied.append(empty_controller.is_empty))
    assert emptied == [True, True]


@pytest.mark.parametrize(
    ("found", "needed"),
    [
        (Endpoint(ServerKind.OFFLINE, "ws://x"), True),
        (Endpoint(ServerKind.OPENAI, "wss://x", has_visitor_key=True), False),
        (Failure.LOADING, True),
        (Failure.DAILY_BUDGET_SPENT, False),
    ],
)
def test_needs_offline_session_for_offline_and_loading_only(found: Endpoint | Failure, needed: bool) -> None:
    assert needs_offline_session(found) is needed


def test_concurrency_limits_come_from_settings() -> None:
    limits = ConcurrencyLimits.from_settings(
        Settings.from_env({"MAX_CALLS": "3", "OFFLINE_SESSIONS": "4", "MAX_WAITING": "5"})
    )
    assert (limits.calls, limits.offline_sessions, limits.queue_length) == (3, 4, 5)
