"""The call's state machine, by a clock of frames: turns, barge-in, typed messages, stop."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from realtime.snapshot import Notice, Stage

from . import script
from .calls import Line, kinds


def test_the_stages_of_a_turn(line: Line) -> None:
    assert line.stage is Stage.LISTENING
    line.get(script.speech_started("u1"))
    assert line.stage is Stage.HEARING
    line.get(script.turn_over("u1"))
    assert line.stage is Stage.THINKING
    line.play(400)
    line.get(script.reply_begins("r1", "a1", "u1"))
    assert line.stage is Stage.THINKING
    line.get(script.clause("r1", "a1", "Good morning.", 500))
    line.play(20)
    assert line.stage is Stage.SPEAKING
    line.get(script.reply_ends("r1", "a1", "Good morning."))
    line.play(400)
    assert line.stage is Stage.SPEAKING
    line.play(120)
    assert line.stage is Stage.LISTENING
    assert line.sent == []


def test_a_pause_between_clauses_is_still_speaking(line: Line) -> None:
    line.get(script.reply_begins("r1", "a1"), script.clause("r1", "a1", "One. ", 100))
    line.play(300)
    assert line.stage is Stage.SPEAKING
    line.get(script.clause("r1", "a1", "Two.", 100), script.reply_ends("r1", "a1", "One. Two."))
    line.play(300)
    assert line.stage is Stage.LISTENING


def test_speaking_over_a_reply_that_is_being_made(line: Line) -> None:
    line.get(
        script.reply_begins("r1", "a1"),
        script.clause("r1", "a1", "The first clause. ", 1000),
        script.clause("r1", "a1", "And the second one.", 1000),
    )
    line.play(1100)
    answers = line.get(script.speech_started("u2"))
    assert kinds(answers) == ["conversation.item.truncate"], "the server cancels by itself"
    assert (answers[0]["item_id"], answers[0]["content_index"], answers[0]["audio_end_ms"]) == ("a1", 0, 1100)
    assert not line.play(100)[200:].any(), "silent within a breath"
    line.get(script.clause("r1", "a1", "Late.", 500), script.reply_ends("r1", "a1", "The first clause.", "cancelled"))
    assert not line.play(500).any()
    assert line.stage is Stage.HEARING
    bubble = line.call.snapshot().bubbles[0]
    assert (bubble.text, bubble.unheard.strip()) == ("The first clause.", "And the second one.")


def test_speaking_over_a_reply_that_is_done_but_still_heard(line: Line) -> None:
    line.get(script.whole_reply("r1", "a1", "One two three four", 4000))
    line.play(2100)
    answers = line.get(script.speech_started("u2"))
    assert [(a["type"], a["audio_end_ms"]) for a in answers] == [("conversation.item.truncate", 2100)]
    assert line.texts()[0] == ("assistant", "One two")


def test_speaking_after_a_reply_was_heard_changes_nothing(line: Line) -> None:
    line.get(script.whole_reply("r1", "a1", "One two three four", 1000))
    line.play(1500)
    assert line.get(script.speech_started("u2")) == []
    assert line.texts()[0] == ("assistant", "One two three four")


def test_items_that_were_never_heard_are_cut_at_nothing(line: Line) -> None:
    line.get(
        script.reply_begins("r1", "a1"),
        script.clause("r1", "a1", "Let me see.", 500),
        script.reply_begins("r1", "a2"),
        script.clause("r1", "a2", "It is noon.", 500),
    )
    line.play(300)
    answers = line.get(script.speech_started("u2"))
    assert [(a["item_id"], a["audio_end_ms"]) for a in answers] == [("a1", 300), ("a2", 0)]


def test_a_reply_interrupted_before_its_first_sound_is_taken_out(line: Line) -> None:
    line.get(script.reply_begins("r1", "a1"))
    answers = line.get(script.speech_started("u2"))
    assert [(a["type"], a["item_id"]) for a in answers] == [("conversation.item.delete", "a1")]
    line.get(script.clause("r1", "a1", "Late.", 500))
    assert not line.play(200).any()


def test_the_end_of_the_interrupted_reply_does_not_end_the_new_turn(line: Line) -> None:
    line.get(script.reply_begins("r1", "a1"), script.clause("r1", "a1", "One.", 900))
    line.play(200)
    line.get(script.speech_started("u2"), script.turn_over("u2", "a1"))
    line.get(script.reply_ends("r1", "a1", "One.", "cancelled"))
    assert line.stage is Stage.THINKING


def test_noise_goes_back_to_listening(line: Line) -> None:
    line.get(script.speech_started("u1"), script.turn_over("u1"), script.heard("u1", ""))
    assert line.stage is Stage.LISTENING


def test_a_turn_without_an_answer_does_not_hang(line: Line) -> None:
    line.get(script.speech_started("u1"), script.turn_over("u1"))
    assert line.call.tick(line.now + 9) == []
    assert line.stage is Stage.THINKING
    line.call.tick(line.now + 11)
    assert line.stage is Stage.LISTENING


def test_a_slow_answer_is_waited_for_but_not_for_ever(line: Line) -> None:
    line.get(script.speech_started("u1"), script.turn_over("u1"), script.reply_begins("r1", "a1"))
    line.call.tick(line.now + 30)
    assert line.stage is Stage.THINKING
    line.call.tick(line.now + 61)
    assert line.stage is Stage.LISTENING


def test_a_long_gap_inside_a_reply_is_still_that_reply(line: Line) -> None:
    line.get(script.reply_begins("r1", "a1"), script.clause("r1", "a1", "One. ", 500))
    line.play(700)
    line.now += 12
    line.call.tick(line.now)
    assert line.stage is Stage.SPEAKING
    answers = line.say("Next")
    assert "response.cancel" in kinds(answers)
    assert "response.create" not in kinds(answers), "the server still has another reply under way"
    assert kinds(line.get(script.reply_ends("r1", "a1", "One.", "cancelled"))) == ["response.create"]


def test_a_reply_that_is_given_up_is_told_to_the_server_and_the_visitor(line: Line) -> None:
    line.get(script.reply_begins("r1", "a1"), script.clause("r1", "a1", "One. ", 500))
    line.play(700)
    line.now += 61
    answers = line.call.tick(line.now)
    assert kinds(answers)[-1] == "response.cancel"
    assert answers[-1]["response_id"] == "r1"
    assert line.stage is Stage.LISTENING
    assert line.call.notice == Notice.REPLY_FAILED
    line.get(script.clause("r1", "a1", "Two.", 500))
    assert not line.play(200).any(), "the visitor may be speaking by now"
    assert "response.create" in kinds(line.say("Next"))


def test_a_typed_message(line: Line) -> None:
    answers = line.say("  What time is it? ")
    assert kinds(answers) == ["conversation.item.create", "response.create"]
    assert answers[0]["item"]["content"] == [{"type": "input_text", "text": "What time is it?"}]
    assert line.stage is Stage.THINKING
    assert line.texts() == [("user", "What time is it?")]
    line.play(200)
    line.get(script.whole_reply("r1", "a1", "Noon.", 200))
    line.play(400)
    assert line.stage is Stage.LISTENING


def test_a_typed_message_interrupts_as_speech_does(line: Line) -> None:
    line.get(script.reply_begins("r1", "a1"), script.clause("r1", "a1", "One two three four", 2000))
    line.play(1100)
    answers = line.say("Stop")
    assert kinds(answers) == ["conversation.item.truncate", "response.cancel", "conversation.item.create"]
    assert answers[0]["audio_end_ms"] == 1100
    assert answers[1]["response_id"] == "r1"
    answers = line.get(script.reply_ends("r1", "a1", "One two", "cancelled"))
    assert kinds(answers) == ["response.create"], "only after the other response is done"


def test_a_typed_message_is_not_lost_when_the_server_was_quicker(line: Line) -> None:
    answers = line.say("Hello")
    assert line.get(script.error("conversation_already_has_active_response", answers[1]["event_id"])) == []
    line.get(script.reply_begins("r9", "a9"))
    answers = line.get(script.reply_ends("r9", "a9", "Another."))
    assert kinds(answers) == ["response.create"]


def test_a_message_typed_while_speaking_is_answered_with_the_turn(line: Line) -> None:
    line.get(script.speech_started("u1"))
    assert kinds(line.say("By the way")) == ["conversation.item.create"]
    line.get(script.turn_over("u1"))
    assert line.get(script.whole_reply("r1", "a1", "Both.", 200)) == []
    assert line.play(600).any()
    assert line.stage is Stage.LISTENING


def test_a_message_typed_into_noise_is_answered_by_itself(line: Line) -> None:
    line.get(script.speech_started("u1"))
    line.say("By the way")
    answers = line.get(script.turn_over("u1"), script.heard("u1", ""))
    assert kinds(answers) == ["response.create"]


def test_the_answer_to_a_typed_message_does_not_talk_over_the_visitor(line: Line) -> None:
    line.say("Hello")
    line.get(script.speech_started("u1"))
    answers = line.get(script.reply_begins("r1", "a1"))
    assert kinds(answers) == ["response.cancel"]
    line.get(script.clause("r1", "a1", "Hi.", 500))
    assert not line.play(200).any()


def test_too_long_and_empty_messages_are_not_sent() -> None:
    line = Line(max_message_chars=5)
    assert line.say("123456") is None
    assert line.call.notice == Notice.MESSAGE_TOO_LONG
    assert line.say(" \n ") is None
    assert line.texts() == []
    assert line.say("12345") != []
    assert line.call.notice is None


def test_captions_are_traditional(line: Line) -> None:
    line.get(script.heard("u1", "台湾的头发"))
    assert line.texts() == [("user", "台灣的頭髮")]


TURN = [
    script.speech_started("u1"),
    *script.turn_over("u1"),
    script.heard("u1", "Hello"),
    *script.whole_reply("r1", "a1", "Good morning.", 300, "u1"),
    script.speech_started("u2"),
    *script.turn_over("u2", "a1"),
    *script.whole_reply("r2", "a2", "Yes.", 100, "u2"),
    script.error("conversation_already_has_active_response"),
    script.error("response_cancel_not_active"),
]


@given(st.randoms(use_true_random=False))
@settings(max_examples=80, deadline=None)
def test_any_order_comes_to_rest(order: random.Random) -> None:
    """Whatever is sent, typed or cleared, in any order: the call listens again, no answer is asked for twice."""
    line = Line()
    events = [event for event in TURN if order.random() > 0.2]
    order.shuffle(events)
    open_answers = 0
    for event in events:
        action = order.randrange(12)
        if action == 0:
            line.say("typed")
        elif action == 1:
            line.clear()
        elif action == 2:
            line.call.disconnect(Stage.RECONNECTING, line.now)
            line.sent += line.call.connect(line.now)
        line.get(event)
        line.play(order.choice([0, 20, 200]) or 20)
    for event in line.sent:
        assert event["event_id"]
        open_answers += event["type"] == "response.create"
    if line.stage is Stage.HEARING:
        line.get(script.turn_over("u9"))
    line.play(1500)
    for _ in range(2):
        line.now += 100
        line.call.tick(line.now)
    assert line.stage is Stage.LISTENING
    assert open_answers <= len(events) + 1


def test_stop_silences_a_reply_and_tells_what_was_heard(line: Line) -> None:
    line.get(script.speech_started("u1"), script.turn_over("u1"), script.heard("u1", "Count."))
    line.get(script.reply_begins("r1", "a1", "u1"), script.clause("r1", "a1", "One two three four", 2000))
    line.play(600)
    events = line.call.stop(line.now)
    assert kinds(events) == ["conversation.item.truncate", "response.cancel"]
    assert 400 <= events[0]["audio_end_ms"] <= 600
    assert line.stage is Stage.LISTENING
    line.play(20)  # the fade
    assert not line.play(200).any()
    line.get(script.clause("r1", "a1", "late", 400), script.reply_ends("r1", "a1", "One two three four", "cancelled"))
    assert not line.play(400).any()
    assert line.texts()[-1] == ("assistant", "One")
    line.get(script.speech_started("u2"), script.turn_over("u2"))
    assert line.stage is Stage.THINKING


def test_stop_after_the_reply_was_made_but_not_yet_heard(line: Line) -> None:
    line.say("Count.")
    line.get(script.whole_reply("r1", "a1", "One two three four", 2000))
    line.play(600)
    assert kinds(line.call.stop(line.now)) == ["conversation.item.truncate"]
    line.play(20)
    assert not line.play(200).any()


def test_stop_with_nothing_to_stop_does_nothing(line: Line) -> None:
    assert line.call.stop(line.now) == []
    assert line.stage is Stage.LISTENING
