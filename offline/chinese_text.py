"""Chinese text: character ranges, Traditional characters for Taiwan, full-width punctuation."""

from __future__ import annotations

import re
from functools import cache

from opencc import OpenCC

HAN_RANGE = r"\u3400-\u4dbf\u4e00-\u9fff"
"""Chinese characters (CJK Unified Ideographs and Extension A), for use inside a regex character class."""
CJK_RANGE = HAN_RANGE + r"\u3040-\u30ff\uf900-\ufaff"
"""Characters written without spaces between words: Chinese, compatibility ideographs and Japanese kana."""
HAN_CHARACTER = re.compile(f"[{HAN_RANGE}]")
WORD_PATTERN = re.compile(rf"\s*(?:[{CJK_RANGE}]|[^\s{CJK_RANGE}]+)")
"""A word with the white space before it. A CJK character is a word of its own."""

_BEFORE_PUNCTUATION = re.compile(rf"(?<=[{HAN_RANGE}])\s*[?!,;:]\s*|[?!]$")
_FULL_WIDTH_PUNCTUATION = str.maketrans("?!,;:", "？！，；：")

_KEPT_CHARACTERS = frozenset(zip("台了污布凶祕霉家具", "臺瞭汙佈兇秘黴傢俱", strict=True))
"""(character, character by OpenCC): pairs of which Taiwan mostly writes the first, as in 台灣, 了解, 公布, 家具."""


@cache
def _opencc_converter(name: str) -> OpenCC:
    return OpenCC(name)


def contains_han(text: str) -> bool:
    """Return whether `text` contains a Chinese character. Such text is spoken in Mandarin."""
    return HAN_CHARACTER.search(text) is not None


def to_traditional(text: str) -> str:
    """Convert characters to those used in Taiwan; vocabulary stays as it is.

    The characters of `_KEPT_CHARACTERS` stay. A reply is converted by `traditional_text.TraditionalConverter`.
    """
    if not contains_han(text):
        return text
    converted = _opencc_converter("s2tw").convert(text)
    if len(converted) != len(text):
        return str(converted)
    return "".join(old if (old, new) in _KEPT_CHARACTERS else new for old, new in zip(text, converted, strict=True))


def to_simplified(text: str) -> str:
    """Convert characters to Simplified ones, for libraries that support only those."""
    return str(_opencc_converter("t2s").convert(text)) if contains_han(text) else text


def to_full_width_punctuation(text: str) -> str:
    """Convert punctuation in Chinese text to full width. Marks in numbers and Latin words stay."""
    if not contains_han(text):
        return text
    return _BEFORE_PUNCTUATION.sub(lambda m: m[0].strip().translate(_FULL_WIDTH_PUNCTUATION), text)
