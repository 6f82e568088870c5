"""English number words: cardinals without "and", ordinals, years, digits, clock times."""

from __future__ import annotations

from collections.abc import Iterable

ONES = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
)
TENS = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)
MAX_WHOLE_DIGITS = 15
"""Digits of the longest number with places. Longer ones are said digit by digit."""
MAX_SAID_DIGITS, SAID_DIGITS_OF_MORE = 60, 20
"""Digits of the longest number that is said whole; digits that are said of a longer one."""
AND_SO_ON = "and so on"

MAX_NAMED_DENOMINATOR = 20
"""Largest denominator that is said as an ordinal; larger ones are said with "over"."""

_SCALES = ("", " thousand", " million", " billion", " trillion")
_IRREGULAR_ORDINALS = {
    "one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth", "nine": "ninth",
    "twelve": "twelfth",
}  # fmt: skip
_FRACTION_NAMES = {2: "half", 4: "quarter"}


def digits_en(digits: str) -> str:
    """Return each digit of `digits` as a word; other characters are skipped."""
    found = [ONES[int(c)] for c in digits if "0" <= c <= "9"]
    if len(found) > MAX_SAID_DIGITS:
        return " ".join(found[:SAID_DIGITS_OF_MORE]) + " " + AND_SO_ON
    return " ".join(found)


def groups_en(groups: Iterable[str]) -> str:
    """Return groups of digits, with a pause between two of them."""
    return ", ".join(digits_en(group) for group in groups if group)


def _below_hundred(number: int) -> str:
    if number < 20:
        return ONES[number]
    return TENS[number // 10] + ("-" + ONES[number % 10] if number % 10 else "")


def _below_thousand(number: int) -> str:
    hundreds, rest = divmod(number, 100)
    words = [ONES[hundreds] + " hundred"] if hundreds else []
    return " ".join([*words, _below_hundred(rest)] if rest or not hundreds else words)


def whole_en(value: int) -> str:
    """Return a whole number of 0 or more in words; one with too many places digit by digit."""
    if value >= 10**MAX_WHOLE_DIGITS:
        return digits_en(str(value))
    if value == 0:
        return "zero"
    words = []
    for exponent in range(len(_SCALES) - 1, -1, -1):
        part = value // 1000**exponent % 1000
        if part:
            words.append(_below_thousand(part) + _SCALES[exponent])
    return " ".join(words)


def number_en(text: str) -> str:
    """Return a written number ("1,500", "3.50", "007", "-2") in words.

    Digit by digit where it has leading zeros or too many places.
    """
    if text.startswith(("-", "−")):
        return "minus " + number_en(text[1:])
    whole, _, fraction = text.replace(",", "").partition(".")
    if len(whole) > MAX_WHOLE_DIGITS or (len(whole) > 1 and whole[0] == "0"):
        words = digits_en(whole)
    else:
        words = whole_en(int(whole)) if whole else ""
    return f"{words} point {digits_en(fraction)}".strip() if fraction else words


def ordinal_en(value: int) -> str:
    """Return an ordinal in words: first, twenty-second, one hundredth."""
    words = whole_en(value)
    start = max(words.rfind(" "), words.rfind("-")) + 1
    last = words[start:]
    if last in _IRREGULAR_ORDINALS:
        return words[:start] + _IRREGULAR_ORDINALS[last]
    return words[:start] + (last[:-1] + "ieth" if last.endswith("y") else last + "th")


def year_en(text: str) -> str:
    """Return a year of four digits: nineteen oh five, two thousand five, twenty twenty-six."""
    century, rest = divmod(int(text), 100)
    if century % 10 == 0 and rest < 10:
        return whole_en(int(text))
    if rest == 0:
        return _below_hundred(century) + " hundred"
    return f"{_below_hundred(century)} {'oh ' + ONES[rest] if rest < 10 else _below_hundred(rest)}"


def decade_en(text: str) -> str:
    """Return the decade that begins with the year or the two digits `text`: nineties, two thousands."""
    words = year_en(text) if len(text) == 4 else _below_hundred(int(text)) if int(text) else "two thousand"
    return words[:-1] + "ies" if words.endswith("y") else words + "s"


def street_number_en(text: str) -> str:
    """Return the number of a building in a street: one twenty-three, twelve oh five; longer ones digit by digit."""
    if len(text) > 4 or text[0] == "0":
        return digits_en(text)
    hundreds, rest = divmod(int(text), 100)
    if not hundreds:
        return _below_hundred(rest)
    if not rest:
        return whole_en(int(text)) if hundreds % 10 == 0 else _below_hundred(hundreds) + " hundred"
    return f"{_below_hundred(hundreds)} {'oh ' + ONES[rest] if rest < 10 else _below_hundred(rest)}"


def clock_en(hours: str, minutes: str, seconds: str | None = None, half: str | None = None) -> str:
    """Return a time of day. `half` is the letter of AM or PM, None for a clock of 24 hours."""
    words = whole_en(int(hours))
    if int(minutes):
        words += " " + ("oh " if int(minutes) < 10 else "") + whole_en(int(minutes))
    elif not half and not seconds:
        words += " o'clock" if 1 <= int(hours) <= 12 else " hundred" if int(hours) else " hundred hours"
    if seconds:
        words += f" and {whole_en(int(seconds))} second" + ("" if int(seconds) == 1 else "s")
    return words + (f" {half.upper()} M" if half else "")


def date_en(month: int, day: int, year: str = "") -> str:
    """Return a date: November twenty-sixth, twenty twenty-six."""
    return f"{MONTHS[month - 1]} {ordinal_en(day)}" + (f", {year_en(year)}" if year else "")


def fraction_en(top: int, bottom: int) -> str:
    """Return a fraction: one half, three quarters, five sixteenths."""
    if bottom < 2 or (bottom > MAX_NAMED_DENOMINATOR and bottom not in (100, 1000)):
        return f"{whole_en(top)} over {whole_en(bottom)}"
    name = _FRACTION_NAMES.get(bottom) or ordinal_en(bottom).removeprefix("one ")
    if top == 1:
        return "one " + name
    return f"{whole_en(top)} {'halves' if bottom == 2 else name + 's'}"
