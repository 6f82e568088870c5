"""How one setting is read from a word of the environment.

A reader takes the variable's name and its text, which is not empty, and gives the value, or raises `SettingsError` with
one sentence that names the variable. A reader with bounds is made by the function that takes them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import StrEnum
from typing import TypeVar

from voicechat.protocol.endpoint import is_valid_header_value, to_realtime_url

E = TypeVar("E", bound=StrEnum)


class SettingsError(ValueError):
    """A setting has a value that cannot be used. The message is one sentence and names the variable."""


def text(max_chars: int) -> Callable[[str, str], str]:
    """Reads a text of at most `longest` characters."""

    def convert(name: str, value: str) -> str:
        if len(value) > max_chars:
            raise SettingsError(f"{name} is longer than {max_chars} characters.")
        return value

    return convert


def names(max_count: int, max_chars: int) -> Callable[[str, str], tuple[str, ...]]:
    """Reads at most `most` names of at most `longest` characters between commas, each once."""

    def convert(name: str, value: str) -> tuple[str, ...]:
        words = tuple(dict.fromkeys(" ".join(word.split()) for word in re.split("[,，、]", value) if word.strip()))
        if len(words) > max_count or any(len(word) > max_chars for word in words):
            raise SettingsError(
                f"{name} must be at most {max_count} names of at most {max_chars} characters, between commas."
            )
        return words

    return convert


def check_key(text: str, name: str = "The key") -> str:
    """A key that goes into a header: one word of visible ASCII, at most 4,000 characters, spaces around it taken away.

    Raises SettingsError, which does not repeat it.
    """
    text = text.strip()
    if not is_valid_header_value(text) or len(text) > 4000:
        raise SettingsError(f"{name} holds a space or a character that no key has: it may have been pasted wrongly.")
    return text


def key(name: str, value: str) -> str:
    """Reads a key: see `check_key`."""
    return check_key(value, name)


def integer(low: int, high: int) -> Callable[[str, str], int]:
    """Reads a whole number from `low` to `high`."""

    def convert(name: str, value: str) -> int:
        try:
            number = int(value)
        except ValueError:
            raise SettingsError(f"{name} must be a whole number from {low} to {high}.") from None
        if not low <= number <= high:
            raise SettingsError(f"{name} must be from {low} to {high}, and is {number}.")
        return number

    return convert


def number(low: float, high: float) -> Callable[[str, str], float]:
    """Reads a number from `low` to `high`."""

    def convert(name: str, value: str) -> float:
        try:
            number = float(value)
        except ValueError:
            raise SettingsError(f"{name} must be a number from {low:g} to {high:g}.") from None
        if not low <= number <= high:  # also refuses nan
            raise SettingsError(f"{name} must be from {low:g} to {high:g}, and is {number:g}.")
        return number

    return convert


def boolean(name: str, value: str) -> bool:
    """Reads true or false, also as yes, on, 1 and their opposites."""
    known = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
    try:
        return known[value.lower()]
    except KeyError:
        raise SettingsError(f"{name} must be true or false.") from None


def one_of(kind: type[E]) -> Callable[[str, str], E]:
    """Reads a value of this enum, in any case of letters."""

    def convert(name: str, value: str) -> E:
        try:
            return kind(value.lower())
        except ValueError:
            *others, last = [choice.value for choice in kind]
            raise SettingsError(f"{name} must be {', '.join(others)} or {last}.") from None

    return convert


def url(name: str, value: str) -> str:
    """Reads a server's address. The message does not repeat it: it may hold a key."""
    try:
        return to_realtime_url(value)
    except ValueError:
        raise SettingsError(f"{name} must be an address that starts with ws:// or wss://.") from None
