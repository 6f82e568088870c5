"""Durations: spans of time read from words of both languages, and said in them. Pure."""

from __future__ import annotations

import re
from fractions import Fraction

from voicechat.tools.examples.numerals import replace_chinese_numerals

MAX_DURATION_CHARS = 80
"""Characters of a duration that is read."""

_WORDS = (
    (r"(?<!個)半個?(小時|鐘頭)", r"0.5\1"),
    (r"(?<![個時])半(分鐘|分)", r"0.5\1"),
    (r"分半鐘", "分半"),
    (r"一刻鐘", "15分鐘"),
    (r"half an hour|(?<!and )\ba half hour\b|^half hour\b", "0.5 hours"),
    (r"half a minute", "0.5 minutes"),
    (r"(?:a )?quarter of an hour", "15 minutes"),
    (r"\ba (?:couple of|pair of)\b", "2"),
    (r"\b(?:an|a)\b(?= *(?:hour|minute|second))", "1"),
)
_NUMBER_WORDS = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
)
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_TENS_WORDS = dict(zip(_TENS, range(20, 100, 10), strict=True))
_SMALL_WORDS = {word: value for value, word in enumerate(_NUMBER_WORDS)}
_NUMBER_WORD = re.compile(
    rf"\b(?:({'|'.join(_TENS_WORDS)})(?:[- ]({'|'.join(_NUMBER_WORDS[1:10])}))?|({'|'.join(_NUMBER_WORDS)}))\b"
)
_UNIT_SECONDS = (
    (3600, r"hours?|hrs?|h|個?半?小時|個?半?鐘頭"),
    (60, r"minutes?|mins?|m|分鐘|分"),
    (1, r"seconds?|secs?|s|秒鐘|秒"),
)
_NUMBER = r"(\d+(?:\.\d+)?)"
_PART = re.compile(
    rf"\s*(?:and|又|,|，|、|零)?\s*{_NUMBER}\s*(?:"
    + "|".join(f"({names})" for _, names in _UNIT_SECONDS)
    + r")(?![a-z])(\s*and a half|半)?"
)
_AND_HALF = re.compile(r"(\d+) and (?:1|a) ?half (hour|minute|second)")
_TRADITIONAL = str.maketrans({"钟": "鐘", "时": "時", "个": "個", "头": "頭", "两": "兩"})
_ISO = re.compile(r"pt(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")
_CLOCK = re.compile(r"(?:(\d{1,2}):)?(\d{1,2}):(\d{2})")


def read_duration(text: str) -> float | None:
    """Return the seconds of a duration such as "5 minutes", "1h 30m", "PT90S", "一個半小時"; None when unreadable."""
    text = " ".join(text.lower().translate(_TRADITIONAL).split())
    if not text or len(text) > MAX_DURATION_CHARS:
        return None
    for pattern in (_ISO, _CLOCK):
        if (match := pattern.fullmatch(text)) and any(match.groups()):
            hours, minutes, seconds = (int(part or 0) for part in match.groups())
            return float(hours * 3600 + minutes * 60 + seconds)
    text = _plain_words(text)
    total, position = Fraction(0), 0
    while position < len(text):
        part = _PART.match(text, position)
        if part is None:
            return None
        unit = next(index for index in range(3) if part[2 + index])
        size = _UNIT_SECONDS[unit][0]
        amount = Fraction(part[1])
        if "半" in part[2 + unit] or part[5]:
            amount += Fraction(1, 2)
        total += amount * size
        position = part.end()
        rest = text[position:].strip()
        if unit < 2 and rest.isdigit():  # 1小時30
            total += int(rest) * _UNIT_SECONDS[unit + 1][0]
            break
        position += len(text[position:]) - len(text[position:].lstrip())
    return float(total)


def _plain_words(text: str) -> str:
    for pattern, plain in _WORDS:
        text = re.sub(pattern, plain, text)
    text = re.sub(r"(?<=\d)\s*-\s*(?=[a-z])", " ", _NUMBER_WORD.sub(_in_digits, text))
    text = _AND_HALF.sub(lambda match: f"{match[1]}.5 {match[2]}", text)
    return replace_chinese_numerals(re.sub(r"\s*個(?=半|小時|鐘頭)", "個", text)).strip(" .。")


def _in_digits(match: re.Match[str]) -> str:
    tens, ones, small = match.groups()
    return str(_TENS_WORDS[tens] + _SMALL_WORDS.get(ones or "", 0) if tens else _SMALL_WORDS[small])


def describe_duration(seconds: float, language: str) -> str:
    """Return a duration in words, rounded to seconds: "1 hour 30 minutes", "1 小時 30 分鐘"."""
    whole = max(0, round(seconds))
    amounts = (whole // 3600, whole // 60 % 60, whole % 60)
    if language == "zh":
        names = ("小時", "分鐘", "秒")
        parts = [f"{amount} {name}" for amount, name in zip(amounts, names, strict=True) if amount]
        return " ".join(parts) or "0 秒"
    words = ("hour", "minute", "second")
    parts = [f"{amount} {word}{'s' * (amount != 1)}" for amount, word in zip(amounts, words, strict=True) if amount]
    if len(parts) > 1:
        parts[-1] = f"and {parts[-1]}"
    return " ".join(parts) or "0 seconds"
