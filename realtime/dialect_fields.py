"""Fields of beta <-> fields of GA: names, paths and values of sessions and responses. Pure, never raising."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

Event = dict[str, Any]
Convert = Callable[[Any], Any]

# ---------------------------------------------------------------- values


def _same(value: Any) -> Any:
    return value


def _modalities_to_ga(value: Any) -> Any:
    """Sound always has its text in GA, so that is not said."""
    return [kind for kind in value if kind != "text"] if isinstance(value, list) and "audio" in value else value


def _modalities_to_beta(value: Any) -> Any:
    missing = isinstance(value, list) and "audio" in value and "text" not in value
    return ["text", *value] if missing else value


_G711 = {"g711_ulaw": "audio/pcmu", "g711_alaw": "audio/pcma"}
_G711_BACK = {ga: beta for beta, ga in _G711.items()}
_PCM_AT = re.compile(r"pcm16-([1-9][0-9]{3,5})hz")
"""How Voice Live says a rate other than 24 kHz."""


def _format_to_ga(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if value == "pcm16":
        return {"type": "audio/pcm", "rate": 24_000}
    if value in _G711:
        return {"type": _G711[value]}
    at = _PCM_AT.fullmatch(value)
    return {"type": "audio/pcm", "rate": int(at[1])} if at else value


def _format_to_beta(value: Any) -> Any:
    name = value.get("type") if isinstance(value, dict) else None
    if not isinstance(name, str):
        return value
    if name in _G711_BACK:
        return _G711_BACK[name]
    rate = value.get("rate")
    if name != "audio/pcm":
        return value
    if rate is None or rate == 24_000:
        return "pcm16"
    return f"pcm16-{rate}hz" if isinstance(rate, int) and 1_000 <= rate < 1_000_000 else value


def _voice_to_ga(value: Any) -> Any:
    """Voice Live's `{"type": "openai", "name": "alloy"}` is GA's "alloy"; its other voices have no name there."""
    openai = isinstance(value, dict) and value.keys() == {"type", "name"} and value["type"] == "openai"
    return value["name"] if openai and isinstance(value["name"], str) else value


def _turn_detection_to_ga(value: Any) -> Any:
    """Azure's beta could say "none" for null."""
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


class Field(NamedTuple):
    """One row: the flat name of beta, the path of GA, and how the value changes."""

    beta: str
    ga: tuple[str, ...]
    to_ga: Convert = _same
    to_beta: Convert = _same


_MODALITIES = Field("modalities", ("output_modalities",), _modalities_to_ga, _modalities_to_beta)
_VOICE = Field("voice", ("audio", "output", "voice"), _voice_to_ga)
_OUTPUT_FORMAT = Field("output_audio_format", ("audio", "output", "format"), _format_to_ga, _format_to_beta)
_MAX_TOKENS = Field("max_response_output_tokens", ("max_output_tokens",))
_TOOL_CHOICE = Field("tool_choice", ("tool_choice",), _tool_choice_to_ga, _tool_choice_to_beta)

SESSION = (
    _MODALITIES,
    _VOICE,
    _OUTPUT_FORMAT,
    _MAX_TOKENS,
    _TOOL_CHOICE,
    Field("speed", ("audio", "output", "speed")),
    Field("input_audio_format", ("audio", "input", "format"), _format_to_ga, _format_to_beta),
    Field("input_audio_transcription", ("audio", "input", "transcription")),
    Field("input_audio_noise_reduction", ("audio", "input", "noise_reduction")),
    Field("turn_detection", ("audio", "input", "turn_detection"), _turn_detection_to_ga),
)
OVERRIDES = (_MODALITIES, _VOICE, _OUTPUT_FORMAT, _MAX_TOKENS, _TOOL_CHOICE)
"""`response` of a `response.create`."""
RESPONSE = (_MODALITIES, _VOICE, _OUTPUT_FORMAT)
"""`response` as a server tells it: `max_output_tokens` already had its name there."""

FLAT = (
    "modalities",
    "max_response_output_tokens",
    "output_audio_format",
    "input_audio_format",
    "input_audio_transcription",
)
"""Fields that no GA session has, not even a look-alike's."""

_ONLY_BETA = ("temperature",)
_MISSING = object()


# ---------------------------------------------------------------- shapes


def _put(owned: Event, path: tuple[str, ...], value: Any) -> bool:
    """Set a nested value; what is on the way is copied. False (and nothing set) where something else is in the way."""
    head, rest = path[0], path[1:]
    if not rest:
        owned[head] = value
        return True
    inner = owned.get(head, {})
    if not isinstance(inner, dict):
        return False
    inner = dict(inner)
    if not _put(inner, rest, value):
        return False
    owned[head] = inner
    return True


def _take(owned: Event, path: tuple[str, ...]) -> Any:
    """Remove a nested value and return it, or `_MISSING`. What is on the way is copied, and goes when it gets empty."""
    head, rest = path[0], path[1:]
    if not rest:
        return owned.pop(head, _MISSING)
    inner = owned.get(head)
    if not isinstance(inner, dict):
        return _MISSING
    inner = dict(inner)
    value = _take(inner, rest)
    if value is _MISSING:
        return _MISSING
    if inner:
        owned[head] = inner
    else:
        del owned[head]
    return value


def shape_to_ga(fields: tuple[Field, ...], old: Event) -> Event:
    """An object of beta's fields with GA's. What is not there stays away, null stays null."""
    new = {key: value for key, value in old.items() if key not in _ONLY_BETA}
    for field in fields:
        if field.beta in old:
            value = new.pop(field.beta)
            if not _put(new, field.ga, field.to_ga(value)):
                new[field.beta] = value
    return new


def shape_to_beta(fields: tuple[Field, ...], old: Event) -> Event:
    """The way back. What GA nests and beta does not know stays where it is."""
    new = dict(old)
    for field in fields:
        value = _take(new, field.ga)
        if value is not _MISSING:
            new[field.beta] = field.to_beta(value)
    return new


PATHS_TO_GA = [
    (f"{place}.{field.beta}", f"{place}.{'.'.join(field.ga)}")
    for place, fields in (("session", SESSION), ("response", OVERRIDES))
    for field in fields
]
"""Old and new path of every field, as an error's `param` names them."""
PATHS_TO_BETA = [(ga, beta) for beta, ga in PATHS_TO_GA]
