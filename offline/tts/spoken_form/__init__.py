"""Spoken form: a written clause as the voice says it, in Mandarin (readings of Taiwan) or English.

The stage comes before any local voice. It writes numbers, dates, addresses and signs out in words by ordered rules;
no digit is left for a voice. A voice's own front end gets plain words, so its reading of numbers does not matter.
"""

from __future__ import annotations

import re

from offline.chinese_text import HAN_CHARACTER
from offline.protocol.worker_messages import LanguageCode

from . import english, mandarin
from .characters import to_plain_characters, without_unsaid_signs
from .markdown import strip_markdown
from .rule import Rule, apply_rules

RULES: dict[LanguageCode, tuple[Rule, ...]] = {"zh": mandarin.RULES, "en": english.RULES}
_CHINESE_MARK = re.compile("[，。！？：；、「」]")
_LATIN_WORD = re.compile(r"[A-Za-z][\w.'’@:/-]*")


def spoken_language(text: str) -> LanguageCode:
    """Return the language in which the numbers of `text` are said: Mandarin where half of its words are Chinese."""
    characters = len(HAN_CHARACTER.findall(text))
    if not characters:
        return "zh" if _CHINESE_MARK.search(text) else "en"
    return "zh" if characters >= len(_LATIN_WORD.findall(text)) else "en"


def spoken_form(text: str, language: LanguageCode | None = None, used: list[str] | None = None) -> str:
    """Return the words that say `text`; "" when nothing of it can be said. No digit is left, for any text.

    `language` None is the one of the text. The names of the rules that took part are appended to `used`.
    """
    text = to_plain_characters(strip_markdown(text))
    words = apply_rules(RULES[language or spoken_language(text)], text, used)
    return without_unsaid_signs(words)
