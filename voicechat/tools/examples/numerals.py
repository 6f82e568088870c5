"""Numerals: numbers as people write and say them, in digits or in Chinese characters. Pure."""

from __future__ import annotations

import re
from fractions import Fraction

_DIGITS = {char: value for value, char in enumerate("零一二三四五六七八九")} | {"〇": 0, "兩": 2, "两": 2}
_TENS = {"十": 10, "百": 100, "千": 1000}
_MYRIADS = {"萬": 10**4, "万": 10**4, "億": 10**8, "亿": 10**8}
CHINESE_NUMERAL = re.compile(r"[零〇一二兩两三四五六七八九十百千萬万億亿]+(?:[點点][零〇一二三四五六七八九]+)?")
"""A number in Chinese characters, with or without decimals."""
MAX_NUMERAL_CHARS = 40
"""Characters of a numeral that is read."""


def read_chinese_numeral(text: str) -> Fraction | None:
    """Return the value of a Chinese numeral, or None when it is not well formed."""
    if len(text) > MAX_NUMERAL_CHARS or not CHINESE_NUMERAL.fullmatch(text):
        return None
    whole, _, decimals = text.replace("点", "點").partition("點")
    value = _read_whole(whole)
    if value is None:
        return None
    digits = "".join(str(_DIGITS[char]) for char in decimals)
    return value + (Fraction(int(digits), 10 ** len(digits)) if digits else 0)


def _read_whole(text: str) -> Fraction | None:
    if len(text) > 1 and all(char in _DIGITS for char in text):  # said digit by digit: 二〇二六
        return Fraction(int("".join(str(_DIGITS[char]) for char in text)))
    total = section = 0
    digit: int | None = None
    for char in text:
        if char in _DIGITS:
            if digit:
                return None
            digit = _DIGITS[char]
        elif char in _TENS:
            section += (1 if digit is None or (digit == 0 and char == "十") else digit) * _TENS[char]
            digit = None
        else:
            section += digit or 0
            total = (total + section) * _MYRIADS[char] if char in "億亿" else total + section * _MYRIADS[char]
            section, digit = 0, None
    return Fraction(total + section + (digit or 0))


def replace_chinese_numerals(text: str) -> str:
    """Return `text` with its well-formed Chinese numerals in digits."""

    def in_digits(match: re.Match[str]) -> str:
        value = read_chinese_numeral(match.group())
        return match.group() if value is None else plain_decimal(value)

    return CHINESE_NUMERAL.sub(in_digits, text)


def plain_decimal(value: Fraction, most_places: int = 12) -> str:
    """Return a value in digits, rounded half to even, without trailing zeros and without an exponent."""
    scaled = round(value * 10**most_places)
    sign = "-" if scaled < 0 else ""
    whole, part = divmod(abs(scaled), 10**most_places)
    decimals = f"{part:0{most_places}d}".rstrip("0") if part else ""
    return f"{sign}{whole}.{decimals}" if decimals else f"{sign}{whole}"


def rounded_decimal(value: Fraction, digits: int) -> tuple[str, bool]:
    """Return a value with about as many significant `digits`, and whether that is exact. Whole digits all stay."""
    places = digits - len(str(abs(int(value)))) if abs(value) >= 1 else digits
    if value and abs(value) < 1:
        while abs(value) * 10**places < 10 ** (digits - 1) and places < 3 * digits:
            places += 1
    text = plain_decimal(value, max(0, places)) if places > 0 else str(round(value))
    return text, Fraction(text) == value
