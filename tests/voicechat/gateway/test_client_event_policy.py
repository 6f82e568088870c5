"""Client event policy: client messages in, messages for the server out."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.realtime import RealtimeErrorEvent

from voicechat.config.session_update import SessionMode
from voicechat.gateway.client_event_errors import ClientEventRejected
from voicechat.gateway.client_event_policy import ClientEventPolicy
from voicechat.protocol.beta_dialect import Dialect

Event = dict[str, Any]
VOICE, TEXT = SessionMode.VOICE, SessionMode.TEXT
FUNCTION = {"type": "function", "name": "f", "parameters": {"type": "object"}}
MCP = {"type": "mcp", "server_label": "x", "server_url": "https://example.org", "require_approval": "never"}


def make_policy(mode: SessionMode = VOICE, **how: Any) -> ClientEventPolicy:
    return ClientEventPolicy(mode, 1024, **how)


def forward(event: Event, mode: SessionMode = VOICE, **how: Any) -> Event:
    [text] = make_policy(mode, **how).process_message(json.dumps(event))
    new: Event = json.loads(text)
    return new


def refusal(event: Event | str | bytes, mode: SessionMode = VOICE, **how: Any) -> ClientEventRejected:
    with pytest.raises(ClientEventRejected) as refused:
        make_policy(mode, **how).process_message(json.dumps(event) if isinstance(event, dict) else event)
    return refused.value


def update(**session: Any) -> Event:
    return {"type": "session.update", "event_id": "e", "session": {"type": "realtime", **session}}


def response(**overrides: Any) -> Event:
    return {"type": "response.create", "event_id": "e", "response": overrides}


def append(size: int) -> Event:
    return {"type": "input_audio_buffer.append", "audio": base64.b64encode(bytes(size)).decode()}


ALLOWED: list[Event] = [
    update(instructions=""),
    update(audio={"output": {"voice": "marin", "speed": 1.2}}),
    update(audio={"input": {"turn_detection": None, "noise_reduction": {"type": "far_field"}}}),
    update(audio={"input": {"transcription": {"language": "zh"}}}),
    update(audio={"input": {"transcription": None}}),
    update(output_modalities=["text"], tools=[FUNCTION], tool_choice="required", parallel_tool_calls=False),
    update(tool_choice={"type": "function", "name": "f"}, truncation="disabled", reasoning={"effort": "low"}),
    update(include=["item.input_audio_transcription.logprobs"], max_output_tokens=7),
    response(conversation="none", metadata={"a": "b"}, input=[{"type": "item_reference", "id": "i"}]),
    response(instructions="Be brief.", output_modalities=["text"], max_output_tokens=1024),
    {"type": "response.create"},
    {"type": "response.create", "response": None},
    {"type": "response.cancel", "response_id": "r"},
    {"type": "conversation.item.create", "item": {"type": "message", "role": "user", "content": []}},
    {"type": "conversation.item.create", "item": {"type": "function_call_output", "call_id": "c", "output": "x"}},
    {"type": "conversation.item.truncate", "item_id": "i", "content_index": 0, "audio_end_ms": 5},
    {"type": "conversation.item.delete", "item_id": "i", "something": "younger than this file"},
    {"type": "input_audio_buffer.commit"},
    append(0),
    append(960),
]


@pytest.mark.parametrize("event", ALLOWED, ids=lambda event: json.dumps(event)[:60])
def test_allowed_event_is_forwarded_unchanged(event: Event) -> None:
    assert forward(event) == event


@pytest.mark.parametrize(
    ("event", "param"),
    [
        (update(prompt={"id": "pmpt_1"}), "session.prompt"),
        (update(tools=[FUNCTION, MCP]), "session.tools[1].type"),
        (update(tool_choice={"type": "mcp", "server_label": "x"}), "session.tool_choice"),
        (update(type="transcription"), "session.type"),
        (response(prompt={"id": "pmpt_1"}), "response.prompt"),
        (response(tools=[MCP]), "response.tools[0].type"),
        (response(input=[{"type": "mcp_approval_response", "approve": True}]), "response.input[0].type"),
        (
            {"type": "conversation.item.create", "event_id": "e", "item": {"type": "mcp_approval_response"}},
            "item.type",
        ),
    ],
)
def test_forbidden_event_is_rejected(event: Event, param: str) -> None:
    refused = refusal(event)
    assert (refused.code, refused.param, refused.event_id) == ("invalid_value", param, "e")
    error = RealtimeErrorEvent.model_validate(refused.to_event("event_1"), strict=True).error
    assert (error.type, error.param, error.event_id) == ("invalid_request_error", param, "e")


# ---------------------------------------------------------------- settings that are put right


LEFT_OUT: list[Event] = [
    {"model": "gpt-realtime"},
    {"model": None},
    {"model": 3},
    {"tracing": None},
    {"tracing": "auto"},
    {"tracing": {"workflow_name": "mine", "group_id": "g", "metadata": {"a": "b"}}},
    {"prompt": None},
]


@pytest.mark.parametrize("given", LEFT_OUT, ids=json.dumps)
@pytest.mark.parametrize("mode", SessionMode)
def test_model_and_tracing_are_left_out_and_the_rest_counts(given: Event, mode: SessionMode) -> None:
    rest: Event = {"instructions": "Be brief.", "tools": [FUNCTION]}
    assert forward(update(**given, **rest), mode) == update(**rest)
    assert forward(response(**given, **rest), mode) == response(**rest)
    beta = {"type": "session.update", "event_id": "e", "session": {**given, **rest}}
    assert forward(beta, mode, dialect=Dialect.BETA) == update(**rest)


@pytest.mark.parametrize("given", [["audio"], ["text", "audio"], ["audio", "text"], ["text"], None])
def test_output_modalities_of_a_text_session_are_text(given: Any) -> None:
    wanted = None if given is None else ["text"]
    assert forward(update(output_modalities=given), TEXT)["session"]["output_modalities"] == wanted
    assert forward(response(output_modalities=given), TEXT)["response"]["output_modalities"] == wanted


@pytest.mark.parametrize("given", [["text", "audio"], ["audio", "text"]])
def test_audio_with_its_text_is_audio(given: list[str]) -> None:
    assert forward(update(output_modalities=given)) == update(output_modalities=["audio"])
    assert forward(response(output_modalities=given)) == response(output_modalities=["audio"])


@pytest.mark.parametrize("given", ["audio", {}, [], ["video"], [["audio"]], [3], ["audio", None]])
def test_unknown_output_modalities_are_rejected_by_a_text_session(given: Any) -> None:
    assert refusal(update(output_modalities=given), TEXT).param == "session.output_modalities"
    assert forward(update(output_modalities=given)) == update(output_modalities=given), "the server rejects them"


def test_missing_session_type_is_added() -> None:
    assert forward({"type": "session.update", "session": {"instructions": "x"}})["session"] == {
        "type": "realtime",
        "instructions": "x",
    }


def transcription_model(model: str, event: Event, **how: Any) -> Event:
    """The `audio.input_tokens` that is sent on, where the operator's model is this."""
    ours = make_policy(**how)
    ours.pin_transcription_model(model)
    [text] = ours.process_message(json.dumps(event))
    sound_in: Event = json.loads(text)["session"]["audio"]["input"]
    return sound_in


@pytest.mark.parametrize(
    "wanted",
    [{"model": "dear"}, {"model": "dear", "language": "zh"}, {"language": "zh"}, {"model": None}, {"model": 3}, {}],
)
def test_transcription_model_is_replaced_by_the_operators(wanted: Event) -> None:
    rest = {name: value for name, value in wanted.items() if name != "model"}
    event = update(audio={"input": {"transcription": wanted, "noise_reduction": None}})
    assert transcription_model("cheap", event) == {"transcription": {**rest, "model": "cheap"}, "noise_reduction": None}
    unknown = {"transcription": rest, "noise_reduction": None} if rest else {"noise_reduction": None}
    assert transcription_model("", event) == unknown
    beta = {"type": "session.update", "session": {"input_audio_transcription": wanted}}
    assert transcription_model("cheap", beta, dialect=Dialect.BETA) == {"transcription": {**rest, "model": "cheap"}}


def test_transcription_model_is_replaced_for_a_beta_server() -> None:
    ours = make_policy(dialect=Dialect.BETA)
    ours.pin_transcription_model("cheap")
    wanted = {"type": "session.update", "session": {"input_audio_transcription": {"model": "dear"}}}
    [text] = ours.process_message(json.dumps(wanted), Dialect.BETA)
    assert json.loads(text)["session"] == {"input_audio_transcription": {"model": "cheap"}}


def test_transcription_of_wrong_type_is_rejected() -> None:
    refused = refusal(update(audio={"input": {"transcription": "dear"}}))
    assert (refused.code, refused.param) == ("invalid_type", "session.audio.input.transcription")
    in_a_reply = forward(response(audio={"input": {"transcription": {"model": "dear"}}, "output": {"voice": "x"}}))
    assert in_a_reply["response"]["audio"] == {"input": {}, "output": {"voice": "x"}}


# ---------------------------------------------------------------- length of responses, unknown fields


@pytest.mark.parametrize(("wanted", "sent"), [(1, 1), (1024, 1024), (4096, 1024), ("inf", 1024), (None, 1024)])
def test_output_tokens_are_capped(wanted: Any, sent: int) -> None:
    assert forward(update(max_output_tokens=wanted))["session"]["max_output_tokens"] == sent
    assert forward(response(max_output_tokens=wanted))["response"]["max_output_tokens"] == sent


@pytest.mark.parametrize("wanted", ["4096", 5000.0, True, [1]])
def test_output_tokens_of_wrong_type_are_rejected(wanted: Any) -> None:
    refused = refusal(update(max_output_tokens=wanted))
    assert (refused.code, refused.param) == ("invalid_type", "session.max_output_tokens")


def test_unlisted_field_is_rejected() -> None:
    refused = refusal(update(connectors=[1]))
    assert (refused.code, refused.param) == ("unknown_parameter", "session.connectors")
    assert refusal(update(**{"x" * 500 + "'\n": 1})).param == "session"


@pytest.mark.parametrize(
    ("event", "param"),
    [
        (append(960), "type"),
        ({"type": "input_audio_buffer.commit"}, "type"),
        (
            {
                "type": "conversation.item.create",
                "item": {"type": "message", "role": "user", "content": [{"type": "input_audio", "audio": ""}]},
            },
            "item.content[0].type",
        ),
    ],
)
def test_text_session_rejects_audio(event: Event, param: str) -> None:
    assert refusal(event, TEXT).param == param
    assert forward(event) == event, "what a voice endpoint takes"


def test_text_session_accepts_text() -> None:
    for event in (update(output_modalities=["text"]), response(), update(audio={"output": {"voice": "x"}})):
        assert forward(event, TEXT) == event


def test_audio_of_one_byte_a_sample_may_be_odd() -> None:
    ours = make_policy()
    with pytest.raises(ClientEventRejected):
        ours.process_message(json.dumps(append(3)))
    ours.process_message(json.dumps(update(audio={"input": {"format": {"type": "audio/pcmu"}}})))
    assert ours.process_message(json.dumps(append(3)))
    ours.process_message(json.dumps(update(audio={"input": {"format": {"type": "audio/pcm", "rate": 24000}}})))
    with pytest.raises(ClientEventRejected):
        ours.process_message(json.dumps(append(3)))


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "invalid_json"),
        ('{"type":"response.create","x":NaN}', "invalid_json"),
        ('{"type":"response.create","x":1e999}', "invalid_json"),
        ("[" * 100_000, "invalid_json"),
        ('{"type":"response.create","x":' + "[" * 900 + "]" * 900 + "}", None),
        ("null", "invalid_event"),
        ('{"type":1}', "invalid_type"),
        ('{"type":"response.create","event_id":1}', "invalid_type"),
        ('{"type":"session.update"}', "missing_required_parameter"),
        ('{"type":"session.update","session":[]}', "invalid_type"),
        ('{"type":"input_audio_buffer.append"}', "missing_required_parameter"),
        ('{"type":"input_audio_buffer.append","audio":1}', "invalid_type"),
        ('{"type":"input_audio_buffer.append","audio":"AAA"}', "invalid_value"),
        ('{"type":"input_audio_buffer.append","audio":"AA AA"}', "invalid_value"),
        ('{"type":"input_audio_buffer.append","audio":"é==="}', "invalid_value"),
    ],
)
def test_invalid_messages_are_rejected(text: str, code: str | None) -> None:
    if code is None:
        assert make_policy().process_message(text)
    else:
        assert refusal(text).code == code


def test_duplicate_name_is_forwarded_once() -> None:
    """A server that reads the first of two would otherwise get what was never checked."""
    twice = '{"type":"session.update","session":{"type":"realtime","model":"x"},"session":{"type":"realtime"}}'
    [text] = make_policy().process_message(twice)
    assert (
        json.loads(text) == {"type": "session.update", "session": {"type": "realtime"}} and text.count("session") == 2
    )


def test_lone_surrogate_is_forwarded() -> None:
    text = '{"type":"response.cancel","response_id":"\\ud83d"}'
    assert make_policy().process_message(text) == [text]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    "type",
                    "session",
                    "response",
                    "item",
                    "input",
                    "content",
                    "tools",
                    "tool_choice",
                    "model",
                    "audio",
                    "format",
                    "transcription",
                    "input_audio_transcription",
                    "max_output_tokens",
                    "output_modalities",
                    "modalities",
                    "max_response_output_tokens",
                    "event_id",
                ]
            )
            | st.text(max_size=4),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)
KINDS = st.sampled_from(
    ["session.update", "response.create", "conversation.item.create", "transcription_session.update"]
)


@given(
    kind=KINDS,
    rest=JSON,
    mode=st.sampled_from(SessionMode),
    dialect=st.sampled_from(Dialect),
    server=st.sampled_from(Dialect),
)
def test_any_settings_are_forwarded_within_the_rules_or_rejected(
    kind: str, rest: Any, mode: SessionMode, dialect: Dialect, server: Dialect
) -> None:
    event = {"session": rest, "response": rest, "item": rest, "type": kind}
    try:
        texts = make_policy(mode, dialect=dialect).process_message(json.dumps(event), server)
    except ClientEventRejected as refused:
        assert RealtimeErrorEvent.model_validate(refused.to_event("event_1"), strict=True)
        return
    for sent in map(json.loads, texts):
        settings = {"session.update": sent["session"], "response.create": sent["response"]}.get(sent["type"])
        if not isinstance(settings, dict):
            continue
        assert not {"model", "tracing", "prompt"} & settings.keys()
        heard = [settings.get("input_audio_transcription")]
        if isinstance(settings.get("audio"), dict) and isinstance(settings["audio"].get("input"), dict):
            heard.append(settings["audio"]["input"].get("transcription"))
        assert all(one is None or (isinstance(one, dict) and "model" not in one) for one in heard)
        most = settings.get("max_output_tokens", settings.get("max_response_output_tokens", 0))
        assert isinstance(most, int) and most <= 1024
        if mode is TEXT and server is Dialect.GA:
            assert settings.get("output_modalities") in (None, ["text"])
