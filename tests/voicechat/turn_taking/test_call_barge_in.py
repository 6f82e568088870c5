"""A call in which the visitor makes sounds over a reply: audio, client events and snapshots."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.support.realtime import server_events
from tests.support.realtime.barge_in_driver import REPLY_LEVEL, BargeInDriver
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


def test_reply_at_first_speech_is_ducked_without_client_events(barge_in_driver: BargeInDriver) -> None:
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
def test_reply_after_sound_without_words_resumes_at_full_volume(heard: Event, made: bool) -> None:
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
def test_reply_after_backchannel_resumes_and_keeps_the_message(barge_in_driver: BargeInDriver, text: str) -> None:
    barge_in_driver.make_short_sound()
    barge_in_driver.server_sends(server_events.transcription_completed("u1", text))
    assert barge_in_driver.played_gain() == 1.0
    assert barge_in_driver.take_sent_types() == []
    assert barge_in_driver.messages()[-1] == ("user", text)
    barge_in_driver.play_ms(6000)
    assert barge_in_driver.stage is CallStage.LISTENING and barge_in_driver.call.idle


def test_reply_during_continued_speech_is_truncated(barge_in_driver: BargeInDriver) -> None:
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


def test_reply_during_speech_without_end_is_truncated_without_microphone_level(
    barge_in_driver: BargeInDriver,
) -> None:
    barge_in_driver.server_sends(server_events.speech_started("u1"))
    barge_in_driver.play_ms(600)
    assert barge_in_driver.take_sent_types() == []
    barge_in_driver.play_ms(100)
    assert barge_in_driver.take_sent_types() == ["conversation.item.truncate"]


def test_unfinished_reply_when_interrupted_is_truncated_and_cancelled() -> None:
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


def test_reply_at_transcribed_words_is_truncated_before_speech_ends(barge_in_driver: BargeInDriver) -> None:
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


def test_interrupting_word_after_finished_reply_is_answered_by_the_server(barge_in_driver: BargeInDriver) -> None:
    barge_in_driver.make_short_sound()
    barge_in_driver.server_sends(server_events.transcription_completed("u1", "Stop."))
    assert barge_in_driver.take_sent_types() == ["conversation.item.truncate"]
    assert barge_in_driver.stage is CallStage.THINKING
    barge_in_driver.server_sends(server_events.complete_response("r2", "a2", "All right.", 500, "u1"))
    barge_in_driver.play_ms(1000)
    assert barge_in_driver.take_sent_types() == []
    assert barge_in_driver.messages()[-1] == ("assistant", "All right.")
    assert barge_in_driver.stage is CallStage.LISTENING


def test_response_to_unclassified_speech_is_cancelled_and_requested_again_after_words(
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


def test_response_to_sound_without_words_is_cancelled_and_deleted(barge_in_driver: BargeInDriver) -> None:
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
def test_late_response_to_backchannel_is_cancelled(made: bool) -> None:
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


@pytest.mark.parametrize("report", ["before", "after"])
def test_interrupting_turn_rejected_by_the_server_gets_a_requested_response(report: str) -> None:
    line = BargeInDriver()
    line.call.send_text("Hello", line.now)  # an earlier request is not what collides
    line.start_reply(finished=False)
    line.make_short_sound()
    if report == "before":
        line.server_sends(ACTIVE_RESPONSE_ERROR)
    line.server_sends(server_events.transcription_completed("u1", "Stop."))
    if report == "after":
        line.server_sends(ACTIVE_RESPONSE_ERROR)
    assert line.take_sent_types() == ["conversation.item.truncate", "response.cancel"]
    line.server_sends(server_events.response_finished("r1", "a1", "One", "cancelled"))
    assert line.take_sent_types() == ["response.create"]
    line.server_sends(server_events.complete_response("r2", "a2", "All right.", 500, "u1"))
    line.play_ms(1000)
    assert line.take_sent_types() == [] and line.stage is CallStage.LISTENING
    assert line.call.notice is None


def test_sound_without_words_rejected_by_the_server_gets_no_response() -> None:
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


def test_interrupting_turn_without_server_response_gets_one_after_a_timeout() -> None:
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


def test_interrupting_turn_with_late_server_response_gets_no_second_one() -> None:
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


def test_server_response_before_the_requested_one_replaces_it() -> None:
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


def test_reply_without_transcript_of_the_sound_is_truncated_after_a_timeout(barge_in_driver: BargeInDriver) -> None:
    barge_in_driver.make_short_sound()
    barge_in_driver.play_ms(1900)
    assert barge_in_driver.take_sent_types() == []
    barge_in_driver.play_ms(200)
    assert barge_in_driver.take_sent_types() == ["conversation.item.truncate"]
    assert barge_in_driver.stage is CallStage.THINKING


def test_reply_ending_during_speech_leaves_the_turn_to_the_visitor() -> None:
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
def test_reply_ending_after_a_cancelled_response_requests_one_only_for_words(text: str, asked: bool) -> None:
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


def test_reply_ending_without_transcript_requests_a_response_after_a_timeout() -> None:
    line = BargeInDriver()
    line.start_reply(ms=1000)
    line.make_short_sound()
    line.server_sends(server_events.response_started("r2", "a2", "u1")[:1])
    line.server_sends({"type": "response.done", "response": {"id": "r2", "status": "cancelled", "output": []}})
    line.play_ms(2300)
    assert line.take_sent_types() == ["response.cancel", "response.create"]


def test_reply_after_two_dismissed_sounds_is_truncated_by_a_word(barge_in_driver: BargeInDriver) -> None:
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


def test_reply_cancelled_by_the_server_is_truncated() -> None:
    line = BargeInDriver()
    line.start_reply(finished=False)
    line.server_sends(
        server_events.speech_started("u1"), server_events.response_finished("r1", "a1", "One two", "cancelled")
    )
    assert line.take_sent_types() == ["conversation.item.truncate"]
    assert line.stage is CallStage.USER_SPEAKING


def test_speech_before_the_first_audio_deletes_and_cancels_the_reply() -> None:
    line = BargeInDriver()
    line.server_sends(server_events.response_started("r1", "a1"))
    assert [e["type"] for e in line.server_sends(server_events.speech_started("u1"))] == [
        "conversation.item.delete",
        "response.cancel",
    ]
