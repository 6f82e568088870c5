"""Validators of JSON values, composed from small functions.

A validator takes `(value, path, current)`: the new value, its dotted path for messages, and the value that it replaces.
It returns the value to keep or raises `ProtocolError`. No validator changes a value in place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .json_schemas import InvalidSchema, inline_references
from .outputs import Json, invalid_type, invalid_value, missing_parameter, unknown_parameter

Validator = Callable[[Any, str, Any], Any]

MAX_JSON_DEPTH = 32
"""Levels of nested objects and arrays in a value with arbitrary fields."""


def string(limit: int) -> Validator:
    """Accept a string of at most `limit` characters."""

    def check(value: Any, path: str, current: Any) -> str:
        if not isinstance(value, str):
            raise invalid_type(path, "a string")
        if len(value) > limit:
            raise invalid_value(path, f"At most {limit} characters are accepted.")
        return value

    return check


def one_of(*choices: str) -> Validator:
    """Accept one of the given strings."""

    def check(value: Any, path: str, current: Any) -> str:
        if not isinstance(value, str):
            raise invalid_type(path, "a string")
        if value not in choices:
            raise invalid_value(path, f"Supported values are: {', '.join(map(repr, choices))}.")
        return value

    return check


def number(low: float, high: float, *, integer: bool = False) -> Validator:
    """Accept a number from `low` to `high` inclusive."""

    def check(value: Any, path: str, current: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int if integer else (int, float)):
            raise invalid_type(path, "an integer" if integer else "a number")
        if not low <= value <= high:
            raise invalid_value(path, f"It must be from {low} to {high}.")
        return value

    return check


def boolean(value: Any, path: str, current: Any) -> bool:
    """Accept true or false."""
    if not isinstance(value, bool):
        raise invalid_type(path, "a boolean")
    return value


def nullable(validator: Validator) -> Validator:
    """Accept null, or a value that `validator` accepts."""
    return lambda value, path, current: None if value is None else validator(value, path, current)


def object_of(fields: Mapping[str, Validator], required: tuple[str, ...] = (), base: Json | None = None) -> Validator:
    """Accept an object and merge it into the current one, or into `base` without a current one."""

    def check(value: Any, path: str, current: Any) -> Json:
        if not isinstance(value, dict):
            raise invalid_type(path, "an object")
        merged: Json = dict(current) if isinstance(current, dict) else dict(base or {})
        for key, new in value.items():
            if key not in fields:
                raise unknown_parameter(f"{path}.{str(key)[:64]}")
            merged[key] = fields[key](new, f"{path}.{key}", merged.get(key))
        for key in required:
            if key not in merged:
                raise missing_parameter(f"{path}.{key}")
        return merged

    return check


def array_of(validator: Validator, limit: int) -> Validator:
    """Accept a list of at most `limit` values. It replaces the current one."""

    def check_all(value: Any, path: str, current: Any) -> list[Any]:
        if not isinstance(value, list):
            raise invalid_type(path, "an array")
        if len(value) > limit:
            raise invalid_value(path, f"At most {limit} entries are accepted.")
        return [validator(entry, f"{path}[{index}]", None) for index, entry in enumerate(value)]

    return check_all


def any_value(value: Any, path: str, current: Any) -> Any:
    """Accept any value; another validator has checked it."""
    return value


def json_object(value: Any, path: str, current: Any) -> Json:
    """Accept an object with arbitrary fields and bounded depth. It replaces the current one."""
    if not isinstance(value, dict):
        raise invalid_type(path, "an object")
    if _exceeds_depth(value, MAX_JSON_DEPTH):
        raise invalid_value(path, f"It is nested more than {MAX_JSON_DEPTH} deep.")
    return value


def json_schema(value: Any, path: str, current: Any) -> Json:
    """Accept a JSON schema. The keywords that this server uses must have valid types, and references must be local."""
    schema = json_object(value, path, current)
    _check_schema(schema, path)
    try:
        inline_references(schema)
    except InvalidSchema as refused:
        raise invalid_value(f"{path}.{refused.path}" if refused.path else path, str(refused)) from None
    return schema


def read_string(
    fields: Json, key: str, prefix: str = "", *, default: str | None = None, limit: int | None = None
) -> str:
    """Return a string field; `default` if it is missing or null. `prefix` is the path of `fields`.

    Raises `ProtocolError` for another type, more than `limit` characters, or a missing field without `default`.
    """
    value, path = fields.get(key), f"{prefix}.{key}" if prefix else key
    if value is None:
        if default is not None:
            return default
        raise missing_parameter(path)
    if not isinstance(value, str):
        raise invalid_type(path, "a string")
    if limit is not None and len(value) > limit:
        raise invalid_value(path, f"At most {limit} characters are accepted.")
    return value


def read_integer(fields: Json, key: str) -> int:
    """Return an integer field of an event. Raises `ProtocolError` if it is missing or of another type."""
    value = fields.get(key)
    if value is None:
        raise missing_parameter(key)
    if isinstance(value, bool) or not isinstance(value, int):
        raise invalid_type(key, "an integer")
    return value


def _exceeds_depth(value: Any, depth: int) -> bool:
    if not isinstance(value, (dict, list)):
        return False
    inner = value.values() if isinstance(value, dict) else value
    return depth == 0 or any(_exceeds_depth(each, depth - 1) for each in inner)


def _check_schema(schema: Any, path: str) -> None:
    if isinstance(schema, bool):
        return
    if not isinstance(schema, dict):
        raise invalid_type(path, "a JSON schema")
    if not isinstance(schema.get("enum", []), list):
        raise invalid_type(f"{path}.enum", "an array")
    for key in ("type", "required"):
        words = schema.get(key, [])
        single = key == "type" and isinstance(words, str)
        if not single and not (isinstance(words, list) and all(isinstance(word, str) for word in words)):
            raise invalid_type(f"{path}.{key}", "an array of strings" if key == "required" else "a type's name")
    properties = schema.get("properties", {})
    if not isinstance(properties, dict):
        raise invalid_type(f"{path}.properties", "an object")
    for name, part in properties.items():
        _check_schema(part, f"{path}.properties.{name[:64]}")
    items = schema.get("items", True)
    for part in items if isinstance(items, list) else [items]:
        _check_schema(part, f"{path}.items")
