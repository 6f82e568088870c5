"""Interruption and memory: what is cut, what the model remembers, how items are ordered; audio formats."""

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

from .test_input_turns import SPOKEN_ENDING


def session_with_reply(*clauses: str, ms: int = 1000, **session: Any) -> tuple[SessionDriver, str]:
    """A session in the middle of a spoken reply, and the reply's item id."""
    bench = SessionDriver(**session)
    bench.speak_turn("Tell me a story.")
    events = bench.deliver_speech(*clauses, ms=ms)
    return bench, single_event(events, "response.output_item.added")["item"]["id"]


def send_truncate(bench: SessionDriver, item_id: str, ms: int) -> list[dict[str, Any]]:
    """`conversation.item.truncate`."""
    return bench.send_event("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=ms)


# ---------------------------------------------------------------------- barge-in


def test_speaking_stops_the_reply_and_the_cut_is_remembered() -> None:
    bench, item_id = session_with_reply("Once upon a time,", " there was a small blue house.")
    active = bench.last_work(Generate).response_id
    events = bench.append_audio(tone(300))
    assert event_types(events) == ["input_audio_buffer.speech_started", *SPOKEN_ENDING]
    done = single_event(events, "response.done")["response"]
    assert done["status_details"] == {"type": "cancelled", "reason": "turn_detected"}
    assert single_event(events, "conversation.item.done")["item"]["status"] == "incomplete"
    assert bench.last_work(StopGeneration).response_id == active
    assert bench.deliver(ReplySpeech(active, " It was late.", tone(100))) == []
    assert send_truncate(bench, item_id, 1500) == [
        {
            "type": "conversation.item.truncated",
            "event_id": bench.checker.events[-1]["event_id"],
            "item_id": item_id,
            "content_index": 0,
            "audio_end_ms": 1500,
        }
    ]
    assert bench.last_work(Prefill).request.messages[-1] == LlmMessage("assistant", "Once upon a time, there was a")
    bench.append_audio(silence(300))
    bench.deliver(FinalTranscript(bench.last_work(Recognize).item_id, "Stop.", "en", 0.5))
    assert bench.model_context() == [
        ("user", "Tell me a story."),
        ("assistant", "Once upon a time, there was a"),
        ("user", "Stop."),
    ]


def test_a_finished_reply_can_still_be_cut() -> None:
    bench, item_id = session_with_reply("One.", " Two.", " Three.")
    bench.finish_reply()
    assert "response.done" not in event_types(bench.append_audio(tone(300)))
    assert event_types(send_truncate(bench, item_id, 2000)) == ["conversation.item.truncated"]
    assert bench.last_work(Prefill).request.messages[-1].text == "One. Two."
    item = bench.send_event("conversation.item.retrieve", item_id=item_id)[0]["item"]
    assert item["content"][0]["transcript"] is None
    assert len(base64.b64decode(item["content"][0]["audio"])) == 2000 * 48


def test_a_reply_of_which_nothing_was_heard_is_not_remembered() -> None:
    bench, item_id = session_with_reply("One.")
    bench.append_audio(tone(300))
    send_truncate(bench, item_id, 0)
    assert bench.last_work(Prefill).request.messages[-1] == LlmMessage("user", "Tell me a story.")


def test_a_reply_cut_while_it_goes_on_is_not_remembered_further() -> None:
    bench, item_id = session_with_reply(
        "One.", audio={"input": {"turn_detection": {"type": "server_vad", "interrupt_response": False}}}
    )
    assert "response.done" not in event_types(bench.append_audio(tone(300)))
    send_truncate(bench, item_id, 1000)
    bench.deliver_speech(" Two.")
    assert single_error(send_truncate(bench, item_id, 1500))["code"] == "invalid_value"
    bench.send_event("response.cancel")
    assert bench.last_work(Prefill).request.messages[-1].text == "One."


def test_what_cannot_be_truncated() -> None:
    bench, item_id = session_with_reply("One.")
    error = single_error(send_truncate(bench, item_id, 1001))
    assert error["message"] == "Audio content of 1000ms is already shorter than 1001ms"
    assert single_error(send_truncate(bench, item_id, -1))["code"] == "invalid_value"
    assert single_error(send_truncate(bench, "item_x", 0))["code"] == "item_not_found"
    only_model = "Only model output audio messages can be truncated."
    typed = bench.create_message("Hi", "assistant")["id"]
    for other in (bench.last_work(Recognize).item_id, typed):
        error = single_error(send_truncate(bench, other, 0))
        assert (error["code"], error["message"]) == (None, only_model)
    events = bench.send_event("conversation.item.truncate", item_id=item_id, content_index=1, audio_end_ms=0)
    assert single_error(events)["message"] == only_model


def test_a_turn_beside_a_reply_that_may_not_be_interrupted_is_answered_after_it() -> None:
    bench, _ = session_with_reply(
        "One.", audio={"input": {"turn_detection": {"type": "server_vad", "interrupt_response": False}}}
    )
    assert "response.created" not in event_types(bench.speak_turn("And then?"))
    events = bench.finish_reply()
    assert event_types(events)[-3:] == ["response.done", "rate_limits.updated", "response.created"]
    assert bench.model_context() == [("user", "Tell me a story."), ("assistant", "One."), ("user", "And then?")]
    assert event_types(bench.finish_reply()) == ["response.done", "rate_limits.updated"]


def test_a_turn_beside_a_reply_that_was_deleted_meanwhile_is_not_answered() -> None:
    """A client that decides about interruptions by itself takes a cough out."""
    bench, _ = session_with_reply(
        "One.", audio={"input": {"turn_detection": {"type": "server_vad", "interrupt_response": False}}}
    )
    bench.speak_turn("")
    bench.send_event("conversation.item.delete", item_id=bench.last_work(Recognize).item_id)
    assert event_types(bench.finish_reply())[-2:] == ["response.done", "rate_limits.updated"]


def test_a_turn_that_waits_is_not_answered_over_the_next_one() -> None:
    bench, _ = session_with_reply(
        "One.", audio={"input": {"turn_detection": {"type": "server_vad", "interrupt_response": False}}}
    )
    bench.speak_turn("And then?")
    bench.update(audio={"input": {"turn_detection": {"interrupt_response": True}}})
    events = bench.append_audio(tone(300))
    assert "response.done" in event_types(events) and "response.created" not in event_types(events)


def test_interrupting_before_the_words_are_known_answers_both_turns() -> None:
    bench = SessionDriver()
    bench.speak_turn(None)
    first = bench.last_work(Recognize).item_id
    events = bench.append_audio(tone(300))
    assert single_event(events, "response.done")["response"]["status_details"]["reason"] == "turn_detected"
    bench.append_audio(silence(300))
    bench.deliver(FinalTranscript(bench.last_work(Recognize).item_id, "world", "en", 1))
    assert not bench.all_work(Generate)
    bench.deliver(FinalTranscript(first, "Hello", "en", 1))
    assert bench.model_context() == [("user", "Hello"), ("user", "world")]


@given(st.lists(st.text(alphabet="ab ,.你好。", max_size=12), max_size=4), st.integers(0, 5000))
def test_what_was_heard_begins_what_was_said(clauses: list[str], cut: int) -> None:
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
    ],
)
def test_words_up_to_a_share(text: str, share: float, heard: str) -> None:
    assert played_words(text, share) == heard
    assert "".join(WORD_PATTERN.findall(text)) == text


# ---------------------------------------------------------------------- items


def test_items_are_placed_where_the_client_says() -> None:
    bench = SessionDriver()
    first, second = bench.create_message("1")["id"], bench.create_message("2")["id"]
    between = bench.create_message("1.5", previous_item_id=first)["id"]
    front = bench.create_message("0", previous_item_id="root")["id"]
    assert bench.item_ids == [front, first, between, second] == bench.checker.item_order
    error = single_error(
        bench.send_event(
            "conversation.item.create",
            previous_item_id="item_x",
            item={"type": "message", "role": "user", "content": []},
        )
    )
    assert (error["code"], error["param"]) == ("item_not_found", "previous_item_id")
    bench.send_event("response.create")
    assert [text for _, text in bench.model_context()] == ["0", "1", "1.5", "2"]


def test_items_are_deleted() -> None:
    bench = SessionDriver()
    first, second = bench.create_message("1")["id"], bench.create_message("2")["id"]
    assert (
        single_event(bench.send_event("conversation.item.delete", item_id=first), "conversation.item.deleted")[
            "item_id"
        ]
        == first
    )
    assert single_error(bench.send_event("conversation.item.delete", item_id=first))["code"] == "item_not_found"
    bench.send_event("response.create")
    assert bench.item_ids == [second] and bench.model_context() == [("user", "2")]


def test_a_turn_deleted_before_its_words_are_known_is_not_answered() -> None:
    bench = SessionDriver()
    bench.speak_turn(None)
    item_id = bench.last_work(Recognize).item_id
    events = bench.send_event("conversation.item.delete", item_id=item_id)
    assert event_types(events)[:2] == ["conversation.item.deleted", "response.done"]
    assert bench.deliver(FinalTranscript(item_id, "Hello", "en", 1)) == [] and not bench.all_work(Generate)


def test_an_item_deleted_before_a_reply_is_generated_is_not_part_of_it() -> None:
    bench = SessionDriver()
    first = bench.create_message("1")["id"]
    bench.speak_turn(None)
    bench.send_event("conversation.item.delete", item_id=first)
    bench.deliver(FinalTranscript(bench.last_work(Recognize).item_id, "2", "en", 1))
    assert bench.model_context() == [("user", "2")]


def test_items_of_a_former_conversation_are_remembered() -> None:
    bench = SessionDriver(instructions="Be kind.")
    bench.create_message("You speak to Ada.", "system")
    bench.create_message("Hello")
    bench.create_message("Hi Ada", "assistant")
    spoken = {"type": "message", "role": "user", "content": [{"type": "input_audio", "transcript": "Bye"}]}
    bench.send_event("conversation.item.create", item={**spoken, "id": "mine"})
    call = {"type": "function_call", "name": "f", "arguments": "{}", "call_id": "call_1"}
    bench.send_event("conversation.item.create", item=call)
    bench.send_event("response.create")
    roles = [(message.role, message.text) for message in bench.last_work(Generate).request.messages]
    assert roles == [
        ("system", "Be kind."),
        ("system", "You speak to Ada."),
        ("user", "Hello"),
        ("assistant", "Hi Ada"),
        ("user", "Bye"),
        ("assistant", ""),
    ]
    assert (
        single_error(bench.send_event("conversation.item.create", item={**spoken, "id": "mine"}))["param"] == "item.id"
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
def test_items_that_cannot_be(role: str, part: dict[str, Any], param: str) -> None:
    item = {"type": "message", "role": role, "content": [part]}
    assert single_error(SessionDriver().send_event("conversation.item.create", item=item))["param"] == param


def test_sound_in_an_item_is_recognised() -> None:
    bench = SessionDriver(audio={"input": {"transcription": {"model": "whisper-1"}}})
    sound = tone(500)
    parts = [
        {"type": "input_text", "text": "Listen:"},
        {"type": "input_audio", "audio": base64.b64encode(sound).decode()},
    ]
    item = bench.send_event("conversation.item.create", item={"type": "message", "role": "user", "content": parts})[0][
        "item"
    ]
    bench.send_event("response.create")
    assert bench.last_work(Recognize).audio == sound and not bench.all_work(Generate)
    events = bench.deliver(FinalTranscript(item["id"], "hello", "en", 0.5))
    assert single_event(events, "conversation.item.input_audio_transcription.completed")["content_index"] == 1
    assert bench.model_context() == [("user", "Listen:\nhello")]
    retrieved = bench.send_event("conversation.item.retrieve", item_id=item["id"])[0]["item"]
    assert base64.b64decode(retrieved["content"][1]["audio"]) == sound


def test_stored_sound_is_bounded() -> None:
    bench = SessionDriver(audio={"input": {"turn_detection": None}})
    first = ""
    for _ in range(3):
        bench.append_audio(silence(60_000) * 4, piece_ms=60_000)
        committed = bench.send_event("input_audio_buffer.commit")[0]
        first = first or committed["item_id"]
    parts = bench.send_event("conversation.item.retrieve", item_id=first)[0]["item"]["content"]
    assert parts[0]["audio"] == ""
    last = bench.send_event("conversation.item.retrieve", item_id=bench.item_ids[-1])[0]["item"]
    assert len(last["content"][0]["audio"]) > 1000


# ---------------------------------------------------------------------- formats


@pytest.mark.parametrize("kind", ["audio/pcmu", "audio/pcma"])
def test_g711_is_what_the_standard_says(kind: str) -> None:
    meaning = g711_decode_table(kind)
    known = {"audio/pcmu": {0xFF: 0, 0x00: -32124, 0x80: 32124}, "audio/pcma": {0xD5: 8, 0x2A: -32256, 0xAA: 32256}}
    assert {code: int(meaning[code]) for code in known[kind]} == known[kind]
    assert len(set(meaning.tolist())) >= 255


@pytest.mark.parametrize("kind", ["audio/pcmu", "audio/pcma"])
def test_g711_carries_sound(kind: str) -> None:
    sound = np.frombuffer(tone(500), np.int16).astype(float)
    wire = encode_audio(kind, tone(500))
    assert len(wire) == 4000
    back = np.frombuffer(decode_recording(kind, wire, "x"), np.int16).astype(float)[: len(sound)]
    middle = slice(2400, 9600)
    noise = np.mean((sound[middle] - back[middle]) ** 2)
    assert 10 * math.log10(np.mean(sound[middle] ** 2) / noise) > 30


def test_a_telephone_call() -> None:
    wire = {"type": "audio/pcmu"}
    bench = SessionDriver(audio={"input": {"format": wire}, "output": {"format": wire}})
    sound = encode_audio("audio/pcmu", tone(800) + silence(400))
    events = []
    for start in range(0, len(sound), 160):
        audio = base64.b64encode(sound[start : start + 160]).decode()
        events += bench.send_event("input_audio_buffer.append", audio=audio)
    assert "input_audio_buffer.committed" in event_types(events)
    bench.deliver(FinalTranscript(bench.last_work(Recognize).item_id, "Hello.", "en", 1))
    spoken = bench.deliver_speech("Hi.", ms=1000)
    deltas = [base64.b64decode(event["delta"]) for event in spoken if event["type"] == "response.output_audio.delta"]
    assert sum(map(len, deltas)) == 8000 and len(deltas) == 5
    item_id = spoken[0]["item"]["id"]
    bench.append_audio(b"", 20)
    assert event_types(send_truncate(bench, item_id, 500)) == ["conversation.item.truncated"]
    item = bench.send_event("conversation.item.retrieve", item_id=item_id)[0]["item"]
    assert len(base64.b64decode(item["content"][0]["audio"])) == 4000
