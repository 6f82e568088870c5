"""JSON codec: standard JSON only, and only text that UTF-8 can encode.

Python's decoder also accepts `NaN`, `Infinity` and lone surrogates ("\\ud83d" alone). The first two are rejected. A
lone surrogate, which a client makes by cutting a text, becomes U+FFFD.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

ESCAPED_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def read_json(text: str) -> Any:
    """Decode `text`. Raises `ValueError` for invalid JSON and for JSON nested too deep."""
    try:
        value = json.loads(text, parse_constant=_reject_constant, parse_float=_parse_finite_float)
        # A valid character may also be escaped as two surrogates; the decoder has joined those.
        return (
            json.loads(replace_lone_surrogates(json.dumps(value, ensure_ascii=False)))
            if ESCAPED_SURROGATE.search(text)
            else value
        )
    except RecursionError:
        raise ValueError("too deep") from None


def write_json(value: Any) -> str:
    """Encode `value`."""
    return replace_lone_surrogates(json.dumps(value, ensure_ascii=False, allow_nan=False))


def replace_lone_surrogates(text: str) -> str:
    """Replace each lone surrogate by U+FFFD."""
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _reject_constant(name: str) -> float:
    raise ValueError(f"{name} is not valid JSON")


def _parse_finite_float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("a number is too large")
    return value
