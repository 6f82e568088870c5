"""A call in which somebody makes sounds over a reply: what is heard, what the server is told, what the page shows."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from realtime.conversation import BubbleState
from realtime.interruptions import LOWERED
from realtime.settings import Settings
from realtime.snapshot import Stage

from . import script
from .over import LEVEL, Over, confirmed

Event = dict[str, Any]
VOICE = 5000
FAILED = {
    "type": "conversation.item.input_audio_transcription.failed",
    "item_id": "u1",
    "content_index": 0,
    "error": {},
}


@pytest.fixture
def line() -> Over:
    line = Over()
    line.reply()
    return line


def test_the_voice_drops_at_the_first_sound_and_nothing_is_told(line: Over) -> None:
    line.get(script.speech_started("u1"))
    ramp = line.play(40).astype(float) / LEVEL
    assert ramp[-1] == pytest.approx(LOWERED)
    assert np.abs(np.diff(ramp)).max() < 0.01, "no click"
    assert line.stage is Stage.HEARING
    assert line.kinds() == []


@pytest.mark.parametrize(
    "heard", [script.heard("u1", ""), script.heard("u1", " ."), FAILED], ids=["empty", "dot", "failed"]
)
@pytest.mark.parametrize("made", [True, False])
def test_a_cough_lets_the_reply_go_on(heard: Event, made: bool) -> None:
    line = Over()
    line.reply(made=made)
    line.cough()
    assert line.loudness() == pytest.approx(LOWERED)
    line.get(heard)
    assert line.stage is Stage.SPEAKING
    assert line.loudness() == 1.0
    assert [(e["type"], e["item_id"]) for e in line.sent] == [("conversation.item.delete", "u1")]
    if not made:
        line.get(script.reply_ends("r1", "a1", "One two three four five six"))
    rest = line.play(6000)
    assert line.stage is Stage.LISTENING
    assert line.call.quiet
    assert np.count_nonzero(rest) + (500 + 400 + 100 + 100) * 24 == 6000 * 24, "to its end"
    assert line.said() == [("assistant", "One two three four five six")]
    assert line.call.snapshot().bubbles[0].state is BubbleState.DONE


@pytest.mark.parametrize("text", ["嗯", "Mm-hmm.", "對對對"])
def test_a_backchannel_lets_the_reply_go_on_and_is_remembered(line: Over, text: str) -> None:
    line.cough()
    line.get(script.heard("u1", text))
    assert line.loudness() == 1.0
    assert line.kinds() == []
    assert line.said()[-1] == ("user", text)
    line.play(6000)
    assert line.stage is Stage.LISTENING and line.call.quiet


def test_a_voice_that_goes_on_silences_the_reply(line: Over) -> None:
    line.play(100, VOICE)  # on its way to the server
    line.get(script.speech_started("u1"))
    line.play(280, VOICE)
    assert line.kinds() == []
    assert not line.play(100, VOICE)[-480:].any()
    (truncate,) = line.sent
    assert truncate["type"] == "conversation.item.truncate"
    assert 860 <= truncate["audio_end_ms"] <= 900, "what was played softly was heard"
    assert line.stage is Stage.HEARING
    line.sent.clear()
    line.get(script.turn_over("u1", "a1"))
    assert line.stage is Stage.THINKING
    line.get(script.whole_reply("r2", "a2", "Yes?", 500, "u1"))
    assert line.loudness() == 1.0, "the next reply is as loud as any"
    assert line.kinds() == []


def test_a_sound_that_does_not_end_silences_the_reply_whatever_the_microphone_says(line: Over) -> None:
    line.get(script.speech_started("u1"))
    line.play(600)
    assert line.kinds() == []
    line.play(100)
    assert line.kinds() == ["conversation.item.truncate"]


def test_a_reply_that_is_still_being_made_is_stopped_at_the_server_too() -> None:
    line = Over()
    line.reply(made=False)
    line.get(script.speech_started("u1"))
    line.play(700)
    assert line.kinds() == ["conversation.item.truncate", "response.cancel"]
    line.get(script.reply_ends("r1", "a1", "One two", "cancelled"), script.turn_over("u1", "a1"))
    assert line.stage is Stage.THINKING
    assert line.kinds() == [], "the server answers a turn by itself"


def test_words_silence_the_reply_before_the_sound_is_over(line: Over) -> None:
    line.get(script.speech_started("u1"), script.hearing("u1", "o"), script.hearing("u1", "k"))
    line.play(100)
    assert line.kinds() == []
    line.get(script.hearing("u1", " wait"))
    assert line.kinds() == ["conversation.item.truncate"]
    assert line.stage is Stage.HEARING


def test_a_short_word_is_answered_by_the_server_where_it_has_not_begun_to(line: Over) -> None:
    line.cough()
    line.get(script.heard("u1", "Stop."))
    assert line.kinds() == ["conversation.item.truncate"]
    assert line.stage is Stage.THINKING
    line.get(script.whole_reply("r2", "a2", "All right.", 500, "u1"))
    line.play(1000)
    assert line.kinds() == []
    assert line.said()[-1] == ("assistant", "All right.")
    assert line.stage is Stage.LISTENING


def test_an_answer_to_what_is_undecided_is_refused_and_asked_for_again_when_there_were_words(line: Over) -> None:
    line.cough()
    line.get(script.reply_begins("r2", "a2", "u1")[:1])
    assert [(e["type"], e.get("response_id")) for e in line.sent] == [("response.cancel", "r2")]
    line.sent.clear()
    line.get(script.heard("u1", "Stop."))
    assert line.kinds() == ["conversation.item.truncate"], "not while the other is not done"
    line.get({"type": "response.done", "response": {"id": "r2", "status": "cancelled", "output": []}})
    assert line.kinds() == ["response.create"]
    line.get(script.whole_reply("r3", "a3", "All right.", 500, "u1"))
    line.play(1000)
    assert line.kinds() == []
    assert line.said()[-2:] == [("user", "Stop."), ("assistant", "All right.")]


def test_an_answer_to_a_cough_is_refused_and_leaves_nothing_behind(line: Over) -> None:
    line.cough()
    line.get(script.reply_begins("r2", "a2", "u1"), script.clause("r2", "a2", "Bless you!", 500))
    line.get(script.heard("u1", ""), script.reply_ends("r2", "a2", "Bless you!", "cancelled"))
    assert line.kinds() == ["response.cancel", "conversation.item.delete", "conversation.item.delete"]
    assert line.said() == [("assistant", "One two three four five six")]
    line.play(6000)
    assert line.stage is Stage.LISTENING and line.call.quiet
    line.call.tick(line.now + 30)
    assert line.kinds() == []


@pytest.mark.parametrize("made", [True, False])
def test_an_answer_to_a_cough_that_comes_late_is_refused(made: bool) -> None:
    """A server that answers a turn after the reply that it collided with."""
    line = Over()
    line.reply(made=made)
    line.cough()
    line.get(script.heard("u1", "嗯"))
    if not made:
        line.get(script.reply_ends("r1", "a1", "One two three four five six"))
    assert "response.cancel" in [e["type"] for e in line.get(script.reply_begins("r2", "a2", "u1"))]
    line.get(script.clause("r2", "a2", "What?", 500), script.reply_ends("r2", "a2", "What?", "cancelled"))
    line.play(6500)
    assert line.said() == [("assistant", "One two three four five six"), ("user", "嗯")]
    assert line.stage is Stage.LISTENING


COLLISION = script.error("conversation_already_has_active_response")


@pytest.mark.parametrize("told", ["before", "after"])
def test_a_turn_that_the_server_could_not_answer_is_asked_about(told: str) -> None:
    line = Over()
    line.call.say("Hello", line.now)  # an earlier request is not what collides
    line.reply(made=False)
    line.cough()
    if told == "before":
        line.get(COLLISION)
    line.get(script.heard("u1", "Stop."))
    if told == "after":
        line.get(COLLISION)
    assert line.kinds() == ["conversation.item.truncate", "response.cancel"]
    line.get(script.reply_ends("r1", "a1", "One", "cancelled"))
    assert line.kinds() == ["response.create"]
    line.get(script.whole_reply("r2", "a2", "All right.", 500, "u1"))
    line.play(1000)
    assert line.kinds() == [] and line.stage is Stage.LISTENING
    assert line.call.notice is None


def test_a_turn_that_the_server_could_not_answer_and_was_a_cough_is_let_be() -> None:
    line = Over()
    line.call.say("Hello", line.now)
    line.reply(made=False)
    line.cough()
    line.get(COLLISION, script.heard("u1", ""), script.reply_ends("r1", "a1", "One two three four five six"))
    line.play(7000)
    assert line.kinds() == ["conversation.item.delete"]
    assert line.call.quiet


def test_a_server_that_says_nothing_about_a_turn_it_could_not_answer_is_asked() -> None:
    line = Over()
    line.reply(made=False)
    line.cough()
    line.get(script.heard("u1", "Stop."), script.reply_ends("r1", "a1", "One", "cancelled"))
    assert line.kinds() == ["conversation.item.truncate", "response.cancel"]
    line.sent += line.call.tick(line.now + 1)
    assert line.kinds() == []
    line.sent += line.call.tick(line.now + 2)
    assert line.kinds() == ["response.create"]


def test_a_server_that_answers_a_collided_turn_later_is_not_asked() -> None:
    line = Over()
    line.reply(made=False)
    line.cough()
    line.get(script.heard("u1", "Stop."), script.reply_ends("r1", "a1", "One", "cancelled"))
    line.get(script.whole_reply("r2", "a2", "All right.", 500, "u1"))
    line.play(1000)
    line.sent += line.call.tick(line.now + 2)
    assert line.kinds() == ["conversation.item.truncate", "response.cancel"]


def test_an_answer_that_was_quicker_than_ours_is_the_answer() -> None:
    line = Over()
    line.reply(made=False)
    line.cough()
    line.get(script.heard("u1", "Stop."), script.reply_ends("r1", "a1", "One", "cancelled"))
    line.sent.clear()
    (ask,) = line.call.tick(line.now + 2)
    line.get(
        script.reply_begins("r2", "a2", "u1"), script.error("conversation_already_has_active_response", ask["event_id"])
    )
    line.get(script.clause("r2", "a2", "All right.", 300), script.reply_ends("r2", "a2", "All right."))
    line.play(1000)
    assert line.kinds() == []
    assert line.stage is Stage.LISTENING


def test_nothing_heard_about_a_sound_silences_the_reply(line: Over) -> None:
    line.cough()
    line.play(1900)
    assert line.kinds() == []
    line.play(200)
    assert line.kinds() == ["conversation.item.truncate"]
    assert line.stage is Stage.THINKING


def test_a_reply_that_runs_out_leaves_the_turn_to_the_visitor() -> None:
    line = Over()
    line.reply(ms=700)
    line.get(script.speech_started("u1"))
    line.play(400)
    assert line.stage is Stage.HEARING
    line.get(script.turn_over("u1", "a1"), script.whole_reply("r2", "a2", "Yes?", 300, "u1"))
    assert line.kinds() == []
    assert line.loudness() == 1.0
    line.play(500)
    assert line.said()[-1] == ("assistant", "Yes?")


@pytest.mark.parametrize(("text", "asked"), [("Yes.", True), ("Tell me more.", True), ("", False)])
def test_a_reply_that_runs_out_after_its_answer_was_refused(text: str, asked: bool) -> None:
    line = Over()
    line.reply(ms=1000)
    line.cough()
    line.get(script.reply_begins("r2", "a2", "u1")[:1])
    line.get({"type": "response.done", "response": {"id": "r2", "status": "cancelled", "output": []}})
    line.play(300)
    assert line.stage is Stage.THINKING
    assert line.kinds() == ["response.cancel"]
    line.get(script.heard("u1", text))
    assert ("response.create" in line.kinds()) is asked
    assert line.stage is (Stage.THINKING if asked else Stage.LISTENING)


def test_a_reply_that_runs_out_and_no_word_of_what_was_said_is_answered_all_the_same() -> None:
    line = Over()
    line.reply(ms=1000)
    line.cough()
    line.get(script.reply_begins("r2", "a2", "u1")[:1])
    line.get({"type": "response.done", "response": {"id": "r2", "status": "cancelled", "output": []}})
    line.play(2300)
    assert line.kinds() == ["response.cancel", "response.create"]


def test_two_coughs_and_then_a_word(line: Over) -> None:
    line.cough("u1")
    line.cough("u2")
    line.get(script.heard("u1", ""))
    assert line.loudness() == pytest.approx(LOWERED)
    line.get(script.heard("u2", "嗯"))
    assert line.loudness() == 1.0
    assert [(e["type"], e["item_id"]) for e in line.sent] == [("conversation.item.delete", "u1")]
    line.sent.clear()
    line.cough("u3")
    line.get(script.heard("u3", "停"))
    assert line.kinds() == ["conversation.item.truncate"]


def test_a_server_that_interrupts_all_the_same_is_believed() -> None:
    line = Over()
    line.reply(made=False)
    line.get(script.speech_started("u1"), script.reply_ends("r1", "a1", "One two", "cancelled"))
    assert line.kinds() == ["conversation.item.truncate"]
    assert line.stage is Stage.HEARING


def test_before_the_first_sound_of_a_reply_speech_stops_it_as_ever() -> None:
    line = Over()
    line.get(script.reply_begins("r1", "a1"))
    assert [e["type"] for e in line.get(script.speech_started("u1"))] == ["conversation.item.delete", "response.cancel"]


# -------------------------------------------------------------------- what the visitor does meanwhile


def judged(stopped: bool, made: bool) -> Over:
    line = Over()
    line.reply(made=made)
    line.get(script.speech_started("u1"))
    line.play(100)
    if stopped:
        line.get(script.turn_over("u1", "a1"))
    assert line.kinds() == []
    return line


def next_is_full(line: Over) -> None:
    """The next reply is heard at full loudness."""
    line.play(40)
    line.get(script.whole_reply("r9", "a9", "Nine.", 500))
    assert line.loudness(200) == 1.0


BOTH = pytest.mark.parametrize("stopped", [False, True])
MADE = pytest.mark.parametrize("made", [False, True])


@BOTH
@MADE
def test_a_typed_message_decides(stopped: bool, made: bool) -> None:
    line = judged(stopped, made)
    line.sent += line.call.say("Stop", line.now) or []
    kinds = line.kinds()
    assert kinds[0] == "conversation.item.truncate"
    assert ("response.cancel" in kinds) is not made
    assert ("response.create" in kinds) is (stopped and made)
    assert line.stage is (Stage.THINKING if stopped else Stage.HEARING)
    if not made:
        line.get(script.reply_ends("r1", "a1", "One", "cancelled"))
    if not stopped:
        line.get(script.turn_over("u1", "a1"))
    next_is_full(line)
    assert line.said()[-1] == ("assistant", "Nine.")


@BOTH
@MADE
def test_the_stop_button_decides(stopped: bool, made: bool) -> None:
    line = judged(stopped, made)
    line.sent += line.call.stop(line.now)
    assert line.kinds() == ["conversation.item.truncate"] + ([] if made else ["response.cancel"])
    assert line.stage is (Stage.LISTENING if stopped else Stage.HEARING)
    assert not line.play(100)[480:].any()
    if not made:
        line.get(script.reply_ends("r1", "a1", "One", "cancelled"))
    if stopped:  # the answer to what was said is not wanted either
        answers = line.get(script.reply_begins("r2", "a2", "u1")[:1])
        assert [e["type"] for e in answers] == ["response.cancel"]
        line.get({"type": "response.done", "response": {"id": "r2", "status": "cancelled", "output": []}})
    else:
        line.get(script.turn_over("u1", "a1"))
    next_is_full(line)


@BOTH
@MADE
def test_clear_forgets_the_sound_as_well(stopped: bool, made: bool) -> None:
    line = judged(stopped, made)
    line.sent += line.call.clear(line.now)
    assert "conversation.item.truncate" not in line.kinds()
    assert line.said() == []
    line.play(40)
    assert not line.play(100).any()
    if not made:
        line.get(script.reply_ends("r1", "a1", "One", "cancelled"))
    if not stopped:
        line.get(script.turn_over("u1", "a1"))
    line.get(script.heard("u1", "Secret"))
    assert line.said() == []
    assert line.stage is Stage.LISTENING
    line.get(script.reply_begins("r2", "a2", "u1")[:1])  # what the server answers to it
    line.get({"type": "response.done", "response": {"id": "r2", "status": "cancelled", "output": []}})
    next_is_full(line)


@BOTH
@MADE
def test_a_lost_connection_leaves_the_reply_at_full_loudness(stopped: bool, made: bool) -> None:
    line = judged(stopped, made)
    line.call.disconnect(Stage.RECONNECTING, line.now)
    assert line.loudness() == 1.0, "what has come is played"
    line.call.connect(line.now)
    assert line.stage is Stage.SPEAKING
    assert line.loudness() == 1.0
    events = line.get(script.speech_started("u2"))
    assert events[0]["type"] == "conversation.item.delete", "the new server has not confirmed it yet"


@BOTH
def test_hanging_up_keeps_what_was_heard(stopped: bool) -> None:
    line = judged(stopped, False)
    line.call.end(Stage.ENDED, None, line.now)
    assert line.call.conversation.bubbles()[0].state is BubbleState.INTERRUPTED
    line.sent += line.call.beat(line.now + 5)
    assert line.kinds() == []


def test_whoever_coughs_is_not_idle_and_a_judged_call_is_not_quiet() -> None:
    line = Over(idle_seconds=5)
    line.reply()
    line.cough()
    assert not line.call.quiet
    assert line.call.time_up(line.now) is None
    line.get(script.heard("u1", ""))
    assert not line.call.quiet, "the reply goes on"
    line.play(6000)
    assert line.call.quiet


# -------------------------------------------------------------------- where it is off


@pytest.mark.parametrize(
    "answer", [None, confirmed(interrupt_response=True), confirmed(type="none")], ids=["none", "true", "type"]
)
def test_where_the_server_does_not_leave_it_to_us_the_first_sound_stops_the_reply(answer: Event | None) -> None:
    line = Over()
    line.call.disconnect(Stage.RECONNECTING, line.now)
    line.call.connect(line.now)
    if answer:
        line.get(answer)
    line.reply(made=False)
    assert [e["type"] for e in line.get(script.speech_started("u1"))] == ["conversation.item.truncate"]
    assert not line.play(100)[480:].any()


# -------------------------------------------------------------------- any order


@given(st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_any_order_ends_full_or_silent_and_cuts_what_it_stops(order: random.Random) -> None:
    line = Over()
    line.reply(made=order.random() < 0.5)
    turn = [script.speech_started("u1"), *script.turn_over("u1", "a1")]
    events = [
        *turn,
        script.heard("u1", order.choice(["", "嗯", "Stop."])),
        *script.reply_begins("r2", "a2", "u1"),
        {"type": "response.done", "response": {"id": "r2", "status": "cancelled", "output": []}},
        script.hearing("u1", order.choice(["o", "stop"])),
        COLLISION,
        script.speech_started("u2"),
        *script.turn_over("u2", "u1"),
        script.heard("u2", order.choice(["", "mm", "停"])),
        script.reply_ends("r1", "a1", "One two three four five six")[-1],
    ]
    events = [event for event in events if order.random() > 0.25]
    if order.random() < 0.7:
        order.shuffle(events)
    for event in events:
        line.get(event)
        line.play(order.choice([0, 20, 200, 700]) or 20, order.choice([0, VOICE]))
    for _ in range(6):  # 3 s after the last event
        line.play(500)
        line.sent += line.call.tick(line.now)
    assert not line.call._floor.undecided
    last = line.play(40)[-480:]
    assert not last.any() or (last[np.nonzero(last)] == LEVEL).all(), "full, or silent"
    cut = {event["item_id"] for event in line.sent if event["type"] == "conversation.item.truncate"}
    struck = {bubble.item_id for bubble in line.call.conversation.bubbles() if bubble.state is BubbleState.INTERRUPTED}
    assert ("a1" in cut) is ("a1" in struck), "interrupted: told; resumed: never"
    assert sum(event["type"] == "response.create" for event in line.sent) <= 2
    assert all(event["event_id"] for event in line.sent)


def test_the_setting_reaches_the_judge() -> None:
    patient = Over(vad_silence_ms=800)
    patient.reply()
    patient.get(script.speech_started("u1"))
    patient.play(1000)
    assert patient.kinds() == []
    patient.play(200)
    assert patient.kinds() == ["conversation.item.truncate"]
    assert Settings().vad_silence_ms == 350


def test_a_patient_server_is_waited_for(line: Over) -> None:
    """The silence that ends a sound is what the server confirms, also in the middle of a call."""
    line.get(confirmed(silence_duration_ms=800))
    line.get(script.speech_started("u1"))
    line.play(850)
    assert line.call.stage is Stage.HEARING and line.kinds() == []
    line.get(script.turn_over("u1"), script.heard("u1", ""))
    line.play(100)
    assert line.call.stage is Stage.SPEAKING
