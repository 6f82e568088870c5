"""Replies that the embedded server's own model gave in place of its chat endpoint: the notice, and its end."""

from __future__ import annotations

import pytest

from tests.support.realtime import server_events
from tests.support.realtime.call_driver import CallDriver
from voicechat.conversation.conversation import BubbleState
from voicechat.turn_taking.snapshot import CallStage


def reply_of(driver: CallDriver, name: str, answered_by: object, speech_fault: object = None) -> None:
    """Ask, and play a whole reply whose `response.done` has these fields, where they are not None."""
    driver.send_text("Hello")
    done = server_events.response_ended(f"r{name}", "completed")
    fields = {"answered_by": answered_by, "speech_fault": speech_fault}
    done["response"].update((key, value) for key, value in fields.items() if value is not None)
    driver.server_sends(
        server_events.response_started(f"r{name}", f"a{name}"),
        server_events.clause_deltas(f"r{name}", f"a{name}", "Good morning.", 300),
        done,
    )
    driver.play_ms(600)
    bubble = driver.call.snapshot().bubbles[-1]
    assert (bubble.text, bubble.state, bubble.incomplete_reason) == ("Good morning.", BubbleState.DONE, None)
    assert driver.stage is CallStage.LISTENING


@pytest.mark.parametrize(
    ("fault", "notice"),
    [
        ("unreachable", "local_unreachable"),
        ("broken_off", "local_unreachable"),
        ("unauthorized", "local_key_refused"),
        ("no_credit", "local_no_credit"),
        ("rate_limited", "local_rate_limited"),
        ("timeout", "local_late"),
        ("loading", "local_loading"),
        ("not_found", "local_no_model"),
        ("not_chosen", "local_no_model"),
        ("server_error", "local_failed"),
        ("a_new_fault", "local_failed"),
    ],
)
def test_answer_in_place_of_the_endpoint_has_a_notice_by_its_fault(
    call_driver: CallDriver, fault: str, notice: str
) -> None:
    reply_of(call_driver, "1", {"model": "carried", "is_endpoint": False, "fault": fault})
    assert call_driver.call.notice == notice
    reply_of(call_driver, "2", {"model": "big", "is_endpoint": True, "fault": ""})
    assert call_driver.call.notice is None


@pytest.mark.parametrize(
    "answered_by",
    [None, {}, "big", {"model": "big", "is_endpoint": True, "fault": "broken_off"}, {"fault": 7}],
    ids=["missing", "empty", "text", "by endpoint", "number"],
)
def test_answer_without_a_fallback_has_no_notice(call_driver: CallDriver, answered_by: object) -> None:
    reply_of(call_driver, "1", answered_by)
    assert call_driver.call.notice is None


LLM_FAILS = {"model": "carried", "is_endpoint": False, "fault": "unreachable"}


def spoken_turn(driver: CallDriver, item: str, fault: object) -> None:
    """Report the transcript of a turn, recognised in place of an endpoint with this fault."""
    driver.server_sends({**server_events.transcription_completed(item, "Hello"), "endpoint_fault": fault})


def test_voice_in_place_of_the_endpoint_has_a_notice_once_in_a_call(call_driver: CallDriver) -> None:
    reply_of(call_driver, "1", None, "timeout")
    assert call_driver.call.notice == "local_voice"
    for name in "23":
        reply_of(call_driver, name, None, "timeout")
        assert call_driver.call.notice is None


def test_recognition_in_place_of_the_endpoint_has_a_notice_after_the_reply_once_in_a_call(
    call_driver: CallDriver,
) -> None:
    spoken_turn(call_driver, "u1", "server_error")
    assert call_driver.call.notice is None
    reply_of(call_driver, "1", None)
    assert call_driver.call.notice == "local_recognition"
    spoken_turn(call_driver, "u2", "server_error")
    reply_of(call_driver, "2", None)
    assert call_driver.call.notice is None


@pytest.mark.parametrize("fault", [None, "", 7, {}])
def test_speech_by_the_endpoints_has_no_notice(call_driver: CallDriver, fault: object) -> None:
    spoken_turn(call_driver, "u1", fault)
    reply_of(call_driver, "1", None, fault)
    assert call_driver.call.notice is None


def test_each_fallback_of_a_call_is_shown_before_one_is_repeated(call_driver: CallDriver) -> None:
    shown = []
    for name in "1234":
        spoken_turn(call_driver, f"u{name}", "timeout")
        reply_of(call_driver, name, LLM_FAILS, "timeout")
        shown.append(call_driver.call.notice)
    assert shown == ["local_unreachable", "local_recognition", "local_voice", "local_unreachable"]
