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


def to_phonemes(text: str, english_to_phonemes: Callable[[str], str] | None = None) -> str:
    """Return Kokoro's phonemes of words in Traditional or Simplified characters, see `spoken_form`.

    `english_to_phonemes` converts the English words in it to the same alphabet; None leaves them out.
    """
    text = to_simplified(text)
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
