"""Chinese writing: what is Chinese, and Traditional characters as Taiwan writes them."""

from __future__ import annotations

import re
from functools import cache

from opencc import OpenCC

HAN_CHARACTER = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]")


@cache
def _opencc_converter(name: str) -> OpenCC:
    return OpenCC(name)


def contains_han(text: str) -> bool:
    """Whether `text` is to be spoken as Mandarin: it has Chinese characters in it."""
    return HAN_CHARACTER.search(text) is not None


def to_traditional(text: str) -> str:
    """Characters as Taiwan writes them; words are left as they are.

    OpenCC turns every 台 into 臺; Taiwan itself mostly writes 台 (台灣, 一台), so a 台 of the original stays one.
    """
    if not contains_han(text):
        return text
    converted = _opencc_converter("s2tw").convert(text)
    if len(converted) != len(text):
        return str(converted)
    return "".join("台" if old == "台" and new == "臺" else new for old, new in zip(text, converted, strict=True))


def to_simplified(text: str) -> str:
    """Simplified characters, for tools that only know those."""
    return str(_opencc_converter("t2s").convert(text)) if contains_han(text) else text


_FULL_WIDTH_PUNCTUATION = str.maketrans("?!,;:", "？！，；：")


def to_full_width_punctuation(text: str) -> str:
    """Chinese text with the marks Chinese is written with; marks within numbers and Latin words stay."""
    if not contains_han(text):
        return text
    return re.sub(
        r"(?<=[\u3400-\u9fff])\s*[?!,;:]\s*|[?!]$", lambda m: m[0].strip().translate(_FULL_WIDTH_PUNCTUATION), text
    )
