"""Captions in the script the reader expects: Chinese is shown in Traditional characters as used in Taiwan. Pure.

Speech recognisers and voice models mix both scripts. OpenCC's `s2tw` changes the script only; `s2twp` would also change
words and damages good Taiwanese text. Phrase rules need context, so always convert the whole raw text of an item, never
a piece of it and never the result again. Converting costs (0.2 ms for 100 characters), so an item keeps its result;
nothing is kept here, where it would outlive the visitor's Clear.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from opencc import OpenCC

_HAN = re.compile(r"[\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
_OTHER = re.compile(r"[\u3041-\u30ff\uac00-\ud7af]")
"""Kana and hangul: the characters beside them are Japanese or Korean and stay as they are."""


@lru_cache(maxsize=1)
def _converter() -> Any:
    return OpenCC("s2tw")


def is_chinese(text: str) -> bool:
    """Chinese characters, and no kana or hangul that would make it another language."""
    return _HAN.search(text) is not None and _OTHER.search(text) is None


def traditional(text: str) -> str:
    """`text` in Traditional characters (Taiwan); unchanged when it is not Chinese.

    台 stays 台 (OpenCC writes 臺): that is how people in Taiwan write 台灣, 台北 and 舞台.
    """
    if not is_chinese(text):
        return text
    converted: str = _converter().convert(text)
    if len(converted) != len(text):  # no longer letter by letter: the places of 台 are not known
        return converted
    return "".join("台" if (was, now) == ("台", "臺") else now for was, now in zip(text, converted, strict=True))


def traditional_parts(head: str, tail: str) -> tuple[str, str]:
    """Both halves of one text, converted together so that context reaches across the cut."""
    whole = traditional(head + tail)
    if len(whole) != len(head) + len(tail):
        return traditional(head), traditional(tail)
    return whole[: len(head)], whole[len(head) :]
