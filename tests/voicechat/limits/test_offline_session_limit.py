"""Sessions of the offline server that change while visitors are admitted and wait."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from voicechat.limits.admission import AdmissionKind, AdmissionState, AdmissionTicket, ConcurrencyLimits
from voicechat.limits.waiting_queue import AdmissionController


class CountingListener:
    """Holds a ticket, and records the states that it was notified of."""

    def __init__(self, admission: AdmissionController, *, uses_offline: bool) -> None:
        self.states: list[AdmissionState] = []
        self.ticket = AdmissionTicket(admission, self, AdmissionKind.CALL, "")
        self.ticket.request(uses_offline=uses_offline)

    def on_admission_changed(self) -> None:
        self.states.append(self.ticket.state)

    def on_shutdown(self, grace_s: float) -> None:
        raise AssertionError("nothing shuts down")


def states(listeners: list[CountingListener]) -> list[AdmissionState]:
    return [each.ticket.state for each in listeners]


def test_more_sessions_admit_the_queued_in_order_and_fewer_end_none() -> None:
    admission = AdmissionController(ConcurrencyLimits(calls=8, offline_sessions=1, queue_length=8))
    listeners = [CountingListener(admission, uses_offline=True) for _ in range(4)]
    admitted, queued = AdmissionState.ADMITTED, AdmissionState.QUEUED
    assert states(listeners) == [admitted, queued, queued, queued]
    admission.set_offline_sessions(3)
    assert states(listeners) == [admitted, admitted, admitted, queued]
    assert [each.states[-1:] for each in listeners] == [[], [admitted], [admitted], [queued]]
    assert listeners[3].ticket.queue_position == 1
    admission.set_offline_sessions(1)
    assert states(listeners) == [admitted, admitted, admitted, queued]
    for each in listeners[:2]:
        each.ticket.release()
    assert states(listeners)[2:] == [admitted, queued], "the one that is left takes the only session"
    listeners[2].ticket.release()
    assert states(listeners)[3] is admitted


@given(
    st.lists(st.integers(0, 4) | st.sampled_from(["offline", "other", "release"]), max_size=30),
    st.integers(1, 6),
)
def test_sessions_that_change_at_any_time_admit_all_that_fit_and_no_more(moves: list[int | str], calls: int) -> None:
    admission = AdmissionController(ConcurrencyLimits(calls=calls, offline_sessions=1, queue_length=30))
    listeners: list[CountingListener] = []
    taken_before = 0
    for move in moves:
        if isinstance(move, int):
            admission.set_offline_sessions(move)
        elif move == "release" and listeners:
            listeners.pop(0).ticket.release()
        elif move != "release":
            listeners.append(CountingListener(admission, uses_offline=move == "offline"))
        tickets = [each.ticket for each in listeners]
        taken = [t for t in tickets if t.uses_offline and t.state is AdmissionState.ADMITTED]
        limit = admission.limits.offline_sessions
        assert len(taken) <= max(limit, taken_before), "admitted sessions go on, and no further one begins"
        for ticket in tickets:  # no ticket is forgotten
            is_full = admission.count_admitted(AdmissionKind.CALL) == calls
            blocked = is_full or (ticket.uses_offline and len(taken) >= limit)
            assert ticket.state is AdmissionState.ADMITTED or blocked
        taken_before = len(taken)
