"""What a call goes through: lost connections, failed replies, complaints of the server, limits, its end."""

from __future__ import annotations

from realtime.connection import Failure
from realtime.conversation import BubbleState
from realtime.snapshot import Notice, Stage

from . import script
from .calls import Line, kinds


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


def test_bad_audio_is_ignored(line: Line) -> None:
    about = {"type": "response.output_audio.delta", "response_id": "r1", "item_id": "a1"}
    line.get(
        {**about, "delta": "not base64!"}, {**about, "delta": 7}, about, {**about, "content_index": "x", "delta": ""}
    )
    assert not line.play(400).any()


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
