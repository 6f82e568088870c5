"""Beta dialect fields: maps names, paths and values of sessions and responses between beta and GA. Pure, no errors."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

from .event_fields import RawEvent

Convert = Callable[[Any], Any]

# ---------------------------------------------------------------- values


def _identity(value: Any) -> Any:
    return value


def _modalities_to_ga(value: Any) -> Any:
    """Drop "text" beside "audio": in GA, audio always has its text."""
    return [kind for kind in value if kind != "text"] if isinstance(value, list) and "audio" in value else value


def _modalities_to_beta(value: Any) -> Any:
    missing = isinstance(value, list) and "audio" in value and "text" not in value
    return ["text", *value] if missing else value


_G711_TO_GA = {"g711_ulaw": "audio/pcmu", "g711_alaw": "audio/pcma"}
_G711_TO_BETA = {ga: beta for beta, ga in _G711_TO_GA.items()}
_PCM_WITH_RATE = re.compile(r"pcm16-([1-9][0-9]{3,5})hz")
"""Voice Live's name for a rate other than 24 kHz."""


def _format_to_ga(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if value == "pcm16":
        return {"type": "audio/pcm", "rate": 24_000}
    if value in _G711_TO_GA:
        return {"type": _G711_TO_GA[value]}
    at = _PCM_WITH_RATE.fullmatch(value)
    return {"type": "audio/pcm", "rate": int(at[1])} if at else value


def _format_to_beta(value: Any) -> Any:
    name = value.get("type") if isinstance(value, dict) else None
    if not isinstance(name, str):
        return value
    if name in _G711_TO_BETA:
        return _G711_TO_BETA[name]
    rate = value.get("rate")
    if name != "audio/pcm":
        return value
    if rate is None or rate == 24_000:
        return "pcm16"
    return f"pcm16-{rate}hz" if isinstance(rate, int) and 1_000 <= rate < 1_000_000 else value


def _voice_to_ga(value: Any) -> Any:
    """Turn Voice Live's `{"type": "openai", "name": "alloy"}` into "alloy". Its other voices have no name in GA."""
    openai = isinstance(value, dict) and value.keys() == {"type", "name"} and value["type"] == "openai"
    return value["name"] if openai and isinstance(value["name"], str) else value


def _turn_detection_to_ga(value: Any) -> Any:
    """Turn "none" into null: Azure's beta has both."""
    return None if isinstance(value, dict) and value.get("type") == "none" else value


def _tool_choice_to_ga(value: Any) -> Any:
    if not isinstance(value, dict) or value.get("type") != "function" or "name" in value:
        return value
    function = value.get("function")
    if not isinstance(function, dict) or function.keys() != {"name"}:
        return value
    return {**{key: entry for key, entry in value.items() if key != "function"}, "name": function["name"]}


def _tool_choice_to_beta(value: Any) -> Any:
    if not isinstance(value, dict) or value.get("type") != "function" or "name" not in value or "function" in value:
        return value
    rest = {key: entry for key, entry in value.items() if key != "name"}
    return {**rest, "function": {"name": value["name"]}}


# ---------------------------------------------------------------- the table


class FieldMapping(NamedTuple):
    """One row of the table: the flat beta name, the GA path, and the conversions of the value."""

    beta: str
    ga: tuple[str, ...]
    to_ga: Convert = _identity
    to_beta: Convert = _identity


_MODALITIES = FieldMapping("modalities", ("output_modalities",), _modalities_to_ga, _modalities_to_beta)
_VOICE = FieldMapping("voice", ("audio", "output", "voice"), _voice_to_ga)
_OUTPUT_FORMAT = FieldMapping("output_audio_format", ("audio", "output", "format"), _format_to_ga, _format_to_beta)
_MAX_TOKENS = FieldMapping("max_response_output_tokens", ("max_output_tokens",))
_TOOL_CHOICE = FieldMapping("tool_choice", ("tool_choice",), _tool_choice_to_ga, _tool_choice_to_beta)

SESSION_FIELDS = (
    _MODALITIES,
    _VOICE,
    _OUTPUT_FORMAT,
    _MAX_TOKENS,
    _TOOL_CHOICE,
    FieldMapping("speed", ("audio", "output", "speed")),
    FieldMapping("input_audio_format", ("audio", "input", "format"), _format_to_ga, _format_to_beta),
    FieldMapping("input_audio_transcription", ("audio", "input", "transcription")),
    FieldMapping("input_audio_noise_reduction", ("audio", "input", "noise_reduction")),
    FieldMapping("turn_detection", ("audio", "input", "turn_detection"), _turn_detection_to_ga),
)
RESPONSE_CREATE_FIELDS = (_MODALITIES, _VOICE, _OUTPUT_FORMAT, _MAX_TOKENS, _TOOL_CHOICE)
"""Fields of the `response` in a `response.create`."""
RESPONSE_FIELDS = (_MODALITIES, _VOICE, _OUTPUT_FORMAT)
"""Fields of the `response` in server events, where `max_output_tokens` has the same name in both dialects."""

BETA_ONLY_SESSION_FIELDS = (
    "modalities",
    "max_response_output_tokens",
    "output_audio_format",
    "input_audio_format",
    "input_audio_transcription",
)
"""Fields that no GA session has, not even one of a compatible server."""

_DROPPED_IN_GA = ("temperature",)
_MISSING = object()


# ---------------------------------------------------------------- shapes


def _set_nested(owned: RawEvent, path: tuple[str, ...], value: Any) -> bool:
    """Set a nested value, copying the objects on its path. Return False when its path holds another value."""
    head, rest = path[0], path[1:]
    if not rest:
        owned[head] = value
        return True
    inner = owned.get(head, {})
    if not isinstance(inner, dict):
        return False
    inner = dict(inner)
    if not _set_nested(inner, rest, value):
        return False
    owned[head] = inner
    return True


def _pop_nested(owned: RawEvent, path: tuple[str, ...]) -> Any:
    """Remove a nested value and return it, or `_MISSING`. Objects on its path are copied, and removed when empty."""
    head, rest = path[0], path[1:]
    if not rest:
        return owned.pop(head, _MISSING)
    inner = owned.get(head)
    if not isinstance(inner, dict):
        return _MISSING
    inner = dict(inner)
    value = _pop_nested(inner, rest)
    if value is _MISSING:
        return _MISSING
    if inner:
        owned[head] = inner
    else:
        del owned[head]
    return value


def shape_to_ga(fields: tuple[FieldMapping, ...], old: RawEvent) -> RawEvent:
    """Return an object of beta fields with GA fields. Absent fields stay absent, null stays null."""
    new = {key: value for key, value in old.items() if key not in _DROPPED_IN_GA}
    for field in fields:
        if field.beta in old:
            value = new.pop(field.beta)
            if not _set_nested(new, field.ga, field.to_ga(value)):
                new[field.beta] = value
    return new


def shape_to_beta(fields: tuple[FieldMapping, ...], old: RawEvent) -> RawEvent:
    """Return an object of GA fields with beta fields. Nested fields that beta does not know stay nested."""
    new = dict(old)
    for field in fields:
        value = _pop_nested(new, field.ga)
        if value is not _MISSING:
            new[field.beta] = field.to_beta(value)
    return new


PATHS_TO_GA = [
    (f"{root}.{field.beta}", f"{root}.{'.'.join(field.ga)}")
    for root, fields in (("session", SESSION_FIELDS), ("response", RESPONSE_CREATE_FIELDS))
    for field in fields
]
"""Beta and GA path of every field, as an error's `param` names them."""
PATHS_TO_BETA = [(ga, beta) for beta, ga in PATHS_TO_GA]
