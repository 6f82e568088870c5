"""The session's orders and shapes: settings, text turns, spoken turns, responses, tools, usage."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from offline.work import (
    Generate,
    Listening,
    Message,
    Paused,
    Prefill,
    RecognitionFailed,
    Recognize,
    Recognized,
    ReplyDone,
    ReplySpeech,
    Resumed,
    Stop,
    ToolCall,
)
from tests.offline.bench import Bench, error_of, kinds, only
from tests.offline.scripted import silence, tone

WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "Look up the weather for a city.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
SPOKEN_LADDER = [
    "response.output_item.added",
    "conversation.item.added",
    "response.content_part.added",
    "response.output_audio_transcript.delta",
    "response.output_audio.delta",
    "response.output_audio.delta",
]
SPOKEN_END = [
    "response.output_audio.done",
    "response.output_audio_transcript.done",
    "response.content_part.done",
    "conversation.item.done",
    "response.output_item.done",
    "response.done",
    "rate_limits.updated",
]


def captioned(**more: Any) -> dict[str, Any]:
    """Session settings with input transcription."""
    return {"audio": {"input": {"transcription": {"model": "whisper-1"}, **more}}}


def manual() -> dict[str, Any]:
    """Session settings without a turn detector."""
    return {"audio": {"input": {"turn_detection": None}}}


# ---------------------------------------------------------------------- session


def test_a_fresh_session_tells_every_setting() -> None:
    session = Bench().created["session"]
    assert session.pop("id").startswith("sess_")
    assert len(session.pop("instructions")) > 20
    assert session == {
        "type": "realtime",
        "object": "realtime.session",
        "model": "offline",
        "output_modalities": ["audio"],
        "tools": [],
        "tool_choice": "auto",
        "max_output_tokens": "inf",
        "tracing": None,
        "truncation": "auto",
        "prompt": None,
        "expires_at": 1_800_003_600,
        "audio": {
            "input": {
                "format": {"type": "audio/pcm", "rate": 24000},
                "transcription": None,
                "noise_reduction": None,
                "turn_detection": {
                    "type": "server_vad",
                    "threshold": 0.5,
                    "prefix_padding_ms": 300,
                    "silence_duration_ms": 200,
                    "idle_timeout_ms": None,
                    "create_response": True,
                    "interrupt_response": True,
                },
            },
            "output": {"format": {"type": "audio/pcm", "rate": 24000}, "voice": "alloy", "speed": 1.0},
        },
        "include": None,
    }


def test_identifiers_look_like_the_real_ones() -> None:
    bench = Bench(output_modalities=["text"], tools=[WEATHER])
    item = bench.write("Weather in London?")
    response = only(bench.client("response.create"), "response.created")["response"]
    call = bench.call("get_weather", "{}")[0]["item"]
    for value, prefix, length in [
        (bench.created["event_id"], "event_", 21),
        (item["id"], "item_", 21),
        (response["id"], "resp_", 21),
        (response["conversation_id"], "conv_", 21),
        (call["call_id"], "call_", 16),
    ]:
        assert value.startswith(prefix) and value.removeprefix(prefix).isalnum()
        assert len(value) == len(prefix) + length


def test_an_update_changes_only_what_it_names() -> None:
    bench = Bench()
    before = bench.created["session"]
    after = only(
        bench.update(
            instructions="Be brief.",
            audio={
                "input": {"turn_detection": {"type": "server_vad", "silence_duration_ms": 500}},
                "output": {"voice": "marin"},
            },
        ),
        "session.updated",
    )["session"]
    expected = {
        **before,
        "instructions": "Be brief.",
        "audio": {
            "input": {
                **before["audio"]["input"],
                "turn_detection": {**before["audio"]["input"]["turn_detection"], "silence_duration_ms": 500},
            },
            "output": {**before["audio"]["output"], "voice": "marin"},
        },
    }
    assert after == expected


def test_an_update_clears_and_switches() -> None:
    bench = Bench(tools=[WEATHER], instructions="x", **captioned())
    after = bench.update(
        tools=[],
        instructions="",
        audio={"input": {"transcription": None, "turn_detection": {"type": "semantic_vad", "eagerness": "high"}}},
    )[0]["session"]
    assert (after["tools"], after["instructions"], after["audio"]["input"]["transcription"]) == ([], "", None)
    assert after["audio"]["input"]["turn_detection"] == {
        "type": "semantic_vad",
        "eagerness": "high",
        "create_response": True,
        "interrupt_response": True,
    }
    assert (
        bench.update(audio={"input": {"turn_detection": None}})[0]["session"]["audio"]["input"]["turn_detection"]
        is None
    )


@pytest.mark.parametrize(
    ("session", "code", "param"),
    [
        ({"instructions": "x"}, "missing_required_parameter", "session.type"),
        ({"type": "transcription"}, "invalid_value", "session.type"),
        ({"type": "realtime", "input_audio_format": "pcm16"}, "unknown_parameter", "session.input_audio_format"),
        ({"type": "realtime", "temperature": 0.8}, "unknown_parameter", "session.temperature"),
        ({"type": "realtime", "output_modalities": ["audio", "text"]}, "invalid_value", "session.output_modalities"),
        ({"type": "realtime", "model": "another"}, "invalid_value", "session.model"),
        ({"type": "realtime", "instructions": None}, "invalid_type", "session.instructions"),
        ({"type": "realtime", "max_output_tokens": 5000}, "invalid_value", "session.max_output_tokens"),
        ({"type": "realtime", "max_output_tokens": True}, "invalid_type", "session.max_output_tokens"),
        ({"type": "realtime", "audio": {"output": {"speed": 2}}}, "invalid_value", "session.audio.output.speed"),
        ({"type": "realtime", "audio": {"output": {"speed": None}}}, "invalid_type", "session.audio.output.speed"),
        (
            {"type": "realtime", "audio": {"input": {"format": {"type": "audio/pcm", "rate": 16000}}}},
            "invalid_value",
            "session.audio.input.format.rate",
        ),
        (
            {"type": "realtime", "audio": {"input": {"turn_detection": {"type": "server_vad", "eagerness": "low"}}}},
            "unknown_parameter",
            "session.audio.input.turn_detection.eagerness",
        ),
        (
            {"type": "realtime", "audio": {"input": {"turn_detection": {"idle_timeout_ms": 100}}}},
            "invalid_value",
            "session.audio.input.turn_detection.idle_timeout_ms",
        ),
        ({"type": "realtime", "tools": [{"type": "mcp", "server_label": "x"}]}, "invalid_value", "session.tools[0]"),
        ({"type": "realtime", "tools": [{"type": "function"}]}, "missing_required_parameter", "session.tools[0].name"),
        ({"type": "realtime", "tool_choice": "always"}, "invalid_value", "session.tool_choice"),
        (
            {"type": "realtime", "tool_choice": {"type": "function", "name": "none_such"}},
            "invalid_value",
            "session.tool_choice",
        ),
        ("realtime", "invalid_type", "session"),
    ],
)
def test_one_bad_key_rejects_the_whole_update(session: Any, code: str, param: str) -> None:
    bench = Bench()
    both = {"instructions": "changed", **session} if isinstance(session, dict) else session
    error = error_of(bench.client("session.update", session=both, event_id="mine"))
    assert (error["type"], error["code"], error["param"]) == ("invalid_request_error", code, param)
    assert error["event_id"] == "mine"
    after = bench.update()[0]["session"]
    assert after == bench.created["session"]


def test_the_voice_is_fixed_once_it_was_heard() -> None:
    bench = Bench()
    bench.update(audio={"output": {"voice": "cedar"}})
    bench.write("Hello")
    bench.client("response.create")
    bench.speak("Hi.")
    bench.finish()
    assert error_of(bench.update(audio={"output": {"voice": "marin"}}))["code"] == "cannot_update_voice"
    assert kinds(bench.update(audio={"output": {"voice": "cedar", "speed": 1.1}})) == ["session.updated"]
    other = {"audio": {"output": {"voice": "marin"}}}
    assert error_of(bench.client("response.create", response=other))["code"] == "cannot_update_voice"


def test_without_a_model_in_the_address_the_update_may_name_one() -> None:
    bench = Bench(model_is_fixed=False)
    assert bench.update(model="gpt-realtime-2.1")[0]["session"]["model"] == "gpt-realtime-2.1"


def test_a_session_ends_after_an_hour() -> None:
    bench = Bench()
    assert bench.session.deadline() == bench.now + 3600
    assert bench.tick(3599) == []
    assert error_of(bench.tick(1))["code"] == "session_expired"
    assert bench.close is not None and bench.close.code == 1001
    assert bench.client("response.create") == [] and bench.session.deadline() is None


# ---------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("event", "code", "param"),
    [
        ({}, "missing_required_parameter", "type"),
        ({"type": 3}, "invalid_type", "type"),
        ({"type": "session.destroy"}, "invalid_value", "type"),
        ({"type": "session.update"}, "missing_required_parameter", "session"),
        ({"type": "input_audio_buffer.append"}, "missing_required_parameter", "audio"),
        ({"type": "input_audio_buffer.append", "audio": "?"}, "invalid_value", "audio"),
        ({"type": "input_audio_buffer.append", "audio": "AAAA"}, "invalid_value", "audio"),
        ({"type": "input_audio_buffer.commit"}, "input_audio_buffer_commit_empty", None),
        ({"type": "conversation.item.create"}, "missing_required_parameter", "item"),
        ({"type": "conversation.item.create", "item": {"type": "mcp_call"}}, "invalid_value", "item.type"),
        ({"type": "conversation.item.retrieve", "item_id": "item_x"}, "item_not_found", "item_id"),
        ({"type": "conversation.item.delete", "item_id": "item_x"}, "item_not_found", "item_id"),
        ({"type": "conversation.item.truncate", "item_id": 1}, "invalid_type", "item_id"),
        ({"type": "response.cancel"}, "response_cancel_not_active", None),
        ({"type": "response.create", "response": {"modalities": ["text"]}}, "unknown_parameter", "response.modalities"),
        ({"type": "response.create", "event_id": 5}, "invalid_type", "event_id"),
        ([], "invalid_event", None),
    ],
)
def test_a_broken_event_is_told_and_harms_nothing(event: Any, code: str, param: str | None) -> None:
    bench = Bench(instructions="x")
    error = error_of(bench.take(bench.session.receive(event, bench.now)))
    assert (error["code"], error["param"]) == (code, param)
    assert kinds(bench.update()) == ["session.updated"]


def test_frames_that_are_no_events() -> None:
    bench = Bench()
    assert error_of(bench.take(bench.session.receive_text("{", bench.now)))["code"] == "invalid_json"
    assert error_of(bench.take(bench.session.receive_binary(bench.now)))["code"] == "invalid_event"


def test_errors_hold_nothing_of_the_conversation() -> None:
    bench = Bench()
    secret = "the password is swordfish"
    answers = [
        bench.update(instructions=[secret]),
        bench.update(output_modalities=[secret]),
        bench.client("conversation.item.create", item={"type": "message", "role": secret, "content": []}),
        bench.client("input_audio_buffer.append", audio=secret),
        bench.client("response.create", response={"tool_choice": secret}),
    ]
    assert all(secret not in str(error_of(answer)) for answer in answers)


# ---------------------------------------------------------------------- turns


def test_a_typed_turn_with_a_written_answer() -> None:
    bench = Bench(output_modalities=["text"])
    item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Say hi."}]}
    events = bench.client("conversation.item.create", item=item)
    assert kinds(events) == ["conversation.item.added", "conversation.item.done"]
    assert events[0]["item"] == {**item, "id": events[0]["item"]["id"], "status": "completed"}
    assert kinds(bench.client("response.create")) == ["response.created"]
    assert bench.last(Generate).request.speak is False
    events = bench.type_out("Hi", " there!") + bench.finish(input_tokens=16, cached_tokens=4, output_tokens=3)
    assert kinds(events) == [
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
    done = only(events, "response.done")["response"]
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


def test_a_typed_turn_with_a_spoken_answer() -> None:
    bench = Bench()
    bench.write("Say hi.")
    created = bench.client("response.create")[0]["response"]
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
    events = bench.give(ReplySpeech(created["id"], "Hi there!", sound))
    assert kinds(events) == SPOKEN_LADDER
    assert events[2]["part"] == {"type": "audio", "transcript": ""}
    assert b"".join(base64.b64decode(event["delta"]) for event in events[4:]) == sound
    end = bench.finish()
    assert kinds(end) == SPOKEN_END
    item = end[3]["item"]
    assert item["content"] == [{"type": "output_audio", "transcript": "Hi there!"}] and item["role"] == "assistant"
    assert end[2]["part"] == {"type": "audio", "transcript": "Hi there!"}


def test_a_spoken_turn() -> None:
    bench = Bench(**captioned())
    events = bench.append(silence(500)) + bench.append(tone(800)) + bench.append(silence(300))
    assert kinds(events) == [
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
    assert abs(started["audio_start_ms"] - 200) <= 40  # 300 ms of padding before the sound at 500
    assert 1300 < stopped["audio_end_ms"] <= 1300 + 200 + 40
    work = bench.last(Recognize)
    assert abs(len(work.audio) / 48 - (stopped["audio_end_ms"] - started["audio_start_ms"])) <= 1
    assert not bench.all(Generate)
    heard = bench.give(Recognized(item_id, "Hello, my name is Marcelo.", "en", 2.3))
    assert kinds(heard) == [
        "conversation.item.input_audio_transcription.delta",
        "conversation.item.input_audio_transcription.completed",
    ]
    assert heard[1]["transcript"] == "Hello, my name is Marcelo." and heard[1]["content_index"] == 0
    assert heard[1]["usage"] == {"type": "duration", "seconds": 3}
    assert bench.memory() == [("user", "Hello, my name is Marcelo.")]
    assert bench.last(Generate).request.language == "en"
    assert kinds(bench.speak("Hello!", ms=400) + bench.finish()) == SPOKEN_LADDER + SPOKEN_END


def test_without_input_transcription_the_model_still_knows_the_words() -> None:
    bench = Bench()
    events = bench.say("What is the time?")
    assert not [kind for kind in kinds(events) if "transcription" in kind]
    assert bench.memory() == [("user", "What is the time?")]
    item_id = bench.last(Recognize).item_id
    retrieved = bench.client("conversation.item.retrieve", item_id=item_id)[0]["item"]
    assert retrieved["content"][0]["transcript"] is None


def test_words_are_shown_while_they_are_heard() -> None:
    from offline.work import Hearing

    bench = Bench(**captioned())
    item_id = only(bench.append(tone(900)), "input_audio_buffer.speech_started")["item_id"]
    listening = bench.all(Listening)
    assert [work.item_id for work in listening] == [item_id] * len(listening) and len(listening) == 2
    assert len(listening[1].audio) - len(listening[0].audio) == 400 * 48
    assert bench.give(Hearing(item_id, "What is"))[0]["delta"] == "What is"
    bench.append(silence(300))
    assert bench.give(Hearing(item_id, " the"))[0]["delta"] == " the"
    end = bench.give(Recognized(item_id, "What is the time?", "en", 1.0))
    assert [event.get("delta", event.get("transcript")) for event in end] == [" time?", "What is the time?"]
    assert bench.give(Hearing(item_id, " late")) == []


def test_words_that_turn_out_otherwise_are_only_corrected_by_the_transcript() -> None:
    from offline.work import Hearing

    bench = Bench(**captioned())
    bench.append(tone(900))
    item_id = bench.last(Listening).item_id
    bench.give(Hearing(item_id, "Watts the"))
    bench.append(silence(300))
    assert [
        event["type"].rsplit(".")[-1] for event in bench.give(Recognized(item_id, "What's the time?", "en", 1))
    ] == ["completed"]


def test_speculation_begins_at_the_first_silence_and_ends_with_it() -> None:
    bench = Bench(instructions="Be kind.")
    bench.write("My name is Ada.")
    bench.append(tone(500))
    assert not bench.all(Paused)
    bench.append(silence(170))
    paused = bench.last(Paused)
    assert [message.text for message in paused.request.messages] == ["Be kind.", "My name is Ada."]
    assert not bench.all(Resumed)
    bench.append(tone(300))
    assert bench.last(Resumed).item_id == paused.item_id
    bench.append(silence(300))
    assert len(bench.all(Paused)) == 2 and len(bench.all(Resumed)) == 1
    work = bench.last(Recognize)
    assert work.item_id == paused.item_id
    bench.give(Recognized(work.item_id, "Who am I?", "en", 1.0))
    request, expected = bench.last(Generate).request, bench.last(Paused).request
    assert request.messages == (*expected.messages, Message("user", "Who am I?"))
    assert (request.speak, request.tools, request.voice) == (expected.speak, expected.tools, expected.voice)


def test_without_automatic_answers_a_pause_prepares_only_the_words() -> None:
    bench = Bench(audio={"input": {"turn_detection": {"type": "server_vad", "create_response": False}}})
    events = bench.say()
    assert "response.created" not in kinds(events) and bench.last(Paused).request is None
    assert kinds(bench.client("response.create")) == ["response.created"]
    assert bench.memory() == [("user", "Hello there.")]


def test_noise_is_answered_with_silence() -> None:
    bench = Bench(**captioned())
    events = bench.say("")
    assert only(events, "conversation.item.input_audio_transcription.completed")["transcript"] == ""
    done = only(events, "response.done")["response"]
    assert (done["status"], done["output"]) == ("completed", []) and not bench.all(Generate)


def test_speech_that_cannot_be_recognised() -> None:
    bench = Bench(**captioned())
    bench.say(None)
    events = bench.give(RecognitionFailed(bench.last(Recognize).item_id, "The recogniser stopped."))
    failed = only(events, "conversation.item.input_audio_transcription.failed")
    assert failed["error"]["message"] == "The recogniser stopped."
    assert only(events, "response.done")["response"]["status"] == "failed"
    assert "response.created" in kinds(bench.say())


def test_a_turn_the_client_ends() -> None:
    bench = Bench(**manual())
    assert bench.append(tone(50)) == []
    error = error_of(bench.client("input_audio_buffer.commit"))
    assert error["code"] == "input_audio_buffer_commit_empty" and "50.00ms" in error["message"]
    bench.append(tone(950))
    events = bench.client("input_audio_buffer.commit")
    assert kinds(events) == ["input_audio_buffer.committed", "conversation.item.added", "conversation.item.done"]
    assert len(bench.last(Recognize).audio) == 1000 * 48
    assert kinds(bench.client("response.create")) == ["response.created"]
    bench.give(Recognized(events[0]["item_id"], "Hi.", "en", 1))
    assert bench.memory() == [("user", "Hi.")]
    assert error_of(bench.client("input_audio_buffer.commit"))["code"] == "input_audio_buffer_commit_empty"


def test_a_cleared_buffer_is_empty_and_its_turn_void() -> None:
    bench = Bench(**manual())
    bench.append(tone(500))
    assert kinds(bench.client("input_audio_buffer.clear")) == ["input_audio_buffer.cleared"]
    assert error_of(bench.client("input_audio_buffer.commit"))["code"] == "input_audio_buffer_commit_empty"
    bench = Bench()
    bench.append(tone(500) + silence(170))
    assert kinds(bench.client("input_audio_buffer.clear")) == ["input_audio_buffer.cleared"]
    assert bench.last(Resumed).item_id == bench.last(Paused).item_id
    assert bench.append(silence(500)) == [] and not bench.all(Recognize)


def test_the_client_may_end_a_detected_turn() -> None:
    bench = Bench()
    started = only(bench.append(tone(500)), "input_audio_buffer.speech_started")
    events = bench.client("input_audio_buffer.commit")
    assert kinds(events)[:2] == ["input_audio_buffer.speech_stopped", "input_audio_buffer.committed"]
    assert events[1]["item_id"] == started["item_id"] and "response.created" not in kinds(events)


def test_the_input_buffer_is_bounded() -> None:
    bench = Bench(**manual())
    minute = silence(60_000)
    for _ in range(5):
        assert bench.append(minute, piece_ms=60_000) == []
    assert error_of(bench.append(silence(20)))["param"] == "audio"
    assert "input_audio_buffer.committed" in kinds(bench.client("input_audio_buffer.commit"))
    bench = Bench()
    events = bench.append(tone(1000) * 121, piece_ms=1000)
    assert "input_audio_buffer.committed" in kinds(events)
    assert len(bench.last(Recognize).audio) <= 121_000 * 48


# ---------------------------------------------------------------------- responses


def test_one_active_response_at_a_time() -> None:
    bench = Bench()
    bench.write("Hello")
    active = bench.client("response.create")[0]["response"]["id"]
    error = error_of(bench.client("response.create", event_id="second"))
    assert error["code"] == "conversation_already_has_active_response" and active in error["message"]
    assert error["event_id"] == "second"
    bench.finish()
    assert kinds(bench.client("response.create")) == ["response.created"]


def test_cancel() -> None:
    bench = Bench()
    bench.write("Hello")
    name = bench.client("response.create")[0]["response"]["id"]
    bench.speak("One.")
    error = error_of(bench.client("response.cancel", response_id="resp_other"))
    assert error["code"] == "response_cancel_not_active"
    events = bench.client("response.cancel")
    assert kinds(events) == SPOKEN_END and bench.last(Stop).response_id == name
    done = only(events, "response.done")["response"]
    assert done["status_details"] == {"type": "cancelled", "reason": "client_cancelled"}
    assert done["output"][0]["status"] == "incomplete"
    assert done["usage"]["output_token_details"]["audio_tokens"] == 20
    late = bench.give(ReplySpeech(name, " Two.", tone(50))) + bench.give(ReplyDone(name, "stopped"))
    assert late == []
    assert error_of(bench.client("response.cancel"))["code"] == "response_cancel_not_active"


def test_a_response_can_be_cancelled_before_the_words_are_known() -> None:
    bench = Bench()
    bench.say(None)
    done = only(bench.client("response.cancel"), "response.done")["response"]
    assert done["status"] == "cancelled" and done["usage"]["total_tokens"] == 0
    bench.give(Recognized(bench.last(Recognize).item_id, "Hello.", "en", 1))
    assert not bench.all(Generate) and not bench.all(Stop)


def test_the_token_bound_makes_a_response_incomplete() -> None:
    bench = Bench(max_output_tokens=7)
    bench.write("Count")
    bench.client("response.create")
    assert bench.last(Generate).request.max_tokens == 7
    bench.speak("One,")
    done = only(bench.finish("max_tokens", output_tokens=7), "response.done")["response"]
    assert done["status_details"] == {"type": "incomplete", "reason": "max_output_tokens"}
    assert done["status"] == "incomplete" and done["output"][0]["status"] == "incomplete"
    assert done["max_output_tokens"] == 7


def test_a_failed_response_says_why() -> None:
    bench = Bench()
    bench.write("Hello")
    bench.client("response.create")
    done = only(bench.finish("failed", message="The model ran out of memory."), "response.done")["response"]
    assert done["status"] == "failed"
    assert done["status_details"]["error"]["message"] == "The model ran out of memory."
    assert kinds(bench.client("response.create")) == ["response.created"]


def test_usage_counts_sound() -> None:
    bench = Bench()
    bench.say("Hello.", ms=1000)
    ms = len(bench.last(Recognize).audio) / 48
    bench.speak("Hi.", ms=1000)
    usage = only(bench.finish(input_tokens=20, output_tokens=2), "response.done")["response"]["usage"]
    assert usage["input_token_details"]["audio_tokens"] == -(-ms // 100)
    assert usage["output_token_details"] == {"text_tokens": 2, "audio_tokens": 20}
    bench.write("And now?")
    bench.client("response.create")
    usage = only(bench.finish(input_tokens=30), "response.done")["response"]["usage"]
    assert usage["input_token_details"]["audio_tokens"] == -(-ms // 100) + 20


def test_one_response_may_have_its_own_settings() -> None:
    bench = Bench(instructions="Be brief.", tools=[WEATHER])
    bench.write("Hello")
    settings = {
        "instructions": "Be long.",
        "output_modalities": ["text"],
        "max_output_tokens": 50,
        "tools": [],
        "tool_choice": "none",
        "metadata": {"topic": "greeting"},
    }
    created = bench.client("response.create", response=settings)[0]["response"]
    assert created["metadata"] == {"topic": "greeting"} and created["output_modalities"] == ["text"]
    request = bench.last(Generate).request
    assert request.messages[0] == Message("system", "Be long.")
    assert (request.speak, request.max_tokens, request.tools, request.tool_choice) == (False, 50, (), "none")
    bench.finish()
    bench.client("response.create")
    request = bench.last(Generate).request
    assert request.messages[0] == Message("system", "Be brief.") and request.speak and len(request.tools) == 1


def test_out_of_band_responses_leave_the_conversation_alone() -> None:
    bench = Bench()
    item = bench.write("My name is Ada.")
    bench.client("response.create")
    default = bench.last(Generate).response_id
    settings = {
        "conversation": "none",
        "output_modalities": ["text"],
        "metadata": {"kind": "title"},
        "input": [
            {"type": "item_reference", "id": item["id"]},
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Who am I?"}]},
        ],
    }
    created = bench.client("response.create", response=settings)[0]["response"]
    assert created["conversation_id"] is None and created["metadata"] == {"kind": "title"}
    assert bench.memory() == [("user", "My name is Ada."), ("user", "Who am I?")]
    events = bench.type_out("Ada.") + bench.finish()
    assert not [kind for kind in kinds(events) if kind.startswith("conversation.")]
    assert only(events, "response.done")["response"]["metadata"] == {"kind": "title"}
    assert bench.session.item_ids == [item["id"]]
    assert kinds(bench.give(ReplySpeech(default, "Hello.", tone(20))))[0] == "response.output_item.added"
    third = bench.client("response.create", response={"conversation": "none", "input": []})[0]["response"]["id"]
    assert kinds(bench.client("response.cancel"))[-2:] == ["response.done", "rate_limits.updated"]
    assert error_of(bench.client("response.cancel"))["code"] == "response_cancel_not_active"
    assert kinds(bench.client("response.cancel", response_id=third))[0] == "response.done"


def test_out_of_band_responses_are_bounded_and_hear_sound() -> None:
    bench = Bench()
    sound = {"type": "input_audio", "audio": base64.b64encode(tone(300)).decode()}
    settings = {"conversation": "none", "input": [{"type": "message", "role": "user", "content": [sound]}]}
    for _ in range(4):
        assert kinds(bench.client("response.create", response=settings)) == ["response.created"]
    assert error_of(bench.client("response.create", response=settings))["param"] == "response.conversation"
    assert not bench.all(Generate)
    bench.give(Recognized(bench.all(Recognize)[0].item_id, "Hello.", "en", 0.3))
    assert bench.memory() == [("user", "Hello.")]


def test_input_that_refers_to_nothing() -> None:
    settings = {"conversation": "none", "input": [{"type": "item_reference", "id": "item_x"}]}
    error = error_of(Bench().client("response.create", response=settings))
    assert (error["code"], error["param"]) == ("item_not_found", "response.input[0].id")


def test_the_conversation_is_read_ahead_when_a_reply_is_done() -> None:
    bench = Bench(instructions="Be brief.")
    assert bench.last(Prefill).request.messages == (Message("system", "Be brief."),)
    bench.say("Hello.")
    bench.speak("Hi!")
    bench.finish()
    assert [message.text for message in bench.last(Prefill).request.messages] == ["Be brief.", "Hello.", "Hi!"]


# ---------------------------------------------------------------------- tools


def test_a_tool_round() -> None:
    bench = Bench(output_modalities=["text"], tools=[WEATHER], tool_choice={"type": "function", "name": "get_weather"})
    bench.write("Weather in London?")
    bench.client("response.create")
    request = bench.last(Generate).request
    assert request.tool_choice == "function:get_weather"
    assert request.tools[0].startswith('{"description":"Look up the weather for a city.","name":"get_weather"')
    events = bench.call("get_weather", '{"city": "London"}') + bench.finish()
    assert kinds(events) == [
        "response.output_item.added",
        "conversation.item.added",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "conversation.item.done",
        "response.output_item.done",
        "response.done",
        "rate_limits.updated",
    ]
    call = events[0]["item"]
    assert call == {
        "id": call["id"],
        "type": "function_call",
        "status": "in_progress",
        "name": "get_weather",
        "call_id": call["call_id"],
        "arguments": "",
    }
    assert events[3]["name"] == "get_weather" and events[3]["arguments"] == '{"city": "London"}'
    finished = {**call, "status": "completed", "arguments": '{"city": "London"}'}
    assert events[4]["item"] == finished and only(events, "response.done")["response"]["output"] == [finished]
    output = {"type": "function_call_output", "call_id": call["call_id"], "output": "Foggy."}
    added = bench.client("conversation.item.create", item=output)[0]["item"]
    assert added == {"id": added["id"], **output}
    bench.client("response.create")
    assert bench.last(Generate).request.messages[1:] == (
        Message("user", "Weather in London?"),
        Message("assistant", "", (ToolCall(call["call_id"], "get_weather", '{"city": "London"}'),)),
        Message("tool", "Foggy.", call_id=call["call_id"]),
    )


def test_words_before_a_call_are_a_message_of_their_own() -> None:
    bench = Bench(tools=[WEATHER])
    bench.write("Weather?")
    bench.client("response.create")
    events = bench.speak("One moment.") + bench.call("get_weather", "{}") + bench.finish()
    output = only(events, "response.done")["response"]["output"]
    assert [(item["type"], item["status"]) for item in output] == [
        ("message", "completed"),
        ("function_call", "completed"),
    ]
