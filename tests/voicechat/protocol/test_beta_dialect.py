"""Every row of the beta and GA tables: names, session fields, errors, and the detection of the dialect."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from voicechat.protocol.beta_dialect import (
    Dialect,
    client_to_beta,
    client_to_ga,
    server_to_beta,
    server_to_ga,
    speaks_beta,
)

Event = dict[str, Any]

PCM = {"type": "audio/pcm", "rate": 24000}

# ---------------------------------------------------------------- names

RENAMED = [
    ("response.text.delta", "response.output_text.delta"),
    ("response.text.done", "response.output_text.done"),
    ("response.audio.delta", "response.output_audio.delta"),
    ("response.audio.done", "response.output_audio.done"),
    ("response.audio_transcript.delta", "response.output_audio_transcript.delta"),
    ("response.audio_transcript.done", "response.output_audio_transcript.done"),
]


@pytest.mark.parametrize(("beta", "ga"), RENAMED)
def test_renamed_server_events(beta: str, ga: str) -> None:
    rest = {"event_id": "event_1", "response_id": "resp_1", "item_id": "item_1", "content_index": 0, "delta": "Hi"}
    assert server_to_ga({"type": beta, **rest}) == [{"type": ga, **rest}]
    assert server_to_beta({"type": ga, **rest}) == [{"type": beta, **rest}]


UNCHANGED_SERVER = [
    "conversation.created",
    "conversation.item.truncated",
    "conversation.item.deleted",
    "conversation.item.input_audio_transcription.delta",
    "conversation.item.input_audio_transcription.completed",
    "conversation.item.input_audio_transcription.failed",
    "conversation.item.input_audio_transcription.segment",
    "input_audio_buffer.speech_started",
    "input_audio_buffer.speech_stopped",
    "input_audio_buffer.committed",
    "input_audio_buffer.cleared",
    "input_audio_buffer.timeout_triggered",
    "response.content_part.added",
    "response.content_part.done",
    "response.function_call_arguments.delta",
    "response.function_call_arguments.done",
    "response.mcp_call.completed",
    "mcp_list_tools.completed",
    "rate_limits.updated",
    "output_audio_buffer.started",
    "output_audio_buffer.stopped",
    "output_audio_buffer.cleared",
    "some.future.event",
]


@pytest.mark.parametrize("name", UNCHANGED_SERVER)
def test_unchanged_server_events(name: str) -> None:
    """`part.type` of a content part has the beta name in GA too."""
    event = {"type": name, "event_id": "event_1", "part": {"type": "audio", "transcript": ""}, "extra": [None]}
    assert server_to_ga(event) == [event]
    assert server_to_beta(event) == [event]


UNCHANGED_CLIENT = [
    "input_audio_buffer.append",
    "input_audio_buffer.commit",
    "input_audio_buffer.clear",
    "conversation.item.retrieve",
    "conversation.item.truncate",
    "conversation.item.delete",
    "response.cancel",
    "output_audio_buffer.clear",
    "some.future.event",
]


@pytest.mark.parametrize("name", UNCHANGED_CLIENT)
def test_unchanged_client_events(name: str) -> None:
    event = {"type": name, "event_id": "mine", "item_id": "item_1", "audio": "AAAA"}
    assert client_to_ga(event) == [event]
    assert client_to_beta(event) == [event]


def test_dialects_have_their_names() -> None:
    assert [Dialect("ga"), Dialect("beta")] == list(Dialect)


# ---------------------------------------------------------------- session fields: the same value each way

VAD = {"type": "server_vad", "threshold": 0.6, "silence_duration_ms": 300}
FUNCTION = {"type": "function", "name": "look", "description": "", "parameters": {"type": "object"}}

SESSION: list[tuple[Event, Event]] = [
    ({"modalities": ["text", "audio"]}, {"output_modalities": ["audio"]}),
    ({"modalities": ["text"]}, {"output_modalities": ["text"]}),
    ({"modalities": ["text", "audio", "avatar"]}, {"output_modalities": ["audio", "avatar"]}),
    ({"voice": "sage"}, {"audio": {"output": {"voice": "sage"}}}),
    ({"voice": {"id": "voice_1"}}, {"audio": {"output": {"voice": {"id": "voice_1"}}}}),
    (
        {"voice": {"type": "azure-standard", "name": "zh-TW-HsiaoChenNeural", "rate": "1.1"}},
        {"audio": {"output": {"voice": {"type": "azure-standard", "name": "zh-TW-HsiaoChenNeural", "rate": "1.1"}}}},
    ),
    ({"speed": 1.25}, {"audio": {"output": {"speed": 1.25}}}),
    ({"input_audio_format": "pcm16"}, {"audio": {"input": {"format": PCM}}}),
    ({"input_audio_format": "g711_ulaw"}, {"audio": {"input": {"format": {"type": "audio/pcmu"}}}}),
    ({"output_audio_format": "g711_alaw"}, {"audio": {"output": {"format": {"type": "audio/pcma"}}}}),
    ({"output_audio_format": "pcm16-16000hz"}, {"audio": {"output": {"format": {"type": "audio/pcm", "rate": 16000}}}}),
    ({"output_audio_format": "opus"}, {"audio": {"output": {"format": "opus"}}}),
    ({"output_audio_format": None}, {"audio": {"output": {"format": None}}}),
    ({"input_audio_transcription": {"model": "m"}}, {"audio": {"input": {"transcription": {"model": "m"}}}}),
    ({"input_audio_transcription": None}, {"audio": {"input": {"transcription": None}}}),
    (
        {"input_audio_noise_reduction": {"type": "far_field"}},
        {"audio": {"input": {"noise_reduction": {"type": "far_field"}}}},
    ),
    ({"input_audio_noise_reduction": None}, {"audio": {"input": {"noise_reduction": None}}}),
    ({"turn_detection": VAD}, {"audio": {"input": {"turn_detection": VAD}}}),
    ({"turn_detection": None}, {"audio": {"input": {"turn_detection": None}}}),
    ({"max_response_output_tokens": 900}, {"max_output_tokens": 900}),
    ({"max_response_output_tokens": "inf"}, {"max_output_tokens": "inf"}),
    ({"tool_choice": "required"}, {"tool_choice": "required"}),
    (
        {"tool_choice": {"type": "function", "function": {"name": "look"}}},
        {"tool_choice": {"type": "function", "name": "look"}},
    ),
    ({"tools": [FUNCTION]}, {"tools": [FUNCTION]}),
    ({"tools": []}, {"tools": []}),
    ({"instructions": ""}, {"instructions": ""}),
    (
        {"tracing": None, "truncation": "auto", "include": None},
        {"tracing": None, "truncation": "auto", "include": None},
    ),
    ({"id": "sess_1", "model": "m", "expires_at": 5}, {"id": "sess_1", "model": "m", "expires_at": 5}),
    ({"from_the_future": {"voice": 1}}, {"from_the_future": {"voice": 1}}),
    ({}, {}),
]


@pytest.mark.parametrize(("beta", "ga"), SESSION)
def test_session_fields(beta: Event, ga: Event) -> None:
    """Also: what is not said is not made up, so that an update stays partial."""
    typed = {"type": "realtime", **ga}
    old, new = ({"type": "session.update", "event_id": "mine", "session": session} for session in (beta, typed))
    assert client_to_ga(old) == [new]
    assert client_to_beta(new) == [old]
    for name in ("session.created", "session.updated"):
        assert server_to_ga({**old, "type": name}) == [{**new, "type": name}]
        assert server_to_beta({**new, "type": name}) == [{**old, "type": name}]


@pytest.mark.parametrize(("beta", "ga"), [row for row in SESSION if "modalities" not in row[0]])
def test_transcription_session_fields(beta: Event, ga: Event) -> None:
    typed = {"type": "transcription", **ga}
    old, new = {"type": "transcription_session.update", "session": beta}, {"type": "session.update", "session": typed}
    assert client_to_ga(old) == [new]
    assert client_to_beta(new) == [old]
    for end in ("created", "updated"):
        assert server_to_ga({**old, "type": f"transcription_session.{end}"}) == [{**new, "type": f"session.{end}"}]
        assert server_to_beta({**new, "type": f"session.{end}"}) == [{**old, "type": f"transcription_session.{end}"}]


def test_all_fields_at_once() -> None:
    beta: Event = {
        "modalities": ["text", "audio"],
        "voice": "sage",
        "input_audio_format": "pcm16",
        "output_audio_format": "g711_ulaw",
        "turn_detection": None,
        "speed": 1.0,
    }
    session = {
        "type": "realtime",
        "output_modalities": ["audio"],
        "audio": {
            "input": {"format": PCM, "turn_detection": None},
            "output": {"voice": "sage", "format": {"type": "audio/pcmu"}, "speed": 1.0},
        },
    }
    assert client_to_ga({"type": "session.update", "session": beta}) == [{"type": "session.update", "session": session}]
    assert client_to_beta({"type": "session.update", "session": session}) == [
        {"type": "session.update", "session": beta}
    ]


LOST_TO_GA = [
    ({"temperature": 0.8}, {}),
    ({"modalities": ["audio"]}, {"output_modalities": ["audio"]}),
    ({"modalities": ["audio", "text"]}, {"output_modalities": ["audio"]}),
    ({"voice": {"type": "openai", "name": "alloy"}}, {"audio": {"output": {"voice": "alloy"}}}),
    ({"turn_detection": {"type": "none"}}, {"audio": {"input": {"turn_detection": None}}}),
    ({"tool_choice": {"type": "function", "name": "look"}}, {"tool_choice": {"type": "function", "name": "look"}}),
]


@pytest.mark.parametrize(("beta", "ga"), LOST_TO_GA)
def test_fields_missing_in_ga_are_dropped(beta: Event, ga: Event) -> None:
    [new] = client_to_ga({"type": "session.update", "session": beta})
    assert new["session"] == {"type": "realtime", **ga}
    [back] = client_to_beta(new)
    assert back["session"] != beta
    assert client_to_ga(back) == [new]  # another way to say the same


LOST_TO_BETA = [
    ({"audio": {"output": {"format": {"type": "audio/pcm"}}}}, {"output_audio_format": "pcm16"}),
    ({"audio": {"input": {"format": {"type": "audio/pcmu", "rate": 8000}}}}, {"input_audio_format": "g711_ulaw"}),
    ({"output_modalities": ["text", "audio"]}, {"modalities": ["text", "audio"]}),
]


@pytest.mark.parametrize(("ga", "beta"), LOST_TO_BETA)
def test_values_with_one_beta_spelling(ga: Event, beta: Event) -> None:
    new = {"type": "session.update", "session": {"type": "realtime", **ga}}
    [old] = client_to_beta(new)
    assert old["session"] == beta
    assert client_to_ga(old) != [new]
    assert client_to_beta(client_to_ga(old)[0]) == [old]


def test_a_transcription_session_has_no_output() -> None:
    old = {"type": "transcription_session.update", "session": {"modalities": ["text"]}}
    assert client_to_ga(old) == [{"type": "session.update", "session": {"type": "transcription"}}]


def test_nested_fields_that_beta_does_not_know_stay() -> None:
    session = {"type": "realtime", "audio": {"input": {"echo": True, "turn_detection": None}, "output": {}}}
    [old] = client_to_beta({"type": "session.update", "session": session})
    assert old["session"] == {"audio": {"input": {"echo": True}, "output": {}}, "turn_detection": None}
    assert client_to_ga(old) == [{"type": "session.update", "session": session}]


MISSHAPEN: list[tuple[str, Any, tuple[str, ...]]] = [
    ("modalities", "text", ("output_modalities",)),
    ("modalities", [None, {}], ("output_modalities",)),
    ("voice", {"type": "openai", "name": 5}, ("audio", "output", "voice")),
    ("input_audio_format", "pcm16-7hz", ("audio", "input", "format")),
    ("input_audio_format", ["pcm16"], ("audio", "input", "format")),
    ("output_audio_format", {"type": "audio/pcm", "rate": 7}, ("audio", "output", "format")),
    ("output_audio_format", {"type": "audio/pcm", "rate": "fast"}, ("audio", "output", "format")),
    ("output_audio_format", {"type": "audio/opus"}, ("audio", "output", "format")),
    ("turn_detection", "none", ("audio", "input", "turn_detection")),
    ("tool_choice", {"type": "function", "name": "a", "function": {"name": "b"}}, ("tool_choice",)),
    ("tool_choice", {"type": "function", "function": "b"}, ("tool_choice",)),
]


@pytest.mark.parametrize(("field", "value", "path"), MISSHAPEN)
def test_unknown_value_is_kept(field: str, value: Any, path: tuple[str, ...]) -> None:
    """The server rejects it, and the client gets the error."""
    session: Any = value
    for key in reversed(path):
        session = {key: session}
    old, new = (
        {"type": "session.update", "session": fields} for fields in ({field: value}, {"type": "realtime", **session})
    )
    assert client_to_ga(old) == [new]
    assert client_to_beta(new) == [old]


def test_flat_and_nested_fields_in_one_session() -> None:
    """Keep a field of the other dialect; prefer the client's own one."""
    session = {"voice": "sage", "speed": 1.0, "audio": {"input": {"echo": True}, "output": {"voice": "ash", "gain": 2}}}
    before = copy.deepcopy(session)
    [new] = client_to_ga({"type": "session.update", "session": session})
    output = {"voice": "sage", "speed": 1.0, "gain": 2}
    assert new["session"] == {"type": "realtime", "audio": {"input": {"echo": True}, "output": output}}
    assert session == before


def test_field_stays_when_its_path_is_taken() -> None:
    session = {"voice": "sage", "audio": "none"}
    [new] = client_to_ga({"type": "session.update", "session": session})
    assert new["session"] == {"type": "realtime", **session}


# ---------------------------------------------------------------- errors

PARAMS = [
    ("session.turn_detection", "session.audio.input.turn_detection"),
    ("session.turn_detection.threshold", "session.audio.input.turn_detection.threshold"),
    ("session.input_audio_format", "session.audio.input.format"),
    ("session.input_audio_transcription.model", "session.audio.input.transcription.model"),
    ("session.input_audio_noise_reduction", "session.audio.input.noise_reduction"),
    ("session.output_audio_format", "session.audio.output.format"),
    ("session.voice", "session.audio.output.voice"),
    ("session.speed", "session.audio.output.speed"),
    ("session.modalities[0]", "session.output_modalities[0]"),
    ("session.max_response_output_tokens", "session.max_output_tokens"),
    ("session.tool_choice", "session.tool_choice"),
    ("session.voices", "session.voices"),
    ("response.modalities", "response.output_modalities"),
    ("response.voice", "response.audio.output.voice"),
    ("response.max_response_output_tokens", "response.max_output_tokens"),
    ("type", "type"),
    (None, None),
]


@pytest.mark.parametrize(("beta", "ga"), PARAMS)
def test_errors_name_the_field_as_the_client_knows_it(beta: str | None, ga: str | None) -> None:
    def error(param: str | None) -> Event:
        text = f"Invalid value: '{param}'. See the reference."
        details = {
            "type": "invalid_request_error",
            "code": "invalid_value",
            "param": param,
            "message": text,
            "event_id": "mine",
        }
        return {"type": "error", "event_id": "event_1", "error": details}

    assert server_to_ga(error(beta)) == [error(ga)]
    assert server_to_beta(error(ga)) == [error(beta)]


# ---------------------------------------------------------------- who speaks what

TELLS = [
    ({"type": "session.created", "session": {"modalities": ["text"], "voice": "alloy"}}, True),
    ({"type": "session.updated", "session": {"input_audio_format": "pcm16"}}, True),
    ({"type": "session.created", "session": {"type": "realtime", "output_modalities": ["audio"]}}, False),
    ({"type": "session.created", "session": {"type": "realtime", "modalities": ["audio"]}}, False),
    ({"type": "session.created", "session": {"voice": "Ara", "turn_detection": None, "audio": {}}}, False),  # xAI
    ({"type": "session.created", "session": {"voice": "Ara", "turn_detection": None}}, False),
    ({"type": "session.created", "session": {"modalities": ["text"], "audio": {}}}, False),
    ({"type": "session.created", "session": {"modalities": ["text"], "output_modalities": ["text"]}}, False),
    ({"type": "session.created", "session": {}}, False),
    ({"type": "session.created"}, False),
    ({"type": "transcription_session.updated", "session": {}}, True),
    ({"type": "response.audio.delta", "delta": "AAAA"}, True),
    ({"type": "response.output_audio.delta", "delta": "AAAA"}, False),
    ({"type": "response.done", "response": {"modalities": ["text"]}}, True),
    ({"type": "response.done", "response": {"output_modalities": ["text"]}}, False),
    ({"type": "conversation.item.created", "item": {}}, False),
    ({"type": "error", "error": {"code": "beta_api_shape_disabled"}}, False),
]


@pytest.mark.parametrize(("event", "beta"), TELLS)
def test_speaks_beta_table(event: Event, beta: bool) -> None:
    assert speaks_beta(event) is beta
