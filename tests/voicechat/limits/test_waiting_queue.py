"""Admission control in generated orders of requests and releases."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicechat.config.settings import Settings
from voicechat.limits.admission import (
    AdmissionKind,
    AdmissionState,
    AdmissionTicket,
    ConcurrencyLimits,
    needs_offline_session,
)
from voicechat.limits.waiting_queue import AdmissionController
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
        admission: AdmissionController,
        kind: AdmissionKind = AdmissionKind.CALL,
        visitor: str = "",
        session: bool = False,
    ) -> AdmissionTicket:
        self.ticket = admission.request_admission(self, kind, visitor, uses_offline=session)
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


def assert_invariants(admission: AdmissionController, guests: list[FakeAdmissionListener]) -> None:
    """Check that limits, queue order and counts agree."""
    limits = admission.limits
    tickets = [guest.ticket for guest in guests if guest.ticket is not None]
    for kind in AdmissionKind:
        there = [p for p in tickets if p.kind is kind and p.state is AdmissionState.ADMITTED]
        assert len(there) == admission.count_admitted(kind) <= limits.for_kind(kind)
    sessions = [p for p in tickets if p.uses_offline and p.state in (AdmissionState.ADMITTED, AdmissionState.RELEASING)]
    assert len(sessions) <= limits.offline_sessions
    queued = [p for p in tickets if p.state is AdmissionState.QUEUED]
    assert len(queued) == admission.queue_length <= limits.queue_length
    assert all(p.kind is not AdmissionKind.API_CLIENT for p in queued)
    for visitor in "ab" if limits.calls_per_visitor else "":
        theirs = [p for p in tickets if p.visitor == visitor and p.kind is AdmissionKind.CALL]
        assert (
            sum(p.state in (AdmissionState.ADMITTED, AdmissionState.QUEUED) for p in theirs) <= limits.calls_per_visitor
        )
    for p in queued:  # no ticket is forgotten: a queued one could not be admitted
        full = admission.count_admitted(p.kind) == limits.for_kind(p.kind)
        assert full or (p.uses_offline and len(sessions) == limits.offline_sessions)
    for at, p in enumerate(queued):
        ahead = [q for q in queued[:at] if q.kind is p.kind or (q.uses_offline and p.uses_offline)]
        assert p.queue_position == len(ahead) + 1
    assert admission.is_empty == (not any(p.state is not AdmissionState.RELEASED for p in tickets))


@given(LIMITS, st.lists(ACTIONS, max_size=40))
def test_admission_in_any_order_keeps_limits_and_queue_order(
    limits: ConcurrencyLimits, moves: list[tuple[object, object, bool]]
) -> None:
    admission, guests = AdmissionController(limits), list[FakeAdmissionListener]()
    for what, which, flag in moves:
        queued = [g for g in guests if g.ticket and g.ticket.state is AdmissionState.QUEUED]
        if isinstance(what, AdmissionKind):
            guests.append(FakeAdmissionListener())
            ticket = guests[-1].enter(admission, what, str(which), flag)
            assert (ticket.refusal is None) == (ticket.state is not AdmissionState.RELEASED)
        elif guests:
            ticket = guests[int(str(which)) % len(guests)].ticket
            if what == "switch_server":
                queued = []  # a ticket that changes its server may be admitted out of order
                ticket.switch_server(flag)
            else:
                getattr(ticket, str(what))()
        assert_invariants(admission, guests)
        admitted = [g for g in queued if g.ticket and g.ticket.state is AdmissionState.ADMITTED]
        for g in admitted:  # first come, first served, among those who wait for the same
            assert g.notifications[-1] == (AdmissionState.ADMITTED, 0)
            same = [
                h
                for h in queued
                if h.ticket and (h.ticket.kind, h.ticket.uses_offline) == (g.ticket.kind, g.ticket.uses_offline)
            ]
            assert all(h.ticket.state is not AdmissionState.QUEUED for h in same[: same.index(g)])
    for guest in reversed(guests):  # no slot leaks in any order of releases
        guest.ticket.release()
        assert_invariants(admission, guests)
    assert admission.is_empty
    for number in range(1 + limits.offline_sessions):  # every session of the offline server is free again
        is_free = number < min(limits.offline_sessions, limits.api_clients)
        ticket = FakeAdmissionListener().enter(admission, AdmissionKind.API_CLIENT, session=True)
        assert ticket.refusal is (None if is_free else Notice.SERVER_BUSY)


def test_ticket_blocked_by_one_limit_does_not_block_others() -> None:
    admission = AdmissionController(ConcurrencyLimits(calls=1, chats=1, offline_sessions=2, queue_length=3))
    first, call, chat = FakeAdmissionListener(), FakeAdmissionListener(), FakeAdmissionListener()
    first.enter(admission, session=True)
    assert call.enter(admission, session=True).queue_position == 1
    assert chat.enter(admission, AdmissionKind.CHAT, session=True).state is AdmissionState.ADMITTED
    late = FakeAdmissionListener()
    assert late.enter(admission, AdmissionKind.CHAT).queue_position == 1, "it does not wait for the call's slot"
    chat.ticket.release()
    assert (late.notifications, call.notifications) == ([(AdmissionState.ADMITTED, 0)], [])


def test_queued_tickets_are_notified_of_new_positions() -> None:
    admission = AdmissionController(ConcurrencyLimits(calls=1, queue_length=3))
    guests = [FakeAdmissionListener() for _ in range(4)]
    for guest in guests:
        guest.enter(admission)
    assert [g.ticket.queue_position for g in guests] == [0, 1, 2, 3]
    guests[2].ticket.release()
    assert guests[3].notifications == [(AdmissionState.QUEUED, 2)] and guests[1].notifications == []
    guests[0].ticket.release()
    assert guests[1].notifications == [(AdmissionState.ADMITTED, 0)] and guests[3].notifications[-1] == (
        AdmissionState.QUEUED,
        1,
    )
    assert FakeAdmissionListener().enter(admission).queue_position == 2


def test_releasing_ticket_keeps_its_offline_session() -> None:
    admission = AdmissionController(ConcurrencyLimits(calls=2, offline_sessions=1, queue_length=1))
    one, two = FakeAdmissionListener(), FakeAdmissionListener()
    one.enter(admission, session=True)
    two.enter(admission, session=True)
    one.ticket.begin_release()
    assert admission.count_admitted(AdmissionKind.CALL) == 0 and two.notifications == []
    one.ticket.release()
    assert two.notifications == [(AdmissionState.ADMITTED, 0)]


def test_ticket_released_when_admitted_admits_next() -> None:
    class Fickle(FakeAdmissionListener):
        def on_admission_changed(self) -> None:
            super().on_admission_changed()
            self.ticket.release()

    admission = AdmissionController(ConcurrencyLimits(calls=1, queue_length=2))
    one, fickle, last = FakeAdmissionListener(), Fickle(), FakeAdmissionListener()
    for guest in (one, fickle, last):
        guest.enter(admission)
    one.ticket.release()
    assert last.notifications[-1] == (AdmissionState.ADMITTED, 0) and admission.count_admitted(AdmissionKind.CALL) == 1


def test_switch_server_moves_offline_session() -> None:
    admission = AdmissionController(ConcurrencyLimits(calls=3, offline_sessions=1, queue_length=1))
    one, two = FakeAdmissionListener(), FakeAdmissionListener()
    assert one.enter(admission).switch_server(True)
    ticket = two.enter(admission, session=True)
    assert ticket.state is AdmissionState.QUEUED
    assert ticket.switch_server(False) and two.notifications == [(AdmissionState.ADMITTED, 0)], (
        "with the visitor's own key no slot of the offline server is needed"
    )
    assert not ticket.switch_server(True), "without the key the offline server is full"


def test_visitor_limit_refuses_more_calls() -> None:
    admission = AdmissionController(ConcurrencyLimits(calls=1, queue_length=5, calls_per_visitor=2))
    assert [FakeAdmissionListener().enter(admission, visitor="a").refusal for _ in range(3)] == [
        None,
        None,
        Notice.VISITOR_CALL_LIMIT,
    ]
    assert FakeAdmissionListener().enter(admission, AdmissionKind.CHAT, "a").refusal is None
    assert [FakeAdmissionListener().enter(admission).refusal for _ in range(3)] == [None] * 3, (
        "unknown visitors cannot be distinguished"
    )


def test_visitor_limit_bounds_queued_chats() -> None:
    admission = AdmissionController(ConcurrencyLimits(chats=0, queue_length=5, calls_per_visitor=2))
    refusals = [FakeAdmissionListener().enter(admission, AdmissionKind.CHAT, "a").refusal for _ in range(3)]
    assert refusals == [None, None, Notice.VISITOR_CALL_LIMIT]
    assert [FakeAdmissionListener().enter(admission, AdmissionKind.CHAT, who).refusal for who in ("b", "", "")] == [
        None
    ] * 3


def test_full_queue_and_api_clients_are_refused() -> None:
    admission = AdmissionController(ConcurrencyLimits(calls=1, api_clients=1, queue_length=1))
    refusals = [FakeAdmissionListener().enter(admission).refusal for _ in range(3)]
    assert refusals == [None, None, Notice.SERVER_BUSY]
    assert [FakeAdmissionListener().enter(admission, AdmissionKind.API_CLIENT).refusal for _ in range(2)] == [
        None,
        Notice.SERVER_BUSY,
    ]


def test_shutdown_refuses_queued_and_notifies_admitted() -> None:
    admission = AdmissionController(ConcurrencyLimits(calls=1, queue_length=1))
    inside, waiting = FakeAdmissionListener(), FakeAdmissionListener()
    inside.enter(admission)
    waiting.enter(admission)
    emptied: list[bool] = []
    admission.begin_shutdown(10.0, lambda: emptied.append(admission.is_empty))
    admission.begin_shutdown(5.0)
    assert inside.closing_s == 10.0 and waiting.closing_s is None
    assert waiting.ticket is not None and waiting.ticket.refusal is Notice.CLOSING
    assert waiting.notifications == [(AdmissionState.RELEASED, 0)]
    assert FakeAdmissionListener().enter(admission, AdmissionKind.CHAT).refusal is Notice.CLOSING
    assert not admission.is_empty and not emptied
    inside.ticket.release()
    assert admission.is_empty and emptied == [True]
    empty_controller = AdmissionController(ConcurrencyLimits())
    empty_controller.begin_shutdown(1.0, lambda: emptied.append(empty_controller.is_empty))
    assert emptied == [True, True]


@pytest.mark.parametrize(
    ("found", "needed"),
    [
        (Endpoint(ServerKind.OFFLINE, "ws://x"), True),
        (Endpoint(ServerKind.OPENAI, "wss://x", has_own_key=True), False),
        (Failure.LOADING, True),
        (Failure.EMBEDDED_UNREACHABLE, True),
        (Failure.UNREACHABLE, False),
        (Failure.DAILY_BUDGET_SPENT, False),
    ],
)
def test_needs_offline_session_for_the_embedded_server_only(found: Endpoint | Failure, needed: bool) -> None:
    assert needs_offline_session(found) is needed


def test_concurrency_limits_come_from_settings() -> None:
    limits = ConcurrencyLimits.from_settings(
        Settings.from_env({"MAX_CALLS": "3", "OFFLINE_SESSIONS": "4", "MAX_WAITING": "5"})
    )
    assert (limits.calls, limits.offline_sessions, limits.queue_length) == (3, 4, 5)
