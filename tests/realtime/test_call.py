"""The call's state machine, by a clock of frames: turns, barge-in, typed messages, lost connections."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from realtime.call import Call
from realtime.connection import Failure
from realtime.conversation import BubbleState, Conversation
from realtime.settings import Settings
from realtime.snapshot import Notice, Stage

from . import script

Event = dict[str, Any]


class Line:
    """A connected call with a clock; collects what it sends."""

    def __init__(self, **changed: Any) -> None:
        self.now = 100.0
        self.sent: list[Event] = []
        self.call = Call(Conversation(), Settings(**changed), self.now)
        self.sent += self.call.connect(self.now)

    def get(self, *events: Event | list[Event]) -> list[Event]:
        """The server sends; returns what the call answers to it."""
        answers: list[Event] = []
        for some in events:
            for event in some if isinstance(some, list) else [some]:
                answers += self.call.receive(event, self.now)
        self.sent += answers
        return answers

    def say(self, text: str) -> list[Event] | None:
        answers = self.call.say(text, self.now)
        self.sent += answers or []
        return answers

    def clear(self) -> list[Event]:
        answers = self.call.clear(self.now)
        self.sent += answers
        return answers

    def play(self, ms: int) -> np.ndarray:
        out = []
        for _ in range(ms // 20):
            out.append(self.call.frame(self.now))
            self.now += 0.02
        return np.concatenate(out)

    @property
    def stage(self) -> Stage:
        return self.call.stage

    def texts(self) -> list[tuple[str, str]]:
        return [(bubble.role, bubble.text) for bubble in self.call.snapshot().bubbles]


@pytest.fixture
def line() -> Line:
    return Line()


def kinds(events: list[Event] | None) -> list[str]:
    assert events is not None, "the text was not taken"
    return [event["type"] for event in events]


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


def test_clear_forgets_at_both_ends(line: Line) -> None:
    line.get(script.speech_started("u1"), script.turn_over("u1"), script.heard("u1", "Hi"))
    line.get(script.reply_begins("r1", "a1", "u1"), script.clause("r1", "a1", "Hello.", 900))
    line.play(200)
    answers = line.clear()
    assert kinds(answers) == ["response.cancel", "conversation.item.delete", "conversation.item.delete"]
    assert [answer["item_id"] for answer in answers[1:]] == ["u1", "a1"]
    assert line.texts() == []
    line.get(script.clause("r1", "a1", "Late.", 500), script.reply_ends("r1", "a1", "Hello. Late.", "cancelled"))
    assert line.texts() == []
    assert not line.play(200)[200:].any()
    assert line.stage is Stage.LISTENING


def test_clear_before_a_typed_message_is_answered(line: Line) -> None:
    line.say("A secret")
    deleted = line.clear()
    assert kinds(deleted) == ["conversation.item.delete"]
    assert line.stage is Stage.LISTENING
    answers = line.get(script.reply_begins("r1", "a1"))
    assert kinds(answers) == ["response.cancel", "conversation.item.delete"]
    assert (answers[0]["response_id"], answers[1]["item_id"]) == ("r1", "a1")
    assert line.get(script.clause("r1", "a1", "Your secret is", 500)) == []
    assert not line.play(300).any()
    assert line.get(script.reply_ends("r1", "a1", "Your secret is", "cancelled")) == []
    assert line.texts() == []
    assert line.stage is Stage.LISTENING
    line.say("Hello")
    line.get(script.whole_reply("r2", "a2", "Hi.", 100))
    assert line.play(300).any()
    assert line.texts() == [("user", "Hello"), ("assistant", "Hi.")]


@pytest.mark.parametrize("spoken", [1, 2, 3, 4], ids=["started", "stopped", "committed", "added"])
def test_clear_in_a_spoken_turn_forgets_the_turn_and_its_answer(line: Line, spoken: int) -> None:
    turn = [script.speech_started("u1"), *script.turn_over("u1")]
    line.get(script.hearing("u1", "My secret"), turn[:spoken])
    answers = line.clear()
    answers += line.get(turn[spoken:], script.hearing("u1", "My secret"), script.heard("u1", "My secret is"))
    assert [a["item_id"] for a in answers if a["type"] == "conversation.item.delete"] == ["u1"]
    assert line.stage is Stage.LISTENING
    answers = line.get(script.reply_begins("r1", "a1", "u1"))
    assert kinds(answers) == ["response.cancel", "conversation.item.delete"]
    line.get(script.clause("r1", "a1", "Your secret", 500), script.reply_ends("r1", "a1", "Your secret", "cancelled"))
    assert not line.play(300).any()
    assert line.texts() == []
    line.get(script.speech_started("u2"), script.turn_over("u2"), script.heard("u2", "Hello"))
    assert line.stage is Stage.THINKING
    assert line.get(script.whole_reply("r2", "a2", "Hi.", 100, "u2")) == []
    assert line.play(300).any()
    assert line.texts() == [("user", "Hello"), ("assistant", "Hi.")]


def test_the_answer_to_a_turn_that_came_to_nothing_is_not_waited_for(line: Line) -> None:
    line.get(script.speech_started("u1"))
    line.clear()
    line.get(script.turn_over("u1"), script.heard("u1", ""))
    line.get(script.speech_started("u2"), script.turn_over("u2"))
    assert line.get(script.whole_reply("r2", "a2", "Hi.", 100, "u2")) == [], "the first answer is to the second turn"
    assert line.play(300).any()


def test_a_message_typed_after_clear_waits_for_what_was_on_its_way(line: Line) -> None:
    line.say("A secret")
    line.clear()
    assert kinds(line.say("Hello")) == ["conversation.item.create"]
    assert line.stage is Stage.THINKING
    assert kinds(line.get(script.reply_begins("r1", "a1")[:1])) == ["response.cancel"]
    answers = line.get({"type": "response.done", "response": {"id": "r1", "status": "cancelled", "output": []}})
    assert kinds(answers) == ["response.create"]
    line.get(script.whole_reply("r2", "a2", "Hi.", 100))
    assert line.texts() == [("user", "Hello"), ("assistant", "Hi.")]


def test_a_message_typed_after_clear_is_answered_though_nothing_was_on_its_way(line: Line) -> None:
    line.say("A secret")
    line.clear()
    line.say("Hello")
    assert kinds(line.call.tick(line.now + 11)) == ["response.create"]


def test_a_message_typed_in_a_forgotten_turn_is_answered_by_itself(line: Line) -> None:
    line.get(script.speech_started("u1"))
    line.clear()
    assert kinds(line.say("By the way")) == ["conversation.item.create"]
    assert "response.create" not in kinds(line.get(script.turn_over("u1")))
    line.get(script.reply_begins("r1", "a1", "u1"))
    assert kinds(line.get(script.reply_ends("r1", "a1", "", "cancelled"))) == ["response.create"]
    line.get(script.whole_reply("r2", "a2", "Indeed.", 100))
    assert line.texts() == [("user", "By the way"), ("assistant", "Indeed.")]


def test_a_refused_answer_to_what_was_cleared_is_not_asked_for_again(line: Line) -> None:
    asked = (line.say("A secret") or [])[1]
    line.clear()
    assert line.get(script.error("conversation_already_has_active_response", asked["event_id"])) == []
    line.get(script.whole_reply("r1", "a1", "Hi.", 100))
    assert line.texts() == [("assistant", "Hi.")], "nothing is on its way any more"
    assert line.call.notice is None


def test_clear_after_typing_and_speaking_refuses_both_answers(line: Line) -> None:
    line.say("A secret")
    line.get(script.speech_started("u1"))
    line.clear()
    turn = script.turn_over("u1")
    line.get(turn[0])
    assert "response.cancel" in kinds(line.get(script.reply_begins("r1", "a1")))
    line.get(script.reply_ends("r1", "a1", "Secret.", "cancelled"))
    assert "conversation.item.delete" in kinds(line.get(turn[1:]))
    assert "response.cancel" in kinds(line.get(script.reply_begins("r2", "a2")))
    line.get(script.clause("r2", "a2", "Secret.", 500), script.reply_ends("r2", "a2", "Secret.", "cancelled"))
    assert line.texts() == []
    assert not line.play(300).any()


def test_a_cleared_message_that_the_server_confirms_late_under_its_own_name(line: Line) -> None:
    created = (line.say("A secret") or [])[0]
    line.clear()
    item = {**created["item"], "id": "item_7", "status": "completed"}
    answers = line.get({"type": "conversation.item.added", "previous_item_id": None, "item": item})
    assert [(a["type"], a["item_id"]) for a in answers] == [("conversation.item.delete", "item_7")]
    assert line.get({"type": "conversation.item.done", "previous_item_id": None, "item": item}) == []
    assert line.texts() == []


SECRET = [
    script.speech_started("u1"),
    script.hearing("u1", "secret"),
    *script.turn_over("u1"),
    *script.reply_begins("r1", "a1", "u1"),
    *script.clause("r1", "a1", "secret ", 400, 2),
    script.heard("u1", "secret"),
    *script.clause("r1", "a1", "secret", 400),
    *script.reply_ends("r1", "a1", "secret secret"),
]


@pytest.mark.parametrize("place", range(1, len(SECRET) + 1))
def test_clear_anywhere_leaves_nothing_here_or_there(line: Line, place: int) -> None:
    line.get(SECRET[:place])
    line.play(20)
    line.clear()
    line.play(20)  # the fade
    line.get(SECRET[place:])
    assert line.texts() == []
    assert not line.play(800).any()
    assert line.stage is Stage.LISTENING
    deleted = [event["item_id"] for event in line.sent if event["type"] == "conversation.item.delete"]
    assert sorted(deleted) == ["a1", "u1"], "each once"


def test_what_was_cleared_does_not_outlive_the_connection(line: Line) -> None:
    line.say("A secret")
    line.get(script.speech_started("u1"))
    line.clear()
    line.call.disconnect(Stage.RECONNECTING, line.now)
    assert line.call.connect(line.now) == []
    line.get(script.speech_started("u1"), script.turn_over("u1"), script.heard("u1", "Hello"))
    line.get(script.whole_reply("r1", "a1", "Hi.", 100, "u1"))
    assert line.texts() == [("user", "Hello"), ("assistant", "Hi.")]


def test_a_lost_connection_is_told_what_was_said(line: Line) -> None:
    line.get(script.speech_started("u1"), script.turn_over("u1"), script.heard("u1", "Hi"))
    line.get(script.reply_begins("r1", "a1", "u1"), script.clause("r1", "a1", "One two three four", 2000))
    line.play(500)
    line.call.disconnect(Stage.RECONNECTING, line.now)
    assert line.stage is Stage.RECONNECTING
    assert line.play(500).all(), "what has come is still played"
    assert line.say("And then?") == []
    events = line.call.connect(line.now)
    assert kinds(events) == ["conversation.item.create"] * 3 + ["response.create"]
    assert [e["item"]["content"][0]["text"] for e in events[:3]] == ["Hi", "One two", "And then?"]
    assert [text for _, text in line.texts()] == ["Hi", "One two", "And then?"]


def test_what_was_typed_while_connecting_is_told_even_where_nothing_is_replayed() -> None:
    line = Line(replay_items=0)
    line.say("Old")
    line.call.disconnect(Stage.RECONNECTING, line.now)
    assert line.say("One") == []
    assert line.say("Two") == []
    events = line.call.connect(line.now)
    assert kinds(events) == ["conversation.item.create"] * 2 + ["response.create"]
    assert [e["item"]["content"][0]["text"] for e in events[:2]] == ["One", "Two"]


def test_a_replayed_reply_can_still_be_interrupted(line: Line) -> None:
    line.get(script.reply_begins("r1", "a1"), script.clause("r1", "a1", "One two three four", 2000))
    line.play(500)
    line.call.disconnect(Stage.RECONNECTING, line.now)
    line.call.connect(line.now)
    assert line.stage is Stage.SPEAKING
    line.play(600)
    answers = line.get(script.speech_started("u2"))
    assert kinds(answers) == ["conversation.item.delete", "conversation.item.create"]
    assert answers[1]["item"]["content"] == [{"type": "output_text", "text": "One two"}]


def test_a_failed_reply_is_said_and_the_call_goes_on(line: Line) -> None:
    failed = {
        "id": "r1",
        "status": "failed",
        "status_details": {"type": "failed", "error": {"type": "server_error", "code": None, "message": "secret"}},
    }
    line.get(script.speech_started("u1"), script.turn_over("u1"), script.reply_begins("r1", "a1"))
    line.get({"type": "response.done", "response": failed})
    assert line.stage is Stage.LISTENING
    assert line.call.notice == Notice.REPLY_FAILED
    assert line.call.fatal is None
    line.get(script.speech_started("u2"))
    assert line.call.notice is None


def test_no_money_ends_the_call(line: Line) -> None:
    details = {"error": {"code": "insufficient_quota"}}
    line.get({"type": "response.done", "response": {"id": "r1", "status": "failed", "status_details": details}})
    assert line.call.fatal is Failure.QUOTA


def test_errors_about_what_was_already_over_are_not_shown(line: Line) -> None:
    line.get(script.error("item_not_found", "truncate_3"), script.error(None, "truncate_4"))
    line.get(script.error("response_cancel_not_active", "cancel_5"))
    line.get(script.error("invalid_value"))
    assert line.call.notice is None
    line.get(script.speech_started("u1"), script.turn_over("u1"), script.error("invalid_value"))
    assert line.call.notice == Notice.REPLY_FAILED


def test_a_refused_answer_does_not_leave_the_call_thinking(line: Line) -> None:
    answers = line.say("Hello")
    line.get(script.error("invalid_value", answers[1]["event_id"]))
    line.call.tick(line.now + 11)
    assert line.stage is Stage.LISTENING


def test_limits() -> None:
    line = Line(max_call_seconds=100, idle_seconds=20)
    began = line.now
    assert line.call.time_up(began + 19) is None
    assert line.call.time_up(began + 21) is Notice.IDLE
    line.now = began + 15
    line.get(script.speech_started("u1"))
    assert line.call.time_up(began + 34) is None
    assert line.call.time_up(began + 101) is Notice.TIME_LIMIT


def test_whoever_talks_long_is_not_idle() -> None:
    line = Line(max_call_seconds=1000, idle_seconds=20)
    line.get(script.speech_started("u1"))
    line.now += 300
    line.get(script.hearing("u1", "and then"))
    assert line.call.time_up(line.now) is None, "a monologue"
    line.call.disconnect(Stage.RECONNECTING, line.now)
    assert line.call.time_up(line.now + 1) is None, "a connection lost in the middle of one"
    line.call.connect(line.now)
    line.get(script.speech_started("u2"))
    assert line.call.time_up(line.now + 701) is Notice.TIME_LIMIT


def test_a_slow_reply_is_not_idleness() -> None:
    line = Line(max_call_seconds=1000, idle_seconds=5)
    line.get(script.speech_started("u1"), script.turn_over("u1"), script.reply_begins("r1", "a1", "u1"))
    line.now += 40
    line.call.tick(line.now)
    assert line.stage is Stage.THINKING
    assert line.call.time_up(line.now) is None
    line.get(script.clause("r1", "a1", "One. ", 100))
    line.play(200)
    line.now += 40
    assert line.stage is Stage.SPEAKING
    assert line.call.time_up(line.now) is None, "a pause inside a reply"
    line.get(script.reply_ends("r1", "a1", "One. "))
    line.play(100)
    assert line.stage is Stage.LISTENING
    assert line.call.time_up(line.now) is None, "its end is where the quiet begins"
    assert line.call.time_up(line.now + 6) is Notice.IDLE


def test_the_end_settles_what_was_open(line: Line) -> None:
    line.get(script.reply_begins("r1", "a1"), script.clause("r1", "a1", "One two three four", 2000))
    line.play(1100)
    line.get(script.hearing("u2", "Wai"))
    line.call.end(Stage.ENDED, Notice.IDLE, line.now)
    snapshot = line.call.snapshot()
    assert (snapshot.stage, snapshot.notice) == (Stage.ENDED, "idle_timeout")
    assert [(b.text, b.state) for b in snapshot.bubbles] == [
        ("One two", BubbleState.INTERRUPTED),
        ("Wai", BubbleState.DONE),
    ]
    assert line.say("too late") is None
    line.call.end(Stage.FAILED, None, line.now)
    assert line.stage is Stage.ENDED


def test_captions_are_traditional(line: Line) -> None:
    line.get(script.heard("u1", "台湾的头发"))
    assert line.texts() == [("user", "台灣的頭髮")]


def test_bad_audio_is_ignored(line: Line) -> None:
    about = {"type": "response.output_audio.delta", "response_id": "r1", "item_id": "a1"}
    line.get(
        {**about, "delta": "not base64!"}, {**about, "delta": 7}, about, {**about, "content_index": "x", "delta": ""}
    )
    assert not line.play(400).any()


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


def test_a_server_that_complains_to_no_harm_is_not_told_as_a_missing_answer(line: Line) -> None:
    error = {"type": "invalid_request_error", "code": "not_implemented", "message": "secret", "param": None}
    assert line.get({"type": "error", "error": error}) == []
    assert line.call.snapshot().notice is None


def test_a_refused_request_for_an_answer_is_told_and_the_call_listens(line: Line) -> None:
    asked = (line.say("Hello") or [])[-1]
    error = {"type": "invalid_request_error", "code": "invalid_value", "message": "x", "event_id": asked["event_id"]}
    line.get({"type": "error", "error": error})
    assert line.call.snapshot().notice == Notice.REPLY_FAILED
    assert line.stage is Stage.LISTENING


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
