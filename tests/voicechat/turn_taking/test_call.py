"""The call's state machine, by a clock of frames: turns, barge-in, typed messages, stop."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.realtime import server_events
from tests.support.realtime.barge_in_driver import server_vad_confirmed
from tests.support.realtime.call_driver import CallDriver, event_types
from voicechat.protocol.notices import Notice
from voicechat.turn_taking.snapshot import CallStage


def test_call_during_a_turn_passes_through_all_stages(call_driver: CallDriver) -> None:
    assert call_driver.stage is CallStage.LISTENING
    call_driver.server_sends(server_events.speech_started("u1"))
    assert call_driver.stage is CallStage.USER_SPEAKING
    call_driver.server_sends(server_events.turn_committed("u1"))
    assert call_driver.stage is CallStage.THINKING
    call_driver.play_ms(400)
    call_driver.server_sends(server_events.response_started("r1", "a1", "u1"))
    assert call_driver.stage is CallStage.THINKING
    call_driver.server_sends(server_events.clause_deltas("r1", "a1", "Good morning.", 500))
    call_driver.play_ms(20)
    assert call_driver.stage is CallStage.SPEAKING
    call_driver.server_sends(server_events.response_finished("r1", "a1", "Good morning."))
    call_driver.play_ms(400)
    assert call_driver.stage is CallStage.SPEAKING
    call_driver.play_ms(120)
    assert call_driver.stage is CallStage.LISTENING
    assert call_driver.sent == []


def test_call_in_a_pause_between_clauses_stays_in_speaking(call_driver: CallDriver) -> None:
    call_driver.server_sends(
        server_events.response_started("r1", "a1"), server_events.clause_deltas("r1", "a1", "One. ", 100)
    )
    call_driver.play_ms(300)
    assert call_driver.stage is CallStage.SPEAKING
    call_driver.server_sends(
        server_events.clause_deltas("r1", "a1", "Two.", 100), server_events.response_finished("r1", "a1", "One. Two.")
    )
    call_driver.play_ms(300)
    assert call_driver.stage is CallStage.LISTENING


def test_speech_during_an_unfinished_reply_truncates_it_without_cancel(call_driver: CallDriver) -> None:
    call_driver.server_sends(server_vad_confirmed(interrupt_response=True))
    call_driver.server_sends(
        server_events.response_started("r1", "a1"),
        server_events.clause_deltas("r1", "a1", "The first clause. ", 1000),
        server_events.clause_deltas("r1", "a1", "And the second one.", 1000),
    )
    call_driver.play_ms(1100)
    answers = call_driver.server_sends(server_events.speech_started("u2"))
    assert event_types(answers) == ["conversation.item.truncate"], "the server cancels by itself"
    assert (answers[0]["item_id"], answers[0]["content_index"], answers[0]["audio_end_ms"]) == ("a1", 0, 1100)
    assert not call_driver.play_ms(100)[200:].any(), "silent within a breath"
    call_driver.server_sends(
        server_events.clause_deltas("r1", "a1", "Late.", 500),
        server_events.response_finished("r1", "a1", "The first clause.", "cancelled"),
    )
    assert not call_driver.play_ms(500).any()
    assert call_driver.stage is CallStage.USER_SPEAKING
    bubble = call_driver.call.snapshot().bubbles[0]
    assert (bubble.text, bubble.unheard.strip()) == ("The first clause.", "And the second one.")


def test_speech_during_playback_of_a_finished_reply_truncates_it(call_driver: CallDriver) -> None:
    call_driver.server_sends(server_events.complete_response("r1", "a1", "One two three four", 4000))
    call_driver.play_ms(2100)
    answers = call_driver.server_sends(server_events.speech_started("u2"))
    assert [(a["type"], a["audio_end_ms"]) for a in answers] == [("conversation.item.truncate", 2100)]
    assert call_driver.messages()[0] == ("assistant", "One two")


def test_speech_after_complete_playback_sends_nothing(call_driver: CallDriver) -> None:
    call_driver.server_sends(server_events.complete_response("r1", "a1", "One two three four", 1000))
    call_driver.play_ms(1500)
    assert call_driver.server_sends(server_events.speech_started("u2")) == []
    assert call_driver.messages()[0] == ("assistant", "One two three four")


def test_speech_before_playback_of_a_second_item_truncates_it_at_zero(call_driver: CallDriver) -> None:
    call_driver.server_sends(server_vad_confirmed(interrupt_response=True))
    call_driver.server_sends(
        server_events.response_started("r1", "a1"),
        server_events.clause_deltas("r1", "a1", "Let me see.", 500),
        server_events.response_started("r1", "a2"),
        server_events.clause_deltas("r1", "a2", "It is noon.", 500),
    )
    call_driver.play_ms(300)
    answers = call_driver.server_sends(server_events.speech_started("u2"))
    assert [(a["item_id"], a["audio_end_ms"]) for a in answers] == [("a1", 300), ("a2", 0)]


def test_reply_interrupted_before_its_first_audio_is_deleted(call_driver: CallDriver) -> None:
    call_driver.server_sends(server_vad_confirmed(interrupt_response=True))
    call_driver.server_sends(server_events.response_started("r1", "a1"))
    answers = call_driver.server_sends(server_events.speech_started("u2"))
    assert [(a["type"], a["item_id"]) for a in answers] == [("conversation.item.delete", "a1")]
    call_driver.server_sends(server_events.clause_deltas("r1", "a1", "Late.", 500))
    assert not call_driver.play_ms(200).any()


def test_response_done_of_an_interrupted_reply_keeps_the_new_turn(call_driver: CallDriver) -> None:
    call_driver.server_sends(
        server_events.response_started("r1", "a1"), server_events.clause_deltas("r1", "a1", "One.", 900)
    )
    call_driver.play_ms(200)
    call_driver.server_sends(server_events.speech_started("u2"), server_events.turn_committed("u2", "a1"))
    call_driver.server_sends(server_events.response_finished("r1", "a1", "One.", "cancelled"))
    assert call_driver.stage is CallStage.THINKING


def test_turn_with_an_empty_transcript_returns_to_listening(call_driver: CallDriver) -> None:
    call_driver.server_sends(
        server_events.speech_started("u1"),
        server_events.turn_committed("u1"),
        server_events.transcription_completed("u1", ""),
    )
    assert call_driver.stage is CallStage.LISTENING


def test_turn_without_response_returns_to_listening_after_a_timeout(call_driver: CallDriver) -> None:
    call_driver.server_sends(server_events.speech_started("u1"), server_events.turn_committed("u1"))
    assert call_driver.call.check_timeouts(call_driver.now + 9) == []
    assert call_driver.stage is CallStage.THINKING
    call_driver.call.check_timeouts(call_driver.now + 11)
    assert call_driver.stage is CallStage.LISTENING


def test_slow_response_returns_to_listening_after_a_longer_timeout(call_driver: CallDriver) -> None:
    call_driver.server_sends(
        server_events.speech_started("u1"),
        server_events.turn_committed("u1"),
        server_events.response_started("r1", "a1"),
    )
    call_driver.call.check_timeouts(call_driver.now + 30)
    assert call_driver.stage is CallStage.THINKING
    call_driver.call.check_timeouts(call_driver.now + 61)
    assert call_driver.stage is CallStage.LISTENING


def test_reply_with_a_long_gap_stays_active(call_driver: CallDriver) -> None:
    call_driver.server_sends(
        server_events.response_started("r1", "a1"), server_events.clause_deltas("r1", "a1", "One. ", 500)
    )
    call_driver.play_ms(700)
    call_driver.now += 12
    call_driver.call.check_timeouts(call_driver.now)
    assert call_driver.stage is CallStage.SPEAKING
    answers = call_driver.send_text("Next")
    assert "response.cancel" in event_types(answers)
    assert "response.create" not in event_types(answers), "the server still has another reply under way"
    assert event_types(call_driver.server_sends(server_events.response_finished("r1", "a1", "One.", "cancelled"))) == [
        "response.create"
    ]


def test_reply_without_progress_is_cancelled_with_a_notice(call_driver: CallDriver) -> None:
    call_driver.server_sends(
        server_events.response_started("r1", "a1"), server_events.clause_deltas("r1", "a1", "One. ", 500)
    )
    call_driver.play_ms(700)
    call_driver.now += 61
    answers = call_driver.call.check_timeouts(call_driver.now)
    assert event_types(answers)[-1] == "response.cancel"
    assert answers[-1]["response_id"] == "r1"
    assert call_driver.stage is CallStage.LISTENING
    assert call_driver.call.notice == Notice.REPLY_BROKEN_OFF
    call_driver.server_sends(server_events.clause_deltas("r1", "a1", "Two.", 500))
    assert not call_driver.play_ms(200).any(), "the visitor may be speaking by now"
    assert "response.create" in event_types(call_driver.send_text("Next"))


def test_typed_message_is_sent_and_answered(call_driver: CallDriver) -> None:
    answers = call_driver.send_text("  What time is it? ")
    assert event_types(answers) == ["conversation.item.create", "response.create"]
    assert answers[0]["item"]["content"] == [{"type": "input_text", "text": "What time is it?"}]
    assert call_driver.stage is CallStage.THINKING
    assert call_driver.messages() == [("user", "What time is it?")]
    call_driver.play_ms(200)
    call_driver.server_sends(server_events.complete_response("r1", "a1", "Noon.", 200))
    call_driver.play_ms(400)
    assert call_driver.stage is CallStage.LISTENING


def test_typed_message_during_a_reply_interrupts_it(call_driver: CallDriver) -> None:
    call_driver.server_sends(
        server_events.response_started("r1", "a1"), server_events.clause_deltas("r1", "a1", "One two three four", 2000)
    )
    call_driver.play_ms(1100)
    answers = call_driver.send_text("Stop")
    assert event_types(answers) == ["conversation.item.truncate", "response.cancel", "conversation.item.create"]
    assert answers[0]["audio_end_ms"] == 1100
    assert answers[1]["response_id"] == "r1"
    answers = call_driver.server_sends(server_events.response_finished("r1", "a1", "One two", "cancelled"))
    assert event_types(answers) == ["response.create"], "only after the other response is done"


def test_typed_message_rejected_for_an_active_response_is_answered_after_it(call_driver: CallDriver) -> None:
    answers = call_driver.send_text("Hello")
    assert (
        call_driver.server_sends(
            server_events.error_event("conversation_already_has_active_response", answers[1]["event_id"])
        )
        == []
    )
    call_driver.server_sends(server_events.response_started("r9", "a9"))
    answers = call_driver.server_sends(server_events.response_finished("r9", "a9", "Another."))
    assert event_types(answers) == ["response.create"]


def test_typed_message_during_speech_is_answered_with_the_turn(call_driver: CallDriver) -> None:
    call_driver.server_sends(server_events.speech_started("u1"))
    assert event_types(call_driver.send_text("By the way")) == ["conversation.item.create"]
    call_driver.server_sends(server_events.turn_committed("u1"))
    assert call_driver.server_sends(server_events.complete_response("r1", "a1", "Both.", 200)) == []
    assert call_driver.play_ms(600).any()
    assert call_driver.stage is CallStage.LISTENING


def test_typed_message_during_a_sound_without_words_requests_a_response(call_driver: CallDriver) -> None:
    call_driver.server_sends(server_events.speech_started("u1"))
    call_driver.send_text("By the way")
    answers = call_driver.server_sends(
        server_events.turn_committed("u1"), server_events.transcription_completed("u1", "")
    )
    assert event_types(answers) == ["response.create"]


def test_response_to_a_typed_message_during_speech_is_cancelled(call_driver: CallDriver) -> None:
    call_driver.send_text("Hello")
    call_driver.server_sends(server_events.speech_started("u1"))
    answers = call_driver.server_sends(server_events.response_started("r1", "a1"))
    assert event_types(answers) == ["response.cancel"]
    call_driver.server_sends(server_events.clause_deltas("r1", "a1", "Hi.", 500))
    assert not call_driver.play_ms(200).any()


def test_send_text_with_a_long_or_empty_message_sends_nothing() -> None:
    line = CallDriver(max_message_chars=5)
    assert line.send_text("123456") is None
    assert line.call.notice == Notice.MESSAGE_TOO_LONG
    assert line.send_text(" \n ") is None
    assert line.messages() == []
    assert line.send_text("12345") != []
    assert line.call.notice is None


def test_captions_of_a_simplified_transcript_are_traditional(call_driver: CallDriver) -> None:
    call_driver.server_sends(server_events.transcription_completed("u1", "台湾的头发"))
    assert call_driver.messages() == [("user", "台灣的頭髮")]


TURN = [
    server_events.speech_started("u1"),
    *server_events.turn_committed("u1"),
    server_events.transcription_completed("u1", "Hello"),
    *server_events.complete_response("r1", "a1", "Good morning.", 300, "u1"),
    server_events.speech_started("u2"),
    *server_events.turn_committed("u2", "a1"),
    *server_events.complete_response("r2", "a2", "Yes.", 100, "u2"),
    server_events.error_event("conversation_already_has_active_response"),
    server_events.error_event("response_cancel_not_active"),
]


@given(st.randoms(use_true_random=False))
@settings(max_examples=80, deadline=None)
def test_events_in_any_order_end_in_listening(order: random.Random) -> None:
    """Whatever is sent, typed or cleared, in any order: the call listens again, no answer is asked for twice."""
    line = CallDriver()
    events = [event for event in TURN if order.random() > 0.2]
    order.shuffle(events)
    open_answers = 0
    for event in events:
        action = order.randrange(12)
        if action == 0:
            line.send_text("typed")
        elif action == 1:
            line.clear()
        elif action == 2:
            line.call.handle_disconnected(CallStage.RECONNECTING, line.now)
            line.sent += line.call.handle_connected(line.now)
        line.server_sends(event)
        line.play_ms(order.choice([0, 20, 200]) or 20)
    for event in line.sent:
        assert event["event_id"]
        open_answers += event["type"] == "response.create"
    if line.stage is CallStage.USER_SPEAKING:
        line.server_sends(server_events.turn_committed("u9"))
    line.play_ms(1500)
    for _ in range(2):
        line.now += 100
        line.call.check_timeouts(line.now)
    assert line.stage is CallStage.LISTENING
    assert open_answers <= len(events) + 1


def test_interrupt_during_a_reply_truncates_it_at_the_played_time(call_driver: CallDriver) -> None:
    call_driver.server_sends(
        server_events.speech_started("u1"),
        server_events.turn_committed("u1"),
        server_events.transcription_completed("u1", "Count."),
    )
    call_driver.server_sends(
        server_events.response_started("r1", "a1", "u1"),
        server_events.clause_deltas("r1", "a1", "One two three four", 2000),
    )
    call_driver.play_ms(600)
    events = call_driver.call.interrupt(call_driver.now)
    assert event_types(events) == ["conversation.item.truncate", "response.cancel"]
    assert 400 <= events[0]["audio_end_ms"] <= 600
    assert call_driver.stage is CallStage.LISTENING
    call_driver.play_ms(20)  # the fade
    assert not call_driver.play_ms(200).any()
    call_driver.server_sends(
        server_events.clause_deltas("r1", "a1", "late", 400),
        server_events.response_finished("r1", "a1", "One two three four", "cancelled"),
    )
    assert not call_driver.play_ms(400).any()
    assert call_driver.messages()[-1] == ("assistant", "One")
    call_driver.server_sends(server_events.speech_started("u2"), server_events.turn_committed("u2"))
    assert call_driver.stage is CallStage.THINKING


def test_interrupt_after_a_finished_reply_truncates_without_cancel(call_driver: CallDriver) -> None:
    call_driver.send_text("Count.")
    call_driver.server_sends(server_events.complete_response("r1", "a1", "One two three four", 2000))
    call_driver.play_ms(600)
    assert event_types(call_driver.call.interrupt(call_driver.now)) == ["conversation.item.truncate"]
    call_driver.play_ms(20)
    assert not call_driver.play_ms(200).any()


def test_interrupt_without_a_reply_sends_nothing(call_driver: CallDriver) -> None:
    assert call_driver.call.interrupt(call_driver.now) == []
    assert call_driver.stage is CallStage.LISTENING
