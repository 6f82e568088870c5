"""A deafer ear in the first seconds of the first reply."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.realtime import server_events
from tests.support.realtime.barge_in_driver import BargeInDriver, server_vad_confirmed
from voicechat.turn_taking.aec_warmup import WARMUP_S, AecWarmup, AecWarmupState
from voicechat.turn_taking.snapshot import CallStage

USUAL_TURN_DETECTION = {
    "type": "server_vad",
    "threshold": 0.5,
    "prefix_padding_ms": 300,
    "silence_duration_ms": 350,
    "create_response": True,
    "interrupt_response": False,
}


def sent_thresholds(line: BargeInDriver) -> list[float]:
    found = []
    for event in line.sent:
        if event["type"] == "session.update":
            assert set(event["session"]) == {"type", "audio"} and set(event["session"]["audio"]) == {"input"}
            turns = event["session"]["audio"]["input"]["turn_detection"]
            assert {**turns, "threshold": 0.5} == USUAL_TURN_DETECTION, "all that we set, and nothing else is changed"
            found.append(turns["threshold"])
    return found


def driver_in_first_reply(**changed: Any) -> BargeInDriver:
    line = BargeInDriver(**{"echo_guard_threshold": 0.8, **changed})
    line.server_sends(
        server_events.response_started("r1", "a1"), server_events.clause_deltas("r1", "a1", "One two three four", 4000)
    )
    return line


def test_the_first_reply_is_guarded_for_a_while() -> None:
    line = driver_in_first_reply()
    assert sent_thresholds(line) == []
    line.play_ms(40)
    assert sent_thresholds(line) == [0.8]
    line.server_sends(server_vad_confirmed(threshold=0.8))
    line.play_ms(2440)
    assert sent_thresholds(line) == [0.8]
    line.play_ms(100)
    assert sent_thresholds(line) == [0.8, 0.5]
    line.server_sends(
        server_events.response_finished("r1", "a1", "One two three four"),
        server_events.complete_response("r2", "a2", "Five.", 4000),
    )
    line.play_ms(6000)
    assert sent_thresholds(line) == [0.8, 0.5], "never again"


def test_a_short_reply_is_guarded_to_its_end() -> None:
    line = BargeInDriver(echo_guard_threshold=0.8)
    line.server_sends(server_events.complete_response("r1", "a1", "One.", 500))
    line.play_ms(600)
    assert sent_thresholds(line) == [0.8, 0.5]


def test_a_reply_that_is_cut_needs_no_guard() -> None:
    line = driver_in_first_reply()
    line.play_ms(100)
    line.sent += line.call.send_text("Stop", line.now) or []
    line.server_sends(server_events.response_finished("r1", "a1", "One", "cancelled"))
    line.play_ms(40)
    assert sent_thresholds(line) == [0.8, 0.5]


def test_lost_connection_ends_the_warmup() -> None:
    line = driver_in_first_reply()
    line.play_ms(100)
    line.call.handle_disconnected(CallStage.RECONNECTING, line.now)
    line.sent += line.call.handle_connected(line.now)
    line.server_sends(server_vad_confirmed())
    line.play_ms(4000)
    assert sent_thresholds(line) == [0.8], "the new session has begun with the usual settings"


def test_connection_lost_before_the_first_reply_keeps_the_warmup() -> None:
    line = BargeInDriver(echo_guard_threshold=0.8)
    line.call.handle_disconnected(CallStage.RECONNECTING, line.now)
    line.call.handle_connected(line.now)
    line.server_sends(server_vad_confirmed(), server_events.complete_response("r1", "a1", "One.", 500))
    line.play_ms(600)
    assert sent_thresholds(line) == [0.8, 0.5]


def test_what_the_visitor_wants_otherwise_meanwhile_stays() -> None:
    guard = AecWarmup(0.8)
    guard.apply_turn_detection(USUAL_TURN_DETECTION)
    assert (guard.tick_20ms(0.0, True, True) or {})["threshold"] == 0.8
    guard.apply_turn_detection({**USUAL_TURN_DETECTION, "threshold": 0.8})
    guard.apply_turn_detection({**USUAL_TURN_DETECTION, "silence_duration_ms": 800})
    assert guard.tick_20ms(WARMUP_S, True, True) == {**USUAL_TURN_DETECTION, "silence_duration_ms": 800}


@pytest.mark.parametrize("code", ["invalid_value", "unknown_parameter", None])
def test_rejected_threshold_update_is_not_shown(code: str | None) -> None:
    line = driver_in_first_reply()
    line.play_ms(40)
    guard = next(event for event in line.sent if event["type"] == "session.update")
    assert line.server_sends(server_events.error_event(code, guard["event_id"])) == []
    assert line.call.notice is None


@pytest.mark.parametrize(
    "turns",
    [{"type": "semantic_vad"}, {"threshold": None}, {"threshold": 0.9}, {"type": None}, {"threshold": 0.8}],
    ids=str,
)
def test_it_is_left_alone_where_it_would_not_help(turns: dict[str, Any]) -> None:
    line = BargeInDriver(echo_guard_threshold=0.8)
    line.server_sends(server_vad_confirmed(**turns), server_events.complete_response("r1", "a1", "One.", 4000))
    line.play_ms(4500)
    assert sent_thresholds(line) == []


def test_it_is_off_where_the_setting_is_zero() -> None:
    line = driver_in_first_reply(echo_guard_threshold=0.0)
    line.play_ms(4500)
    assert sent_thresholds(line) == []


def test_it_is_on_with_every_server_that_confirms_the_threshold() -> None:
    line = driver_in_first_reply(realtime_url="ws://somewhere")
    line.play_ms(40)
    assert sent_thresholds(line) == [0.8]


def test_new_server_that_confirms_nothing_is_not_sent_the_settings_of_the_former() -> None:
    line = BargeInDriver(echo_guard_threshold=0.8)
    line.call.handle_disconnected(CallStage.RECONNECTING, line.now)
    line.call.handle_connected(line.now)
    line.server_sends(server_events.complete_response("r1", "a1", "One.", 500))
    line.play_ms(600)
    assert sent_thresholds(line) == []


@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.booleans()), max_size=300))
def test_what_is_raised_is_put_back_or_lost_with_the_line(beats: list[tuple[bool, bool, bool]]) -> None:
    guard, now, there = AecWarmup(0.8), 0.0, 0.5
    guard.apply_turn_detection(USUAL_TURN_DETECTION)
    for sounded, speaking, lost in beats:
        if lost and sounded and not speaking:
            guard.handle_disconnected()
            there = 0.5
        sent = guard.tick_20ms(now, sounded, speaking)
        there = sent["threshold"] if sent else there
        assert (there == 0.8) is (guard.state is AecWarmupState.RAISED)
        now += 0.02
    for later in (0.0, WARMUP_S):
        sent = guard.tick_20ms(now + later, True, True)
        there = sent["threshold"] if sent else there
    assert guard.state is AecWarmupState.DONE
    assert there == 0.5
