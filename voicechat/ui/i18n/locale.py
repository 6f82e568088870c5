"""Locales and time zones of the page's visitors, and lookup of translated texts."""

from __future__ import annotations

from typing import Literal
from zoneinfo import ZoneInfo

MAX_TIMEZONE_CHARS = 64
"""Characters of the name of a time zone."""

Locale = Literal["en", "zh-TW"]

TranslationTable = dict[str, tuple[str, str]]
"""Texts by code: (English, Traditional Chinese)."""


def localize(words: tuple[str, str], locale: Locale) -> str:
    """Return the wording in this locale. `words`: (English, Traditional Chinese)."""
    return words[1] if locale == "zh-TW" else words[0]


def parse_locale(name: str) -> Locale | None:
    """Return the locale with this name; None for any other name."""
    return "en" if name == "en" else "zh-TW" if name == "zh-TW" else None


def parse_timezone(name: object) -> str:
    """Return the IANA name of a time zone as a browser says it; "" for a name that this computer does not know."""
    if not isinstance(name, str) or len(name) > MAX_TIMEZONE_CHARS:
        return ""
    try:
        return ZoneInfo(name).key
    except (KeyError, ValueError, OSError):
        return ""


def negotiate_locale(accept_language: str | None) -> Locale:
    """Return the locale for an Accept-Language header: zh-TW if Chinese is first, else English."""
    first = (accept_language or "").split(",")[0].strip().lower()
    return "zh-TW" if first.startswith("zh") else "en"


def get_message(table: TranslationTable, code: str, locale: Locale) -> str:
    """Return the sentence of `code`. Raise KeyError for an unknown code."""
    return localize(table[code], locale)
