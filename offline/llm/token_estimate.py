"""Token estimate of a text, without a tokenizer: an upper bound for ordinary text."""

from __future__ import annotations

import math
import re

from offline.chinese_text import HAN_CHARACTER

_LETTER_OR_SPACE = re.compile(r"[A-Za-z ]")
_DIGIT_OR_SYMBOL = re.compile(r"[!-@\[-`{-~\t\r\n]")


def estimate_tokens(text: str) -> int:
    """Return the estimated tokens of `text`.

    A digit or symbol counts 1 token, three letters or spaces 1, a Chinese character 1.2, any other character 2.
    """
    han = len(HAN_CHARACTER.findall(text))
    letters = len(_LETTER_OR_SPACE.findall(text))
    symbols = len(_DIGIT_OR_SYMBOL.findall(text))
    return math.ceil(han * 1.2 + letters / 3 + symbols + (len(text) - han - letters - symbols) * 2)
