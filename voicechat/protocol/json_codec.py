"""JSON codec: one set of rules for reading and writing protocol messages. Pure.

- Only standard JSON is read and written. `NaN` and `Infinity` are rejected, and so is nesting too deep for Python.
- The last of two equal names counts. A message is forwarded as written from its value, never as its own text.
- Lone surrogates (half a character) are kept: the output is ASCII, in which they are escapes.
- Sockets bound the size of a message. A binary message is read as UTF-8.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from .event_fields import RawEvent


class InvalidJson(ValueError):
    """A text that is not JSON, or a value that JSON cannot hold. Its message quotes no content."""


class NotAnObject(InvalidJson):
    """JSON of another kind than an object."""


def _reject_constant(_: str) -> float:
    raise ValueError("not a JSON number")


_decode_strictly: Callable[[str], Any] = json.JSONDecoder(parse_constant=_reject_constant).decode
_decode_leniently: Callable[[str], Any] = json.JSONDecoder().decode
_encode: Callable[[Any], str] = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


def read_object(message: str | bytes, *, allow_nan: bool = False) -> RawEvent:
    """Return the object that a message holds. Raises `InvalidJson`.

    `allow_nan`: accept `NaN` and `Infinity`, which servers written in Python send in numbers that nobody reads.
    """
    try:
        text = message if isinstance(message, str) else message.decode()
        value = _decode_leniently(text) if allow_nan else _decode_strictly(text)
    except (ValueError, RecursionError):
        raise InvalidJson("not JSON") from None
    if not isinstance(value, dict):
        raise NotAnObject("not a JSON object")
    return value


def write_json(event: RawEvent) -> str:
    """Return the event as compact ASCII. Raises `InvalidJson` for a number that is too large for JSON."""
    try:
        return _encode(event)
    except (ValueError, RecursionError):
        raise InvalidJson("not a JSON value") from None
