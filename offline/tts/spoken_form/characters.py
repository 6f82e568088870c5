"""Characters: other forms of digits and signs become ASCII, and those that cannot be said are left out."""

from __future__ import annotations

import re
import unicodedata
from fractions import Fraction
from functools import lru_cache

from offline.chinese_text import HAN_RANGE

_UNUSUAL = re.compile(rf"[^\x20-\x7e{HAN_RANGE}，。！？；：、「」『』（）《》]")
_UNSAID_ASCII = re.compile(r"[_\\|{}^~`@#*<>=+\[\]$&/%]+")
_SPACES = re.compile(r"[ \t\r\f\v]+")
_SPACE_BEFORE_MARK = re.compile(r" +(?=[,.;:!?，。！？；：、）」』》])")
_KEPT = "…—–“”‘’·¢€£¥₩°℃℉×÷−±≠≥≤≈√→⇒➜➔‰\n"
"""Characters outside ASCII that rules or voices know."""
_REPLACED = {
    "−": "-", "－": "-", "‐": "-", "‑": "-", "‒": "-", "―": "—", "～": "~", "〜": "~", "∼": "~", "⁓": "~",
    "℃": "°C", "℉": "°F",
    "º": "°", "˚": "°", "〇": "零", "○": "零", "∙": "·", "⋅": "×", "✕": "×", "✖": "×", "∗": "*", "⁄": "/", "∕": "/",
    "∶": ":",
    "＠": "@", "．": ".", "／": "/", "％": "%", "＄": "$", "＋": "+", "＝": "=", "＃": "#", "＆": "&", "＊": "*",
    "＜": "<", "＞": ">",
    "＿": "_", "｜": "|", "￥": "¥", "ﾟ": "", "\u3000": " ", "\xa0": " ", "\u202f": " ", "\u2009": " ",
    "\u2007": " ", "\t": " ",
    "⇒": "→", "➜": "→", "➔": "→", "➡": "→", "⟶": "→", "µ": "μ", "✓": "", "【": "「", "】": "」",
    "〈": "《", "〉": "》",
    "²": "^2", "³": "^3", "¹": "^1", "№": "No. ", "′": "'", "″": '"', "＂": '"', "＇": "'", "﹪": "%", "﹩": "$",
}  # fmt: skip
_GREEK = {
    "α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "ε": "epsilon", "θ": "theta", "λ": "lambda", "μ": "mu",
    "π": "pi",
    "ρ": "rho", "σ": "sigma", "τ": "tau", "φ": "phi", "χ": "chi", "ψ": "psi", "ω": "omega", "Ω": "omega", "Δ": "delta",
    "Σ": "sigma", "η": "eta",
}  # fmt: skip
_MAX_NUMERAL = 10**16


@lru_cache(maxsize=4096)
def _plain(char: str) -> str:
    """Return the ASCII form of one unusual character; "" for one that cannot be said."""
    if char in _REPLACED:
        return _REPLACED[char]
    if char in _KEPT:
        return char
    if char in _GREEK:
        return f" {_GREEK[char]} "
    decimal = unicodedata.decimal(char, None)
    if decimal is not None:
        return str(decimal)
    category = unicodedata.category(char)
    if category in ("Lu", "Ll") and unicodedata.name(char, "").startswith("LATIN"):
        return char
    if char.isspace():
        return "\n" if char in "\n\u2028\u2029\x85\x0b\x0c" else " "
    numeric = unicodedata.numeric(char, None)
    if numeric is not None:
        return _numeral(numeric)
    form = unicodedata.normalize("NFKC", char)
    if form != char:
        return "".join(c if " " <= c <= "~" else _plain(c) if c in _REPLACED or c in _KEPT else "" for c in form)
    return ""


def _numeral(value: float) -> str:
    """Return the digits of a character with a value, such as ½ or Ⅳ; "" for a value that is not one."""
    share = Fraction(value).limit_denominator(1000)
    if share < 0 or share >= _MAX_NUMERAL:
        return ""
    return f" {share.numerator} " if share.denominator == 1 else f" {share.numerator}/{share.denominator} "


def to_plain_characters(text: str) -> str:
    """Return `text` with ASCII digits and signs, and without emoji, controls and scripts that no voice here reads."""
    return _UNUSUAL.sub(lambda m: _plain(m[0]), text)


def without_unsaid_signs(text: str) -> str:
    """Return words without the signs that no rule turned into words, and with single spaces."""
    text = _SPACES.sub(" ", _UNSAID_ASCII.sub(" ", text))
    return _SPACE_BEFORE_MARK.sub("", text).strip()
