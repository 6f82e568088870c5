"""Clear in a call: what was said is forgotten, here and at the server, whatever is still on its way."""

from __future__ import annotations

import pytest

from tests.support.realtime import server_events
from tests.support.realtime.call_driver import CallDriver, event_types
from voicechat.turn_taking.snapshot import CallStage


def test_clear_forgets_at_both_ends(call_driver: CallDriver) -> None:
    call_driver.server_sends(
        server_events.speech_started("u1"),
        server_events.turn_committed("u1"),
        server_events.transcription_completed("u1", "Hi"),
    )
    call_driver.server_sends(
        server_events.response_started("r1", "a1", "u1"), server_events.clause_deltas("r1", "a1", "Hello.", 900)
    )
    call_driver.play_ms(200)
    answers = call_driver.clear()
    assert event_types(answers) == ["response.cancel", "conversation.item.delete", "conversation.item.delete"]
    assert [answer["item_id"] for answer in answers[1:]] == ["u1", "a1"]
    assert call_driver.messages() == []
    call_driver.server_sends(
        server_events.clause_deltas("r1", "a1", "Late.", 500),
        server_events.response_finished("r1", "a1", "Hello. Late.", "cancelled"),
    )
    assert call_driver.messages() == []
    assert not call_driver.play_ms(200)[200:].any()
    assert call_driver.stage is CallStage.LISTENING


def test_clear_before_a_typed_message_is_answered(call_driver: CallDriver) -> None:
    call_driver.send_text("A secret")
    deleted = call_driver.clear()
    assert event_types(deleted) == ["conversation.item.delete"]
    assert call_driver.stage is CallStage.LISTENING
    answers = call_driver.server_sends(server_events.response_started("r1", "a1"))
    assert event_types(answers) == ["response.cancel", "conversation.item.delete"]
    assert (answers[0]["response_id"], answers[1]["item_id"]) == ("r1", "a1")
    assert call_driver.server_sends(server_events.clause_deltas("r1", "a1", "Your secret is", 500)) == []
    assert not call_driver.play_ms(300).any()
    assert call_driver.server_sends(server_events.response_finished("r1", "a1", "Your secret is", "cancelled")) == []
    assert call_driver.messages() == []
    assert call_driver.stage is CallStage.LISTENING
    call_driver.send_text("Hello")
    call_driver.server_sends(server_events.complete_response("r2", "a2", "Hi.", 100))
    assert call_driver.play_ms(300).any()
    assert call_driver.messages() == [("user", "Hello"), ("assistant", "Hi.")]


def test_an_item_that_is_named_twice_is_deleted_once(call_driver: CallDriver) -> None:
    call_driver.server_sends(server_events.speech_started("u1"))
    call_driver.clear()
    answers = call_driver.server_sends(
        {"type": "conversation.item.added", "item_id": "u1", "item": {"id": "u1", "type": "message"}}
    )
    assert event_types(answers) == ["conversation.item.delete"]


@pytest.mark.parametrize("spoken", [1, 2, 3, 4], ids=["started", "stopped", "committed", "added"])
def test_clear_in_a_spoken_turn_forgets_the_turn_and_its_answer(call_driver: CallDriver, spoken: int) -> None:
    turn = [server_events.speech_started("u1"), *server_events.turn_committed("u1")]
    call_driver.server_sends(server_events.transcription_delta("u1", "My secret"), turn[:spoken])
    answers = call_driver.clear()
    answers += call_driver.server_sends(
        turn[spoken:],
        server_events.transcription_delta("u1", "My secret"),
        server_events.transcription_completed("u1", "My secret is"),
    )
    assert [a["item_id"] for a in answers if a["type"] == "conversation.item.delete"] == ["u1"]
    assert call_driver.stage is CallStage.LISTENING
    answers = call_driver.server_sends(server_events.response_started("r1", "a1", "u1"))
    assert event_types(answers) == ["response.cancel", "conversation.item.delete"]
    call_driver.server_sends(
        server_events.clause_deltas("r1", "a1", "Your secret", 500),
        server_events.response_finished("r1", "a1", "Your secret", "cancelled"),
    )
    assert not call_driver.play_ms(300).any()
    assert call_driver.messages() == []
    call_driver.server_sends(
        server_events.speech_started("u2"),
        server_events.turn_committed("u2"),
        server_events.transcription_completed("u2", "Hello"),
    )
    assert call_driver.stage is CallStage.THINKING
    assert call_driver.server_sends(server_events.complete_response("r2", "a2", "Hi.", 100, "u2")) == []
    assert call_driver.play_ms(300).any()
    assert call_driver.messages() == [("user", "Hello"), ("assistant", "Hi.")]


def test_the_answer_to_a_turn_that_came_to_nothing_is_not_waited_for(call_driver: CallDriver) -> None:
    call_driver.server_sends(server_events.speech_started("u1"))
    call_driver.clear()
    call_driver.server_sends(server_events.turn_committed("u1"), server_events.transcription_completed("u1", ""))
    call_driver.server_sends(server_events.speech_started("u2"), server_events.turn_committed("u2"))
    assert call_driver.server_sends(server_events.complete_response("r2", "a2", "Hi.", 100, "u2")) == [], (
        "the first answer is to the second turn"
    )
    assert call_driver.play_ms(300).any()


def test_a_message_typed_after_clear_waits_for_what_was_on_its_way(call_driver: CallDriver) -> None:
    call_driver.send_text("A secret")
    call_driver.clear()
    assert event_types(call_driver.send_text("Hello")) == ["conversation.item.create"]
    assert call_driver.stage is CallStage.THINKING
    assert event_types(call_driver.server_sends(server_events.response_started("r1", "a1")[:1])) == ["response.cancel"]
    answers = call_driver.server_sends(
        {"type": "response.done", "response": {"id": "r1", "status": "cancelled", "output": []}}
    )
    assert event_types(answers) == ["response.create"]
    call_driver.server_sends(server_events.complete_response("r2", "a2", "Hi.", 100))
    assert call_driver.messages() == [("user", "Hello"), ("assistant", "Hi.")]


def test_a_message_typed_after_clear_is_answered_though_nothing_was_on_its_way(call_driver: CallDriver) -> None:
    call_driver.send_text("A secret")
    call_driver.clear()
    call_driver.send_text("Hello")
    assert event_types(call_driver.call.check_timeouts(call_driver.now + 11)) == ["response.create"]


def test_a_message_typed_in_a_forgotten_turn_is_answered_by_itself(call_driver: CallDriver) -> None:
    call_driver.server_sends(server_events.speech_started("u1"))
    call_driver.clear()
    assert event_types(call_driver.send_text("By the way")) == ["conversation.item.create"]
    assert "response.create" not in event_types(call_driver.server_sends(server_events.turn_committed("u1")))
    call_driver.server_sends(server_events.response_started("r1", "a1", "u1"))
    assert event_types(call_driver.server_sends(server_events.response_finished("r1", "a1", "", "cancelled"))) == [
        "response.create"
    ]
    call_driver.server_sends(server_events.complete_response("r2", "a2", "Indeed.", 100))
    assert call_driver.messages() == [("user", "By the way"), ("assistant", "Indeed.")]


def test_a_refused_answer_to_what_was_cleared_is_not_asked_for_again(call_driver: CallDriver) -> None:
    asked = (call_driver.send_text("A secret") or [])[1]
    call_driver.clear()
    assert (
        call_driver.server_sends(
            server_events.error_event("conversation_already_has_active_response", asked["event_id"])
        )
        == []
    )
    call_driver.server_sends(server_events.complete_response("r1", "a1", "Hi.", 100))
    assert call_driver.messages() == [("assistant", "Hi.")], "nothing is on its way any more"
    assert call_driver.call.notice is None


def test_clear_after_typing_and_speaking_refuses_both_answers(call_driver: CallDriver) -> None:
    call_driver.send_text("A secret")
    call_driver.server_sends(server_events.speech_started("u1"))
    call_driver.clear()
    turn = server_events.turn_committed("u1")
    call_driver.server_sends(turn[0])
    assert "response.cancel" in event_types(call_driver.server_sends(server_events.response_started("r1", "a1")))
    call_driver.server_sends(server_events.response_finished("r1", "a1", "Secret.", "cancelled"))
    assert "conversation.item.delete" in event_types(call_driver.server_sends(turn[1:]))
    assert "response.cancel" in event_types(call_driver.server_sends(server_events.response_started("r2", "a2")))
    call_driver.server_sends(
        server_events.clause_deltas("r2", "a2", "Secret.", 500),
        server_events.response_finished("r2", "a2", "Secret.", "cancelled"),
    )
    assert call_driver.messages() == []
    assert not call_driver.play_ms(300).any()


def test_a_cleared_message_that_the_server_confirms_late_under_its_own_name(call_driver: CallDriver) -> None:
    created = (call_driver.send_text("A secret") or [])[0]
    call_driver.clear()
    item = {**created["item"], "id": "item_7", "status": "completed"}
    answers = call_driver.server_sends({"type": "conversation.item.added", "previous_item_id": None, "item": item})
    assert [(a["type"], a["item_id"]) for a in answers] == [("conversation.item.delete", "item_7")]
    assert call_driver.server_sends({"type": "conversation.item.done", "previous_item_id": None, "item": item}) == []
    assert call_driver.messages() == []


SECRET = [
    server_events.speech_started("u1"),
    server_events.transcription_delta("u1", "secret"),
    *server_events.turn_committed("u1"),
    *server_events.response_started("r1", "a1", "u1"),
    *server_events.clause_deltas("r1", "a1", "secret ", 400, 2),
    server_events.transcription_completed("u1", "secret"),
    *server_events.clause_deltas("r1", "a1", "secret", 400),
    *server_events.response_finished("r1", "a1", "secret secret"),
]


@pytest.mark.parametrize("place", range(1, len(SECRET) + 1))
def test_clear_anywhere_leaves_nothing_here_or_there(call_driver: CallDriver, place: int) -> None:
    call_driver.server_sends(SECRET[:place])
    call_driver.play_ms(20)
    call_driver.clear()
    call_driver.play_ms(20)  # the fade
    call_driver.server_sends(SECRET[place:])
    assert call_driver.messages() == []
    assert not call_driver.play_ms(800).any()
    assert call_driver.stage is CallStage.LISTENING
    deleted = [event["item_id"] for event in call_driver.sent if event["type"] == "conversation.item.delete"]
    assert sorted(deleted) == ["a1", "u1"], "each once"


def test_what_was_cleared_does_not_outlive_the_connection(call_driver: CallDriver) -> None:
    call_driver.send_text("A secret")
    call_driver.server_sends(server_events.speech_started("u1"))
    call_driver.clear()
    call_driver.call.handle_disconnected(CallStage.RECONNECTING, call_driver.now)
    assert call_driver.call.handle_connected(call_driver.now) == []
    call_driver.server_sends(
        server_events.speech_started("u1"),
        server_events.turn_committed("u1"),
        server_events.transcription_completed("u1", "Hello"),
    )
    call_driver.server_sends(server_events.complete_response("r1", "a1", "Hi.", 100, "u1"))
    assert call_driver.messages() == [("user", "Hello"), ("assistant", "Hi.")]
