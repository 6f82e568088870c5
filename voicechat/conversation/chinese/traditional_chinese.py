"""Traditional Chinese captions: Chinese text in Traditional characters as used in Taiwan. Pure.

Speech recognizers and voice models mix both scripts. OpenCC's `s2tw` changes the script only; `s2twp` would also change
words and damages good Taiwanese text. Phrase rules need context, so a finished text is converted as a whole, always
from the raw text. The caption of a growing text (`IncrementalCaption`) only grows. Items keep their captions; this
module keeps no text, which would outlive the visitor's Clear.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from opencc import OpenCC

from .traditional_chinese_rules import AMBIGUOUS_CHARS, HALF_WIDTH_PUNCTUATION, apply_corrections
from .verbatim_spans import CaptionKinds

_HAN = re.compile(r"[\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
_KANA_OR_HANGUL = re.compile(r"[\u3041-\u30ff\uac00-\ud7af]")
"""Kana and hangul: characters beside them are Japanese or Korean and are not converted."""
_SENTENCE = re.compile(r"[^。！？!?\n「」『』“”\"（）()]+")

CONTEXT_CHARS = 24
"""Letters before a new piece that are converted with it as context."""
MAX_HELD_CHARS = 2
"""Last letters of a growing text that wait for the letters after them."""


@lru_cache(maxsize=1)
def _converter() -> Any:
    return OpenCC("s2tw")


def to_traditional(text: str) -> str:
    """Return `text` as it is written in Taiwan, with the same length; unchanged when it is not Chinese.

    In a mostly Chinese text, sentences and quotations with kana or hangul are not converted.
    """
    if _HAN.search(text) is None:
        return text
    others = len(_KANA_OR_HANGUL.findall(text))
    if others >= len(_HAN.findall(text)):
        return text
    converted: str = _converter().convert(text)
    if len(converted) != len(text):  # not letter by letter: its indices are unknown
        return text if others else converted
    shown = apply_corrections(text, converted)
    if not others:
        return shown
    letters = list(shown)
    for found in _SENTENCE.finditer(text):
        if _KANA_OR_HANGUL.search(found.group()):
            letters[found.start() : found.end()] = found.group()
    return "".join(letters)


def to_traditional_caption(text: str, typed_texts: Sequence[str] = ()) -> str:
    """Return a finished text as its caption: as `to_traditional`, but code and words of `typed_texts` as they are."""
    converted = to_traditional(text)
    if converted == text:
        return text
    kinds = CaptionKinds(typed_texts)
    kinds.extend(text)
    kinds.finish()
    return kinds.restore(text, converted)


def to_traditional_parts(head: str, tail: str, typed_texts: Sequence[str] = ()) -> tuple[str, str]:
    """Return both halves of one text, converted together so that context reaches across the cut."""
    whole = to_traditional_caption(head + tail, typed_texts)
    if len(whole) != len(head) + len(tail):
        return to_traditional_caption(head, typed_texts), to_traditional_caption(tail, typed_texts)
    return whole[: len(head)], whole[len(head) :]


class IncrementalCaption:
    """Caption of a growing text: shown letters do not change until the text is finished.

    At most `MAX_HELD_CHARS` last letters wait, where the words after them may change them (皇后, 以后), and a few more
    in a quotation that may be the visitor's. A longer context corrects the caption once, by
    `to_traditional_caption()` of the finished text.
    """

    __slots__ = ("_kinds", "_raw", "_shown", "_typed_texts")

    def __init__(self, typed_texts: Sequence[str] = ()) -> None:
        """`typed_texts`: what the visitor has typed, which is not converted when a reply quotes it."""
        self._typed_texts = tuple(typed_texts)
        self._raw = ""
        self._shown = ""
        self._kinds = CaptionKinds(self._typed_texts)

    def update(self, raw: str) -> str:
        """Return the caption of `raw`, the whole text so far, in time proportional to the new piece."""
        if not raw.startswith(self._raw):  # another text
            self._shown, self._raw = "", ""
            self._kinds = CaptionKinds(self._typed_texts)
        self._kinds.extend(raw[len(self._raw) :])
        self._raw = raw
        undecided = max(_undecided_suffix_length(raw), self._kinds.undecided_count)
        known, decided = len(self._shown), len(raw) - undecided
        if decided > known:
            start = max(0, known - CONTEXT_CHARS)
            window = raw[start:]
            shown = to_traditional(window)
            if len(shown) != len(window):
                shown = window
            shown = self._kinds.restore(window, shown, start)
            self._shown += shown[known - start : decided - start]
        return self._shown


def _undecided_suffix_length(raw: str) -> int:
    """Return how many of the last letters may change with the letters after them."""
    if raw[-1:] in HALF_WIDTH_PUNCTUATION and _HAN.search(raw[-CONTEXT_CHARS:]):
        return 1
    for count in range(min(MAX_HELD_CHARS, len(raw)), 0, -1):
        tail = raw[-count:]
        if tail[0] in AMBIGUOUS_CHARS and all(_HAN.match(letter) for letter in tail):
            return count
    return 0
