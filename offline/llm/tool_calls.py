"""Tool calls in generated text: detection, parsing, and validation against the declared functions."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from offline.protocol.json_schemas import grammar_schema

_TOOL_CALL_PREFIXES = ("{", "<tool_call>", "```json", "```")
_CALL_BEGINNING = re.compile(r'\s*(?:```(?:json)?\s*)?\{\s*"(?:name|arguments|parameters)"\s*:')
_JSON_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
    "null": (type(None),),
}


@dataclass(frozen=True, slots=True)
class ParsedToolCall:
    """Valid call of a declared function. `arguments` is JSON text of an object."""

    name: str
    arguments: str


def parse_tool_declarations(tools: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return declared functions by name from their JSON texts; invalid declarations are left out."""
    declared = {}
    for text in tools:
        try:
            tool = json.loads(text)
        except ValueError:
            continue
        if isinstance(tool, dict) and isinstance(tool.get("name"), str):
            declared[tool["name"]] = tool
    return declared


def matches_schema(value: Any, schema: Any) -> bool:
    """Return whether `value` has the type, required fields, enum members and bounds of `schema`.

    Keywords without a part in this are ignored: patterns, formats, lengths, additional properties.
    """
    if not isinstance(schema, Mapping):
        return True
    allowed, required = schema.get("enum"), schema.get("required")
    if isinstance(allowed, list) and value not in allowed:
        return False
    if ("const" in schema and value != schema["const"]) or not _is_within_bounds(value, schema):
        return False
    for keyword in ("anyOf", "oneOf"):
        choices = schema.get(keyword)
        if isinstance(choices, list) and choices and not any(matches_schema(value, choice) for choice in choices):
            return False
    kinds = schema.get("type")
    names = [kinds] if isinstance(kinds, str) else kinds if isinstance(kinds, list) else []
    types = tuple(t for name in names for t in _JSON_TYPES.get(name, (object,)))
    if types and (
        not isinstance(value, types) or (isinstance(value, bool) and bool not in types and object not in types)
    ):
        return False
    if isinstance(value, dict):
        properties = schema.get("properties")
        if isinstance(required, list) and any(field not in value for field in required if isinstance(field, str)):
            return False
        if isinstance(properties, Mapping):
            return all(matches_schema(value[name], part) for name, part in properties.items() if name in value)
    if isinstance(value, list):
        return all(matches_schema(item, schema.get("items")) for item in value)
    return True


def _is_within_bounds(value: Any, schema: Mapping[str, Any]) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return True
    bounds = (schema.get("minimum"), schema.get("maximum"))
    low, high = (each if isinstance(each, (int, float)) else value for each in bounds)
    return bool(low <= value <= high)


def parse_tool_call(text: str, tools: Mapping[str, Mapping[str, Any]]) -> ParsedToolCall | None:
    """Return the call at the start of `text`; None for an undeclared function or arguments that violate its schema."""
    value = _first_object(text)
    if value is None:
        return None
    return validate_tool_call(value.get("name"), value.get("arguments", value.get("parameters", {})), tools)


def read_call(text: str) -> tuple[str, dict[str, Any] | None]:
    """Return name and arguments of the call at the start of `text`, of any function; "" and None where they lack."""
    value = _first_object(text) or {}
    name, arguments = value.get("name"), value.get("arguments", value.get("parameters"))
    return name if isinstance(name, str) else "", arguments if isinstance(arguments, dict) else None


def _first_object(text: str) -> dict[str, Any] | None:
    start = text.find("{")
    if start < 0:
        return None
    try:
        value, _ = json.JSONDecoder().raw_decode(text, start)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def looks_like_tool_call(text: str) -> bool:
    """Return whether `text` is a call, though it may be broken off or of an unknown function. Other JSON is not."""
    if _CALL_BEGINNING.match(text) is None:
        return text.lstrip().startswith("<tool_call>")
    try:
        value, _ = json.JSONDecoder().raw_decode(text, text.index("{"))
    except ValueError:
        return True
    return "name" in value and ("arguments" in value or "parameters" in value)


def validate_tool_call(name: Any, arguments: Any, tools: Mapping[str, Mapping[str, Any]]) -> ParsedToolCall | None:
    """Return the call if it names one of `tools` and its arguments, an object or its JSON text, have the right form."""
    if not isinstance(name, str) or name not in tools:
        return None
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments or "{}")
        except ValueError:
            return None
    if not isinstance(arguments, dict) or not matches_schema(arguments, tools[name].get("parameters")):
        return None
    return ParsedToolCall(name, json.dumps(arguments, ensure_ascii=False))


def tool_call_schema(tools: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return the JSON schema of a call to one of `tools`, from which llama.cpp derives a grammar."""
    return {
        "anyOf": [
            {
                "type": "object",
                "properties": {
                    "name": {"const": name},
                    "arguments": grammar_schema(tool.get("parameters") or {"type": "object"}),
                },
                "required": ["name", "arguments"],
            }
            for name, tool in tools.items()
        ]
    }


class LlmOutputKind(Enum):
    """Kind of a reply."""

    UNKNOWN = "unknown"
    TEXT = "text"
    TOOL_CALL = "tool_call"


class ToolCallDetector:
    """Classifies a reply as text or tool call by its first characters."""

    def __init__(self, kind: LlmOutputKind = LlmOutputKind.UNKNOWN) -> None:
        """Start with a known `kind` to skip the detection."""
        self.kind = kind
        self.buffered_text = ""
        """Text of a tool call, or of a reply that is not classified yet."""

    def push(self, piece: str) -> str:
        """Return the text to deliver now."""
        if self.kind is LlmOutputKind.TEXT:
            return piece
        self.buffered_text += piece
        if self.kind is LlmOutputKind.TOOL_CALL:
            return ""
        opening = self.buffered_text.lstrip()
        if any(opening.startswith(mark) for mark in _TOOL_CALL_PREFIXES):
            self.kind = LlmOutputKind.TOOL_CALL
            return ""
        if any(mark.startswith(opening) for mark in _TOOL_CALL_PREFIXES):
            return ""
        return self._release_text()

    def flush(self) -> str:
        """Return the rest of the text at the end of the reply; "" for a tool call."""
        return self._release_text() if self.kind is LlmOutputKind.UNKNOWN else ""

    def _release_text(self) -> str:
        self.kind = LlmOutputKind.TEXT
        text, self.buffered_text = self.buffered_text, ""
        return text

    @property
    def is_complete(self) -> bool:
        """Return whether the JSON object of a tool call is closed; later text is not needed."""
        start = self.buffered_text.find("{")
        if self.kind is not LlmOutputKind.TOOL_CALL or start < 0:
            return False
        try:
            json.JSONDecoder().raw_decode(self.buffered_text, start)
        except ValueError:
            return False
        return True
