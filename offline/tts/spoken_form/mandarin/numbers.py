"""Mandarin number words as they are said in Taiwan: 兩百, 兩萬, 一千零二, 零 (not 〇), 一 (not 幺)."""

from __future__ import annotations

from decimal import Decimal

DIGITS = "零一二三四五六七八九"
MAX_WHOLE_DIGITS = 16
"""Digits of the longest number with places (千兆). Longer ones are said digit by digit."""
MAX_SAID_DIGITS, SAID_DIGITS_OF_MORE = 60, 20
"""Digits of the longest number that is said whole; digits that are said of a longer one."""
AND_SO_ON = "等等"

_SCALES = ((10**12, "兆"), (10**8, "億"), (10**4, "萬"), (1, ""))
_LETTER_SCALES = {"k": 10**3, "m": 10**6, "b": 10**9}


def digits_zh(digits: str) -> str:
    """Return each digit of `digits` as a word; other characters are skipped."""
    found = [c for c in digits if "0" <= c <= "9"]
    if len(found) > MAX_SAID_DIGITS:
        return "".join(DIGITS[int(c)] for c in found[:SAID_DIGITS_OF_MORE]) + AND_SO_ON
    return "".join(DIGITS[int(c)] for c in found)


def _below_ten_thousand(number: int, leading: bool) -> str:
    """Return 0 to 9999 in words. `leading` writes a ten at the start as 十, not 一十."""
    words, zero = "", False
    for unit, name in ((1000, "千"), (100, "百"), (10, "十"), (1, "")):
        digit = number // unit % 10
        if digit:
            is_bare_ten = leading and unit == 10 and digit == 1 and not words
            word = "" if is_bare_ten else "兩" if digit == 2 and unit >= 100 else DIGITS[digit]
            words += ("零" if zero and words else "") + word + name
            zero = False
        else:
            zero = bool(words)
    return words


def whole_zh(value: int) -> str:
    """Return a whole number of 0 or more in words; one with too many places digit by digit."""
    if value >= 10**MAX_WHOLE_DIGITS:
        return digits_zh(str(value))
    if value == 0:
        return "零"
    words = ""
    for scale, name in _SCALES:
        part = value // scale % 10**4
        if part:
            gap = words and (part < 1000 or value // scale % 10**8 < 10**4)
            lone_two = part == 2 and name
            words += ("零" if gap else "") + ("兩" if lone_two else _below_ten_thousand(part, not words)) + name
    return words


def number_zh(text: str) -> str:
    """Return a written number ("1,500", "3.5", "007", "-2") in words.

    Digit by digit where it has leading zeros or too many places.
    """
    if text.startswith(("-", "−")):
        return "負" + number_zh(text[1:])
    whole, _, fraction = text.replace(",", "").partition(".")
    if len(whole) > MAX_WHOLE_DIGITS or (len(whole) > 1 and whole[0] == "0"):
        words = digits_zh(whole)
    else:
        words = whole_zh(int(whole or "0"))
    return words + ("點" + digits_zh(fraction) if fraction else "")


def amount_zh(text: str, letter: str = "") -> str:
    """Return an amount in words; `letter` is a K, M or B behind it, "" without one."""
    plain = text.replace(",", "")
    if letter and len(plain) <= MAX_WHOLE_DIGITS:
        scaled = Decimal(plain) * _LETTER_SCALES[letter.lower()]
        text = format(scaled.normalize(), "f")
    return count_zh(text)


def count_zh(text: str) -> str:
    """Return a number before a measure word in words: a lone 2 is 兩."""
    return "兩" if text == "2" else number_zh(text)


def year_zh(text: str) -> str:
    """Return a year of the common era digit by digit."""
    return digits_zh(text)


def clock_zh(hours: str, minutes: str, seconds: str | None = None) -> str:
    """Return a time of day: 兩點, 九點零五分, 八點."""
    words = count_zh(str(int(hours))) + "點"
    if int(minutes) or seconds:
        words += ("零" if int(minutes) < 10 and int(minutes) else "") + whole_zh(int(minutes)) + "分"
    return words + (whole_zh(int(seconds)) + "秒" if seconds else "")


def date_zh(year: str, month: str, day: str) -> str:
    """Return a date. `year` is given in words, "" for none."""
    return (year + "年" if year else "") + f"{whole_zh(int(month))}月{whole_zh(int(day))}日"


def is_date(month: str, day: str) -> bool:
    """Return whether the numbers can be a month and a day."""
    return 1 <= int(month) <= 12 and 1 <= int(day) <= 31
