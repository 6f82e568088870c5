"""Session settings: defaults, updates, and errors for invalid events."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offline.protocol.json_codec import read_json, write_json
from tests.support.offline.session_driver import SessionDriver, event_types, single_error, single_event
from tests.support.offline.session_scenarios import WEATHER


def transcription_settings(**more: Any) -> dict[str, Any]:
    """Return session settings with input transcription."""
    return {"audio": {"input": {"transcription": {"model": "whisper-1"}, **more}}}


def test_session_created_contains_every_setting() -> None:
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


def test_ids_have_the_service_format() -> None:
    driver = SessionDriver(output_modalities=["text"], tools=[WEATHER])
    item = driver.create_message("Weather in London?")
    response = single_event(driver.send_event("response.create"), "response.created")["response"]
    call = driver.deliver_tool_call("get_weather", "{}")[0]["item"]
    for value, prefix, length in [
        (driver.created["event_id"], "event_", 21),
        (item["id"], "item_", 21),
        (response["id"], "resp_", 21),
        (response["conversation_id"], "conv_", 21),
        (call["call_id"], "call_", 16),
    ]:
        assert value.startswith(prefix) and value.removeprefix(prefix).isalnum()
        assert len(value) == len(prefix) + length


def test_update_changes_only_the_given_fields() -> None:
    driver = SessionDriver()
    before = driver.created["session"]
    after = single_event(
        driver.update(
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


def test_update_with_null_clears_and_with_a_type_switches() -> None:
    driver = SessionDriver(tools=[WEATHER], instructions="x", **transcription_settings())
    after = driver.update(
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
        driver.update(audio={"input": {"turn_detection": None}})[0]["session"]["audio"]["input"]["turn_detection"]
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
def test_update_with_one_invalid_field_changes_nothing(session: Any, code: str, param: str) -> None:
    driver = SessionDriver()
    both = {"instructions": "changed", **session} if isinstance(session, dict) else session
    error = single_error(driver.send_event("session.update", session=both, event_id="mine"))
    assert (error["type"], error["code"], error["param"]) == ("invalid_request_error", code, param)
    assert error["event_id"] == "mine"
    after = driver.update()[0]["session"]
    assert after == driver.created["session"]


def test_voice_update_after_speech_is_rejected() -> None:
    driver = SessionDriver()
    driver.update(audio={"output": {"voice": "cedar"}})
    driver.create_message("Hello")
    driver.send_event("response.create")
    driver.deliver_speech("Hi.")
    driver.finish_reply()
    assert single_error(driver.update(audio={"output": {"voice": "marin"}}))["code"] == "cannot_update_voice"
    assert event_types(driver.update(audio={"output": {"voice": "cedar", "speed": 1.1}})) == ["session.updated"]
    other = {"audio": {"output": {"voice": "marin"}}}
    assert single_error(driver.send_event("response.create", response=other))["code"] == "cannot_update_voice"


def test_update_without_a_model_in_the_url_may_set_one() -> None:
    driver = SessionDriver(model_is_fixed=False)
    assert driver.update(model="gpt-realtime-2.1")[0]["session"]["model"] == "gpt-realtime-2.1"


def test_session_expires_after_an_hour() -> None:
    driver = SessionDriver()
    assert driver.session.next_deadline() == driver.now + 3600
    assert driver.advance(3599) == []
    assert single_error(driver.advance(1))["code"] == "session_expired"
    assert driver.close is not None and driver.close.code == 1001
    assert driver.send_event("response.create") == [] and driver.session.next_deadline() is None


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
def test_invalid_event_reports_an_error_and_the_session_continues(event: Any, code: str, param: str | None) -> None:
    driver = SessionDriver(instructions="x")
    error = single_error(driver.collect(driver.session.handle_event(event, driver.now)))
    assert (error["code"], error["param"]) == (code, param)
    assert event_types(driver.update()) == ["session.updated"]


@pytest.mark.parametrize(
    "text",
    [
        '{"type": "session.update", "session": {"type": "realtime", "max_output_tokens": NaN}}',
        '{"type": "input_audio_buffer.append", "audio": -Infinity}',
        '{"type": "session.update", "tools": 1e999}',
        '{"type": ' + "[" * 100_000,
    ],
)
def test_frame_with_python_only_json_is_invalid_json(text: str) -> None:
    driver = SessionDriver()
    assert single_error(driver.send_frame(text))["code"] == "invalid_json"
    assert event_types(driver.update(instructions="Be brief.")) == ["session.updated"]


def test_read_json_replaces_lone_surrogates_and_keeps_pairs() -> None:
    driver = SessionDriver()
    update = '{"type": "session.update", "session": {"type": "realtime", "instructions": "%s"}}'
    events = driver.send_frame(update % r"\ud83d \ud83d\ude00 \udc00\u4f60")
    assert events[0]["session"]["instructions"] == "\ufffd \U0001f600 \ufffd\u4f60"
    # Valid text stays, also an escaped backslash before "u".
    assert driver.send_frame(update % r"\\ud83d")[0]["session"]["instructions"] == r"\ud83d"


@given(st.text(st.characters()))
def test_write_json_encodes_any_text_as_utf8(text: str) -> None:
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
def test_tool_with_an_invalid_schema_reports_its_path(parameters: Any, param: str) -> None:
    driver = SessionDriver()
    error = single_error(driver.update(tools=[{**WEATHER, "parameters": parameters}]))
    assert (error["code"], error["param"]) == ("invalid_type", f"session.tools[0].parameters.{param}")


def test_tool_with_other_schema_keywords_is_accepted() -> None:
    schema = {
        "type": ["object", "null"],
        "properties": {"a": True, "b": {"enum": [1, None]}, "c": {"type": "array", "items": [{"type": "string"}]}},
        "$defs": {"unread": {"required": "by this server"}},
        "required": [],
    }
    assert event_types(SessionDriver().update(tools=[{**WEATHER, "parameters": schema}])) == ["session.updated"]


def test_value_nested_200_deep_is_rejected() -> None:
    schema: Any = {}
    for _ in range(200):
        schema = {"not": [schema]}
    driver = SessionDriver()
    error = single_error(driver.update(tools=[{**WEATHER, "parameters": schema}]))
    assert (error["code"], error["param"]) == ("invalid_value", "session.tools[0].parameters")


def test_incomplete_json_and_binary_frames_report_errors() -> None:
    driver = SessionDriver()
    assert single_error(driver.collect(driver.session.handle_text("{", driver.now)))["code"] == "invalid_json"
    assert single_error(driver.collect(driver.session.handle_binary(driver.now)))["code"] == "invalid_event"


def test_error_messages_contain_no_client_text() -> None:
    driver = SessionDriver()
    secret = "the password is swordfish"
    answers = [
        driver.update(instructions=[secret]),
        driver.update(output_modalities=[secret]),
        driver.send_event("conversation.item.create", item={"type": "message", "role": secret, "content": []}),
        driver.send_event("input_audio_buffer.append", audio=secret),
        driver.send_event("response.create", response={"tool_choice": secret}),
    ]
    assert all(secret not in str(single_error(answer)) for answer in answers)
