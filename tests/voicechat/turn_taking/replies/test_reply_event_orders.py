"""Generated orders of turns, replies, endings and errors: nothing ends in silence, and no notice outlives its cause."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings

from tests.support.realtime import server_events
from tests.support.realtime.call_driver import CallDriver
from tests.support.realtime.reply_strategies import TRUNCATION_ERRORS, server_scripts
from voicechat.conversation.conversation import BubbleState
from voicechat.turn_taking.reply_outcomes import ANSWER_NOTICES
from voicechat.turn_taking.snapshot import CallStage


def assert_pending(driver: CallDriver) -> None:
    """Assert that a call which shows "thinking" awaits something."""
    tracker = driver.call._tracker
    assert (
        driver.stage is not CallStage.THINKING or tracker.is_response_expected or driver.call.playback.has_queued_audio
    )


def run_script(driver: CallDriver, script: list[tuple[str, Any]]) -> set[str]:
    """Run the steps, and return the items of replies that the server has completed."""
    whole = set()
    for kind, what in script:
        if kind == "type":
            driver.send_text(what)
        elif kind == "say":
            driver.server_sends(server_events.speech_started(what), server_events.turn_committed(what))
        elif kind == "play":
            driver.play_ms(what)
        else:
            for event in what:
                driver.server_sends(event)
                if event["type"] == "response.done" and event["response"]["status"] == "completed":
                    item = event["response"]["id"].replace("r", "a")
                    whole.add(item)
                    shown = {bubble.item_id: bubble for bubble in driver.call.snapshot().bubbles}
                    if item in shown and shown[item].state is BubbleState.DONE:
                        assert driver.call.notice not in ANSWER_NOTICES, "the answer has come"
                elif event["type"] == "response.output_item.done" and event["item"]["status"] == "completed":
                    whole.add(event["item"]["id"])
                elif event["type"] == "response.done" and event["response"]["status"] in ("incomplete", "failed"):
                    whole.discard(event["response"]["id"].replace("r", "a"))
                assert_pending(driver)
        assert_pending(driver)
    return whole


def settle(driver: CallDriver) -> None:
    """Let the call play what it has, and wait for what does not come."""
    for _ in range(4):
        while driver.call.playback.has_queued_audio:
            driver.play_ms(100)
        driver.play_ms(40)
        driver.now += 100
        driver.sent += driver.call.check_timeouts(driver.now)
        assert_pending(driver)


@settings(max_examples=150, deadline=None)
@given(server_scripts())
def test_any_order_ends_in_listening_and_says_what_is_missing(script: list[tuple[str, Any]]) -> None:
    driver = CallDriver()
    whole = run_script(driver, script)
    settle(driver)
    assert driver.stage is CallStage.LISTENING
    bubbles = driver.call.snapshot().bubbles
    for bubble in bubbles:
        if bubble.role == "assistant" and bubble.state is BubbleState.DONE:
            assert bubble.item_id in whole, "half an answer is marked as done"
        assert (bubble.incomplete_reason is not None) == (bubble.state is BubbleState.INCOMPLETE)
    if bubbles[-1].role == "user":
        assert driver.call.notice is not None, "the visitor waits for an answer that does not come"
    assert sum(event["type"] == "response.create" for event in driver.sent) <= 2 * 3 + 2


@pytest.mark.parametrize("error", TRUNCATION_ERRORS, ids=lambda error: "-".join(map(str, error.values())))
def test_truncation_error_without_an_event_id_is_harmless(error: dict[str, Any], call_driver: CallDriver) -> None:
    call_driver.server_sends(
        server_events.response_started("r1", "a1"), server_events.clause_deltas("r1", "a1", "One two", 2000)
    )
    call_driver.play_ms(500)
    answers = call_driver.server_sends(server_events.speech_started("u1"))
    assert answers[0]["type"] == "conversation.item.truncate"
    call_driver.server_sends(server_events.turn_committed("u1"), {"type": "error", "error": error})
    assert (call_driver.stage, call_driver.call.notice) == (CallStage.THINKING, None)


def test_error_after_a_confirmed_truncation_is_about_the_reply(call_driver: CallDriver) -> None:
    call_driver.server_sends(
        server_events.response_started("r1", "a1"), server_events.clause_deltas("r1", "a1", "One two", 2000)
    )
    call_driver.play_ms(500)
    call_driver.server_sends(
        server_events.speech_started("u1"),
        {"type": "conversation.item.truncated", "item_id": "a1", "content_index": 0, "audio_end_ms": 400},
        server_events.turn_committed("u1"),
        server_events.error_event(None),  # of the cancellation
    )
    assert (call_driver.stage, call_driver.call.notice) == (CallStage.THINKING, None)
    call_driver.server_sends(server_events.error_event(None))
    assert call_driver.call.notice == "reply_failed"


def test_error_after_a_confirmed_cancellation_is_about_the_reply(call_driver: CallDriver) -> None:
    call_driver.server_sends(
        server_events.response_started("r1", "a1"), server_events.clause_deltas("r1", "a1", "One two", 2000)
    )
    call_driver.play_ms(500)
    call_driver.server_sends(
        server_events.speech_started("u1"),
        {"type": "conversation.item.truncated", "item_id": "a1", "content_index": 0, "audio_end_ms": 400},
        server_events.response_ended("r1", "cancelled"),
        server_events.turn_committed("u1"),
        server_events.error_event(None),
    )
    assert call_driver.call.notice == "reply_failed"


@pytest.mark.parametrize("announced", [True, False], ids=["announced", "unannounced"])
@pytest.mark.parametrize("kind", ["server_error", "invalid_request_error", "rate_limit_error"])
def test_notice_about_an_answer_goes_when_the_answer_comes(call_driver: CallDriver, announced: bool, kind: str) -> None:
    call_driver.send_text("Hello")
    call_driver.server_sends(server_events.error_event(None, kind=kind))
    assert call_driver.call.notice in ANSWER_NOTICES
    started = server_events.response_started("r1", "a1") if announced else []
    call_driver.server_sends(started, server_events.clause_deltas("r1", "a1", "One two", 200)[:1])
    assert call_driver.call.notice is None


def test_error_in_the_middle_of_a_reply_that_goes_on_is_no_lasting_notice(call_driver: CallDriver) -> None:
    call_driver.send_text("Hello")
    call_driver.server_sends(
        server_events.response_started("r1", "a1"), server_events.error_event("server_error", kind="server_error")
    )
    assert call_driver.call.notice in ANSWER_NOTICES
    call_driver.server_sends(server_events.clause_deltas("r1", "a1", "One", 200)[1:])
    assert call_driver.call.notice is None


@pytest.mark.parametrize("request_kind", ["typed", "spoken"])
def test_answer_that_never_comes_is_said(call_driver: CallDriver, request_kind: str) -> None:
    if request_kind == "typed":
        call_driver.send_text("Hello")
    else:
        call_driver.server_sends(server_events.speech_started("u1"), server_events.turn_committed("u1"))
    call_driver.now += 11
    call_driver.call.check_timeouts(call_driver.now)
    assert (call_driver.stage, call_driver.call.notice) == (CallStage.LISTENING, "reply_failed")


def test_turn_whose_audio_the_server_drops_ends(call_driver: CallDriver) -> None:
    call_driver.server_sends(server_events.speech_started("u1"), {"type": "input_audio_buffer.cleared"})
    assert (call_driver.stage, call_driver.call.notice) == (CallStage.LISTENING, None)


def test_failed_transcript_does_not_end_the_wait_for_the_answer(call_driver: CallDriver) -> None:
    """The model hears the audio; the transcript is another model's."""
    call_driver.server_sends(
        server_events.speech_started("u1"),
        server_events.turn_committed("u1"),
        {"type": "conversation.item.input_audio_transcription.failed", "item_id": "u1", "error": {"code": "x"}},
    )
    assert call_driver.stage is CallStage.THINKING
    assert call_driver.call.take_incomplete_reasons() == ["transcription_failed"]
    call_driver.server_sends(server_events.complete_response("r1", "a1", "Yes.", 100))
    call_driver.play_ms(400)
    assert (call_driver.stage, call_driver.call.notice) == (CallStage.LISTENING, None)
    assert [b.incomplete_reason for b in call_driver.call.snapshot().bubbles] == ["transcription_failed", None]
