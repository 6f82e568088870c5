"""Mandarin grapheme to phoneme conversion for Kokoro v1.0, by pypinyin."""

from __future__ import annotations

import re
from collections.abc import Callable

from pypinyin import Style, lazy_pinyin

from offline.chinese_text import HAN_RANGE, contains_han, to_simplified

_INITIALS = {
    "b": "p", "p": "pʰ", "m": "m", "f": "f", "d": "t", "t": "tʰ", "n": "n", "l": "l", "g": "k", "k": "kʰ", "h": "x",
    "j": "ʨ", "q": "ʨʰ", "x": "ɕ", "zh": "ꭧ", "ch": "ꭧʰ", "sh": "ʂ", "r": "ɻ", "z": "ʦ", "c": "ʦʰ", "s": "s",
}  # fmt: skip

# Final -> phonemes before the tone mark and after it.
_FINALS = {
    "a": ("a", ""), "ai": ("ai", ""), "an": ("a", "n"), "ang": ("a", "ŋ"), "ao": ("au", ""), "e": ("ɤ", ""),
    "ei": ("ei", ""), "en": ("ə", "n"), "eng": ("ə", "ŋ"), "i": ("i", ""), "ia": ("ja", ""), "ian": ("jɛ", "n"),
    "iang": ("ja", "ŋ"), "iao": ("jau", ""), "ie": ("je", ""), "in": ("i", "n"), "iou": ("jou", ""), "iu": ("jou", ""),
    "ing": ("i", "ŋ"), "iong": ("jʊ", "ŋ"), "ong": ("ʊ", "ŋ"), "ou": ("ou", ""), "u": ("u", ""), "uei": ("wei", ""),
    "ui": ("wei", ""), "ua": ("wa", ""), "uai": ("wai", ""), "uan": ("wa", "n"), "uen": ("wə", "n"), "un": ("wə", "n"),
    "uang": ("wa", "ŋ"), "ueng": ("wə", "ŋ"), "uo": ("wo", ""), "o": ("wo", ""), "ü": ("y", ""), "üe": ("ɥe", ""),
    "üan": ("ɥɛ", "n"), "ün": ("y", "n"), "er": ("ɚ", ""), "ê": ("ɛ", ""),
}  # fmt: skip

_Y_FINALS = {"yi": "i", "yin": "in", "ying": "ing", "yu": "ü", "yue": "üe", "yuan": "üan", "yun": "ün", "you": "iou",
      "yo": "o", "yong": "iong"}  # fmt: skip
_W_FINALS = {"wu": "u", "wo": "uo", "wei": "uei", "wen": "uen", "weng": "ueng"}
_SCRIPT_RUN = re.compile(rf"[{HAN_RANGE}]+|[A-Za-z][A-Za-z' -]*|[^{HAN_RANGE}A-Za-z]+")
_TONES = {"1": "→", "2": "↗", "3": "↓", "4": "↘", "5": ""}
_DIGITS = "零一二三四五六七八九"
_PUNCTUATION = str.maketrans(
    {"，": ", ", "、": ", ", "。": ". ", "！": "! ", "？": "? ", "：": ": ", "；": "; ", "「": " “", "」": "” ",
     "《": " “", "》": "” ", "（": " (", "）": ") ", "～": "", "·": " "}
)  # fmt: skip


def syllable_to_phonemes(pinyin: str) -> str:
    """Return the phonemes of a syllable in numbered pinyin ("zhong1"; ü or v); other text as it is."""
    match = re.fullmatch(r"([a-zêü]+)([1-5])", pinyin.replace("v", "ü"))
    if not match:
        return pinyin
    letters, tone = match[1], _TONES[match[2]]
    if letters == "er":
        return "ɚ" + tone
    if letters in ("m", "n", "ng", "hm", "hng"):
        return letters.replace("ng", "ŋ") + tone
    initial = next(
        (i for i in ("zh", "ch", "sh") if letters.startswith(i)), letters[0] if letters[0] in _INITIALS else ""
    )
    final = letters[len(initial) :]
    if not initial and letters[0] == "y":
        final = _Y_FINALS.get(letters, "i" + letters[1:])
    elif not initial and letters[0] == "w":
        final = _W_FINALS.get(letters, "u" + letters[1:])
    elif initial in ("j", "q", "x") and final.startswith("u"):
        final = "ü" + final[1:]
    if final == "i" and initial in ("zh", "ch", "sh", "r", "z", "c", "s"):
        before, after = "ɨ", ""
    else:
        before, after = _FINALS.get(final, (final, ""))
    return _INITIALS.get(initial, "") + before + tone + after


def _below_ten_thousand(number: int, leading: bool) -> str:
    """Return 0 to 9999 in Chinese words. `leading` writes a ten at the start as 十, not 一十."""
    words, zero = "", False
    for unit, name in ((1000, "千"), (100, "百"), (10, "十"), (1, "")):
        digit = number // unit % 10
        if digit:
            is_bare_ten = leading and unit == 10 and digit == 1 and not words
            words += ("零" if zero and words else "") + ("" if is_bare_ten else _DIGITS[digit]) + name
            zero = False
        else:
            zero = bool(words)
    return words


def _digit_by_digit(digits: str) -> str:
    return "".join(_DIGITS[int(d)] for d in digits)


def number_to_chinese(text: str) -> str:
    """Return a number ("2026", "3.5", "007") in Chinese words; digit by digit if long or with leading zeros."""
    whole, _, fraction = text.partition(".")
    if fraction:
        return number_to_chinese(whole) + "點" + _digit_by_digit(fraction)
    if len(whole) > 12 or (whole[0] == "0" and len(whole) > 1):
        return _digit_by_digit(whole)
    value = int(whole)
    if value == 0:
        return "零"
    words = ""
    for scale, name in ((10**8, "億"), (10**4, "萬"), (1, "")):
        part = value // scale % 10**4
        if part:
            gap = words and (part < 1000 or words.endswith("零"))
            words += ("零" if gap else "") + _below_ten_thousand(part, leading=not words) + name
    return words


def verbalize_numbers(text: str) -> str:
    """Replace numbers, dates, times, percentages and temperatures by Mandarin words."""
    text = re.sub(r"(?<=\d),(?=\d{3})", "", text)
    text = re.sub(r"(\d{4})(?=\s*年)", lambda m: _digit_by_digit(m[1]), text)
    text = re.sub(
        r"(\d{1,2}):(\d{2})",
        lambda m: f"{number_to_chinese(m[1])}點" + (f"{number_to_chinese(m[2])}分" if int(m[2]) else ""),
        text,
    )
    text = re.sub(r"(\d+(?:\.\d+)?)\s*%", lambda m: "百分之" + number_to_chinese(m[1]), text)
    text = re.sub(r"(?<![\d.])-(?=\d)", "負", text)
    text = re.sub(r"(\d+(?:\.\d+)?)\s*(?:°C|℃)", lambda m: number_to_chinese(m[1]) + "度", text)
    return re.sub(r"\d+(?:\.\d+)?", lambda m: number_to_chinese(m[0]), text)


def to_phonemes(text: str, english_to_phonemes: Callable[[str], str] | None = None) -> str:
    """Return Kokoro's phonemes of Traditional or Simplified text.

    `english_to_phonemes` converts the English words in it to the same alphabet; None leaves them out.
    """
    text = to_simplified(verbalize_numbers(text))
    phonemes = ""
    for piece in _SCRIPT_RUN.findall(text):
        if contains_han(piece[0]):
            syllables = lazy_pinyin(piece, style=Style.TONE3, neutral_tone_with_five=True)
            phonemes += "".join(map(syllable_to_phonemes, syllables))
        elif piece[0].isalpha():
            phonemes += f" {english_to_phonemes(piece.strip()) if english_to_phonemes else ''} "
        else:
            phonemes += piece.translate(_PUNCTUATION)
    return re.sub(r"\s+", " ", phonemes).strip()
