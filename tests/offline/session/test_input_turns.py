"""Typed and spoken turns: order and content of their events, and the work submitted."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from offline.protocol.worker_messages import (
    CaptionDelta,
    CaptionRequest,
    FinalTranscript,
    Generate,
    LlmMessage,
    ProvisionalTranscript,
    RecognitionFailed,
    Recognize,
    ReplySpeech,
    SpeechPaused,
    SpeechResumed,
)
from tests.support.offline.scripted_models import silence, tone
from tests.support.offline.session_driver import SessionDriver, event_types, single_error, single_event
from tests.support.offline.session_scenarios import SPOKEN_ENDING

SPOKEN_LADDER = [
    "response.output_item.added",
    "conversation.item.added",
    "response.content_part.added",
    "response.output_audio_transcript.delta",
    "response.output_audio.delta",
    "response.output_audio.delta",
]


def transcription_settings(**more: Any) -> dict[str, Any]:
    """Return session settings with input transcription."""
    return {"audio": {"input": {"transcription": {"model": "whisper-1"}, **more}}}


def manual_turn_settings() -> dict[str, Any]:
    """Return session settings without turn detection."""
    return {"audio": {"input": {"turn_detection": None}}}


def test_typed_turn_with_text_output_sends_the_events_in_order() -> None:
    driver = SessionDriver(output_modalities=["text"])
    item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Say hi."}]}
    events = driver.send_event("conversation.item.create", item=item)
    assert event_types(events) == ["conversation.item.added", "conversation.item.done"]
    assert events[0]["item"] == {**item, "id": events[0]["item"]["id"], "status": "completed"}
    assert event_types(driver.send_event("response.create")) == ["response.created"]
    assert driver.last_work(Generate).request.speak is False
    events = driver.deliver_text("Hi", " there!") + driver.finish_reply(
        input_tokens=16, cached_tokens=4, output_tokens=3
    )
    assert event_types(events) == [
        "response.output_item.added",
        "conversation.item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "conversation.item.done",
        "response.output_item.done",
        "response.done",
        "rate_limits.updated",
    ]
    assert events[2]["part"] == {"type": "text", "text": ""}
    done = single_event(events, "response.done")["response"]
    assert done["status"] == "completed" and done["output"][0]["content"] == [
        {"type": "output_text", "text": "Hi there!"}
    ]
    assert done["usage"] == {
        "total_tokens": 19,
        "input_tokens": 16,
        "output_tokens": 3,
        "input_token_details": {
            "text_tokens": 16,
            "audio_tokens": 0,
            "image_tokens": 0,
            "cached_tokens": 4,
            "cached_tokens_details": {"text_tokens": 4, "audio_tokens": 0, "image_tokens": 0},
        },
        "output_token_details": {"text_tokens": 3, "audio_tokens": 0},
    }


def test_typed_turn_with_audio_output_sends_the_events_in_order() -> None:
    driver = SessionDriver()
    driver.create_message("Say hi.")
    created = driver.send_event("response.create")[0]["response"]
    assert list(created) == [
        "object",
        "id",
        "status",
        "status_details",
        "output",
        "conversation_id",
        "output_modalities",
        "max_output_tokens",
        "audio",
        "usage",
        "metadata",
    ]
    assert created["audio"] == {"output": {"format": {"type": "audio/pcm", "rate": 24000}, "voice": "alloy"}}
    sound = tone(400)
    events = driver.deliver(ReplySpeech(created["id"], "Hi there!", sound))
    assert event_types(events) == SPOKEN_LADDER
    assert events[2]["part"] == {"type": "audio", "transcript": ""}
    assert b"".join(base64.b64decode(event["delta"]) for event in events[4:]) == sound
    end = driver.finish_reply()
    assert event_types(end) == SPOKEN_ENDING
    item = end[3]["item"]
    assert item["content"] == [{"type": "output_audio", "transcript": "Hi there!"}]
    assert (item["role"], item["status"]) == ("assistant", "completed")
    assert end[2]["part"] == {"type": "audio", "transcript": "Hi there!"}


def test_spoken_turn_sends_the_events_in_order() -> None:
    driver = SessionDriver(**transcription_settings())
    events = driver.append_audio(silence(500)) + driver.append_audio(tone(800)) + driver.append_audio(silence(300))
    assert event_types(events) == [
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
        "response.created",
    ]
    started, stopped, committed, added = events[:4]
    item_id = started["item_id"]
    assert all(event["item_id"] == item_id for event in (stopped, committed)) and added["item"]["id"] == item_id
    assert added["item"] == {
        "id": item_id,
        "type": "message",
        "status": "completed",
        "role": "user",
        "content": [{"type": "input_audio", "transcript": None}],
    }
    assert abs(started["audio_start_ms"] - 200) <= 40  # 300 ms of padding before the tone at 500 ms
    assert 1300 < stopped["audio_end_ms"] <= 1300 + 200 + 40
    work = driver.last_work(Recognize)
    assert abs(len(work.audio) / 48 - (stopped["audio_end_ms"] - started["audio_start_ms"])) <= 1
    assert not driver.all_work(Generate)
    heard = driver.deliver(FinalTranscript(item_id, "Hello, my name is Marcelo.", "en", 2.3))
    assert event_types(heard) == [
        "conversation.item.input_audio_transcription.delta",
        "conversation.item.input_audio_transcription.completed",
    ]
    assert heard[1]["transcript"] == "Hello, my name is Marcelo." and heard[1]["content_index"] == 0
    assert heard[1]["usage"] == {"type": "duration", "seconds": 3}
    assert driver.model_context() == [("user", "Hello, my name is Marcelo.")]
    assert event_types(driver.deliver_speech("Hello!", ms=400) + driver.finish_reply()) == SPOKEN_LADDER + SPOKEN_ENDING


def test_spoken_turn_without_transcription_is_in_the_request_only() -> None:
    driver = SessionDriver()
    events = driver.speak_turn("What is the time?")
    assert not [kind for kind in event_types(events) if "transcription" in kind]
    assert driver.model_context() == [("user", "What is the time?")]
    item_id = driver.last_work(Recognize).item_id
    retrieved = driver.send_event("conversation.item.retrieve", item_id=item_id)[0]["item"]
    assert retrieved["content"][0]["transcript"] is None


def test_captions_during_speech_become_transcription_deltas() -> None:
    driver = SessionDriver(**transcription_settings())
    item_id = single_event(driver.append_audio(tone(900)), "input_audio_buffer.speech_started")["item_id"]
    listening = driver.all_work(CaptionRequest)
    assert [work.item_id for work in listening] == [item_id] * len(listening) and len(listening) == 2
    assert len(listening[1].audio) - len(listening[0].audio) == 400 * 48
    assert driver.deliver(CaptionDelta(item_id, "What is"))[0]["delta"] == "What is"
    driver.append_audio(silence(300))
    assert driver.deliver(CaptionDelta(item_id, " the"))[0]["delta"] == " the"
    end = driver.deliver(FinalTranscript(item_id, "What is the time?", "en", 1.0))
    assert [event.get("delta", event.get("transcript")) for event in end] == [" time?", "What is the time?"]
    assert driver.deliver(CaptionDelta(item_id, " late")) == []


def test_transcript_unlike_the_captions_sends_no_delta() -> None:
    driver = SessionDriver(**transcription_settings())
    driver.append_audio(tone(900))
    item_id = driver.last_work(CaptionRequest).item_id
    driver.deliver(CaptionDelta(item_id, "Watts the"))
    driver.append_audio(silence(300))
    assert [
        event["type"].rsplit(".")[-1] for event in driver.deliver(FinalTranscript(item_id, "What's the time?", "en", 1))
    ] == ["completed"]


def test_pause_submits_speculative_work_and_speech_revokes_it() -> None:
    driver = SessionDriver(instructions="Be kind.")
    driver.create_message("My name is Ada.")
    driver.append_audio(tone(500))
    assert not driver.all_work(SpeechPaused)
    driver.append_audio(silence(170))
    paused = driver.last_work(SpeechPaused)
    assert [message.text for message in paused.request.messages] == ["Be kind.", "My name is Ada."]
    listened = len(driver.all_work(CaptionRequest))
    driver.append_audio(silence(20))
    assert not driver.all_work(SpeechResumed) and len(driver.all_work(CaptionRequest)) == listened
    driver.append_audio(tone(300))
    assert driver.last_work(SpeechResumed).item_id == paused.item_id
    driver.append_audio(silence(300))
    assert len(driver.all_work(SpeechPaused)) == 2 and len(driver.all_work(SpeechResumed)) == 1
    work = driver.last_work(Recognize)
    assert work.item_id == paused.item_id
    driver.deliver(FinalTranscript(work.item_id, "Who am I?", "en", 1.0))
    request, expected = driver.last_work(Generate).request, driver.last_work(SpeechPaused).request
    assert request.messages == (*expected.messages, LlmMessage("user", "Who am I?"))
    assert (request.speak, request.tools) == (expected.speak, expected.tools)


@pytest.mark.parametrize(
    ("text", "probability", "silence_ms"),
    [
        ("Good morning.", 0.9, 250),
        ("Good morning.", 0.1, 1000),
        ("I would like to", 0.9, 1500),
        ("Good morning.", None, 350),
        ("", 0.1, 350),
    ],
)
def test_adaptive_silence_ends_the_turn_by_words_and_voice(
    text: str, probability: float | None, silence_ms: int
) -> None:
    detection = {"type": "server_vad", "silence_duration_ms": 350, "adaptive_silence": True}
    driver = SessionDriver(audio={"input": {"turn_detection": detection}})
    driver.append_audio(tone(500))
    driver.append_audio(silence(200))
    paused = driver.last_work(SpeechPaused)
    assert paused.judges_voice
    driver.deliver(ProvisionalTranscript(paused.item_id, text, turn_end_probability=probability))
    assert "input_audio_buffer.speech_stopped" not in event_types(driver.append_audio(silence(silence_ms - 240)))
    events = driver.append_audio(silence(120))
    assert single_event(events, "input_audio_buffer.speech_stopped")["silence_ms"] == pytest.approx(silence_ms, abs=64)


def test_adaptive_silence_of_a_pause_that_is_not_judged_in_time() -> None:
    detection = {"type": "server_vad", "silence_duration_ms": 350, "adaptive_silence": True}
    driver = SessionDriver(audio={"input": {"turn_detection": detection}})
    driver.append_audio(tone(500))
    assert "input_audio_buffer.speech_stopped" not in event_types(driver.append_audio(silence(400)))
    events = driver.append_audio(silence(120))
    assert single_event(events, "input_audio_buffer.speech_stopped")["silence_ms"] == pytest.approx(450, abs=32)


def test_silence_of_a_late_judgement_and_of_a_commit() -> None:
    detection = {"type": "server_vad", "silence_duration_ms": 350, "adaptive_silence": True}
    driver = SessionDriver(audio={"input": {"turn_detection": detection}})
    driver.append_audio(tone(500))
    driver.append_audio(silence(400))
    paused = driver.last_work(SpeechPaused)
    events = driver.deliver(ProvisionalTranscript(paused.item_id, "Good morning.", turn_end_probability=0.9))
    assert single_event(events, "input_audio_buffer.speech_stopped")["silence_ms"] == pytest.approx(380, abs=40)
    driver.append_audio(tone(500))
    events = driver.send_event("input_audio_buffer.commit")
    assert "silence_ms" not in single_event(events, "input_audio_buffer.speech_stopped")


def test_recognition_gets_the_keywords_and_the_end_of_the_last_reply() -> None:
    transcription = {"model": "whisper-1", "prompt": "台積電、Node.js"}
    driver = SessionDriver(audio={"input": {"transcription": transcription}})
    driver.speak_turn("請介紹一家公司。", language="zh")
    driver.deliver_speech("好的，" + "很" * 80 + "大的公司。")
    driver.finish_reply()
    driver.append_audio(tone(500))
    driver.append_audio(silence(200))
    likely_words = driver.last_work(SpeechPaused).context
    assert likely_words == driver.last_work(CaptionRequest).context
    assert likely_words.startswith("台積電、Node.js。很") and likely_words.endswith("大的公司。。")
    assert len(likely_words) == len("台積電、Node.js。") + 61


def test_pause_without_create_response_prepares_the_transcript_only() -> None:
    driver = SessionDriver(audio={"input": {"turn_detection": {"type": "server_vad", "create_response": False}}})
    events = driver.speak_turn()
    assert "response.created" not in event_types(events) and driver.last_work(SpeechPaused).request is None
    assert event_types(driver.send_event("response.create")) == ["response.created"]
    assert driver.model_context() == [("user", "Hello there.")]


def test_turn_without_words_gets_an_empty_response() -> None:
    driver = SessionDriver(**transcription_settings())
    events = driver.speak_turn("")
    assert single_event(events, "conversation.item.input_audio_transcription.completed")["transcript"] == ""
    done = single_event(events, "response.done")["response"]
    assert (done["status"], done["output"]) == ("completed", []) and not driver.all_work(Generate)


def test_failed_recognition_fails_the_transcription_and_the_response() -> None:
    driver = SessionDriver(**transcription_settings())
    driver.speak_turn(None)
    events = driver.deliver(RecognitionFailed(driver.last_work(Recognize).item_id, "The recogniser stopped."))
    failed = single_event(events, "conversation.item.input_audio_transcription.failed")
    assert failed["error"]["message"] == "The recogniser stopped."
    assert single_event(events, "response.done")["response"]["status"] == "failed"
    assert "response.created" in event_types(driver.speak_turn())


def test_commit_without_turn_detection_creates_an_item_and_no_response() -> None:
    driver = SessionDriver(**manual_turn_settings())
    assert driver.append_audio(tone(50)) == []
    error = single_error(driver.send_event("input_audio_buffer.commit"))
    assert error["code"] == "input_audio_buffer_commit_empty" and "50.00ms" in error["message"]
    driver.append_audio(tone(950))
    events = driver.send_event("input_audio_buffer.commit")
    assert event_types(events) == ["input_audio_buffer.committed", "conversation.item.added", "conversation.item.done"]
    assert len(driver.last_work(Recognize).audio) == 1000 * 48
    assert event_types(driver.send_event("response.create")) == ["response.created"]
    driver.deliver(FinalTranscript(events[0]["item_id"], "Hi.", "en", 1))
    assert driver.model_context() == [("user", "Hi.")]
    assert single_error(driver.send_event("input_audio_buffer.commit"))["code"] == "input_audio_buffer_commit_empty"


def test_clear_empties_the_buffer_and_revokes_the_turn() -> None:
    driver = SessionDriver(**manual_turn_settings())
    driver.append_audio(tone(500))
    assert event_types(driver.send_event("input_audio_buffer.clear")) == ["input_audio_buffer.cleared"]
    assert single_error(driver.send_event("input_audio_buffer.commit"))["code"] == "input_audio_buffer_commit_empty"
    driver = SessionDriver()
    driver.append_audio(tone(500) + silence(170))
    assert event_types(driver.send_event("input_audio_buffer.clear")) == ["input_audio_buffer.cleared"]
    assert driver.last_work(SpeechResumed).item_id == driver.last_work(SpeechPaused).item_id
    assert driver.append_audio(silence(500)) == [] and not driver.all_work(Recognize)


def test_commit_during_a_detected_turn_ends_it_without_a_response() -> None:
    driver = SessionDriver()
    started = single_event(driver.append_audio(tone(500)), "input_audio_buffer.speech_started")
    events = driver.send_event("input_audio_buffer.commit")
    assert event_types(events)[:2] == ["input_audio_buffer.speech_stopped", "input_audio_buffer.committed"]
    assert events[1]["item_id"] == started["item_id"] and "response.created" not in event_types(events)


def test_input_buffer_rejects_a_sixth_minute_and_ends_a_turn_after_two() -> None:
    driver = SessionDriver(**manual_turn_settings())
    minute = silence(60_000)
    for _ in range(5):
        assert driver.append_audio(minute, piece_ms=60_000) == []
    assert single_error(driver.append_audio(silence(20)))["param"] == "audio"
    assert "input_audio_buffer.committed" in event_types(driver.send_event("input_audio_buffer.commit"))
    driver = SessionDriver()
    events = driver.append_audio(tone(1000) * 121, piece_ms=1000)
    assert "input_audio_buffer.committed" in event_types(events)
    assert len(driver.last_work(Recognize).audio) <= 121_000 * 48


def test_pause_submits_no_caption_requests() -> None:
    driver = SessionDriver(audio={"input": {"turn_detection": {"type": "server_vad", "silence_duration_ms": 2000}}})
    driver.append_audio(tone(500))
    listened = len(driver.all_work(CaptionRequest))
    driver.append_audio(silence(1500))
    assert len(driver.all_work(CaptionRequest)) <= listened + 1 and driver.last_work(SpeechPaused)
    driver.append_audio(tone(600))
    assert len(driver.all_work(CaptionRequest)) > listened + 1


def test_padding_beyond_the_kept_audio_starts_at_its_beginning() -> None:
    driver = SessionDriver(audio={"input": {"turn_detection": {"type": "server_vad", "prefix_padding_ms": 0}}})
    driver.append_audio(silence(4000))
    driver.update(audio={"input": {"turn_detection": {"prefix_padding_ms": 5000}}})
    events = driver.append_audio(tone(500) + silence(300))
    start = single_event(events, "input_audio_buffer.speech_started")["audio_start_ms"]
    end = single_event(events, "input_audio_buffer.speech_stopped")["audio_end_ms"]
    assert start > 2000 and abs(len(driver.last_work(Recognize).audio) / 48 - (end - start)) <= 1


def test_threshold_update_during_a_turn_applies_at_once_and_keeps_its_audio() -> None:
    """A client changes the threshold to protect itself against its own echo."""

    def threshold(value: float) -> dict[str, Any]:
        return {"audio": {"input": {"turn_detection": {"type": "server_vad", "threshold": value}}}}

    driver = SessionDriver(**transcription_settings())
    driver.update(**threshold(0.97))
    assert driver.append_audio(silence(310)) + driver.append_audio(tone(800)) == [], "the tone is below the threshold"
    driver.append_audio(silence(300))
    driver.update(**threshold(0.5))
    (started,) = driver.append_audio(tone(410))
    assert event_types(driver.update(**threshold(0.99))) == ["session.updated"]
    assert driver.append_audio(tone(400)) == [], "the turn continues"
    driver.update(**threshold(0.5))
    events = driver.append_audio(tone(100)) + driver.append_audio(silence(300))
    assert event_types(events)[:2] == ["input_audio_buffer.speech_stopped", "input_audio_buffer.committed"]
    assert events[0]["item_id"] == started["item_id"]
    lasted = events[0]["audio_end_ms"] - started["audio_start_ms"]
    assert 910 + 200 <= lasted <= 910 + 300 + 250, "padding, all audio, and the silence"
