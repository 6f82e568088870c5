"""The page's two languages, and one of two wordings. Pure."""

from __future__ import annotations

from typing import Literal

Locale = Literal["en", "zh-TW"]

Table = dict[str, tuple[str, str]]
"""By code: (English, Traditional Chinese)."""


def pick(words: tuple[str, str], locale: Locale) -> str:
    """(English, Traditional Chinese) -> the one asked for."""
    return words[1] if locale == "zh-TW" else words[0]


def as_locale(word: str) -> Locale | None:
    """One of the page's languages by its name; None for anything else."""
    return "en" if word == "en" else "zh-TW" if word == "zh-TW" else None


def locale_of(accept_language: str | None) -> Locale:
    """The page language for a browser's Accept-Language header: Chinese readers get zh-TW, all others English."""
    first = (accept_language or "").split(",")[0].strip().lower()
    return "zh-TW" if first.startswith("zh") else "en"


def sentence(table: Table, code: str, locale: Locale) -> str:
    """The sentence for `code`. Raises KeyError for an unknown code."""
    return pick(table[code], locale)
