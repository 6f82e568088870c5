"""The session's settings: defaults, updates, and how broken events are refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offline.protocol.json_codec import read_json, write_json
from tests.support.offline.session_driver import SessionDriver, event_types, single_error, single_event

WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "Look up the weather for a city.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


def transcription_settings(**more: Any) -> dict[str, Any]:
    """Session settings with input transcription."""
    return {"audio": {"input": {"transcription": {"model": "whisper-1"}, **more}}}


def test_a_fresh_session_tells_every_setting() -> None:
    session = SessionDriver().created["session"]
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
    bench = SessionDriver(output_modalities=["text"], tools=[WEATHER])
    item = bench.create_message("Weather in London?")
    response = single_event(bench.send_event("response.create"), "response.created")["response"]
    call = bench.deliver_tool_call("get_weather", "{}")[0]["item"]
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
    bench = SessionDriver()
    before = bench.created["session"]
    after = single_event(
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
    bench = SessionDriver(tools=[WEATHER], instructions="x", **transcription_settings())
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
    bench = SessionDriver()
    both = {"instructions": "changed", **session} if isinstance(session, dict) else session
    error = single_error(bench.send_event("session.update", session=both, event_id="mine"))
    assert (error["type"], error["code"], error["param"]) == ("invalid_request_error", code, param)
    assert error["event_id"] == "mine"
    after = bench.update()[0]["session"]
    assert after == bench.created["session"]


def test_the_voice_is_fixed_once_it_was_heard() -> None:
    bench = SessionDriver()
    bench.update(audio={"output": {"voice": "cedar"}})
    bench.create_message("Hello")
    bench.send_event("response.create")
    bench.deliver_speech("Hi.")
    bench.finish_reply()
    assert single_error(bench.update(audio={"output": {"voice": "marin"}}))["code"] == "cannot_update_voice"
    assert event_types(bench.update(audio={"output": {"voice": "cedar", "speed": 1.1}})) == ["session.updated"]
    other = {"audio": {"output": {"voice": "marin"}}}
    assert single_error(bench.send_event("response.create", response=other))["code"] == "cannot_update_voice"


def test_without_a_model_in_the_address_the_update_may_name_one() -> None:
    bench = SessionDriver(model_is_fixed=False)
    assert bench.update(model="gpt-realtime-2.1")[0]["session"]["model"] == "gpt-realtime-2.1"


def test_a_session_ends_after_an_hour() -> None:
    bench = SessionDriver()
    assert bench.session.next_deadline() == bench.now + 3600
    assert bench.advance(3599) == []
    assert single_error(bench.advance(1))["code"] == "session_expired"
    assert bench.close is not None and bench.close.code == 1001
    assert bench.send_event("response.create") == [] and bench.session.next_deadline() is None


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
    bench = SessionDriver(instructions="x")
    error = single_error(bench.collect(bench.session.handle_event(event, bench.now)))
    assert (error["code"], error["param"]) == (code, param)
    assert event_types(bench.update()) == ["session.updated"]


@pytest.mark.parametrize(
    "text",
    [
        '{"type": "session.update", "session": {"type": "realtime", "max_output_tokens": NaN}}',
        '{"type": "input_audio_buffer.append", "audio": -Infinity}',
        '{"type": "session.update", "tools": 1e999}',
        '{"type": ' + "[" * 100_000,
    ],
)
def test_what_python_reads_beyond_json_is_no_json(text: str) -> None:
    bench = SessionDriver()
    assert single_error(bench.send_frame(text))["code"] == "invalid_json"
    assert event_types(bench.update(instructions="Be brief.")) == ["session.updated"]


def test_half_characters_are_replaced_and_whole_ones_kept() -> None:
    bench = SessionDriver()
    update = '{"type": "session.update", "session": {"type": "realtime", "instructions": "%s"}}'
    events = bench.send_frame(update % r"\ud83d \ud83d\ude00 \udc00\u4f60")
    assert events[0]["session"]["instructions"] == "\ufffd \U0001f600 \ufffd\u4f60"
    # What was valid text before stays as it was, also a written-out escape.
    assert bench.send_frame(update % r"\\ud83d")[0]["session"]["instructions"] == r"\ud83d"


@given(st.text(st.characters()))
def test_any_text_can_be_sent(text: str) -> None:
    sent = write_json({"text": text})
    sent.encode()
    if not any(0xD800 <= ord(letter) < 0xE000 for letter in text):
        assert read_json(sent) == {"text": text}


@pytest.mark.parametrize(
    ("parameters", "param"),
    [
        ({"enum": 5}, "enum"),
        ({"type": "object", "required": True}, "required"),
        ({"type": "object", "properties": []}, "properties"),
        ({"type": "object", "properties": {"city": {"type": "string", "enum": None}}}, "properties.city.enum"),
        ({"type": "object", "properties": {"city": {"type": 5}}}, "properties.city.type"),
        ({"type": "object", "properties": {"city": {"items": {"required": [1]}}}}, "properties.city.items.required"),
        ({"type": "object", "properties": {"city": "string"}}, "properties.city"),
    ],
)
def test_a_broken_schema_is_refused_when_it_is_declared(parameters: Any, param: str) -> None:
    bench = SessionDriver()
    error = single_error(bench.update(tools=[{**WEATHER, "parameters": parameters}]))
    assert (error["code"], error["param"]) == ("invalid_type", f"session.tools[0].parameters.{param}")


def test_schemas_may_use_all_of_json_schema() -> None:
    schema = {
        "type": ["object", "null"],
        "properties": {"a": True, "b": {"enum": [1, None]}, "c": {"type": "array", "items": [{"type": "string"}]}},
        "$defs": {"unread": {"required": "by this server"}},
        "required": [],
    }
    assert event_types(SessionDriver().update(tools=[{**WEATHER, "parameters": schema}])) == ["session.updated"]


def test_a_value_nested_without_end_is_refused() -> None:
    schema: Any = {}
    for _ in range(200):
        schema = {"not": [schema]}
    bench = SessionDriver()
    error = single_error(bench.update(tools=[{**WEATHER, "parameters": schema}]))
    assert (error["code"], error["param"]) == ("invalid_value", "session.tools[0].parameters")


def test_frames_that_are_no_events() -> None:
    bench = SessionDriver()
    assert single_error(bench.collect(bench.session.handle_text("{", bench.now)))["code"] == "invalid_json"
    assert single_error(bench.collect(bench.session.handle_binary(bench.now)))["code"] == "invalid_event"


def test_errors_hold_nothing_of_the_conversation() -> None:
    bench = SessionDriver()
    secret = "the password is swordfish"
    answers = [
        bench.update(instructions=[secret]),
        bench.update(output_modalities=[secret]),
        bench.send_event("conversation.item.create", item={"type": "message", "role": secret, "content": []}),
        bench.send_event("input_audio_buffer.append", audio=secret),
        bench.send_event("response.create", response={"tool_choice": secret}),
    ]
    assert all(secret not in str(single_error(answer)) for answer in answers)
