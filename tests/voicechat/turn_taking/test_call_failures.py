"""Failures of a call: lost connections, failed replies, server errors, limits, its end."""

from __future__ import annotations

from tests.support.realtime import server_events
from tests.support.realtime.call_driver import CallDriver, event_types
from voicechat.conversation.conversation import BubbleState
from voicechat.protocol.notices import Notice
from voicechat.turn_taking.snapshot import CallStage
from voicechat.upstream.connection import Failure


def test_new_connection_after_a_lost_one_gets_the_conversation(call_driver: CallDriver) -> None:
    call_driver.server_sends(
        server_events.speech_started("u1"),
        server_events.turn_committed("u1"),
        server_events.transcription_completed("u1", "Hi"),
    )
    call_driver.server_sends(
        server_events.response_started("r1", "a1", "u1"),
        server_events.clause_deltas("r1", "a1", "One two three four", 2000),
    )
    call_driver.play_ms(500)
    call_driver.call.handle_disconnected(CallStage.RECONNECTING, call_driver.now)
    assert call_driver.stage is CallStage.RECONNECTING
    assert call_driver.play_ms(500).all(), "what has come is still played"
    assert call_driver.send_text("And then?") == []
    events = call_driver.call.handle_connected(call_driver.now)
    assert event_types(events) == ["conversation.item.create"] * 3 + ["response.create"]
    assert [e["item"]["content"][0]["text"] for e in events[:3]] == ["Hi", "One two", "And then?"]
    assert [text for _, text in call_driver.messages()] == ["Hi", "One two", "And then?"]


def test_messages_typed_while_connecting_are_sent_even_where_nothing_is_replayed() -> None:
    line = CallDriver(replay_items=0)
    line.send_text("Old")
    line.call.handle_disconnected(CallStage.RECONNECTING, line.now)
    assert line.send_text("One") == []
    assert line.send_text("Two") == []
    events = line.call.handle_connected(line.now)
    assert event_types(events) == ["conversation.item.create"] * 2 + ["response.create"]
    assert [e["item"]["content"][0]["text"] for e in events[:2]] == ["One", "Two"]


def test_a_replayed_reply_can_still_be_interrupted(call_driver: CallDriver) -> None:
    call_driver.server_sends(
        server_events.response_started("r1", "a1"), server_events.clause_deltas("r1", "a1", "One two three four", 2000)
    )
    call_driver.play_ms(500)
    call_driver.call.handle_disconnected(CallStage.RECONNECTING, call_driver.now)
    call_driver.call.handle_connected(call_driver.now)
    assert call_driver.stage is CallStage.SPEAKING
    call_driver.play_ms(600)
    answers = call_driver.server_sends(server_events.speech_started("u2"))
    assert event_types(answers) == ["conversation.item.delete", "conversation.item.create"]
    assert answers[1]["item"]["content"] == [{"type": "output_text", "text": "One two"}]


def test_a_failed_reply_is_said_and_the_call_goes_on(call_driver: CallDriver) -> None:
    failed = {
        "id": "r1",
        "status": "failed",
        "status_details": {"type": "failed", "error": {"type": "server_error", "code": None, "message": "secret"}},
    }
    call_driver.server_sends(
        server_events.speech_started("u1"),
        server_events.turn_committed("u1"),
        server_events.response_started("r1", "a1"),
    )
    call_driver.server_sends({"type": "response.done", "response": failed})
    assert call_driver.stage is CallStage.LISTENING
    assert call_driver.call.notice == Notice.REPLY_FAILED
    assert call_driver.call.fatal_failure is None
    call_driver.server_sends(server_events.speech_started("u2"))
    assert call_driver.call.notice is None


def test_no_money_ends_the_call(call_driver: CallDriver) -> None:
    details = {"error": {"code": "insufficient_quota"}}
    call_driver.server_sends(
        {"type": "response.done", "response": {"id": "r1", "status": "failed", "status_details": details}}
    )
    assert call_driver.call.fatal_failure is Failure.QUOTA


def test_errors_about_what_was_already_over_are_not_shown(call_driver: CallDriver) -> None:
    call_driver.server_sends(
        server_events.error_event("item_not_found", "truncate_3"), server_events.error_event(None, "truncate_4")
    )
    call_driver.server_sends(server_events.error_event("response_cancel_not_active", "cancel_5"))
    call_driver.server_sends(server_events.error_event("invalid_value"))
    assert call_driver.call.notice is None
    call_driver.server_sends(
        server_events.speech_started("u1"),
        server_events.turn_committed("u1"),
        server_events.error_event("invalid_value"),
    )
    assert call_driver.call.notice == Notice.REPLY_FAILED


def test_a_refused_answer_does_not_leave_the_call_thinking(call_driver: CallDriver) -> None:
    answers = call_driver.send_text("Hello")
    call_driver.server_sends(server_events.error_event("invalid_value", answers[1]["event_id"]))
    call_driver.call.check_timeouts(call_driver.now + 11)
    assert call_driver.stage is CallStage.LISTENING


def test_limits() -> None:
    line = CallDriver(max_call_seconds=100, idle_seconds=20)
    began = line.now
    assert line.call.expired(began + 19) is None
    assert line.call.expired(began + 21) is Notice.IDLE
    line.now = began + 15
    line.server_sends(server_events.speech_started("u1"))
    assert line.call.expired(began + 34) is None
    assert line.call.expired(began + 101) is Notice.TIME_LIMIT


def test_visitor_who_talks_long_is_not_idle() -> None:
    line = CallDriver(max_call_seconds=1000, idle_seconds=20)
    line.server_sends(server_events.speech_started("u1"))
    line.now += 300
    line.server_sends(server_events.transcription_delta("u1", "and then"))
    assert line.call.expired(line.now) is None, "a monologue"
    line.call.handle_disconnected(CallStage.RECONNECTING, line.now)
    assert line.call.expired(line.now + 1) is None, "a connection lost in the middle of one"
    line.call.handle_connected(line.now)
    line.server_sends(server_events.speech_started("u2"))
    assert line.call.expired(line.now + 701) is Notice.TIME_LIMIT


def test_a_slow_reply_is_not_idleness() -> None:
    line = CallDriver(max_call_seconds=1000, idle_seconds=5)
    line.server_sends(
        server_events.speech_started("u1"),
        server_events.turn_committed("u1"),
        server_events.response_started("r1", "a1", "u1"),
    )
    line.now += 40
    line.call.check_timeouts(line.now)
    assert line.stage is CallStage.THINKING
    assert line.call.expired(line.now) is None
    line.server_sends(server_events.clause_deltas("r1", "a1", "One. ", 100))
    line.play_ms(200)
    line.now += 40
    assert line.stage is CallStage.SPEAKING
    assert line.call.expired(line.now) is None, "a pause inside a reply"
    line.server_sends(server_events.response_finished("r1", "a1", "One. "))
    line.play_ms(100)
    assert line.stage is CallStage.LISTENING
    assert line.call.expired(line.now) is None, "its end is where the quiet begins"
    assert line.call.expired(line.now + 6) is Notice.IDLE


def test_the_end_settles_what_was_open(call_driver: CallDriver) -> None:
    call_driver.server_sends(
        server_events.response_started("r1", "a1"), server_events.clause_deltas("r1", "a1", "One two three four", 2000)
    )
    call_driver.play_ms(1100)
    call_driver.server_sends(server_events.transcription_delta("u2", "Wai"))
    call_driver.call.end(CallStage.ENDED, Notice.IDLE, call_driver.now)
    snapshot = call_driver.call.snapshot()
    assert (snapshot.stage, snapshot.notice) == (CallStage.ENDED, "idle_timeout")
    assert [(b.text, b.state) for b in snapshot.bubbles] == [
        ("One two", BubbleState.INTERRUPTED),
        ("Wai", BubbleState.DONE),
    ]
    assert call_driver.send_text("too late") is None
    call_driver.call.end(CallStage.FAILED, None, call_driver.now)
    assert call_driver.stage is CallStage.ENDED


def test_bad_audio_is_ignored(call_driver: CallDriver) -> None:
    about = {"type": "response.output_audio.delta", "response_id": "r1", "item_id": "a1"}
    call_driver.server_sends(
        {**about, "delta": "not base64!"}, {**about, "delta": 7}, about, {**about, "content_index": "x", "delta": ""}
    )
    assert not call_driver.play_ms(400).any()


def test_harmless_error_is_not_shown_as_a_missing_reply(call_driver: CallDriver) -> None:
    error = {"type": "invalid_request_error", "code": "not_implemented", "message": "secret", "param": None}
    assert call_driver.server_sends({"type": "error", "error": error}) == []
    assert call_driver.call.snapshot().notice is None


def test_refused_request_for_a_reply_is_shown_and_the_call_listens(call_driver: CallDriver) -> None:
    asked = (call_driver.send_text("Hello") or [])[-1]
    error = {"type": "invalid_request_error", "code": "invalid_value", "message": "x", "event_id": asked["event_id"]}
    call_driver.server_sends({"type": "error", "error": error})
    assert call_driver.call.snapshot().notice == Notice.REPLY_FAILED
    assert call_driver.stage is CallStage.LISTENING


def test_cancel_that_came_too_late_leaves_the_next_reply_alone(call_driver: CallDriver) -> None:
    call_driver.server_sends(
        server_events.response_started("r1", "a1"), server_events.clause_deltas("r1", "a1", "One.", 900)
    )
    call_driver.call.interrupt(call_driver.now)
    call_driver.server_sends(
        server_events.response_finished("r1", "a1", "One.")[-1],
        server_events.response_started("r2", "a2"),
        server_events.error_event("response_cancel_not_active", "cancel_2"),
    )
    answers = call_driver.send_text("Next")
    assert "response.create" not in event_types(answers), "the server is making r2"
    assert [event.get("response_id") for event in answers or [] if event["type"] == "response.cancel"] == ["r2"]
