"""A deafer ear in the first seconds of the first reply."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.echo_guard import GUARD_S, EchoGuard, State
from realtime.snapshot import Stage

from . import script
from .over import Over, confirmed

USUAL = {
    "type": "server_vad",
    "threshold": 0.5,
    "prefix_padding_ms": 300,
    "silence_duration_ms": 350,
    "create_response": True,
    "interrupt_response": False,
}


def thresholds(line: Over) -> list[float]:
    found = []
    for event in line.sent:
        if event["type"] == "session.update":
            assert set(event["session"]) == {"type", "audio"} and set(event["session"]["audio"]) == {"input"}
            turns = event["session"]["audio"]["input"]["turn_detection"]
            assert {**turns, "threshold": 0.5} == USUAL, "all that we set, and nothing else is changed"
            found.append(turns["threshold"])
    return found


def begun(**changed: Any) -> Over:
    line = Over(**{"echo_guard_threshold": 0.8, **changed})
    line.get(script.reply_begins("r1", "a1"), script.clause("r1", "a1", "One two three four", 4000))
    return line


def test_the_first_reply_is_guarded_for_a_while() -> None:
    line = begun()
    assert thresholds(line) == []
    line.play(40)
    assert thresholds(line) == [0.8]
    line.get(confirmed(threshold=0.8))
    line.play(2440)
    assert thresholds(line) == [0.8]
    line.play(100)
    assert thresholds(line) == [0.8, 0.5]
    line.get(script.reply_ends("r1", "a1", "One two three four"), script.whole_reply("r2", "a2", "Five.", 4000))
    line.play(6000)
    assert thresholds(line) == [0.8, 0.5], "never again"


def test_a_short_reply_is_guarded_to_its_end() -> None:
    line = Over(echo_guard_threshold=0.8)
    line.get(script.whole_reply("r1", "a1", "One.", 500))
    line.play(600)
    assert thresholds(line) == [0.8, 0.5]


def test_a_reply_that_is_cut_needs_no_guard() -> None:
    line = begun()
    line.play(100)
    line.sent += line.call.say("Stop", line.now) or []
    line.get(script.reply_ends("r1", "a1", "One", "cancelled"))
    line.play(40)
    assert thresholds(line) == [0.8, 0.5]


def test_a_line_that_is_lost_takes_the_guard_with_it() -> None:
    line = begun()
    line.play(100)
    line.call.disconnect(Stage.RECONNECTING, line.now)
    line.sent += line.call.connect(line.now)
    line.get(confirmed())
    line.play(4000)
    assert thresholds(line) == [0.8], "the new session has begun with the usual settings"


def test_a_line_that_is_lost_before_the_first_reply_takes_nothing() -> None:
    line = Over(echo_guard_threshold=0.8)
    line.call.disconnect(Stage.RECONNECTING, line.now)
    line.call.connect(line.now)
    line.get(confirmed(), script.whole_reply("r1", "a1", "One.", 500))
    line.play(600)
    assert thresholds(line) == [0.8, 0.5]


def test_what_the_visitor_wants_otherwise_meanwhile_stays() -> None:
    guard = EchoGuard(0.8)
    guard.session(USUAL)
    assert (guard.beat(0.0, True, True) or {})["threshold"] == 0.8
    guard.session({**USUAL, "threshold": 0.8})
    guard.session({**USUAL, "silence_duration_ms": 800})
    assert guard.beat(GUARD_S, True, True) == {**USUAL, "silence_duration_ms": 800}


@pytest.mark.parametrize("code", ["invalid_value", "unknown_parameter", None])
def test_a_refusal_is_nobodys_business(code: str | None) -> None:
    line = begun()
    line.play(40)
    guard = next(event for event in line.sent if event["type"] == "session.update")
    assert line.get(script.error(code, guard["event_id"])) == []
    assert line.call.notice is None


@pytest.mark.parametrize(
    "turns",
    [{"type": "semantic_vad"}, {"threshold": None}, {"threshold": 0.9}, {"type": None}, {"threshold": 0.8}],
    ids=str,
)
def test_it_is_left_alone_where_it_would_not_help(turns: dict[str, Any]) -> None:
    line = Over(echo_guard_threshold=0.8)
    line.get(confirmed(**turns), script.whole_reply("r1", "a1", "One.", 4000))
    line.play(4500)
    assert thresholds(line) == []


@pytest.mark.parametrize("settings", [{"echo_guard_threshold": 0.0}, {"realtime_url": "ws://somewhere"}], ids=str)
def test_it_is_off_where_nobody_wants_it(settings: dict[str, Any]) -> None:
    line = begun(**settings)
    line.play(4500)
    assert thresholds(line) == []


@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.booleans()), max_size=300))
def test_what_is_raised_is_put_back_or_lost_with_the_line(beats: list[tuple[bool, bool, bool]]) -> None:
    guard, now, there = EchoGuard(0.8), 0.0, 0.5
    guard.session(USUAL)
    for sounded, speaking, lost in beats:
        if lost and sounded and not speaking:
            guard.line_lost()
            there = 0.5
        told = guard.beat(now, sounded, speaking)
        there = told["threshold"] if told else there
        assert (there == 0.8) is (guard.state is State.RAISED)
        now += 0.02
    for later in (0.0, GUARD_S):
        told = guard.beat(now + later, True, True)
        there = told["threshold"] if told else there
    assert guard.state is State.DONE
    assert there == 0.5
