"""Numbers in words, as speech recognition writes them, become digits. Pure."""

from __future__ import annotations

import re
from fractions import Fraction

MAX_NUMBER_CHARS = 24
"""Characters of one number in digits."""

_UNITS = {
    word: value
    for value, word in enumerate(
        (
            *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven"),
            *("twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
        )
    )
}
_DIGIT_WORDS = {word: value for word, value in _UNITS.items() if value < 10} | {"oh": 0}
_TENS = {
    word: 10 * value
    for value, word in enumerate(("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"), 2)
} | {"fourty": 40}
_SCALES = {"thousand": 1000, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_DIGITS = r"\d+(?:\.\d+)?"
_WORD = rf"(?:{'|'.join([*_UNITS, *_TENS, 'hundred', *_SCALES])}|oh|point|{_DIGITS})"
_RUN_EN = re.compile(
    rf"(?<![\w.])(?:(?:a|an)\s+(?=hundred|thousand|million|billion))?{_WORD}"
    rf"(?:(?:\s+|-)(?:and\s+(?={_WORD}\b))?{_WORD})*(?![\w])"
)
_ORDINALS = {
    word: value
    for value, word in enumerate(
        (
            *("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"),
            *("eleventh", "twelfth", "thirteenth", "fourteenth", "fifteenth", "sixteenth", "seventeenth"),
            *("eighteenth", "nineteenth", "twentieth"),
        ),
        1,
    )
} | {"thirtieth": 30}
_ORDINAL_EN = re.compile(
    rf"\b(?:(?P<tens>twenty|thirty)[\s-])?(?P<unit>{'|'.join(_ORDINALS)})\b|\b(?P<digits>\d{{1,2}})(?:st|nd|rd|th)\b"
)

_DIGIT_ZH = {char: value for value, char in enumerate("零一二三四五六七八九")} | {"〇": 0, "两": 2, "俩": 2}
_PLACE_ZH = {"十": 10, "百": 100, "千": 1000}
_GROUP_ZH = {"万": 10**4, "亿": 10**8}
CHINESE_NUMBER = (
    r"(?:\d+(?:\.\d+)?(?:[十百千万亿]+)?|[零〇一二两三四五六七八九十百千万亿]+(?:点[零〇一二三四五六七八九]+)?)"
)
"""Pattern of a number in Chinese words or digits, as `chinese_number` reads it."""
MAX_CHINESE_CHARS = 20
"""Characters of one number in Chinese words."""


def plain_digits(value: Fraction) -> str:
    """Return a terminating decimal fraction as digits, without an exponent."""
    if value.denominator == 1:
        return str(value.numerator)
    places = 0
    while (value * 10**places).denominator != 1:
        places += 1
        if places > MAX_NUMBER_CHARS:
            raise ValueError("it has no finite digits")
    digits = f"{abs(int(value * 10**places)):0{places + 1}d}"
    return f"{'-' if value < 0 else ''}{digits[:-places]}.{digits[-places:]}"


def digits_for_words(text: str) -> str:
    """Return English `text` with its number words as digits: "three hundred and five" becomes "305".

    Words that are no number together ("five six") stay. "twenty twenty seven" is a year.
    """

    def replace(match: re.Match[str]) -> str:
        words = [word for word in re.split(r"[\s-]+", match[0]) if word]
        value = _english_number(words)
        return match[0] if value is None else plain_digits(value)

    return _RUN_EN.sub(replace, text)


def digits_for_ordinals(text: str, end: str = "") -> str:
    """Return English `text` with the ordinals up to "thirty-first" as digits. Call it before `digits_for_words`.

    `end` is put after each, so that a number in words after it stays another number.
    """

    def replace(match: re.Match[str]) -> str:
        if match["digits"]:
            return match["digits"] + end
        tens, unit = _TENS.get(match["tens"] or "", 0), _ORDINALS[match["unit"]]
        return f"{tens + unit}{end}" if not tens or unit < 10 else match[0]

    return _ORDINAL_EN.sub(replace, text)


def _english_number(words: list[str]) -> Fraction | None:
    if "point" in words:
        at = words.index("point")
        whole = _english_number(words[:at]) if at else Fraction(0)
        places = [int(w) if re.fullmatch("[0-9]", w) else _DIGIT_WORDS.get(w, -1) for w in words[at + 1 :]]
        if whole is None or whole.denominator != 1 or not places or not all(0 <= n <= 9 for n in places):
            return None
        return Fraction(f"{whole.numerator}.{''.join(map(str, places))}")
    return _english_whole(words) if _english_whole(words) is not None else _english_year(words)


def _english_whole(words: list[str]) -> Fraction | None:
    """Return the value of number words by their grammar: groups below a thousand, each with a smaller scale."""
    total, last_scale = Fraction(0), 10**15
    group: Fraction | None = None
    open_below = 10**9  # the next word of the group must be smaller than this
    for index, word in enumerate(words):
        if word in ("a", "an"):
            if index or group is not None:
                return None
            group, open_below = Fraction(1), 0
        elif word == "and":
            if group is None and not total:
                return None
        elif word == "hundred":
            if group is None or not 0 < group < 100 or open_below == 99:
                return None
            group, open_below = group * 100, 99
        elif word in _SCALES:
            scale = _SCALES[word]
            if group is None or not group or scale >= last_scale:
                return None
            total, last_scale, group, open_below = total + group * scale, scale, None, 10**9
        else:
            value = Fraction(_UNITS.get(word, _TENS.get(word, -1))) if not word[0].isdigit() else Fraction(word)
            if value < 0 or (group is not None and (value >= open_below or value == 0)):
                return None
            if last_scale < 10**15 and value >= min(last_scale, 1000):
                return None
            group = value if group is None else group + value
            open_below = 10 if word in _TENS else 0
    return total + (group or 0)


def _english_year(words: list[str]) -> Fraction | None:
    """Return a year said in two halves: "nineteen ninety nine", "twenty oh five"."""
    for cut in (1, 2):
        if not cut < len(words):
            continue
        first = _english_whole(words[:cut])
        rest = words[cut + 1 :] if words[cut] == "oh" else words[cut:]
        second = _english_whole(rest) if rest else None
        if first is None or second is None or not 10 <= first <= 29:
            continue
        is_written = any(word[0].isdigit() for word in words)
        if not is_written and (1 <= second <= 9 if words[cut] == "oh" else 10 <= second <= 99):
            return first * 100 + second
    return None


def chinese_number(text: str) -> Fraction | None:
    """Return the value of a Chinese number in Simplified characters: 「三百五」 is 350, 「一九九六」 is 1996."""
    if not text or len(text) > MAX_CHINESE_CHARS:
        return None
    if match := re.fullmatch(r"(\d+(?:\.\d+)?)([十百千万亿]*)", text):
        value = Fraction(match[1])
        for char in match[2]:
            value *= (_PLACE_ZH | _GROUP_ZH)[char]
        return value
    whole, _, places = text.partition("点")
    value_or_none = _chinese_whole(whole)
    if value_or_none is None:
        return None
    if places:
        if not all(char in _DIGIT_ZH for char in places):
            return None
        value_or_none += Fraction(int("".join(str(_DIGIT_ZH[char]) for char in places)), 10 ** len(places))
    elif "点" in text:
        return None
    return value_or_none


def _chinese_whole(text: str) -> Fraction | None:
    if text and all(char in _DIGIT_ZH for char in text):
        if len(text) == 2 or (len(text) > 1 and "两" in text):
            return None  # 「二三」 is "two or three"
        return Fraction(int("".join(str(_DIGIT_ZH[char]) for char in text)))
    total = section = 0
    digit: int | None = None
    last_place, last_group = 10**4, 10**12
    previous = ""
    for char in text:
        if char in _DIGIT_ZH:
            if digit is not None and digit != 0:
                return None
            digit = _DIGIT_ZH[char]
        elif char in _PLACE_ZH:
            place = _PLACE_ZH[char]
            if place >= last_place or digit == 0 or (digit is None and char != "十"):
                return None
            section, digit, last_place = section + (1 if digit is None else digit) * place, None, place
        else:
            group = _GROUP_ZH.get(char)
            section += digit or 0
            if group is None or group >= last_group or not section:
                return None
            total, section, digit, last_group, last_place = total + section * group, 0, None, group, 10**4
        previous = char if char not in _DIGIT_ZH else previous
    if digit and len(text) > 1 and text[-2] in "百千万亿":
        digit *= (_PLACE_ZH | _GROUP_ZH)[previous] // 10  # 「三百五」 leaves the last place out
    return Fraction(total + section + (digit or 0)) if text else None


def digits_for_chinese(text: str) -> str:
    """Return Chinese `text` with its numbers as digits. Numbers that cannot be read stay."""

    def replace(match: re.Match[str]) -> str:
        value = chinese_number(match[0])
        return match[0] if value is None else plain_digits(value)

    return re.sub(CHINESE_NUMBER, replace, text)
