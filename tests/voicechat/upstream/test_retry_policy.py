"""The retry policy: a table of decisions, and generated sequences of outcomes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicechat.protocol.failures import FATAL, RETRYABLE, Failure
from voicechat.upstream.retry_policy import (
    MAX_CAPACITY_RETRIES,
    MAX_INITIAL_RETRIES,
    MAX_PAUSE_S,
    MODEL_LOADING_POLL_S,
    MODEL_LOADING_TIMEOUT_S,
    STABLE_CONNECTION_S,
    GiveUp,
    Outcome,
    Renew,
    Retry,
    RetryHistory,
    next_action,
    pause_seconds,
)

MAX_RECONNECTS = 5
NOMINAL_PAUSES_S = [0.5, 1, 2, 4, 8, 8, 8]
NEVER_READY = RetryHistory(loading_deadline=MODEL_LOADING_TIMEOUT_S)
WAS_READY = replace(NEVER_READY, was_ready=True)


def no_jitter() -> float:
    return 0.5


def outcome(failure: Failure = Failure.LOST, at: float = 1.0, **more: bool) -> Outcome:
    return Outcome(failure, at - 0.5, at, **more)


def decide(history: RetryHistory, ended: Outcome, max_reconnects: int = MAX_RECONNECTS) -> Retry | Renew | GiveUp:
    return next_action(ended, history.record(ended), max_reconnects, no_jitter)


@pytest.mark.parametrize(
    ("history", "ended", "expected"),
    [
        (NEVER_READY, outcome(Failure.UNREACHABLE), Retry(0.5)),
        (replace(NEVER_READY, failures=1), outcome(Failure.UNREACHABLE), Retry(1.0)),
        (replace(NEVER_READY, failures=2), outcome(Failure.UNREACHABLE), GiveUp(Failure.UNREACHABLE)),
        (NEVER_READY, outcome(Failure.WRONG_KEY), GiveUp(Failure.WRONG_KEY)),
        (NEVER_READY, outcome(Failure.SERVER_FULL), Retry(2.0, awaits_slot=True)),
        (replace(NEVER_READY, failures=3), outcome(Failure.SERVER_FULL), Retry(8.0, awaits_slot=True)),
        (replace(NEVER_READY, failures=4), outcome(Failure.SERVER_FULL), GiveUp(Failure.SERVER_FULL)),
        (NEVER_READY, outcome(Failure.SERVER_FULL, is_embedded_server=True), Retry(0.5, awaits_slot=True)),
        (WAS_READY, outcome(Failure.SERVER_FULL), Retry(0.5, awaits_slot=True)),
        (NEVER_READY, outcome(Failure.INACTIVE), Retry(0.0)),
        (WAS_READY, outcome(Failure.CLOSED), Retry(0.5)),
        (NEVER_READY, outcome(Failure.REGION), GiveUp(Failure.REGION)),
        (WAS_READY, outcome(Failure.REFUSED), GiveUp(Failure.REFUSED)),
        (WAS_READY, replace(outcome(Failure.REFUSED), server_words="No."), GiveUp(Failure.REFUSED, "No.")),
        (NEVER_READY, outcome(Failure.LOADING), Retry(MODEL_LOADING_POLL_S, awaits_models=True)),
        (NEVER_READY, outcome(Failure.LOADING, at=MODEL_LOADING_TIMEOUT_S), Retry(0.5)),
        (NEVER_READY, outcome(Failure.EMBEDDED_UNREACHABLE), Retry(MODEL_LOADING_POLL_S, awaits_server=True)),
        (WAS_READY, outcome(Failure.EMBEDDED_UNREACHABLE), Retry(MODEL_LOADING_POLL_S, awaits_server=True)),
        (
            replace(WAS_READY, failures=5),
            outcome(Failure.EMBEDDED_UNREACHABLE, at=MODEL_LOADING_TIMEOUT_S),
            GiveUp(Failure.UNREACHABLE),
        ),
        (NEVER_READY, outcome(Failure.EXPIRED), Retry(0.0)),
        (WAS_READY, outcome(Failure.EXPIRED), Retry(0.0)),
        (replace(WAS_READY, failures=1), outcome(Failure.EXPIRED), Retry(1.0)),
        (WAS_READY, outcome(Failure.LOST), Retry(0.5)),
        (replace(WAS_READY, failures=4), outcome(Failure.LOST), Retry(8.0)),
        (replace(WAS_READY, failures=5), outcome(Failure.LOST), GiveUp(Failure.LOST)),
        (replace(WAS_READY, failures=5), outcome(Failure.LOST, was_ready=True), GiveUp(Failure.LOST)),
        (replace(WAS_READY, failures=5), Outcome(Failure.LOST, 0.0, 10.1, was_ready=True), Retry(0.5)),
        (replace(WAS_READY, failures=5), outcome(Failure.LOST, was_ready=True, is_renewal=True), Renew()),
        (WAS_READY, outcome(Failure.REFUSED_SETTINGS), GiveUp(Failure.REFUSED_SETTINGS)),
    ],
    ids=str,
)
def test_next_action_table(history: RetryHistory, ended: Outcome, expected: Retry | Renew | GiveUp) -> None:
    assert decide(history, ended) == expected


def test_no_reconnects_allowed_gives_up_at_the_first_loss() -> None:
    assert decide(WAS_READY, outcome(), max_reconnects=0) == GiveUp(Failure.LOST)


def test_pauses_without_jitter_double_up_to_the_bound() -> None:
    assert [pause_seconds(retries, no_jitter) for retries in range(7)] == NOMINAL_PAUSES_S
    assert pause_seconds(10_000, no_jitter) == MAX_PAUSE_S


@given(st.integers(0, 200), st.floats(0, 1, exclude_max=True))
def test_pause_jitter_stays_within_half_of_the_nominal_pause(retries: int, random_number: float) -> None:
    nominal = pause_seconds(retries, no_jitter)
    assert nominal / 2 <= pause_seconds(retries, lambda: random_number) <= nominal * 1.5


def test_pause_jitter_spreads_two_calls_that_were_lost_together() -> None:
    assert pause_seconds(0, lambda: 0.1) != pause_seconds(0, lambda: 0.9)


# ---------------------------------------------------------------- generated sequences

LASTS_S = st.sampled_from([0.0, 0.2, STABLE_CONNECTION_S, STABLE_CONNECTION_S + 0.1, 50.0, 3600.0])
STEPS = st.lists(
    st.tuples(st.sampled_from(Failure), LASTS_S, st.booleans(), st.booleans(), st.booleans()), min_size=1, max_size=40
)
Step = tuple[Failure, float, bool, bool, bool]


def outcomes_of(steps: list[Step]) -> list[Outcome]:
    """Outcomes on one clock; a renewal follows a ready connection only."""
    found, now = [], 100.0
    for failure, lasts_s, ready, renewal, embedded in steps:
        found.append(Outcome(failure, now, now + lasts_s, ready, ready and renewal, embedded))
        now += lasts_s
    return found


def said_at_the_end(failure: Failure) -> Failure:
    """The failure of a call that waits no longer for an embedded server."""
    return Failure.UNREACHABLE if failure is Failure.EMBEDDED_UNREACHABLE else failure


class ReferenceLoop:
    """The rules once more, as a loop with counters."""

    def __init__(self, now: float, max_reconnects: int) -> None:
        self.attempt, self.was_ready, self.max_reconnects = 0, False, max_reconnects
        self.loading_until = now + MODEL_LOADING_TIMEOUT_S

    def decide(self, ended: Outcome) -> Retry | Renew | GiveUp:
        if ended.was_ready:
            self.was_ready = True
            self.loading_until = ended.ended_at + MODEL_LOADING_TIMEOUT_S
            if ended.ended_at - ended.started_at > STABLE_CONNECTION_S:
                self.attempt = 0
        if ended.is_renewal:
            return Renew()
        if ended.ended_at < self.loading_until:
            if ended.failure is Failure.LOADING:
                return Retry(MODEL_LOADING_POLL_S, awaits_models=True)
            if ended.failure is Failure.EMBEDDED_UNREACHABLE:
                return Retry(MODEL_LOADING_POLL_S, awaits_server=True)
        full = ended.failure is Failure.SERVER_FULL
        others = full and not self.was_ready and not ended.is_embedded_server
        most = self.max_reconnects if self.was_ready else 4 if others else MAX_INITIAL_RETRIES
        if ended.failure not in RETRYABLE or self.attempt >= most:
            return GiveUp(said_at_the_end(ended.failure))
        at_once = ended.failure in (Failure.EXPIRED, Failure.INACTIVE) and not self.attempt
        self.attempt += 1
        pause_s = NOMINAL_PAUSES_S[min(self.attempt - 1 + 2 * others, 6)]
        return Retry(0.0) if at_once else Retry(pause_s, awaits_slot=full)


@given(STEPS, st.integers(0, 8))
def test_any_outcomes_are_decided_as_by_a_loop_with_counters(steps: list[Step], max_reconnects: int) -> None:
    history, reference = RetryHistory.start(100.0), ReferenceLoop(100.0, max_reconnects)
    for ended in outcomes_of(steps):
        history = history.record(ended)
        action = next_action(ended, history, max_reconnects, no_jitter)
        assert action == reference.decide(ended)
        if isinstance(action, GiveUp):
            break


@given(STEPS, st.integers(0, 8), st.floats(0, 1, exclude_max=True))
def test_any_outcomes_keep_the_bounds(steps: list[Step], max_reconnects: int, random_number: float) -> None:
    history = RetryHistory.start(100.0)
    for ended in outcomes_of(steps):
        before, history = history, history.record(ended)
        action = next_action(ended, history, max_reconnects, lambda: random_number)
        match action:
            case Retry(delay_s):
                assert 0.0 <= delay_s <= 1.5 * MAX_PAUSE_S
                assert history.failures <= max(max_reconnects, MAX_CAPACITY_RETRIES)
                at_once = ended.failure in (Failure.EXPIRED, Failure.INACTIVE) and history.failures == 1
                assert (delay_s == 0.0) is at_once
            case Renew():
                assert ended.is_renewal
                assert history.failures <= before.failures, "a renewal is not a failure"
            case GiveUp(failure):
                assert failure is said_at_the_end(ended.failure)
                break
        if not ended.is_renewal and ended.failure in FATAL - {Failure.EXPIRED}:
            raise AssertionError(f"{ended.failure} must end the call")


@given(st.lists(st.floats(0, 20), max_size=30))
def test_renewals_alone_never_use_up_the_retries(lasts: list[float]) -> None:
    history, now = RetryHistory.start(0.0), 0.0
    for lasts_s in lasts:
        ended = Outcome(Failure.LOST, now, now + lasts_s, was_ready=True, is_renewal=True)
        history, now = history.record(ended), now + lasts_s
        assert next_action(ended, history, 0, no_jitter) == Renew()
        assert history.failures == 0


@given(st.lists(st.floats(0.1, 20), min_size=1, max_size=60))
def test_loading_is_waited_for_up_to_its_limit_and_no_longer(pauses: list[float]) -> None:
    history, now, waited = RetryHistory.start(0.0), 0.0, 0
    for pause_s in pauses:
        now += pause_s
        ended = Outcome(Failure.LOADING, now, now, is_embedded_server=True)
        history = history.record(ended)
        action = next_action(ended, history, MAX_RECONNECTS, no_jitter)
        waits = isinstance(action, Retry) and action.awaits_models
        assert waits is (now < MODEL_LOADING_TIMEOUT_S)
        waited += waits
    assert history.failures == len(pauses) - waited


def test_a_ready_connection_starts_the_loading_time_again() -> None:
    history = RetryHistory.start(0.0).record(Outcome(Failure.LOST, 0.0, 500.0, was_ready=True))
    ended = outcome(Failure.LOADING, at=500.0 + MODEL_LOADING_TIMEOUT_S - 1.0, is_embedded_server=True)
    assert decide(history, ended) == Retry(MODEL_LOADING_POLL_S, awaits_models=True)
