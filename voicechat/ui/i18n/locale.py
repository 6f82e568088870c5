"""The page's two languages, and one of two wordings. Pure."""

from __future__ import annotations

from typing import Literal

Locale = Literal["en", "zh-TW"]

TranslationTable = dict[str, tuple[str, str]]
"""By code: (English, Traditional Chinese)."""


def localize(words: tuple[str, str], locale: Locale) -> str:
    """(English, Traditional Chinese) -> the one asked for."""
    return words[1] if locale == "zh-TW" else words[0]


def parse_locale(name: str) -> Locale | None:
    """One of the page's languages by its name; None for anything else."""
    return "en" if name == "en" else "zh-TW" if name == "zh-TW" else None


def negotiate_locale(accept_language: str | None) -> Locale:
    """The page language for a browser's Accept-Language header: Chinese readers get zh-TW, all others English."""
    first = (accept_language or "").split(",")[0].strip().lower()
    return "zh-TW" if first.startswith("zh") else "en"


def get_message(table: TranslationTable, code: str, locale: Locale) -> str:
    """The sentence for `code`. Raises KeyError for an unknown code."""
    return localize(table[code], locale)
