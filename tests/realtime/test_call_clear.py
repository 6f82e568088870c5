"""Clear in a call: what was said is forgotten, here and at the server, whatever is still on its way."""

from __future__ import annotations

import pytest

from realtime.snapshot import Stage

from . import script
from .calls import Line, kinds


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


def test_an_item_that_is_named_twice_is_deleted_once(line: Line) -> None:
    line.get(script.speech_started("u1"))
    line.clear()
    answers = line.get({"type": "conversation.item.added", "item_id": "u1", "item": {"id": "u1", "type": "message"}})
    assert kinds(answers) == ["conversation.item.delete"]


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
