"""A call in which the visitor speaks over a reply and acts meanwhile, and any order of these events."""

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
from voicechat.turn_taking.snapshot import CallStage

Event = dict[str, Any]
VOICE_LEVEL = 5000


ACTIVE_RESPONSE_ERROR = server_events.error_event("conversation_already_has_active_response")


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


def test_visitor_who_coughs_is_not_idle_and_a_classified_call_is_not_idle() -> None:
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
    ("answer", "stops_itself"),
    [
        (None, False),
        (server_vad_confirmed(interrupt_response=True), True),
        (server_vad_confirmed(interrupt_response=None), False),
        (server_vad_confirmed(create_response=False), False),
        (server_vad_confirmed(type="none"), False),
    ],
    ids=["none", "true", "stripped", "no responses", "type"],
)
def test_where_the_server_does_not_leave_it_to_us_the_first_sound_stops_the_reply(
    answer: Event | None, stops_itself: bool
) -> None:
    line = BargeInDriver()
    line.call.handle_disconnected(CallStage.RECONNECTING, line.now)
    line.call.handle_connected(line.now)
    if answer:
        line.server_sends(answer)
    line.start_reply(finished=False)
    expected = ["conversation.item.truncate"] if stops_itself else ["conversation.item.truncate", "response.cancel"]
    assert [e["type"] for e in line.server_sends(server_events.speech_started("u1"))] == expected
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
    assert ("a1" in cut) is ("a1" in struck), "one truncation for an interruption, none for a resumed reply"
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
