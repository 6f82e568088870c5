"""JSON as it goes over the wire: strictly the standard's, and only text that can be sent on.

Python's reader takes more than JSON: `NaN`, `Infinity`, and escapes of half a character ("\\ud83d" alone), which no
UTF-8 can hold. The first two are refused. Half characters, made by cutting a text in two, become U+FFFD.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

ESCAPED_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def read_json(text: str) -> Any:
    """The value `text` means. Raises `ValueError` when it is no JSON, or JSON too deep to be read."""
    try:
        value = json.loads(text, parse_constant=_reject_constant, parse_float=_parse_finite_float)
        # Whole characters may be escaped as two halves as well; those the reader has joined by now.
        return (
            json.loads(replace_lone_surrogates(json.dumps(value, ensure_ascii=False)))
            if ESCAPED_SURROGATE.search(text)
            else value
        )
    except RecursionError:
        raise ValueError("too deep") from None


def write_json(value: Any) -> str:
    """`value` as JSON that can be sent."""
    return replace_lone_surrogates(json.dumps(value, ensure_ascii=False, allow_nan=False))


def replace_lone_surrogates(text: str) -> str:
    """`text` with U+FFFD in place of each half of a character (a lone surrogate)."""
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _reject_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON")


def _parse_finite_float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("a number is too large")
    return value
