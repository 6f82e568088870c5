"""Conversation: truncation, the model's memory, item order, audio formats."""

from __future__ import annotations

import base64
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from offline.protocol.audio_formats import decode_recording, encode_audio, g711_decode_table
from offline.protocol.worker_messages import (
    FinalTranscript,
    Generate,
    LlmMessage,
    Prefill,
    Recognize,
    ReplySpeech,
    StopGeneration,
)
from offline.session.conversation import WORD_PATTERN, MessagePart, played_words
from tests.support.offline.scripted_models import silence, tone
from tests.support.offline.session_driver import SessionDriver, event_types, single_error, single_event
from tests.support.offline.session_scenarios import SPOKEN_ENDING, send_truncate, session_with_reply

# ---------------------------------------------------------------------- barge-in


def test_speech_during_a_reply_cancels_it_and_memory_keeps_the_played_words() -> None:
    driver, item_id = session_with_reply("Once upon a time,", " there was a small blue house.")
    active = driver.last_work(Generate).response_id
    events = driver.append_audio(tone(300))
    assert event_types(events) == ["input_audio_buffer.speech_started", *SPOKEN_ENDING]
    done = single_event(events, "response.done")["response"]
    assert done["status_details"] == {"type": "cancelled", "reason": "turn_detected"}
    assert single_event(events, "conversation.item.done")["item"]["status"] == "incomplete"
    assert driver.last_work(StopGeneration).response_id == active
    assert driver.deliver(ReplySpeech(active, " It was late.", tone(100))) == []
    assert send_truncate(driver, item_id, 1500) == [
        {
            "type": "conversation.item.truncated",
            "event_id": driver.checker.events[-1]["event_id"],
            "item_id": item_id,
            "content_index": 0,
            "audio_end_ms": 1500,
        }
    ]
    assert driver.last_work(Prefill).request.messages[-1] == LlmMessage("assistant", "Once upon a time, there was a")
    driver.append_audio(silence(300))
    driver.deliver(FinalTranscript(driver.last_work(Recognize).item_id, "Stop.", "en", 0.5))
    assert driver.model_context() == [
        ("user", "Tell me a story."),
        ("assistant", "Once upon a time, there was a"),
        ("user", "Stop."),
    ]


def test_truncate_of_a_completed_reply_shortens_memory_and_audio() -> None:
    driver, item_id = session_with_reply("One.", " Two.", " Three.")
    driver.finish_reply()
    assert "response.done" not in event_types(driver.append_audio(tone(300)))
    assert event_types(send_truncate(driver, item_id, 2000)) == ["conversation.item.truncated"]
    assert driver.last_work(Prefill).request.messages[-1].text == "One. Two."
    item = driver.send_event("conversation.item.retrieve", item_id=item_id)[0]["item"]
    assert item["content"][0]["transcript"] is None
    assert len(base64.b64decode(item["content"][0]["audio"])) == 2000 * 48


def test_truncate_at_zero_removes_the_reply_from_memory() -> None:
    driver, item_id = session_with_reply("One.")
    driver.append_audio(tone(300))
    send_truncate(driver, item_id, 0)
    assert driver.last_work(Prefill).request.messages[-1] == LlmMessage("user", "Tell me a story.")


def test_truncate_of_an_active_reply_keeps_later_clauses_out_of_memory() -> None:
    driver, item_id = session_with_reply(
        "One.", audio={"input": {"turn_detection": {"type": "server_vad", "interrupt_response": False}}}
    )
    assert "response.done" not in event_types(driver.append_audio(tone(300)))
    send_truncate(driver, item_id, 1000)
    driver.deliver_speech(" Two.")
    assert single_error(send_truncate(driver, item_id, 1500))["code"] == "invalid_value"
    driver.send_event("response.cancel")
    assert driver.last_work(Prefill).request.messages[-1].text == "One."


def test_truncate_of_invalid_items_or_times_reports_an_error() -> None:
    driver, item_id = session_with_reply("One.")
    error = single_error(send_truncate(driver, item_id, 1001))
    assert error["message"] == "Audio content of 1000ms is already shorter than 1001ms"
    assert single_error(send_truncate(driver, item_id, -1))["code"] == "invalid_value"
    assert single_error(send_truncate(driver, "item_x", 0))["code"] == "item_not_found"
    only_model = "Only model output audio messages can be truncated."
    typed = driver.create_message("Hi", "assistant")["id"]
    for other in (driver.last_work(Recognize).item_id, typed):
        error = single_error(send_truncate(driver, other, 0))
        assert (error["code"], error["message"]) == (None, only_model)
    events = driver.send_event("conversation.item.truncate", item_id=item_id, content_index=1, audio_end_ms=0)
    assert single_error(events)["message"] == only_model


def test_turn_during_an_uninterruptible_reply_is_answered_after_it() -> None:
    driver, _ = session_with_reply(
        "One.", audio={"input": {"turn_detection": {"type": "server_vad", "interrupt_response": False}}}
    )
    assert "response.created" not in event_types(driver.speak_turn("And then?"))
    events = driver.finish_reply()
    assert event_types(events)[-3:] == ["response.done", "rate_limits.updated", "response.created"]
    assert driver.model_context() == [("user", "Tell me a story."), ("assistant", "One."), ("user", "And then?")]
    assert event_types(driver.finish_reply()) == ["response.done", "rate_limits.updated"]


def test_turn_deleted_during_an_uninterruptible_reply_gets_no_response() -> None:
    """A client that decides about interruptions itself deletes a cough."""
    driver, _ = session_with_reply(
        "One.", audio={"input": {"turn_detection": {"type": "server_vad", "interrupt_response": False}}}
    )
    driver.speak_turn("")
    driver.send_event("conversation.item.delete", item_id=driver.last_work(Recognize).item_id)
    assert event_types(driver.finish_reply())[-2:] == ["response.done", "rate_limits.updated"]


def test_queued_turn_followed_by_a_new_turn_gets_no_response_of_its_own() -> None:
    driver, _ = session_with_reply(
        "One.", audio={"input": {"turn_detection": {"type": "server_vad", "interrupt_response": False}}}
    )
    driver.speak_turn("And then?")
    driver.update(audio={"input": {"turn_detection": {"interrupt_response": True}}})
    events = driver.append_audio(tone(300))
    assert "response.done" in event_types(events) and "response.created" not in event_types(events)


def test_turn_interrupted_before_its_transcript_is_answered_with_the_next() -> None:
    driver = SessionDriver()
    driver.speak_turn(None)
    first = driver.last_work(Recognize).item_id
    events = driver.append_audio(tone(300))
    assert single_event(events, "response.done")["response"]["status_details"]["reason"] == "turn_detected"
    driver.append_audio(silence(300))
    driver.deliver(FinalTranscript(driver.last_work(Recognize).item_id, "world", "en", 1))
    assert not driver.all_work(Generate)
    driver.deliver(FinalTranscript(first, "Hello", "en", 1))
    assert driver.model_context() == [("user", "Hello"), ("user", "world")]


@given(st.lists(st.text(alphabet="ab ,.你好。", max_size=12), max_size=4), st.integers(0, 5000))
def test_llm_text_of_a_truncated_part_is_a_growing_prefix(clauses: list[str], cut: int) -> None:
    part = MessagePart("output_audio")
    for clause in clauses:
        part.append_clause(clause, bytes(480 * 48))
    total = part.duration_ms
    heard_before = ""
    for ms in sorted({min(cut, int(total)), int(total) // 2, int(total)}):
        part.truncated_at_ms = ms
        heard = part.to_llm_text()
        assert part.text.startswith(heard) and heard.startswith(heard_before)
        heard_before = heard
    assert heard_before == part.text


@pytest.mark.parametrize(
    ("text", "share", "heard"),
    [
        ("there was a small blue house", 0.0, ""),
        ("there was a small blue house", 0.3, "there was"),
        ("there was a small blue house", 1.0, "there was a small blue house"),
        ("今天天氣很好", 0.5, "今天天"),
        ("我用 Python 寫程式", 0.6, "我用 Python"),
        (
            "See https://a.com/a/long/path/that/is/not/said for all of it",
            0.4,
            "See https://a.com/a/long/path/that/is/not/said",
        ),
    ],
)
def test_played_words_end_at_the_word_whose_middle_was_reached(text: str, share: float, heard: str) -> None:
    assert played_words(text, share) == heard
    assert "".join(WORD_PATTERN.findall(text)) == text


# ---------------------------------------------------------------------- items


def test_item_create_with_previous_item_id_inserts_after_it() -> None:
    driver = SessionDriver()
    first, second = driver.create_message("1")["id"], driver.create_message("2")["id"]
    between = driver.create_message("1.5", previous_item_id=first)["id"]
    front = driver.create_message("0", previous_item_id="root")["id"]
    assert driver.item_ids == [front, first, between, second] == driver.checker.item_order
    error = single_error(
        driver.send_event(
            "conversation.item.create",
            previous_item_id="item_x",
            item={"type": "message", "role": "user", "content": []},
        )
    )
    assert (error["code"], error["param"]) == ("item_not_found", "previous_item_id")
    driver.send_event("response.create")
    assert [text for _, text in driver.model_context()] == ["0", "1", "1.5", "2"]


def test_item_delete_removes_it_from_the_conversation() -> None:
    driver = SessionDriver()
    first, second = driver.create_message("1")["id"], driver.create_message("2")["id"]
    assert (
        single_event(driver.send_event("conversation.item.delete", item_id=first), "conversation.item.deleted")[
            "item_id"
        ]
        == first
    )
    assert single_error(driver.send_event("conversation.item.delete", item_id=first))["code"] == "item_not_found"
    driver.send_event("response.create")
    assert driver.item_ids == [second] and driver.model_context() == [("user", "2")]


def test_turn_deleted_before_its_transcript_gets_no_reply() -> None:
    driver = SessionDriver()
    driver.speak_turn(None)
    item_id = driver.last_work(Recognize).item_id
    events = driver.send_event("conversation.item.delete", item_id=item_id)
    assert event_types(events)[:2] == ["conversation.item.deleted", "response.done"]
    assert driver.deliver(FinalTranscript(item_id, "Hello", "en", 1)) == [] and not driver.all_work(Generate)


def test_item_deleted_before_generation_is_not_in_the_request() -> None:
    driver = SessionDriver()
    first = driver.create_message("1")["id"]
    driver.speak_turn(None)
    driver.send_event("conversation.item.delete", item_id=first)
    driver.deliver(FinalTranscript(driver.last_work(Recognize).item_id, "2", "en", 1))
    assert driver.model_context() == [("user", "2")]


def test_items_of_an_earlier_conversation_are_in_the_request() -> None:
    driver = SessionDriver(instructions="Be kind.")
    driver.create_message("You speak to Ada.", "system")
    driver.create_message("Hello")
    driver.create_message("Hi Ada", "assistant")
    spoken = {"type": "message", "role": "user", "content": [{"type": "input_audio", "transcript": "Bye"}]}
    driver.send_event("conversation.item.create", item={**spoken, "id": "mine"})
    call = {"type": "function_call", "name": "f", "arguments": "{}", "call_id": "call_1"}
    driver.send_event("conversation.item.create", item=call)
    driver.send_event("response.create")
    roles = [(message.role, message.text) for message in driver.last_work(Generate).request.messages]
    assert roles == [
        ("system", "Be kind."),
        ("system", "You speak to Ada."),
        ("user", "Hello"),
        ("assistant", "Hi Ada"),
        ("user", "Bye"),
        ("assistant", ""),
    ]
    assert (
        single_error(driver.send_event("conversation.item.create", item={**spoken, "id": "mine"}))["param"] == "item.id"
    )


@pytest.mark.parametrize(
    ("role", "part", "param"),
    [
        ("user", {"type": "output_text", "text": "x"}, "item.content[0].type"),
        ("assistant", {"type": "input_text", "text": "x"}, "item.content[0].type"),
        ("system", {"type": "input_audio", "audio": ""}, "item.content[0].type"),
        ("user", {"type": "input_image", "image_url": "data:"}, "item.content[0]"),
        ("user", {"type": "input_text"}, "item.content[0].text"),
        ("user", {"type": "input_text", "text": 5}, "item.content[0].text"),
        ("user", {"type": "input_audio"}, "item.content[0].audio"),
        ("assistant", {"type": "output_audio", "audio": "AAAA"}, "item.content[0].audio"),
        ("robot", {"type": "input_text", "text": "x"}, "item.role"),
    ],
)
def test_item_create_with_invalid_content_reports_its_path(role: str, part: dict[str, Any], param: str) -> None:
    item = {"type": "message", "role": role, "content": [part]}
    assert single_error(SessionDriver().send_event("conversation.item.create", item=item))["param"] == param


def test_audio_in_a_created_item_is_recognised_before_the_reply() -> None:
    driver = SessionDriver(audio={"input": {"transcription": {"model": "whisper-1"}}})
    sound = tone(500)
    parts = [
        {"type": "input_text", "text": "Listen:"},
        {"type": "input_audio", "audio": base64.b64encode(sound).decode()},
    ]
    item = driver.send_event("conversation.item.create", item={"type": "message", "role": "user", "content": parts})[0][
        "item"
    ]
    driver.send_event("response.create")
    assert driver.last_work(Recognize).audio == sound and not driver.all_work(Generate)
    events = driver.deliver(FinalTranscript(item["id"], "hello", "en", 0.5))
    assert single_event(events, "conversation.item.input_audio_transcription.completed")["content_index"] == 1
    assert driver.model_context() == [("user", "Listen:\nhello")]
    retrieved = driver.send_event("conversation.item.retrieve", item_id=item["id"])[0]["item"]
    assert base64.b64decode(retrieved["content"][1]["audio"]) == sound


def test_stored_audio_beyond_ten_minutes_drops_the_oldest() -> None:
    driver = SessionDriver(audio={"input": {"turn_detection": None}})
    first = ""
    for _ in range(3):
        driver.append_audio(silence(60_000) * 4, piece_ms=60_000)
        committed = driver.send_event("input_audio_buffer.commit")[0]
        first = first or committed["item_id"]
    parts = driver.send_event("conversation.item.retrieve", item_id=first)[0]["item"]["content"]
    assert parts[0]["audio"] == ""
    last = driver.send_event("conversation.item.retrieve", item_id=driver.item_ids[-1])[0]["item"]
    assert len(last["content"][0]["audio"]) > 1000


# ---------------------------------------------------------------------- formats


@pytest.mark.parametrize("kind", ["audio/pcmu", "audio/pcma"])
def test_g711_decode_table_has_the_values_of_the_standard(kind: str) -> None:
    meaning = g711_decode_table(kind)
    known = {"audio/pcmu": {0xFF: 0, 0x00: -32124, 0x80: 32124}, "audio/pcma": {0xD5: 8, 0x2A: -32256, 0xAA: 32256}}
    assert {code: int(meaning[code]) for code in known[kind]} == known[kind]
    assert len(set(meaning.tolist())) >= 255


@pytest.mark.parametrize("kind", ["audio/pcmu", "audio/pcma"])
def test_g711_round_trip_keeps_30_db_of_signal(kind: str) -> None:
    sound = np.frombuffer(tone(500), np.int16).astype(float)
    wire = encode_audio(kind, tone(500))
    assert len(wire) == 4000
    back = np.frombuffer(decode_recording(kind, wire, "x"), np.int16).astype(float)[: len(sound)]
    middle = slice(2400, 9600)
    noise = np.mean((sound[middle] - back[middle]) ** 2)
    assert 10 * math.log10(np.mean(sound[middle] ** 2) / noise) > 30


def test_mulaw_session_converts_input_and_output() -> None:
    wire = {"type": "audio/pcmu"}
    driver = SessionDriver(audio={"input": {"format": wire}, "output": {"format": wire}})
    sound = encode_audio("audio/pcmu", tone(800) + silence(400))
    events = []
    for start in range(0, len(sound), 160):
        audio = base64.b64encode(sound[start : start + 160]).decode()
        events += driver.send_event("input_audio_buffer.append", audio=audio)
    assert "input_audio_buffer.committed" in event_types(events)
    driver.deliver(FinalTranscript(driver.last_work(Recognize).item_id, "Hello.", "en", 1))
    spoken = driver.deliver_speech("Hi.", ms=1000)
    deltas = [base64.b64decode(event["delta"]) for event in spoken if event["type"] == "response.output_audio.delta"]
    assert sum(map(len, deltas)) == 8000 and len(deltas) == 5
    item_id = spoken[0]["item"]["id"]
    driver.append_audio(b"", 20)
    assert event_types(send_truncate(driver, item_id, 500)) == ["conversation.item.truncated"]
    item = driver.send_event("conversation.item.retrieve", item_id=item_id)[0]["item"]
    assert len(base64.b64decode(item["content"][0]["audio"])) == 4000
