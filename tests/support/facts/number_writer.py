"""Writer of whole numbers in words, the reverse of the reader under test."""

from __future__ import annotations

UNITS = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
)
TENS = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
DIGITS_ZH = "零一二三四五六七八九"


def english_words(number: int, *, with_and: bool = False) -> str:
    """Return a number below a billion in English words."""
    if number < 20:
        return UNITS[number]
    if number < 100:
        return TENS[number // 10] + (f"-{UNITS[number % 10]}" if number % 10 else "")
    for size, name in ((10**6, "million"), (1000, "thousand"), (100, "hundred")):
        if number >= size:
            head = f"{english_words(number // size, with_and=with_and)} {name}"
            rest = number % size
            joint = " and " if with_and and 0 < rest < 100 else " "
            return head + (joint + english_words(rest, with_and=with_and) if rest else "")
    raise AssertionError(number)


def chinese_words(number: int) -> str:
    """Return a number below 10**8 in Chinese words, in full: 「一百五十」."""
    if number == 0:
        return "零"
    high, low = divmod(number, 10_000)
    text = _below_ten_thousand(low) if low else ""
    if high:
        gap = "零" if low and low < 1000 else ""
        return f"{_below_ten_thousand(high)}萬{gap}{text}"
    return text.removeprefix("一") if 10 <= number < 20 else text


def _below_ten_thousand(number: int) -> str:
    text, has_gap = "", False
    for place, name in ((1000, "千"), (100, "百"), (10, "十"), (1, "")):
        digit = number // place % 10
        if digit:
            text += ("零" if has_gap and text else "") + DIGITS_ZH[digit] + name
            has_gap = False
        else:
            has_gap = True
    return text
