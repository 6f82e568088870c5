"""A call in which somebody makes sounds over a reply: what is heard, what the server is told, what the page shows."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.realtime import server_events
from tests.support.realtime.barge_in_driver import REPLY_LEVEL, BargeInDriver, server_vad_confirmed
from voicechat.config.settings import Settings
from voicechat.conversation.conversation import BubbleState
from voicechat.turn_taking.barge_in import DUCKED_GAIN
from voicechat.turn_taking.snapshot import CallStage

Event = dict[str, Any]
VOICE_LEVEL = 5000
TRANSCRIPTION_FAILED = {
    "type": "conversation.item.input_audio_transcription.failed",
    "item_id": "u1",
    "content_index": 0,
    "error": {},
}


@pytest.fixture
def barge_in_driver() -> BargeInDriver:
    line = BargeInDriver()
    line.start_reply()
    return line


def test_the_voice_drops_at_the_first_sound_and_nothing_is_told(barge_in_driver: BargeInDriver) -> None:
    barge_in_driver.server_sends(server_events.speech_started("u1"))
    ramp = barge_in_driver.play_ms(40).astype(float) / REPLY_LEVEL
    assert ramp[-1] == pytest.approx(DUCKED_GAIN)
    assert np.abs(np.diff(ramp)).max() < 0.01, "no click"
    assert barge_in_driver.stage is CallStage.USER_SPEAKING
    assert barge_in_driver.take_sent_types() == []


@pytest.mark.parametrize(
    "heard",
    [
        server_events.transcription_completed("u1", ""),
        server_events.transcription_completed("u1", " ."),
        TRANSCRIPTION_FAILED,
    ],
    ids=["empty", "dot", "failed"],
)
@pytest.mark.parametrize("made", [True, False])
def test_a_cough_lets_the_reply_go_on(heard: Event, made: bool) -> None:
    line = BargeInDriver()
    line.start_reply(finished=made)
    line.make_short_sound()
    assert line.played_gain() == pytest.approx(DUCKED_GAIN)
    line.server_sends(heard)
    assert line.stage is CallStage.SPEAKING
    assert line.played_gain() == 1.0
    assert [(e["type"], e["item_id"]) for e in line.sent] == [("conversation.item.delete", "u1")]
    if not made:
        line.server_sends(server_events.response_finished("r1", "a1", "One two three four five six"))
    rest = line.play_ms(6000)
    assert line.stage is CallStage.LISTENING
    assert line.call.idle
    assert np.count_nonzero(rest) + (500 + 400 + 100 + 100) * 24 == 6000 * 24, "to its end"
    assert line.messages() == [("assistant", "One two three four five six")]
    assert line.call.snapshot().bubbles[0].state is BubbleState.DONE


@pytest.mark.parametrize("text", ["嗯", "Mm-hmm.", "對對對"])
def test_a_backchannel_lets_the_reply_go_on_and_is_remembered(barge_in_driver: BargeInDriver, text: str) -> None:
    barge_in_driver.make_short_sound()
    barge_in_driver.server_sends(server_events.transcription_completed("u1", text))
    assert barge_in_driver.played_gain() == 1.0
    assert barge_in_driver.take_sent_types() == []
    assert barge_in_driver.messages()[-1] == ("user", text)
    barge_in_driver.play_ms(6000)
    assert barge_in_driver.stage is CallStage.LISTENING and barge_in_driver.call.idle


def test_a_voice_that_goes_on_silences_the_reply(barge_in_driver: BargeInDriver) -> None:
    barge_in_driver.play_ms(100, VOICE_LEVEL)  # on its way to the server
    barge_in_driver.server_sends(server_events.speech_started("u1"))
    barge_in_driver.play_ms(280, VOICE_LEVEL)
    assert barge_in_driver.take_sent_types() == []
    assert not barge_in_driver.play_ms(100, VOICE_LEVEL)[-480:].any()
    (truncate,) = barge_in_driver.sent
    assert truncate["type"] == "conversation.item.truncate"
    assert 860 <= truncate["audio_end_ms"] <= 900, "what was played softly was heard"
    assert barge_in_driver.stage is CallStage.USER_SPEAKING
    barge_in_driver.sent.clear()
    barge_in_driver.server_sends(server_events.turn_committed("u1", "a1"))
    assert barge_in_driver.stage is CallStage.THINKING
    barge_in_driver.server_sends(server_events.complete_response("r2", "a2", "Yes?", 500, "u1"))
    assert barge_in_driver.played_gain() == 1.0, "the next reply is as loud as any"
    assert barge_in_driver.take_sent_types() == []


def test_a_sound_that_does_not_end_silences_the_reply_whatever_the_microphone_says(
    barge_in_driver: BargeInDriver,
) -> None:
    barge_in_driver.server_sends(server_events.speech_started("u1"))
    barge_in_driver.play_ms(600)
    assert barge_in_driver.take_sent_types() == []
    barge_in_driver.play_ms(100)
    assert barge_in_driver.take_sent_types() == ["conversation.item.truncate"]


def test_a_reply_that_is_still_being_made_is_stopped_at_the_server_too() -> None:
    line = BargeInDriver()
    line.start_reply(finished=False)
    line.server_sends(server_events.speech_started("u1"))
    line.play_ms(700)
    assert line.take_sent_types() == ["conversation.item.truncate", "response.cancel"]
    line.server_sends(
        server_events.response_finished("r1", "a1", "One two", "cancelled"), server_events.turn_committed("u1", "a1")
    )
    assert line.stage is CallStage.THINKING
    assert line.take_sent_types() == [], "the server answers a turn by itself"


def test_words_silence_the_reply_before_the_sound_is_over(barge_in_driver: BargeInDriver) -> None:
    barge_in_driver.server_sends(
        server_events.speech_started("u1"),
        server_events.transcription_delta("u1", "o"),
        server_events.transcription_delta("u1", "k"),
    )
    barge_in_driver.play_ms(100)
    assert barge_in_driver.take_sent_types() == []
    barge_in_driver.server_sends(server_events.transcription_delta("u1", " wait"))
    assert barge_in_driver.take_sent_types() == ["conversation.item.truncate"]
    assert barge_in_driver.stage is CallStage.USER_SPEAKING


def test_a_short_word_is_answered_by_the_server_where_it_has_not_begun_to(barge_in_driver: BargeInDriver) -> None:
    barge_in_driver.make_short_sound()
    barge_in_driver.server_sends(server_events.transcription_completed("u1", "Stop."))
    assert barge_in_driver.take_sent_types() == ["conversation.item.truncate"]
    assert barge_in_driver.stage is CallStage.THINKING
    barge_in_driver.server_sends(server_events.complete_response("r2", "a2", "All right.", 500, "u1"))
    barge_in_driver.play_ms(1000)
    assert barge_in_driver.take_sent_types() == []
    assert barge_in_driver.messages()[-1] == ("assistant", "All right.")
    assert barge_in_driver.stage is CallStage.LISTENING


def test_an_answer_to_what_is_undecided_is_refused_and_asked_for_again_when_there_were_words(
    barge_in_driver: BargeInDriver,
) -> None:
    barge_in_driver.make_short_sound()
    barge_in_driver.server_sends(server_events.response_started("r2", "a2", "u1")[:1])
    assert [(e["type"], e.get("response_id")) for e in barge_in_driver.sent] == [("response.cancel", "r2")]
    barge_in_driver.sent.clear()
    barge_in_driver.server_sends(server_events.transcription_completed("u1", "Stop."))
    assert barge_in_driver.take_sent_types() == ["conversation.item.truncate"], "not while the other is not done"
    barge_in_driver.server_sends(
        {"type": "response.done", "response": {"id": "r2", "status": "cancelled", "output": []}}
    )
    assert barge_in_driver.take_sent_types() == ["response.create"]
    barge_in_driver.server_sends(server_events.complete_response("r3", "a3", "All right.", 500, "u1"))
    barge_in_driver.play_ms(1000)
    assert barge_in_driver.take_sent_types() == []
    assert barge_in_driver.messages()[-2:] == [("user", "Stop."), ("assistant", "All right.")]


def test_an_answer_to_a_cough_is_refused_and_leaves_nothing_behind(barge_in_driver: BargeInDriver) -> None:
    barge_in_driver.make_short_sound()
    barge_in_driver.server_sends(
        server_events.response_started("r2", "a2", "u1"), server_events.clause_deltas("r2", "a2", "Bless you!", 500)
    )
    barge_in_driver.server_sends(
        server_events.transcription_completed("u1", ""),
        server_events.response_finished("r2", "a2", "Bless you!", "cancelled"),
    )
    assert barge_in_driver.take_sent_types() == [
        "response.cancel",
        "conversation.item.delete",
        "conversation.item.delete",
    ]
    assert barge_in_driver.messages() == [("assistant", "One two three four five six")]
    barge_in_driver.play_ms(6000)
    assert barge_in_driver.stage is CallStage.LISTENING and barge_in_driver.call.idle
    barge_in_driver.call.check_timeouts(barge_in_driver.now + 30)
    assert barge_in_driver.take_sent_types() == []


@pytest.mark.parametrize("made", [True, False])
def test_an_answer_to_a_cough_that_comes_late_is_refused(made: bool) -> None:
    """A server that answers a turn after the reply that it collided with."""
    line = BargeInDriver()
    line.start_reply(finished=made)
    line.make_short_sound()
    line.server_sends(server_events.transcription_completed("u1", "嗯"))
    if not made:
        line.server_sends(server_events.response_finished("r1", "a1", "One two three four five six"))
    assert "response.cancel" in [e["type"] for e in line.server_sends(server_events.response_started("r2", "a2", "u1"))]
    line.server_sends(
        server_events.clause_deltas("r2", "a2", "What?", 500),
        server_events.response_finished("r2", "a2", "What?", "cancelled"),
    )
    line.play_ms(6500)
    assert line.messages() == [("assistant", "One two three four five six"), ("user", "嗯")]
    assert line.stage is CallStage.LISTENING


ACTIVE_RESPONSE_ERROR = server_events.error_event("conversation_already_has_active_response")


@pytest.mark.parametrize("told", ["before", "after"])
def test_a_turn_that_the_server_could_not_answer_is_asked_about(told: str) -> None:
    line = BargeInDriver()
    line.call.send_text("Hello", line.now)  # an earlier request is not what collides
    line.start_reply(finished=False)
    line.make_short_sound()
    if told == "before":
        line.server_sends(ACTIVE_RESPONSE_ERROR)
    line.server_sends(server_events.transcription_completed("u1", "Stop."))
    if told == "after":
        line.server_sends(ACTIVE_RESPONSE_ERROR)
    assert line.take_sent_types() == ["conversation.item.truncate", "response.cancel"]
    line.server_sends(server_events.response_finished("r1", "a1", "One", "cancelled"))
    assert line.take_sent_types() == ["response.create"]
    line.server_sends(server_events.complete_response("r2", "a2", "All right.", 500, "u1"))
    line.play_ms(1000)
    assert line.take_sent_types() == [] and line.stage is CallStage.LISTENING
    assert line.call.notice is None


def test_a_turn_that_the_server_could_not_answer_and_was_a_cough_is_let_be() -> None:
    line = BargeInDriver()
    line.call.send_text("Hello", line.now)
    line.start_reply(finished=False)
    line.make_short_sound()
    line.server_sends(
        ACTIVE_RESPONSE_ERROR,
        server_events.transcription_completed("u1", ""),
        server_events.response_finished("r1", "a1", "One two three four five six"),
    )
    line.play_ms(7000)
    assert line.take_sent_types() == ["conversation.item.delete"]
    assert line.call.idle


def test_a_server_that_says_nothing_about_a_turn_it_could_not_answer_is_asked() -> None:
    line = BargeInDriver()
    line.start_reply(finished=False)
    line.make_short_sound()
    line.server_sends(
        server_events.transcription_completed("u1", "Stop."),
        server_events.response_finished("r1", "a1", "One", "cancelled"),
    )
    assert line.take_sent_types() == ["conversation.item.truncate", "response.cancel"]
    line.sent += line.call.check_timeouts(line.now + 1)
    assert line.take_sent_types() == []
    line.sent += line.call.check_timeouts(line.now + 2)
    assert line.take_sent_types() == ["response.create"]


def test_a_server_that_answers_a_collided_turn_later_is_not_asked() -> None:
    line = BargeInDriver()
    line.start_reply(finished=False)
    line.make_short_sound()
    line.server_sends(
        server_events.transcription_completed("u1", "Stop."),
        server_events.response_finished("r1", "a1", "One", "cancelled"),
    )
    line.server_sends(server_events.complete_response("r2", "a2", "All right.", 500, "u1"))
    line.play_ms(1000)
    line.sent += line.call.check_timeouts(line.now + 2)
    assert line.take_sent_types() == ["conversation.item.truncate", "response.cancel"]


def test_an_answer_that_was_quicker_than_ours_is_the_answer() -> None:
    line = BargeInDriver()
    line.start_reply(finished=False)
    line.make_short_sound()
    line.server_sends(
        server_events.transcription_completed("u1", "Stop."),
        server_events.response_finished("r1", "a1", "One", "cancelled"),
    )
    line.sent.clear()
    (ask,) = line.call.check_timeouts(line.now + 2)
    line.server_sends(
        server_events.response_started("r2", "a2", "u1"),
        server_events.error_event("conversation_already_has_active_response", ask["event_id"]),
    )
    line.server_sends(
        server_events.clause_deltas("r2", "a2", "All right.", 300),
        server_events.response_finished("r2", "a2", "All right."),
    )
    line.play_ms(1000)
    assert line.take_sent_types() == []
    assert line.stage is CallStage.LISTENING


def test_nothing_heard_about_a_sound_silences_the_reply(barge_in_driver: BargeInDriver) -> None:
    barge_in_driver.make_short_sound()
    barge_in_driver.play_ms(1900)
    assert barge_in_driver.take_sent_types() == []
    barge_in_driver.play_ms(200)
    assert barge_in_driver.take_sent_types() == ["conversation.item.truncate"]
    assert barge_in_driver.stage is CallStage.THINKING


def test_a_reply_that_runs_out_leaves_the_turn_to_the_visitor() -> None:
    line = BargeInDriver()
    line.start_reply(ms=700)
    line.server_sends(server_events.speech_started("u1"))
    line.play_ms(400)
    assert line.stage is CallStage.USER_SPEAKING
    line.server_sends(
        server_events.turn_committed("u1", "a1"), server_events.complete_response("r2", "a2", "Yes?", 300, "u1")
    )
    assert line.take_sent_types() == []
    assert line.played_gain() == 1.0
    line.play_ms(500)
    assert line.messages()[-1] == ("assistant", "Yes?")


@pytest.mark.parametrize(("text", "asked"), [("Yes.", True), ("Tell me more.", True), ("", False)])
def test_a_reply_that_runs_out_after_its_answer_was_refused(text: str, asked: bool) -> None:
    line = BargeInDriver()
    line.start_reply(ms=1000)
    line.make_short_sound()
    line.server_sends(server_events.response_started("r2", "a2", "u1")[:1])
    line.server_sends({"type": "response.done", "response": {"id": "r2", "status": "cancelled", "output": []}})
    line.play_ms(300)
    assert line.stage is CallStage.THINKING
    assert line.take_sent_types() == ["response.cancel"]
    line.server_sends(server_events.transcription_completed("u1", text))
    assert ("response.create" in line.take_sent_types()) is asked
    assert line.stage is (CallStage.THINKING if asked else CallStage.LISTENING)


def test_a_reply_that_runs_out_and_no_word_of_what_was_said_is_answered_all_the_same() -> None:
    line = BargeInDriver()
    line.start_reply(ms=1000)
    line.make_short_sound()
    line.server_sends(server_events.response_started("r2", "a2", "u1")[:1])
    line.server_sends({"type": "response.done", "response": {"id": "r2", "status": "cancelled", "output": []}})
    line.play_ms(2300)
    assert line.take_sent_types() == ["response.cancel", "response.create"]


def test_two_coughs_and_then_a_word(barge_in_driver: BargeInDriver) -> None:
    barge_in_driver.make_short_sound("u1")
    barge_in_driver.make_short_sound("u2")
    barge_in_driver.server_sends(server_events.transcription_completed("u1", ""))
    assert barge_in_driver.played_gain() == pytest.approx(DUCKED_GAIN)
    barge_in_driver.server_sends(server_events.transcription_completed("u2", "嗯"))
    assert barge_in_driver.played_gain() == 1.0
    assert [(e["type"], e["item_id"]) for e in barge_in_driver.sent] == [("conversation.item.delete", "u1")]
    barge_in_driver.sent.clear()
    barge_in_driver.make_short_sound("u3")
    barge_in_driver.server_sends(server_events.transcription_completed("u3", "停"))
    assert barge_in_driver.take_sent_types() == ["conversation.item.truncate"]


def test_a_server_that_interrupts_all_the_same_is_believed() -> None:
    line = BargeInDriver()
    line.start_reply(finished=False)
    line.server_sends(
        server_events.speech_started("u1"), server_events.response_finished("r1", "a1", "One two", "cancelled")
    )
    assert line.take_sent_types() == ["conversation.item.truncate"]
    assert line.stage is CallStage.USER_SPEAKING


def test_before_the_first_sound_of_a_reply_speech_stops_it_as_ever() -> None:
    line = BargeInDriver()
    line.server_sends(server_events.response_started("r1", "a1"))
    assert [e["type"] for e in line.server_sends(server_events.speech_started("u1"))] == [
        "conversation.item.delete",
        "response.cancel",
    ]


# -------------------------------------------------------------------- what the visitor does meanwhile


def driver_in_speech(stopped: bool, made: bool) -> BargeInDriver:
    line = BargeInDriver()
    line.start_reply(finished=made)
    line.server_sends(server_events.speech_started("u1"))
    line.play_ms(100)
    if stopped:
        line.server_sends(server_events.turn_committed("u1", "a1"))
    assert line.take_sent_types() == []
    return line


def assert_next_reply_is_full(line: BargeInDriver) -> None:
    """The next reply is heard at full loudness."""
    line.play_ms(40)
    line.server_sends(server_events.complete_response("r9", "a9", "Nine.", 500))
    assert line.played_gain(200) == 1.0


SPEECH_STOPPED_OR_NOT = pytest.mark.parametrize("stopped", [False, True])
REPLY_FINISHED_OR_NOT = pytest.mark.parametrize("made", [False, True])


@SPEECH_STOPPED_OR_NOT
@REPLY_FINISHED_OR_NOT
def test_a_typed_message_decides(stopped: bool, made: bool) -> None:
    line = driver_in_speech(stopped, made)
    line.sent += line.call.send_text("Stop", line.now) or []
    kinds = line.take_sent_types()
    assert kinds[0] == "conversation.item.truncate"
    assert ("response.cancel" in kinds) is not made
    assert ("response.create" in kinds) is (stopped and made)
    assert line.stage is (CallStage.THINKING if stopped else CallStage.USER_SPEAKING)
    if not made:
        line.server_sends(server_events.response_finished("r1", "a1", "One", "cancelled"))
    if not stopped:
        line.server_sends(server_events.turn_committed("u1", "a1"))
    assert_next_reply_is_full(line)
    assert line.messages()[-1] == ("assistant", "Nine.")


@SPEECH_STOPPED_OR_NOT
@REPLY_FINISHED_OR_NOT
def test_the_stop_button_decides(stopped: bool, made: bool) -> None:
    line = driver_in_speech(stopped, made)
    line.sent += line.call.interrupt(line.now)
    assert line.take_sent_types() == ["conversation.item.truncate"] + ([] if made else ["response.cancel"])
    assert line.stage is (CallStage.LISTENING if stopped else CallStage.USER_SPEAKING)
    assert not line.play_ms(100)[480:].any()
    if not made:
        line.server_sends(server_events.response_finished("r1", "a1", "One", "cancelled"))
    if stopped:  # the answer to what was said is not wanted either
        answers = line.server_sends(server_events.response_started("r2", "a2", "u1")[:1])
        assert [e["type"] for e in answers] == ["response.cancel"]
        line.server_sends({"type": "response.done", "response": {"id": "r2", "status": "cancelled", "output": []}})
    else:
        line.server_sends(server_events.turn_committed("u1", "a1"))
    assert_next_reply_is_full(line)


@SPEECH_STOPPED_OR_NOT
@REPLY_FINISHED_OR_NOT
def test_clear_forgets_the_sound_as_well(stopped: bool, made: bool) -> None:
    line = driver_in_speech(stopped, made)
    line.sent += line.call.clear(line.now)
    assert "conversation.item.truncate" not in line.take_sent_types()
    assert line.messages() == []
    line.play_ms(40)
    assert not line.play_ms(100).any()
    if not made:
        line.server_sends(server_events.response_finished("r1", "a1", "One", "cancelled"))
    if not stopped:
        line.server_sends(server_events.turn_committed("u1", "a1"))
    line.server_sends(server_events.transcription_completed("u1", "Secret"))
    assert line.messages() == []
    assert line.stage is CallStage.LISTENING
    line.server_sends(server_events.response_started("r2", "a2", "u1")[:1])  # what the server answers to it
    line.server_sends({"type": "response.done", "response": {"id": "r2", "status": "cancelled", "output": []}})
    assert_next_reply_is_full(line)


@SPEECH_STOPPED_OR_NOT
@REPLY_FINISHED_OR_NOT
def test_a_lost_connection_leaves_the_reply_at_full_loudness(stopped: bool, made: bool) -> None:
    line = driver_in_speech(stopped, made)
    line.call.handle_disconnected(CallStage.RECONNECTING, line.now)
    assert line.played_gain() == 1.0, "what has come is played"
    line.call.handle_connected(line.now)
    assert line.stage is CallStage.SPEAKING
    assert line.played_gain() == 1.0
    events = line.server_sends(server_events.speech_started("u2"))
    assert events[0]["type"] == "conversation.item.delete", "the new server has not confirmed it yet"


@SPEECH_STOPPED_OR_NOT
def test_hanging_up_keeps_what_was_heard(stopped: bool) -> None:
    line = driver_in_speech(stopped, False)
    line.call.end(CallStage.ENDED, None, line.now)
    assert line.call.conversation.bubbles()[0].state is BubbleState.INTERRUPTED
    line.sent += line.call.tick_20ms(line.now + 5)
    assert line.take_sent_types() == []


def test_whoever_coughs_is_not_idle_and_a_judged_call_is_not_quiet() -> None:
    line = BargeInDriver(idle_seconds=5)
    line.start_reply()
    line.make_short_sound()
    assert not line.call.idle
    assert line.call.expired(line.now) is None
    line.server_sends(server_events.transcription_completed("u1", ""))
    assert not line.call.idle, "the reply goes on"
    line.play_ms(6000)
    assert line.call.idle


# -------------------------------------------------------------------- where it is off


@pytest.mark.parametrize(
    "answer",
    [None, server_vad_confirmed(interrupt_response=True), server_vad_confirmed(type="none")],
    ids=["none", "true", "type"],
)
def test_where_the_server_does_not_leave_it_to_us_the_first_sound_stops_the_reply(answer: Event | None) -> None:
    line = BargeInDriver()
    line.call.handle_disconnected(CallStage.RECONNECTING, line.now)
    line.call.handle_connected(line.now)
    if answer:
        line.server_sends(answer)
    line.start_reply(finished=False)
    assert [e["type"] for e in line.server_sends(server_events.speech_started("u1"))] == ["conversation.item.truncate"]
    assert not line.play_ms(100)[480:].any()


# -------------------------------------------------------------------- any order


@given(st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_any_order_ends_full_or_silent_and_cuts_what_it_stops(order: random.Random) -> None:
    line = BargeInDriver()
    line.start_reply(finished=order.random() < 0.5)
    turn = [server_events.speech_started("u1"), *server_events.turn_committed("u1", "a1")]
    events = [
        *turn,
        server_events.transcription_completed("u1", order.choice(["", "嗯", "Stop."])),
        *server_events.response_started("r2", "a2", "u1"),
        {"type": "response.done", "response": {"id": "r2", "status": "cancelled", "output": []}},
        server_events.transcription_delta("u1", order.choice(["o", "stop"])),
        ACTIVE_RESPONSE_ERROR,
        server_events.speech_started("u2"),
        *server_events.turn_committed("u2", "u1"),
        server_events.transcription_completed("u2", order.choice(["", "mm", "停"])),
        server_events.response_finished("r1", "a1", "One two three four five six")[-1],
    ]
    events = [event for event in events if order.random() > 0.25]
    if order.random() < 0.7:
        order.shuffle(events)
    for event in events:
        line.server_sends(event)
        line.play_ms(order.choice([0, 20, 200, 700]) or 20, order.choice([0, VOICE_LEVEL]))
    for _ in range(6):  # 3 s after the last event
        line.play_ms(500)
        line.sent += line.call.check_timeouts(line.now)
    assert not line.call._barge_in.classifying
    last = line.play_ms(40)[-480:]
    assert not last.any() or (last[np.nonzero(last)] == REPLY_LEVEL).all(), "full, or silent"
    cut = {event["item_id"] for event in line.sent if event["type"] == "conversation.item.truncate"}
    struck = {bubble.item_id for bubble in line.call.conversation.bubbles() if bubble.state is BubbleState.INTERRUPTED}
    assert ("a1" in cut) is ("a1" in struck), "interrupted: told; resumed: never"
    assert sum(event["type"] == "response.create" for event in line.sent) <= 2
    assert all(event["event_id"] for event in line.sent)


def test_vad_silence_setting_reaches_the_classifier() -> None:
    patient = BargeInDriver(vad_silence_ms=800)
    patient.start_reply()
    patient.server_sends(server_events.speech_started("u1"))
    patient.play_ms(1000)
    assert patient.take_sent_types() == []
    patient.play_ms(200)
    assert patient.take_sent_types() == ["conversation.item.truncate"]
    assert Settings().vad_silence_ms == 350


def test_a_patient_server_is_waited_for(barge_in_driver: BargeInDriver) -> None:
    """The silence that ends a sound is what the server confirms, also in the middle of a call."""
    barge_in_driver.server_sends(server_vad_confirmed(silence_duration_ms=800))
    barge_in_driver.server_sends(server_events.speech_started("u1"))
    barge_in_driver.play_ms(850)
    assert barge_in_driver.call.stage is CallStage.USER_SPEAKING and barge_in_driver.take_sent_types() == []
    barge_in_driver.server_sends(server_events.turn_committed("u1"), server_events.transcription_completed("u1", ""))
    barge_in_driver.play_ms(100)
    assert barge_in_driver.call.stage is CallStage.SPEAKING
