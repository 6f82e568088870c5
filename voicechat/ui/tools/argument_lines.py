"""Arguments and results of a tool call as plain text. Pure.

Characters that a reader cannot see, or that turn the direction of what follows, are shown as their code: an argument
looks like nothing else than what is done with it.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping
from typing import Any

_SHOWN_CONTROLS = frozenset("\n\t")
_JOINERS = frozenset("\u200c\u200d")
"""Invisible characters that words and emoji need: some scripts are wrong without them."""
_HIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Co", "Cs", "Zl", "Zp"})


def reveal_hidden(text: str) -> str:
    """Return `text` with hidden characters as codes such as `\\u202e`."""
    if text.replace("\n", "").isprintable():  # nearly all of them
        return text
    return "".join(_reveal(character) for character in text)


def _reveal(character: str) -> str:
    if character in _SHOWN_CONTROLS or character in _JOINERS:
        return character
    if unicodedata.category(character) not in _HIDDEN_CATEGORIES:
        return character
    code = ord(character)
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def argument_lines(arguments: Mapping[str, Any] | str) -> list[tuple[str, str]]:
    """Return each argument as (name, value). What is not a JSON object is one line without a name."""
    if isinstance(arguments, str):
        arguments = _parse_object(arguments) or arguments
    if isinstance(arguments, str):
        text = arguments.strip()
        return [("", reveal_hidden(text))] if text not in ("", "{}") else []
    return [(reveal_hidden(str(name)), reveal_hidden(_value_text(value))) for name, value in arguments.items()]


def _parse_object(text: str) -> Mapping[str, Any] | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _value_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    try:
        return json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):
        return str(value)
