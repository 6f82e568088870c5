"""Circuit breaker: pauses after failures, one request on trial after them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offline.endpoints.circuit_breaker import MAX_RETRY_AFTER_S, PAUSES_S, BreakerState, CircuitBreaker, Lease
from tests.support.manual_clock import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def admitted(breaker: CircuitBreaker) -> Lease:
    """Return the lease of a request that the breaker has to admit."""
    lease = breaker.admit()
    assert lease is not None
    return lease


def test_pauses_grow_with_failures_in_a_row(clock: ManualClock) -> None:
    breaker = CircuitBreaker(clock)
    for pause in (*PAUSES_S, PAUSES_S[-1]):
        breaker.record_failure(admitted(breaker))
        assert breaker.remaining_s == pause
        clock.now += pause - 0.001
        assert breaker.admit() is None
        clock.now += 0.001
    trial = admitted(breaker)
    breaker.record_success(trial)
    breaker.record_failure(trial)
    assert breaker.remaining_s == PAUSES_S[0]


def test_failures_of_simultaneous_requests_count_once(clock: ManualClock) -> None:
    breaker = CircuitBreaker(clock)
    for lease in [admitted(breaker) for _ in range(3)]:
        breaker.record_failure(lease)
    assert breaker.remaining_s == PAUSES_S[0]


@pytest.mark.parametrize(("asked_s", "pause_s"), [(0.0, 0.0), (7.0, 7.0), (1e9, MAX_RETRY_AFTER_S), (-5.0, 0.0)])
def test_endpoint_chooses_the_pause_within_bounds(clock: ManualClock, asked_s: float, pause_s: float) -> None:
    breaker = CircuitBreaker(clock)
    breaker.record_failure(admitted(breaker), asked_s)
    assert breaker.remaining_s == pause_s


def test_shorter_pause_does_not_replace_a_longer_one(clock: ManualClock) -> None:
    breaker = CircuitBreaker(clock)
    first, second = admitted(breaker), admitted(breaker)
    breaker.record_failure(first, 100.0)
    breaker.record_failure(second, 1.0)
    assert breaker.remaining_s == 100.0


def test_pause_before_a_success_does_not_prolong_a_later_one(clock: ManualClock) -> None:
    breaker = CircuitBreaker(clock)
    breaker.record_failure(admitted(breaker), MAX_RETRY_AFTER_S)
    clock.now += MAX_RETRY_AFTER_S
    trial = admitted(breaker)
    breaker.record_success(trial)
    clock.now -= 1.0  # even by a clock that went back
    breaker.record_failure(trial, 0.5)
    assert breaker.remaining_s == 0.5


def test_success_of_another_session_does_not_end_a_pause(clock: ManualClock) -> None:
    breaker = CircuitBreaker(clock)
    streaming, refused = admitted(breaker), admitted(breaker)
    breaker.record_failure(refused, 300.0)
    breaker.record_success(streaming)
    assert (breaker.state, breaker.remaining_s) == (BreakerState.OPEN, 300.0)


@pytest.mark.parametrize("outcome", ["success", "failure", "release"])
def test_old_request_of_another_session_decides_nothing_on_the_trial(clock: ManualClock, outcome: str) -> None:
    breaker = CircuitBreaker(clock)
    old, failed = admitted(breaker), admitted(breaker)
    breaker.record_failure(failed)
    clock.now += PAUSES_S[0]
    trial = admitted(breaker)
    if outcome == "success":
        breaker.record_success(old)
    elif outcome == "failure":
        breaker.record_failure(old)
    breaker.release(old)
    assert breaker.state is BreakerState.HALF_OPEN
    breaker.release(trial)
    assert admitted(breaker).is_trial, "a trial without an outcome is repeated at once"


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("wait"), st.just(0), st.floats(0, 700)),
        st.tuples(st.just("fail"), st.integers(0, 1), st.none() | st.floats(0, 1e6)),
        st.tuples(st.sampled_from(["request", "succeed", "end"]), st.integers(0, 1), st.none()),
    ),
    max_size=40,
)


@given(steps=STEPS)
def test_outcomes_of_two_sessions(steps: list[tuple[str, int, float | None]]) -> None:
    """Each session has one request at a time, whose outcomes count unless a failure or a trial came after its start."""
    clock, leases = ManualClock(), dict[int, Lease]()
    breaker = CircuitBreaker(clock)
    trial: Lease | None = None
    for name, session, seconds in steps:
        before, remaining = breaker.state, breaker.remaining_s
        lease = leases.get(session)
        if name == "wait":
            clock.now += seconds or 0.0
        elif name == "request" and lease is None:
            new = breaker.admit()
            is_due = before is BreakerState.OPEN and remaining == 0.0
            assert (new is not None) is (before is BreakerState.CLOSED or is_due)
            if new is not None:
                assert new.is_trial is is_due
                leases[session] = new
                trial = new if new.is_trial else trial
        elif lease is None:
            continue
        elif before is BreakerState.HALF_OPEN and lease != trial:
            report(breaker, name, lease, seconds)
            assert breaker.state is BreakerState.HALF_OPEN, "only the trial decides"
        elif name == "fail":
            breaker.record_failure(lease, seconds)
            assert breaker.state is before or breaker.state is BreakerState.OPEN
            assert remaining - 0.001 <= breaker.remaining_s <= MAX_RETRY_AFTER_S + 0.001
        elif name == "succeed":
            breaker.record_success(lease)
            expected = BreakerState.OPEN if before is BreakerState.OPEN else BreakerState.CLOSED
            assert breaker.state is expected
        else:
            breaker.release(lease)
            expected = BreakerState.OPEN if before is BreakerState.HALF_OPEN else before
            assert (breaker.state, breaker.remaining_s) == (expected, remaining)
        if name == "end":
            leases.pop(session, None)
        if breaker.state is BreakerState.HALF_OPEN:
            assert trial in leases.values(), "a trial that has ended leaves the next request on trial"


def report(breaker: CircuitBreaker, name: str, lease: Lease, seconds: float | None) -> None:
    """Report the outcome `name` of a request."""
    if name == "fail":
        breaker.record_failure(lease, seconds)
    elif name == "succeed":
        breaker.record_success(lease)
    else:
        breaker.release(lease)
