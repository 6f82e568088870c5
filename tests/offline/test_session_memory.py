"""Interruption and memory: what is cut, what the model remembers, how items are ordered; audio formats."""

from __future__ import annotations

import base64
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from offline.audio_formats import decode_all, decode_table, encode
from offline.items import WORD, Part, begun
from offline.work import Generate, Message, Prefill, Recognize, Recognized, ReplySpeech, Stop
from tests.offline.bench import Bench, error_of, kinds, only
from tests.offline.scripted import silence, tone
from tests.offline.test_session_turns import SPOKEN_END


def answered(*clauses: str, ms: int = 1000, **session: Any) -> tuple[Bench, str]:
    """A session in the middle of a spoken reply, and the reply's item id."""
    bench = Bench(**session)
    bench.say("Tell me a story.")
    events = bench.speak(*clauses, ms=ms)
    return bench, only(events, "response.output_item.added")["item"]["id"]


def truncate(bench: Bench, item_id: str, ms: int) -> list[dict[str, Any]]:
    """`conversation.item.truncate`."""
    return bench.client("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=ms)


# ---------------------------------------------------------------------- barge-in


def test_speaking_stops_the_reply_and_the_cut_is_remembered() -> None:
    bench, item_id = answered("Once upon a time,", " there was a small blue house.")
    active = bench.last(Generate).response_id
    events = bench.append(tone(300))
    assert kinds(events) == ["input_audio_buffer.speech_started", *SPOKEN_END]
    done = only(events, "response.done")["response"]
    assert done["status_details"] == {"type": "cancelled", "reason": "turn_detected"}
    assert only(events, "conversation.item.done")["item"]["status"] == "incomplete"
    assert bench.last(Stop).response_id == active
    assert bench.give(ReplySpeech(active, " It was late.", tone(100))) == []
    assert truncate(bench, item_id, 1500) == [
        {
            "type": "conversation.item.truncated",
            "event_id": bench.witness.events[-1]["event_id"],
            "item_id": item_id,
            "content_index": 0,
            "audio_end_ms": 1500,
        }
    ]
    assert bench.last(Prefill).request.messages[-1] == Message("assistant", "Once upon a time, there was a")
    bench.append(silence(300))
    bench.give(Recognized(bench.last(Recognize).item_id, "Stop.", "en", 0.5))
    assert bench.memory() == [
        ("user", "Tell me a story."),
        ("assistant", "Once upon a time, there was a"),
        ("user", "Stop."),
    ]


def test_a_finished_reply_can_still_be_cut() -> None:
    bench, item_id = answered("One.", " Two.", " Three.")
    bench.finish()
    assert "response.done" not in kinds(bench.append(tone(300)))
    assert kinds(truncate(bench, item_id, 2000)) == ["conversation.item.truncated"]
    assert bench.last(Prefill).request.messages[-1].text == "One. Two."
    item = bench.client("conversation.item.retrieve", item_id=item_id)[0]["item"]
    assert item["content"][0]["transcript"] is None
    assert len(base64.b64decode(item["content"][0]["audio"])) == 2000 * 48


def test_a_reply_of_which_nothing_was_heard_is_not_remembered() -> None:
    bench, item_id = answered("One.")
    bench.append(tone(300))
    truncate(bench, item_id, 0)
    assert bench.last(Prefill).request.messages[-1] == Message("user", "Tell me a story.")


def test_a_reply_cut_while_it_goes_on_is_not_remembered_further() -> None:
    bench, item_id = answered(
        "One.", audio={"input": {"turn_detection": {"type": "server_vad", "interrupt_response": False}}}
    )
    assert "response.done" not in kinds(bench.append(tone(300)))
    truncate(bench, item_id, 1000)
    bench.speak(" Two.")
    assert error_of(truncate(bench, item_id, 1500))["code"] == "invalid_value"
    bench.client("response.cancel")
    assert bench.last(Prefill).request.messages[-1].text == "One."


def test_what_cannot_be_truncated() -> None:
    bench, item_id = answered("One.")
    error = error_of(truncate(bench, item_id, 1001))
    assert error["message"] == "Audio content of 1000ms is already shorter than 1001ms"
    assert error_of(truncate(bench, item_id, -1))["code"] == "invalid_value"
    assert error_of(truncate(bench, "item_x", 0))["code"] == "item_not_found"
    only_model = "Only model output audio messages can be truncated."
    typed = bench.write("Hi", "assistant")["id"]
    for other in (bench.last(Recognize).item_id, typed):
        error = error_of(truncate(bench, other, 0))
        assert (error["code"], error["message"]) == (None, only_model)
    events = bench.client("conversation.item.truncate", item_id=item_id, content_index=1, audio_end_ms=0)
    assert error_of(events)["message"] == only_model


def test_a_turn_beside_a_reply_that_may_not_be_interrupted_is_answered_after_it() -> None:
    bench, _ = answered(
        "One.", audio={"input": {"turn_detection": {"type": "server_vad", "interrupt_response": False}}}
    )
    assert "response.created" not in kinds(bench.say("And then?"))
    events = bench.finish()
    assert kinds(events)[-3:] == ["response.done", "rate_limits.updated", "response.created"]
    assert bench.memory() == [("user", "Tell me a story."), ("assistant", "One."), ("user", "And then?")]
    assert kinds(bench.finish()) == ["response.done", "rate_limits.updated"]


def test_a_turn_beside_a_reply_that_was_deleted_meanwhile_is_not_answered() -> None:
    """A client that decides about interruptions by itself takes a cough out."""
    bench, _ = answered(
        "One.", audio={"input": {"turn_detection": {"type": "server_vad", "interrupt_response": False}}}
    )
    bench.say("")
    bench.client("conversation.item.delete", item_id=bench.last(Recognize).item_id)
    assert kinds(bench.finish())[-2:] == ["response.done", "rate_limits.updated"]


def test_a_turn_that_waits_is_not_answered_over_the_next_one() -> None:
    bench, _ = answered(
        "One.", audio={"input": {"turn_detection": {"type": "server_vad", "interrupt_response": False}}}
    )
    bench.say("And then?")
    bench.update(audio={"input": {"turn_detection": {"interrupt_response": True}}})
    events = bench.append(tone(300))
    assert "response.done" in kinds(events) and "response.created" not in kinds(events)


def test_interrupting_before_the_words_are_known_answers_both_turns() -> None:
    bench = Bench()
    bench.say(None)
    first = bench.last(Recognize).item_id
    events = bench.append(tone(300))
    assert only(events, "response.done")["response"]["status_details"]["reason"] == "turn_detected"
    bench.append(silence(300))
    bench.give(Recognized(bench.last(Recognize).item_id, "world", "en", 1))
    assert not bench.all(Generate)
    bench.give(Recognized(first, "Hello", "en", 1))
    assert bench.memory() == [("user", "Hello"), ("user", "world")]


@given(st.lists(st.text(alphabet="ab ,.你好。", max_size=12), max_size=4), st.integers(0, 5000))
def test_what_was_heard_begins_what_was_said(clauses: list[str], cut: int) -> None:
    part = Part("output_audio")
    for clause in clauses:
        part.add_sound(clause, bytes(480 * 48))
    total = part.ms
    heard_before = ""
    for ms in sorted({min(cut, int(total)), int(total) // 2, int(total)}):
        part.cut_ms = ms
        heard = part.heard()
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
    assert begun(text, share) == heard
    assert "".join(WORD.findall(text)) == text


# ---------------------------------------------------------------------- items


def test_items_are_placed_where_the_client_says() -> None:
    bench = Bench()
    first, second = bench.write("1")["id"], bench.write("2")["id"]
    between = bench.write("1.5", previous_item_id=first)["id"]
    front = bench.write("0", previous_item_id="root")["id"]
    assert bench.session.item_ids == [front, first, between, second] == bench.witness.order
    error = error_of(
        bench.client(
            "conversation.item.create",
            previous_item_id="item_x",
            item={"type": "message", "role": "user", "content": []},
        )
    )
    assert (error["code"], error["param"]) == ("item_not_found", "previous_item_id")
    bench.client("response.create")
    assert [text for _, text in bench.memory()] == ["0", "1", "1.5", "2"]


def test_items_are_deleted() -> None:
    bench = Bench()
    first, second = bench.write("1")["id"], bench.write("2")["id"]
    assert (
        only(bench.client("conversation.item.delete", item_id=first), "conversation.item.deleted")["item_id"] == first
    )
    assert error_of(bench.client("conversation.item.delete", item_id=first))["code"] == "item_not_found"
    bench.client("response.create")
    assert bench.session.item_ids == [second] and bench.memory() == [("user", "2")]


def test_a_turn_deleted_before_its_words_are_known_is_not_answered() -> None:
    bench = Bench()
    bench.say(None)
    item_id = bench.last(Recognize).item_id
    events = bench.client("conversation.item.delete", item_id=item_id)
    assert kinds(events)[:2] == ["conversation.item.deleted", "response.done"]
    assert bench.give(Recognized(item_id, "Hello", "en", 1)) == [] and not bench.all(Generate)


def test_an_item_deleted_before_a_reply_is_generated_is_not_part_of_it() -> None:
    bench = Bench()
    first = bench.write("1")["id"]
    bench.say(None)
    bench.client("conversation.item.delete", item_id=first)
    bench.give(Recognized(bench.last(Recognize).item_id, "2", "en", 1))
    assert bench.memory() == [("user", "2")]


def test_items_of_a_former_conversation_are_remembered() -> None:
    bench = Bench(instructions="Be kind.")
    bench.write("You speak to Ada.", "system")
    bench.write("Hello")
    bench.write("Hi Ada", "assistant")
    spoken = {"type": "message", "role": "user", "content": [{"type": "input_audio", "transcript": "Bye"}]}
    bench.client("conversation.item.create", item={**spoken, "id": "mine"})
    call = {"type": "function_call", "name": "f", "arguments": "{}", "call_id": "call_1"}
    bench.client("conversation.item.create", item=call)
    bench.client("response.create")
    roles = [(message.role, message.text) for message in bench.last(Generate).request.messages]
    assert roles == [
        ("system", "Be kind."),
        ("system", "You speak to Ada."),
        ("user", "Hello"),
        ("assistant", "Hi Ada"),
        ("user", "Bye"),
        ("assistant", ""),
    ]
    assert error_of(bench.client("conversation.item.create", item={**spoken, "id": "mine"}))["param"] == "item.id"


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
    assert error_of(Bench().client("conversation.item.create", item=item))["param"] == param


def test_sound_in_an_item_is_recognised() -> None:
    bench = Bench(audio={"input": {"transcription": {"model": "whisper-1"}}})
    sound = tone(500)
    parts = [
        {"type": "input_text", "text": "Listen:"},
        {"type": "input_audio", "audio": base64.b64encode(sound).decode()},
    ]
    item = bench.client("conversation.item.create", item={"type": "message", "role": "user", "content": parts})[0][
        "item"
    ]
    bench.client("response.create")
    assert bench.last(Recognize).audio == sound and not bench.all(Generate)
    events = bench.give(Recognized(item["id"], "hello", "en", 0.5))
    assert only(events, "conversation.item.input_audio_transcription.completed")["content_index"] == 1
    assert bench.memory() == [("user", "Listen:\nhello")]
    retrieved = bench.client("conversation.item.retrieve", item_id=item["id"])[0]["item"]
    assert base64.b64decode(retrieved["content"][1]["audio"]) == sound


def test_stored_sound_is_bounded() -> None:
    bench = Bench(audio={"input": {"turn_detection": None}})
    first = ""
    for _ in range(3):
        bench.append(silence(60_000) * 4, piece_ms=60_000)
        committed = bench.client("input_audio_buffer.commit")[0]
        first = first or committed["item_id"]
    parts = bench.client("conversation.item.retrieve", item_id=first)[0]["item"]["content"]
    assert parts[0]["audio"] == ""
    last = bench.client("conversation.item.retrieve", item_id=bench.session.item_ids[-1])[0]["item"]
    assert len(last["content"][0]["audio"]) > 1000


# ---------------------------------------------------------------------- formats


@pytest.mark.parametrize("kind", ["audio/pcmu", "audio/pcma"])
def test_g711_is_what_the_standard_says(kind: str) -> None:
    meaning = decode_table(kind)
    known = {"audio/pcmu": {0xFF: 0, 0x00: -32124, 0x80: 32124}, "audio/pcma": {0xD5: 8, 0x2A: -32256, 0xAA: 32256}}
    assert {code: int(meaning[code]) for code in known[kind]} == known[kind]
    assert len(set(meaning.tolist())) >= 255


@pytest.mark.parametrize("kind", ["audio/pcmu", "audio/pcma"])
def test_g711_carries_sound(kind: str) -> None:
    sound = np.frombuffer(tone(500), np.int16).astype(float)
    wire = encode(kind, tone(500))
    assert len(wire) == 4000
    back = np.frombuffer(decode_all(kind, wire, "x"), np.int16).astype(float)[: len(sound)]
    middle = slice(2400, 9600)
    noise = np.mean((sound[middle] - back[middle]) ** 2)
    assert 10 * math.log10(np.mean(sound[middle] ** 2) / noise) > 30


def test_a_telephone_call() -> None:
    wire = {"type": "audio/pcmu"}
    bench = Bench(audio={"input": {"format": wire}, "output": {"format": wire}})
    sound = encode("audio/pcmu", tone(800) + silence(400))
    events = []
    for start in range(0, len(sound), 160):
        audio = base64.b64encode(sound[start : start + 160]).decode()
        events += bench.client("input_audio_buffer.append", audio=audio)
    assert "input_audio_buffer.committed" in kinds(events)
    bench.give(Recognized(bench.last(Recognize).item_id, "Hello.", "en", 1))
    spoken = bench.speak("Hi.", ms=1000)
    deltas = [base64.b64decode(event["delta"]) for event in spoken if event["type"] == "response.output_audio.delta"]
    assert sum(map(len, deltas)) == 8000 and len(deltas) == 5
    item_id = spoken[0]["item"]["id"]
    bench.append(b"", 20)
    assert kinds(truncate(bench, item_id, 500)) == ["conversation.item.truncated"]
    item = bench.client("conversation.item.retrieve", item_id=item_id)[0]["item"]
    assert len(base64.b64decode(item["content"][0]["audio"])) == 4000
