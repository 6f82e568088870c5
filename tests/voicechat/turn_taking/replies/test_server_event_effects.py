"""Server events that change nothing, errors of every kind, and events that do not come: none leaves the call silent."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.support.realtime import server_events
from tests.support.realtime.call_driver import CallDriver
from voicechat.protocol.server_events import EVENT_PARSERS
from voicechat.turn_taking.reply_outcomes import ANSWER_NOTICES
from voicechat.turn_taking.snapshot import CallStage

IGNORED_EVENTS: dict[str, dict[str, Any]] = {
    "conversation.created": {"conversation": {"id": "c1", "object": "realtime.conversation"}},
    "conversation.item.input_audio_transcription.segment": {"item_id": "u0", "text": "x", "speaker": "A"},
    "input_audio_buffer.timeout_triggered": {"item_id": "u0", "audio_start_ms": 0, "audio_end_ms": 5},
    "input_audio_buffer.dtmf_event_received": {"event": "1", "received_at": 1},
    "mcp_list_tools.in_progress": {"item_id": "m1"},
    "mcp_list_tools.completed": {"item_id": "m1"},
    "mcp_list_tools.failed": {"item_id": "m1"},
    "output_audio_buffer.started": {"response_id": "r1"},
    "output_audio_buffer.stopped": {"response_id": "r1"},
    "output_audio_buffer.cleared": {"response_id": "r1"},
    "rate_limits.updated": {"rate_limits": [{"name": "tokens", "limit": 1, "remaining": 0, "reset_seconds": 60}]},
    "response.content_part.added": {"response_id": "r1", "item_id": "a1", "part": {"type": "audio"}},
    "response.content_part.done": {"response_id": "r1", "item_id": "a1", "part": {"type": "audio", "transcript": "x"}},
    "response.function_call_arguments.delta": {"response_id": "r1", "item_id": "f1", "delta": "{"},
    "response.mcp_call.in_progress": {"item_id": "m1", "output_index": 0},
    "response.mcp_call.completed": {"item_id": "m1", "output_index": 0},
    "response.mcp_call.failed": {"item_id": "m1", "output_index": 0},
    "response.mcp_call_arguments.delta": {"response_id": "r1", "item_id": "m1", "delta": "{"},
    "response.mcp_call_arguments.done": {"response_id": "r1", "item_id": "m1", "arguments": "{}"},
    "a_type_of_next_year": {"response_id": "r1", "item_id": "x1"},
}


def drivers_in_every_stage() -> list[CallDriver]:
    """Return calls that listen, hear, await, and give a reply, each connected."""
    drivers = [CallDriver() for _ in range(5)]
    for driver in drivers[1:]:
        driver.server_sends(server_events.speech_started("u1"))
    for driver in drivers[2:]:
        driver.server_sends(server_events.turn_committed("u1"), server_events.transcription_completed("u1", "Hello"))
    for driver in drivers[3:]:
        driver.server_sends(server_events.response_started("r1", "a1"))
    drivers[4].server_sends(server_events.clause_deltas("r1", "a1", "One two three", 2000))
    drivers[4].play_ms(500)
    return drivers


@pytest.mark.parametrize("kind", IGNORED_EVENTS)
def test_event_without_a_part_in_a_call_changes_nothing(kind: str) -> None:
    assert kind not in EVENT_PARSERS
    stages = []
    for driver in drivers_in_every_stage():
        before = driver.call.snapshot()
        assert driver.server_sends({"type": kind, "event_id": "e1", **IGNORED_EVENTS[kind]}) == []
        assert driver.call.snapshot() == before
        stages.append(before.stage)
    assert stages == ["listening", "hearing", "thinking", "thinking", "speaking"]


def test_unknown_function_call_is_answered_and_a_reply_requested(call_driver: CallDriver) -> None:
    """A call that stays without an output makes models mute, even one of a function that was not declared."""
    call_driver.send_text("Hello")
    item = {"id": "f1", "type": "function_call", "status": "completed", "call_id": "c1", "name": "x", "arguments": "{}"}
    answers = call_driver.server_sends(
        server_events.response_started("r1", "f1")[:1],
        {"type": "response.output_item.added", "response_id": "r1", "item": {**item, "status": "in_progress"}},
        {"type": "response.function_call_arguments.done", "response_id": "r1", "item_id": "f1", "arguments": "{}"},
        {"type": "response.output_item.done", "response_id": "r1", "item": item},
        server_events.response_ended("r1", "completed", None, [item]),
    )
    assert [answer["type"] for answer in answers] == ["conversation.item.create", "response.create"]
    assert answers[0]["item"]["type"] == "function_call_output" and answers[0]["item"]["call_id"] == "c1"
    assert (call_driver.stage, call_driver.call.notice) == (CallStage.THINKING, None)
    assert [role for role, _ in call_driver.messages()] == ["user", "tool"]


ERROR_KINDS = [
    (kind, code)
    for kind in ("invalid_request_error", "server_error", "rate_limit_error", "a_new_type", None)
    for code in (
        None,
        "invalid_value",
        "invalid_type",
        "unknown_parameter",
        "missing_required_parameter",
        "invalid_json",
        "invalid_event",
        "input_audio_buffer_commit_empty",
        "cannot_update_voice",
        "server_error",
        "rate_limit_exceeded",
        "a_new_code",
        7,
    )
]


@pytest.mark.parametrize(("kind", "code"), ERROR_KINDS)
@pytest.mark.parametrize("question", ["typed", "spoken"])
def test_error_of_any_kind_while_an_answer_is_awaited_is_said(
    call_driver: CallDriver, question: str, kind: Any, code: Any
) -> None:
    if question == "typed":
        call_driver.send_text("Hello")
    else:
        call_driver.server_sends(server_events.speech_started("u1"), server_events.turn_committed("u1"))
    call_driver.server_sends(server_events.error_event(code, kind=kind))
    assert call_driver.call.notice in ANSWER_NOTICES
    assert call_driver.stage is CallStage.THINKING, "the answer may still come"
    call_driver.now += 11
    call_driver.call.check_timeouts(call_driver.now)
    assert call_driver.stage is CallStage.LISTENING
    assert call_driver.call.notice in ANSWER_NOTICES


@pytest.mark.parametrize(("kind", "code"), ERROR_KINDS)
def test_error_of_any_kind_without_an_awaited_answer_is_not_said(call_driver: CallDriver, kind: Any, code: Any) -> None:
    call_driver.server_sends(server_events.error_event(code, kind=kind))
    assert (call_driver.stage, call_driver.call.notice) == (CallStage.LISTENING, None)


def test_reply_that_stops_coming_is_said(call_driver: CallDriver) -> None:
    call_driver.send_text("Hello")
    call_driver.server_sends(
        server_events.response_started("r1", "a1"), server_events.clause_deltas("r1", "a1", "One two", 200)
    )
    call_driver.play_ms(400)
    call_driver.now += 61
    call_driver.call.check_timeouts(call_driver.now)
    assert (call_driver.stage, call_driver.call.notice) == (CallStage.LISTENING, "reply_broken_off")


def test_whole_reply_without_its_response_done_is_no_failure(call_driver: CallDriver) -> None:
    call_driver.send_text("Hello")
    call_driver.server_sends(server_events.complete_response("r1", "a1", "One two", 200)[:-1])
    call_driver.play_ms(400)
    call_driver.now += 61
    call_driver.call.check_timeouts(call_driver.now)
    assert (call_driver.stage, call_driver.call.notice) == (CallStage.LISTENING, None)


def test_preferences_notice_goes_with_the_next_preferences(call_driver: CallDriver) -> None:
    call_driver.call.set_notice("wish_refused")
    call_driver.call.clear_preference_notice()
    assert call_driver.call.notice is None
    call_driver.call.set_notice("message_too_long")
    call_driver.call.clear_preference_notice()
    assert call_driver.call.notice == "message_too_long"


def test_missing_answer_after_a_reply_that_never_ended_is_said(call_driver: CallDriver) -> None:
    call_driver.server_sends(server_events.complete_response("r1", "a1", "One two", 200)[:-1])
    call_driver.play_ms(400)
    call_driver.server_sends(
        server_events.speech_started("u1"),
        server_events.turn_committed("u1"),
        server_events.transcription_completed("u1", "Hello"),
    )
    call_driver.now += 61
    call_driver.call.check_timeouts(call_driver.now)
    assert (call_driver.stage, call_driver.call.notice) == (CallStage.LISTENING, "reply_failed")


@pytest.mark.parametrize("late", [True, False], ids=["late_failure", "early_failure"])
def test_empty_reply_to_a_turn_without_a_transcript_is_said(call_driver: CallDriver, late: bool) -> None:
    failed = {"type": "conversation.item.input_audio_transcription.failed", "item_id": "u1", "error": {}}
    call_driver.server_sends(
        server_events.speech_started("u1"),
        server_events.turn_committed("u1"),
        server_events.response_started("r1", "a1")[:1],
        [] if late else failed,
        server_events.response_ended("r1", "completed"),
        failed if late else [],
    )
    assert (call_driver.stage, call_driver.call.notice) == (CallStage.LISTENING, "reply_failed")


@pytest.mark.parametrize(("words", "notice"), [("", None), ("Hello", "reply_failed")])
@pytest.mark.parametrize("late", [True, False], ids=["late_transcript", "early_transcript"])
def test_empty_reply_to_a_noise_is_not_said(
    call_driver: CallDriver, late: bool, words: str, notice: str | None
) -> None:
    """The embedded server answers a turn without words with an empty response; others transcribe it afterwards."""
    transcript = server_events.transcription_completed("u1", words)
    call_driver.server_sends(
        server_events.speech_started("u1"),
        server_events.turn_committed("u1"),
        server_events.response_started("r1", "a1")[:1],
        [] if late else transcript,
        server_events.response_ended("r1", "completed"),
        transcript if late else [],
    )
    assert (call_driver.stage, call_driver.call.notice) == (CallStage.LISTENING, notice)
    call_driver.now += 11
    assert call_driver.call.check_timeouts(call_driver.now) == []
    assert (call_driver.stage, call_driver.call.notice) == (CallStage.LISTENING, notice)


def test_empty_reply_to_a_turn_that_is_never_transcribed_is_said(call_driver: CallDriver) -> None:
    call_driver.server_sends(
        server_events.speech_started("u1"),
        server_events.turn_committed("u1"),
        server_events.response_started("r1", "a1")[:1],
        server_events.response_ended("r1", "completed"),
    )
    for seconds, notice in ((9, None), (2, "reply_failed")):
        call_driver.now += seconds
        assert call_driver.call.check_timeouts(call_driver.now) == []
        assert (call_driver.stage, call_driver.call.notice) == (CallStage.LISTENING, notice)
    call_driver.server_sends(server_events.speech_started("u2"))
    assert call_driver.call.notice is None


@pytest.mark.parametrize("earlier", ["silence", "reply_interrupted", "cleared"])
@pytest.mark.parametrize("typed", [True, False], ids=["typed", "not_typed"])
def test_turn_whose_end_the_server_does_not_report_ends(call_driver: CallDriver, earlier: str, typed: bool) -> None:
    if earlier == "reply_interrupted":
        call_driver.server_sends(server_events.complete_response("r1", "a1", "One two", 200)[:-1])
        call_driver.play_ms(400)
    call_driver.server_sends(server_events.speech_started("u1"))
    if earlier == "cleared":
        call_driver.call.clear(call_driver.now)
    if typed:
        call_driver.send_text("Hello")
    call_driver.now += 9 if typed else 59
    assert call_driver.call.check_timeouts(call_driver.now) == []
    assert call_driver.stage is CallStage.USER_SPEAKING
    call_driver.now += 2
    sent = [event["type"] for event in call_driver.call.check_timeouts(call_driver.now)]
    assert (call_driver.stage, sent) == (
        (CallStage.THINKING, ["response.create"]) if typed else (CallStage.LISTENING, [])
    )
    call_driver.server_sends(server_events.complete_response("r2", "a2", "Yes.", 200))
    call_driver.play_ms(400)
    assert (call_driver.stage, call_driver.call.notice) == (CallStage.LISTENING, None)
    assert "Yes." in [bubble.text for bubble in call_driver.call.snapshot().bubbles]


def test_visitor_who_speaks_for_long_is_not_answered_meanwhile(call_driver: CallDriver) -> None:
    call_driver.server_sends(server_events.speech_started("u1"))
    call_driver.send_text("Hello")
    for frame in range(50 * 30):
        call_driver.call.push_audio(np.full(480, 0 if frame % 25 < 10 else 3000, np.int16))
        call_driver.now += 0.02
        assert call_driver.call.check_timeouts(call_driver.now) == []
    assert call_driver.stage is CallStage.USER_SPEAKING
    call_driver.now += 11  # a page that sends no more audio
    assert [event["type"] for event in call_driver.call.check_timeouts(call_driver.now)] == ["response.create"]
