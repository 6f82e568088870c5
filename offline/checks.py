"""Checks of JSON values, put together from small ones.

Every check takes `(value, path, current)` - the new value, its dotted path for error texts, and the value it replaces -
and returns the value to keep, or raises `ProtocolError`. None changes anything in place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from offline.events import Json, invalid_type, invalid_value, missing, unknown

Check = Callable[[Any, str, Any], Any]


def text(limit: int) -> Check:
    """A string of at most `limit` characters."""

    def check(value: Any, path: str, current: Any) -> str:
        if not isinstance(value, str):
            raise invalid_type(path, "a string")
        if len(value) > limit:
            raise invalid_value(path, f"At most {limit} characters are accepted.")
        return value

    return check


def one_of(*choices: str) -> Check:
    """One of a few strings."""

    def check(value: Any, path: str, current: Any) -> str:
        if not isinstance(value, str):
            raise invalid_type(path, "a string")
        if value not in choices:
            raise invalid_value(path, f"Supported values are: {', '.join(map(repr, choices))}.")
        return value

    return check


def number(low: float, high: float, *, whole: bool = False) -> Check:
    """A number from `low` to `high`, both included."""

    def check(value: Any, path: str, current: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
            raise invalid_type(path, "an integer" if whole else "a number")
        if not low <= value <= high:
            raise invalid_value(path, f"It must be from {low} to {high}.")
        return value

    return check


def boolean(value: Any, path: str, current: Any) -> bool:
    """true or false."""
    if not isinstance(value, bool):
        raise invalid_type(path, "a boolean")
    return value


def nullable(check: Check) -> Check:
    """null, or what `check` accepts."""
    return lambda value, path, current: None if value is None else check(value, path, current)


def table(fields: Mapping[str, Check], required: tuple[str, ...] = (), base: Json | None = None) -> Check:
    """An object merged into the current one (or into `base`, when there is none)."""

    def check(value: Any, path: str, current: Any) -> Json:
        if not isinstance(value, dict):
            raise invalid_type(path, "an object")
        merged: Json = dict(current) if isinstance(current, dict) else dict(base or {})
        for key, new in value.items():
            if key not in fields:
                raise unknown(f"{path}.{str(key)[:64]}")
            merged[key] = fields[key](new, f"{path}.{key}", merged.get(key))
        for key in required:
            if key not in merged:
                raise missing(f"{path}.{key}")
        return merged

    return check


def array(check: Check, limit: int) -> Check:
    """A list of at most `limit` values. It replaces the current one."""

    def check_all(value: Any, path: str, current: Any) -> list[Any]:
        if not isinstance(value, list):
            raise invalid_type(path, "an array")
        if len(value) > limit:
            raise invalid_value(path, f"At most {limit} entries are accepted.")
        return [check(entry, f"{path}[{index}]", None) for index, entry in enumerate(value)]

    return check_all


def anything(value: Any, path: str, current: Any) -> Any:
    """Whatever it is; it was judged elsewhere."""
    return value


def json_object(value: Any, path: str, current: Any) -> Json:
    """An object with any fields. It replaces the current one."""
    if not isinstance(value, dict):
        raise invalid_type(path, "an object")
    return value
