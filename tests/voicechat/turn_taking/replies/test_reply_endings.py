"""Endings of a reply other than "completed": what is shown, what is asked for again, what is counted."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.realtime import server_events
from tests.support.realtime.call_driver import CallDriver, event_types
from voicechat.conversation.conversation import BubbleState
from voicechat.turn_taking.snapshot import CallStage

LENGTH, FILTER, OTHER = "max_output_tokens", "content_filter", "other"


def ask(driver: CallDriver, turn: str = "u1") -> None:
    """Speak a turn that the server transcribes."""
    driver.server_sends(
        server_events.speech_started(turn),
        server_events.turn_committed(turn),
        server_events.transcription_completed(turn, "Tell me a story"),
    )


def begin_half_reply(driver: CallDriver, name: str = "1", ms: int = 300) -> None:
    driver.server_sends(
        server_events.response_started(f"r{name}", f"a{name}"),
        server_events.clause_deltas(f"r{name}", f"a{name}", "Once upon a", ms),
    )


def last_bubble(driver: CallDriver) -> tuple[str, str, str | None]:
    """Return text, state and reason of the last message."""
    bubble = driver.call.snapshot().bubbles[-1]
    return bubble.text, bubble.state, bubble.incomplete_reason


@pytest.mark.parametrize(
    ("status", "details", "reason", "notice"),
    [
        ("incomplete", server_events.incomplete(LENGTH), LENGTH, "reply_too_long"),
        ("incomplete", server_events.incomplete(FILTER), FILTER, "reply_filtered"),
        ("incomplete", server_events.incomplete("a_new_reason"), OTHER, "reply_broken_off"),
        ("incomplete", server_events.incomplete(None), OTHER, "reply_broken_off"),
        ("incomplete", None, OTHER, "reply_broken_off"),
        ("incomplete", LENGTH, LENGTH, "reply_too_long"),
        ("failed", server_events.failed("server_error"), "failed", "reply_broken_off"),
        ("failed", server_events.failed("content_filter"), FILTER, "reply_filtered"),
        ("failed", server_events.failed("rate_limit_exceeded", "rate_limit_error"), "failed", "reply_rate_limited"),
        ("failed", "something", "failed", "reply_broken_off"),
        ("cancelled", {"type": "cancelled", "reason": "a_new_reason"}, OTHER, "reply_broken_off"),
        ("cancelled", {"type": "cancelled", "reason": "client_cancelled"}, OTHER, "reply_broken_off"),
        ("cancelled", None, OTHER, "reply_broken_off"),
        ("a_new_status", None, OTHER, "reply_broken_off"),
        (7, None, OTHER, "reply_broken_off"),
    ],
)
def test_half_a_reply_shows_that_it_was_cut_and_why(
    call_driver: CallDriver, status: Any, details: Any, reason: str, notice: str
) -> None:
    ask(call_driver)
    begin_half_reply(call_driver)
    answers = call_driver.server_sends(server_events.response_ended("r1", status, details))
    assert answers == [], "what was given is not asked for again"
    assert last_bubble(call_driver) == ("Once upon a", "incomplete", reason)
    call_driver.play_ms(200)
    assert (call_driver.stage, call_driver.call.notice) == (CallStage.SPEAKING, None), "the half is still being heard"
    call_driver.play_ms(400)
    assert (call_driver.stage, call_driver.call.notice) == (CallStage.LISTENING, notice)
    assert call_driver.call.take_incomplete_reasons() == [reason]
    assert call_driver.call.take_incomplete_reasons() == []


@pytest.mark.parametrize("status", ["completed", None, "missing"])
def test_whole_reply_has_no_mark(call_driver: CallDriver, status: str | None) -> None:
    ask(call_driver)
    begin_half_reply(call_driver)
    done = server_events.response_ended("r1", status)
    if status == "missing":
        del done["response"]["status"]
    call_driver.server_sends(done)
    call_driver.play_ms(600)
    assert last_bubble(call_driver) == ("Once upon a", BubbleState.DONE, None)
    assert (call_driver.stage, call_driver.call.notice) == (CallStage.LISTENING, None)
    assert call_driver.call.take_incomplete_reasons() == []


@pytest.mark.parametrize("status", ["incomplete", "failed"])
def test_reply_whose_item_claims_to_be_complete_is_marked(call_driver: CallDriver, status: str) -> None:
    """Some servers close every item as completed, whatever became of the response."""
    ask(call_driver)
    begin_half_reply(call_driver)
    *endings, done = server_events.response_finished("r1", "a1", "Once upon a")
    done["response"]["status"] = status
    call_driver.server_sends(endings, done)
    assert last_bubble(call_driver)[:2] == ("Once upon a", "incomplete")


def test_whole_message_before_the_cut_one_stays_whole(call_driver: CallDriver) -> None:
    ask(call_driver)
    call_driver.server_sends(server_events.complete_response("r1", "a0", "Let me think.", 100)[:-1])
    call_driver.server_sends(server_events.clause_deltas("r1", "a1", "Once upon a", 100))
    call_driver.server_sends(server_events.response_ended("r1", "incomplete", server_events.incomplete(LENGTH)))
    assert [bubble.state for bubble in call_driver.call.snapshot().bubbles[1:]] == [BubbleState.DONE, "incomplete"]


@pytest.mark.parametrize(
    ("status", "details", "notice"),
    [
        ("incomplete", server_events.incomplete(LENGTH), "reply_out_of_tokens"),
        ("incomplete", None, "reply_failed"),
    ],
)
def test_empty_reply_is_asked_for_once_more_where_that_can_help(
    call_driver: CallDriver, status: str, details: Any, notice: str
) -> None:
    ask(call_driver)
    call_driver.server_sends(server_events.response_started("r1", "a1"))
    answers = call_driver.server_sends(server_events.response_ended("r1", status, details))
    assert event_types(answers) == ["response.create"]
    assert (call_driver.stage, call_driver.call.notice) == (CallStage.THINKING, None)
    call_driver.server_sends(server_events.response_started("r2", "a2"))
    assert call_driver.server_sends(server_events.response_ended("r2", status, details)) == [], "once only"
    assert (call_driver.stage, call_driver.call.notice) == (CallStage.LISTENING, notice)
    call_driver.send_text("Again")
    call_driver.server_sends(server_events.response_started("r3", "a3"))
    answers = call_driver.server_sends(server_events.response_ended("r3", status, details))
    assert event_types(answers) == ["response.create"], "another question has its own second attempt"


@pytest.mark.parametrize(
    ("status", "details", "notice"),
    [
        ("incomplete", server_events.incomplete(FILTER), "reply_filtered"),
        ("failed", server_events.failed(None), "reply_failed"),
        ("failed", server_events.failed("rate_limit_exceeded"), "reply_rate_limited"),
        ("failed", server_events.failed("content_filter"), "reply_filtered"),
        ("cancelled", None, "reply_failed"),
        ("cancelled", {"type": "cancelled", "reason": "client_cancelled"}, "reply_failed"),
        ("a_new_status", None, "reply_failed"),
        ("completed", None, "reply_failed"),
    ],
)
def test_empty_reply_is_said_where_asking_again_does_not_help(
    call_driver: CallDriver, status: str, details: Any, notice: str
) -> None:
    ask(call_driver)
    call_driver.server_sends(server_events.response_started("r1", "a1"))
    assert call_driver.server_sends(server_events.response_ended("r1", status, details)) == []
    assert (call_driver.stage, call_driver.call.notice) == (CallStage.LISTENING, notice)
    assert [role for role, _ in call_driver.messages()] == ["user"], "no empty bubble"


def test_empty_reply_is_not_asked_for_again_while_the_visitor_speaks(call_driver: CallDriver) -> None:
    call_driver.send_text("Hello")
    call_driver.server_sends(server_events.response_started("r1", "a1"), server_events.speech_started("u1"))
    done = server_events.response_ended("r1", "incomplete", server_events.incomplete(LENGTH))
    assert event_types(call_driver.server_sends(done)) == []
    assert (call_driver.stage, call_driver.call.notice) == (CallStage.USER_SPEAKING, None)


def test_reply_that_the_visitor_stopped_is_not_marked_as_cut(call_driver: CallDriver) -> None:
    ask(call_driver)
    begin_half_reply(call_driver, ms=900)
    call_driver.play_ms(300)
    call_driver.call.interrupt(call_driver.now)
    call_driver.server_sends(server_events.response_ended("r1", "cancelled", {"reason": "client_cancelled"}))
    call_driver.play_ms(200)
    assert last_bubble(call_driver)[1:] == (BubbleState.INTERRUPTED, None)
    assert (call_driver.stage, call_driver.call.notice) == (CallStage.LISTENING, None)
    assert call_driver.call.take_incomplete_reasons() == []


@pytest.mark.parametrize("action", ["speech", "text", "stop", "clear"])
def test_visitor_who_goes_on_before_the_end_of_a_cut_reply_sees_no_notice(call_driver: CallDriver, action: str) -> None:
    ask(call_driver)
    begin_half_reply(call_driver, ms=900)
    call_driver.server_sends(server_events.response_ended("r1", "incomplete", server_events.incomplete(LENGTH)))
    call_driver.play_ms(300)
    if action == "speech":
        call_driver.server_sends(server_events.speech_started("u2"))
    elif action == "text":
        call_driver.send_text("Stop")
    elif action == "stop":
        call_driver.call.interrupt(call_driver.now)
    else:
        call_driver.clear()
    call_driver.play_ms(1000)
    assert call_driver.call.notice is None
    if action != "clear":
        reply = next(bubble for bubble in call_driver.call.snapshot().bubbles if bubble.role == "assistant")
        assert (reply.state, reply.incomplete_reason) == (BubbleState.INTERRUPTED, None)


def test_server_that_interrupts_before_it_reports_speech_shows_no_notice(call_driver: CallDriver) -> None:
    ask(call_driver)
    begin_half_reply(call_driver)
    call_driver.server_sends(
        server_events.response_ended("r1", "cancelled", {"type": "cancelled", "reason": "turn_detected"})
    )
    assert last_bubble(call_driver)[1:] == (BubbleState.INTERRUPTED, None)
    call_driver.server_sends(server_events.speech_started("u2"))
    assert (call_driver.stage, call_driver.call.notice) == (CallStage.USER_SPEAKING, None)


def test_new_connection_gets_the_cut_text_as_it_was(call_driver: CallDriver) -> None:
    ask(call_driver)
    begin_half_reply(call_driver)
    call_driver.server_sends(server_events.response_ended("r1", "incomplete", server_events.incomplete(LENGTH)))
    call_driver.play_ms(600)
    call_driver.call.handle_disconnected(CallStage.RECONNECTING, call_driver.now)
    assert last_bubble(call_driver) == ("Once upon a", "incomplete", LENGTH)
    events = call_driver.call.handle_connected(call_driver.now)
    assert [event["item"]["content"][0]["text"] for event in events] == ["Tell me a story", "Once upon a"]


def test_connection_lost_in_mid_reply_marks_the_half_and_says_so(call_driver: CallDriver) -> None:
    ask(call_driver)
    begin_half_reply(call_driver)
    call_driver.call.handle_disconnected(CallStage.RECONNECTING, call_driver.now)
    assert last_bubble(call_driver) == ("Once upon a", "incomplete", "connection_lost")
    assert event_types(call_driver.call.handle_connected(call_driver.now)) == ["conversation.item.create"] * 2
    assert call_driver.call.notice is None, "the half is still being heard"
    call_driver.play_ms(600)
    assert (call_driver.stage, call_driver.call.notice) == (CallStage.LISTENING, "reply_lost")
    assert call_driver.call.take_incomplete_reasons() == ["connection_lost"]


@pytest.mark.parametrize("announced", [True, False])
def test_reply_lost_before_its_first_word_is_asked_for_again(call_driver: CallDriver, announced: bool) -> None:
    ask(call_driver)
    if announced:
        call_driver.server_sends(server_events.response_started("r1", "a1"))
    call_driver.call.handle_disconnected(CallStage.RECONNECTING, call_driver.now)
    events = call_driver.call.handle_connected(call_driver.now)
    assert event_types(events) == ["conversation.item.create", "response.create"]
    assert call_driver.stage is CallStage.THINKING
    call_driver.call.handle_disconnected(CallStage.RECONNECTING, call_driver.now)
    events = call_driver.call.handle_connected(call_driver.now)
    assert event_types(events) == ["conversation.item.create"], "once only"
    assert (call_driver.stage, call_driver.call.notice) == (CallStage.LISTENING, "reply_failed")


def test_turn_lost_before_its_transcript_is_said(call_driver: CallDriver) -> None:
    call_driver.server_sends(server_events.speech_started("u1"), server_events.turn_committed("u1"))
    call_driver.call.handle_disconnected(CallStage.RECONNECTING, call_driver.now)
    assert call_driver.call.handle_connected(call_driver.now) == []
    assert (call_driver.stage, call_driver.call.notice) == (CallStage.LISTENING, "reply_failed")


def test_failed_call_marks_the_half_reply(call_driver: CallDriver) -> None:
    ask(call_driver)
    begin_half_reply(call_driver)
    call_driver.play_ms(600)
    call_driver.call.end(CallStage.FAILED, "lost", call_driver.now)
    assert last_bubble(call_driver) == ("Once upon a", "incomplete", "connection_lost")


@pytest.mark.parametrize("code", ["insufficient_quota", "invalid_api_key", "model_not_found", "session_expired"])
def test_reply_that_fails_for_good_ends_the_connection(call_driver: CallDriver, code: str) -> None:
    ask(call_driver)
    call_driver.server_sends(server_events.response_started("r1", "a1"))
    call_driver.server_sends(server_events.response_ended("r1", "failed", server_events.failed(code)))
    assert call_driver.call.fatal_failure is not None
    call_driver.call.handle_disconnected(CallStage.RECONNECTING, call_driver.now)
    call_driver.call.handle_connected(call_driver.now)
    assert call_driver.call.fatal_failure is None, "the next connection has none"


@pytest.mark.parametrize("announced", [True, False], ids=["announced", "unannounced"])
@pytest.mark.parametrize(
    ("status", "details", "state", "reason"),
    [
        ("completed", None, BubbleState.DONE, None),
        ("incomplete", server_events.incomplete(LENGTH), BubbleState.INCOMPLETE, "max_output_tokens"),
        ("failed", server_events.failed(None), BubbleState.INCOMPLETE, "failed"),
        ("cancelled", {"reason": "turn_detected"}, BubbleState.INTERRUPTED, None),
    ],
)
@pytest.mark.parametrize("kind", ["missing", "null"])
def test_response_done_without_an_id_ends_the_reply(
    call_driver: CallDriver, announced: bool, status: str, details: object, state: str, reason: str | None, kind: str
) -> None:
    ask(call_driver)
    begun = server_events.response_started("r1", "a1") if announced else []
    call_driver.server_sends(begun, server_events.clause_deltas("r1", "a1", "Once upon a", 300))
    ended = server_events.response_ended("", status, details)
    if kind == "missing":
        del ended["response"]["id"]
    else:
        ended["response"]["id"] = None
    call_driver.server_sends(ended)
    assert last_bubble(call_driver)[1:] == (state, reason)
    call_driver.play_ms(600)
    assert call_driver.stage is CallStage.LISTENING
