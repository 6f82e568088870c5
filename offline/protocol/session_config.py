"""Session configuration: fields and defaults of the session object, and the merge of updates.

An update is merged into a copy: an invalid one leaves the session unchanged.
"""

from __future__ import annotations

from typing import Any

from offline.audio import SAMPLE_RATE

from .audio_formats import G711_SAMPLE_RATE
from .outputs import Json, ProtocolError, invalid_type, invalid_value, missing_parameter
from .validators import (
    Validator,
    any_value,
    array_of,
    boolean,
    json_object,
    json_schema,
    nullable,
    number,
    object_of,
    one_of,
    string,
)
from .voices import DEFAULT_VOICE, VOICE_IDS
from .worker_messages import LanguageCode

FALLBACK_INSTRUCTIONS = "You are a friendly voice assistant."
"""Instructions of a prompt when the client has set empty ones."""
DEFAULT_INSTRUCTIONS = (
    f"{FALLBACK_INSTRUCTIONS} Answer in the language the person speaks, in one or two short sentences "
    "that sound natural when spoken aloud. When something is unclear, ask."
)
MAX_INSTRUCTIONS_CHARS = 65_536
"""Characters of `instructions`, far above the models' context."""
MAX_HINT_CHARS = 120
"""Characters of the transcription's keywords and prompt that the recogniser reads."""
MAX_TOOLS = 128
"""Functions that a session or response may declare."""

DEFAULT_SERVER_VAD: Json = {
    "type": "server_vad",
    "threshold": 0.5,
    "prefix_padding_ms": 300,
    "silence_duration_ms": 200,
    "idle_timeout_ms": None,
    "create_response": True,
    "interrupt_response": True,
}
DEFAULT_SEMANTIC_VAD: Json = {
    "type": "semantic_vad",
    "eagerness": "auto",
    "create_response": True,
    "interrupt_response": True,
}
PCM_FORMAT: Json = {"type": "audio/pcm", "rate": SAMPLE_RATE}


def _audio_format(value: Any, path: str, current: Any) -> Json:
    kinds = one_of("audio/pcm", "audio/pcmu", "audio/pcma")
    kept: Json = object_of({"type": kinds, "rate": number(1, 1_000_000, integer=True)}, ("type",))(value, path, None)
    rate = SAMPLE_RATE if kept["type"] == "audio/pcm" else G711_SAMPLE_RATE
    if kept.get("rate", rate) != rate:
        raise invalid_value(f"{path}.rate", f"The rate of {kept['type']} is {rate}.")
    return dict(PCM_FORMAT) if kept["type"] == "audio/pcm" else {"type": kept["type"]}


def _turn_detection(value: Any, path: str, current: Any) -> Json:
    if not isinstance(value, dict):
        raise invalid_type(path, "an object or null")
    kind = value.get("type", current["type"] if current else None)
    if kind is None:
        raise missing_parameter(f"{path}.type")
    one_of("server_vad", "semantic_vad")(kind, f"{path}.type", None)
    base = DEFAULT_SERVER_VAD if kind == "server_vad" else DEFAULT_SEMANTIC_VAD
    kept = current if current and current["type"] == kind else base
    return dict(object_of(_VAD_FIELDS[kind], base=base)(value, path, kept))


_VAD_FIELDS: dict[str, dict[str, Validator]] = {
    "server_vad": {
        "type": any_value,
        "threshold": number(0, 1),
        "prefix_padding_ms": number(0, 5000, integer=True),
        "silence_duration_ms": number(0, 10_000, integer=True),
        "adaptive_silence": boolean,
        "idle_timeout_ms": nullable(number(5000, 30_000, integer=True)),
        "create_response": boolean,
        "interrupt_response": boolean,
    },
    "semantic_vad": {
        "type": any_value,
        "eagerness": one_of("low", "medium", "high", "auto"),
        "create_response": boolean,
        "interrupt_response": boolean,
    },
}


def _output_modalities(value: Any, path: str, current: Any) -> list[str]:
    kept: list[str] = array_of(one_of("text", "audio"), 2)(value, path, current)
    if len(kept) != 1:
        raise invalid_value(path, "Supported values are: ['text'] and ['audio'].")
    return kept


def _max_output_tokens(value: Any, path: str, current: Any) -> Any:
    if value == "inf":
        return value
    if isinstance(value, bool) or not isinstance(value, int):
        raise invalid_type(path, "an integer or 'inf'")
    return number(1, 4096, integer=True)(value, path, current)


def _voice(value: Any, path: str, current: Any) -> str:
    known = one_of(*VOICE_IDS)
    if isinstance(value, dict):  # as the protocol names a voice of the client's own; a response has names only
        value = object_of({"id": known}, ("id",))(value, path, None)["id"]
    name: str = known(value, path, None)
    return name


def _tool(value: Any, path: str, current: Any) -> Json:
    if not isinstance(value, dict):
        raise invalid_type(path, "an object")
    if value.get("type") == "mcp":
        raise invalid_value(path, "This server cannot reach MCP servers; declare functions.")
    fields = {
        "type": one_of("function"),
        "name": string(64),
        "description": string(16_384),
        "parameters": nullable(json_schema),
        "strict": nullable(boolean),
    }
    kept: Json = object_of(fields, ("type", "name"))(value, path, None)
    if not kept["name"]:
        raise invalid_value(f"{path}.name", "A function has a name.")
    return kept


def _tool_choice(value: Any, path: str, current: Any) -> Any:
    if isinstance(value, str):
        return one_of("none", "auto", "required")(value, path, current)
    return object_of({"type": one_of("function"), "name": string(64)}, ("type", "name"))(value, path, None)


def _truncation(value: Any, path: str, current: Any) -> Any:
    if isinstance(value, str):
        return one_of("auto", "disabled")(value, path, current)
    limits = object_of({"post_instructions": number(0, 1_000_000, integer=True)})
    fields = {"type": one_of("retention_ratio"), "retention_ratio": number(0, 1), "token_limits": nullable(limits)}
    return object_of(fields, ("type", "retention_ratio"))(value, path, None)


def _tracing(value: Any, path: str, current: Any) -> Any:
    if isinstance(value, str):
        return one_of("auto")(value, path, current)
    return object_of({"workflow_name": string(512), "group_id": string(512), "metadata": json_object})(
        value, path, None
    )


def _reject_stored_prompt(value: Any, path: str, current: Any) -> None:
    raise invalid_value(path, "Stored prompts are not available on this server.")


def _metadata(value: Any, path: str, current: Any) -> Json:
    kept = json_object(value, path, current)
    if len(kept) > 16:
        raise invalid_value(path, "At most 16 entries are accepted.")
    for key, entry in kept.items():
        if len(key) > 64:
            raise invalid_value(path, "A key has at most 64 characters.")
        string(512)(entry, f"{path}.{key}", None)
    return kept


_TRANSCRIPTION_VALIDATOR = object_of(
    {
        "model": string(128),
        "language": nullable(string(16)),
        "languages": nullable(array_of(string(16), 16)),
        "keywords": nullable(array_of(string(128), 256)),
        "prompt": nullable(string(4096)),
        "delay": nullable(one_of("minimal", "low", "medium", "high", "xhigh")),
    },
    base={"model": "whisper-1", "language": None, "prompt": None},
)
_REASONING_VALIDATOR = object_of({"effort": nullable(one_of("minimal", "low", "medium", "high", "xhigh"))})
_NOISE_REDUCTION_VALIDATOR = object_of({"type": one_of("near_field", "far_field"), "strength": number(0, 1)}, ("type",))
_INCLUDE_VALIDATOR = nullable(array_of(one_of("item.input_audio_transcription.logprobs"), 8))

_SHARED_FIELDS: dict[str, Validator] = {
    "instructions": string(MAX_INSTRUCTIONS_CHARS),
    "output_modalities": _output_modalities,
    "max_output_tokens": _max_output_tokens,
    "tools": array_of(_tool, MAX_TOOLS),
    "tool_choice": _tool_choice,
    "parallel_tool_calls": boolean,
    "reasoning": nullable(_REASONING_VALIDATOR),
    "prompt": nullable(_reject_stored_prompt),
}
_AUDIO_OUTPUT_FIELDS: dict[str, Validator] = {"format": _audio_format, "voice": _voice}
_SESSION_VALIDATOR = object_of(
    {
        **_SHARED_FIELDS,
        "type": any_value,
        "model": string(128),
        "truncation": _truncation,
        "tracing": nullable(_tracing),
        "include": _INCLUDE_VALIDATOR,
        "audio": object_of(
            {
                "input": object_of(
                    {
                        "format": _audio_format,
                        "transcription": nullable(_TRANSCRIPTION_VALIDATOR),
                        "noise_reduction": nullable(_NOISE_REDUCTION_VALIDATOR),
                        "turn_detection": nullable(_turn_detection),
                    }
                ),
                "output": object_of({**_AUDIO_OUTPUT_FIELDS, "speed": number(0.25, 1.5)}),
            }
        ),
    }
)
_RESPONSE_VALIDATOR = object_of(
    {
        **_SHARED_FIELDS,
        "audio": object_of({"output": object_of(_AUDIO_OUTPUT_FIELDS)}),
        "metadata": nullable(_metadata),
        "conversation": one_of("auto", "none"),
        "input": nullable(array_of(json_object, 1000)),
    }
)


def default_session(model: str) -> Json:
    """Return the writable part of a new session."""
    return {
        "type": "realtime",
        "model": model,
        "output_modalities": ["audio"],
        "instructions": DEFAULT_INSTRUCTIONS,
        "tools": [],
        "tool_choice": "auto",
        "max_output_tokens": "inf",
        "tracing": None,
        "truncation": "auto",
        "prompt": None,
        "audio": {
            "input": {
                "format": dict(PCM_FORMAT),
                "transcription": None,
                "noise_reduction": None,
                "turn_detection": dict(DEFAULT_SERVER_VAD),
            },
            "output": {"format": dict(PCM_FORMAT), "voice": DEFAULT_VOICE, "speed": 1.0},
        },
        "include": None,
    }


def apply_session_update(current: Json, patch: Any, *, model_is_fixed: bool, voice_is_fixed: bool) -> Json:
    """Return the session after `session.update` with `patch`.

    `model_is_fixed`: the client named a model in the URL. `voice_is_fixed`: the model has already spoken.

    Raises `ProtocolError`; then no part of the patch applies.
    """
    if not isinstance(patch, dict):
        raise invalid_type("session", "an object")
    if "type" not in patch:
        raise missing_parameter("session.type")
    if patch["type"] != "realtime":
        raise invalid_value("session.type", "This server holds conversations: 'realtime'.")
    if model_is_fixed and patch.get("model", current["model"]) != current["model"]:
        raise invalid_value("session.model", "The model of a session is chosen when connecting.")
    merged: Json = _SESSION_VALIDATOR(patch, "session", current)
    _check_tool_choice(merged, "session")
    if voice_is_fixed and merged["audio"]["output"]["voice"] != current["audio"]["output"]["voice"]:
        raise cannot_update_voice("session.audio.output.voice")
    return merged


def cannot_update_voice(path: str) -> ProtocolError:
    """Return the error for a voice change after the model has spoken."""
    return ProtocolError("cannot_update_voice", "Cannot update a conversation's voice if assistant audio exists.", path)


def merge_response_settings(session: Json, overrides: Any) -> Json:
    """Return the session's settings overridden by those of `response.create`, for one response.

    They also contain `metadata`, `conversation` ("auto" or "none"), `input` (raw items or None) and `is_turn`: whether
    the response continues the conversation under its instructions. Raises `ProtocolError`.
    """
    base = {**session, "metadata": None, "conversation": "auto", "input": None, "is_turn": True}
    if overrides is None:
        return base
    if not isinstance(overrides, dict):
        raise invalid_type("response", "an object")
    patch = {key: value for key, value in overrides.items() if value is not None}
    merged: Json = _RESPONSE_VALIDATOR(patch, "response", base)
    _check_tool_choice(merged, "response")
    has_own_task = merged["input"] is not None or merged["instructions"] != session["instructions"]
    merged["is_turn"] = merged["conversation"] != "none" and not has_own_task
    return merged


def _check_tool_choice(settings: Json, path: str) -> None:
    choice = settings["tool_choice"]
    if isinstance(choice, dict) and choice["name"] not in [tool["name"] for tool in settings["tools"]]:
        raise invalid_value(f"{path}.tool_choice", "It names a function that is not declared in 'tools'.")


def transcription_hints(session: Json) -> str:
    """Return the keywords and the prompt of the transcription, at most `MAX_HINT_CHARS`; "" without any."""
    transcription = session["audio"]["input"]["transcription"] or {}
    hints = [*(transcription.get("keywords") or ()), transcription.get("prompt") or ""]
    return "、".join(filter(None, hints))[:MAX_HINT_CHARS]


def input_language(session: Json) -> LanguageCode | None:
    """Return the transcription language of the session if this server supports it."""
    transcription = session["audio"]["input"]["transcription"]
    code = str((transcription or {}).get("language") or "").lower().replace("_", "-").split("-")[0]
    if code == "en":
        return "en"
    return "zh" if code == "zh" else None
