"""Speech pace: what a factor means for the start of a reply, and that a held start leaves no gap."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from offline.llm.clause_splitter import ClauseSplitter
from offline.tts.speech_pace import (
    DEFAULT_FACTOR,
    EXPECTED_REPLY_S,
    EXPECTED_SHORT_REPLY_S,
    LANGUAGE_MODEL_FACTOR,
    MAX_FACTOR,
    MAX_HOLD_S,
    MIN_FACTOR,
    SAFE_FACTOR,
    SHORT_CLAUSE_S,
    SHORT_REPLY_FACTOR,
    ReplyStart,
    SpeechPace,
    initial_factor,
    lead_to_start_s,
)
from tests.support.manual_clock import ManualClock

CLAUSES = st.lists(st.floats(0.3, SHORT_CLAUSE_S), min_size=1, max_size=12)
FACTORS = st.floats(MIN_FACTOR, MAX_FACTOR)
CHARACTER_S = 0.2


def gap_s(clauses: list[float], factor: float, started_after: int) -> float:
    """Return the silence in a reply whose clauses each take `factor` of their length, played after some of them."""
    ready_s = [factor * sum(clauses[: index + 1]) for index in range(len(clauses))]
    playing_until_s = ready_s[started_after - 1]
    gaps_s = 0.0
    for length, at_s in zip(clauses, ready_s, strict=True):
        gaps_s += max(0.0, at_s - playing_until_s)
        playing_until_s = max(playing_until_s, at_s) + length
    return gaps_s


@given(CLAUSES, FACTORS)
def test_lead_to_start_with_a_constant_factor_leaves_no_gap(clauses: list[float], factor: float) -> None:
    assume(factor > SAFE_FACTOR)
    total_s, made_s, count = sum(clauses), 0.0, 0
    while count < len(clauses):
        made_s, count = made_s + clauses[count], count + 1
        if made_s >= lead_to_start_s(factor, total_s - made_s):
            break
    assert gap_s(clauses, factor, count) == pytest.approx(0.0, abs=1e-9)


@given(FACTORS, st.floats(0, 20))
def test_lead_to_start_up_to_the_safe_factor_is_zero(factor: float, remaining_s: float) -> None:
    assert (lead_to_start_s(factor, remaining_s) == 0) == (factor <= SAFE_FACTOR)


@given(CLAUSES, FACTORS)
def test_reply_start_is_held_for_the_most_only(clauses: list[float], factor: float) -> None:
    clock, pace = ManualClock(), SpeechPace(factor)
    start, first_s = ReplyStart(clock), None
    for length in clauses:
        clock.now += factor * length
        first_s = clock.now if first_s is None else first_s
        if start.add(length, pace):
            break
        assert clock.now - first_s + factor * SHORT_CLAUSE_S <= MAX_HOLD_S
    assert clock.now - (first_s or 0.0) <= MAX_HOLD_S


@given(st.lists(st.floats(0, 5), min_size=1), st.floats(MIN_FACTOR, SAFE_FACTOR))
def test_reply_start_on_a_fast_computer_holds_nothing(clauses: list[float], factor: float) -> None:
    start, pace = ReplyStart(ManualClock()), SpeechPace(factor)
    assert all(start.add(length, pace) for length in clauses)


def test_reply_start_delivers_silent_clauses_before_the_speech_and_holds_those_after_it() -> None:
    start, pace = ReplyStart(ManualClock()), SpeechPace(1.1)
    assert start.add(0.0, pace)
    assert not start.add(1.0, pace)
    assert not start.add(0.0, pace)
    assert start.add(EXPECTED_REPLY_S, pace)


@given(FACTORS, FACTORS)
def test_speech_pace_approaches_what_it_measures(first: float, measured: float) -> None:
    pace = SpeechPace(first)
    for _ in range(5):
        before = pace.factor
        pace.record(2.0 * measured, 2.0)
        assert abs(measured - pace.factor) <= abs(measured - before) + 1e-9
    pace.record(1000.0 * measured, 1000.0)
    assert pace.factor == pytest.approx(measured)


@pytest.mark.parametrize(("work_s", "factor"), [(0.0, MIN_FACTOR), (1e6, MAX_FACTOR)])
def test_speech_pace_limits_a_measurement(work_s: float, factor: float) -> None:
    pace = SpeechPace()
    pace.record(work_s, 1000.0)
    assert pace.factor == pytest.approx(factor)


@pytest.mark.parametrize(
    ("voice_factor", "factor"),
    [(None, DEFAULT_FACTOR), (0.0, DEFAULT_FACTOR), (1.0, 1.0 + LANGUAGE_MODEL_FACTOR)],
    ids=["not measured", "fast", "slow"],
)
def test_initial_factor_is_cautious(voice_factor: float | None, factor: float) -> None:
    assert initial_factor(voice_factor) == factor


def test_speech_pace_of_silence_changes_nothing() -> None:
    pace = SpeechPace()
    pace.record(5.0, 0.0)
    assert pace.factor == DEFAULT_FACTOR


@pytest.mark.parametrize(
    ("factor", "is_short", "expected_s"),
    [
        (SHORT_REPLY_FACTOR, False, EXPECTED_REPLY_S),
        (SHORT_REPLY_FACTOR + 0.1, True, EXPECTED_SHORT_REPLY_S),
    ],
)
def test_speech_pace_of_a_slow_computer_asks_for_short_replies(
    factor: float, is_short: bool, expected_s: float
) -> None:
    pace = SpeechPace(factor)
    assert (pace.needs_short_replies, pace.expected_reply_s) == (is_short, expected_s)


@given(st.floats(0.6, 1.0), st.integers(20, 80))
def test_clause_splitter_with_the_measured_factor_leaves_no_gap_without_punctuation(factor: float, size: int) -> None:
    text = ("我們明天早上一起到台北市立動物園去看可愛的大熊貓然後再去吃飯聊天散步看電影買東西" * 3)[:size]
    splitter = ClauseSplitter(factor)
    clauses = [CHARACTER_S * len(each) for each in splitter.push(text) + splitter.flush()]
    assert gap_s(clauses, factor, 1) <= 3 * CHARACTER_S  # the overshoot to end at a word
