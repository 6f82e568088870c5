"""Parts of the rules of English: patterns, tables of words, and functions that write a match in words.

Written text has ASCII digits and operators here; `characters` converts other ones before.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Decimal

from .numbers import (
    MAX_WHOLE_DIGITS,
    MONTHS,
    clock_en,
    date_en,
    fraction_en,
    number_en,
    ordinal_en,
    whole_en,
    year_en,
)

N = r"\d+(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|(?<![\w.])\.\d+"
"""A number of 0 or more; use it in a group."""
NB = r"(?<![\w.])(?<!\d,)"
"""Not within a number or a word, before one."""
NA = r"(?![\d]|\.\d|,\d{3})"
"""Not within a number, after one."""
TO = r"\s?(?:-|–|—|~)\s?"
"""Sign of a range."""
MONTH = r"(?P<month>(?:Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec)\b\.?|" + "|".join(MONTHS) + ")"
BIG = {
    "k": "thousand",
    "m": "million",
    "b": "billion",
    "t": "trillion",
    "mm": "million",
    "bn": "billion",
    "tn": "trillion",
}
MONEY = {
    "$": ("dollar", "cent"), "US$": ("dollar", "cent"), "USD": ("dollar", "cent"), "€": ("euro", "cent"),
    "EUR": ("euro", "cent"),
    "£": ("pound", "penny"), "GBP": ("pound", "penny"), "¥": ("yen", ""), "JPY": ("yen", ""), "₩": ("won", ""),
    "NT$": ("New Taiwan dollar", "cent"), "NTD": ("New Taiwan dollar", "cent"), "TWD": ("New Taiwan dollar", "cent"),
    "HK$": ("Hong Kong dollar", "cent"), "A$": ("Australian dollar", "cent"), "C$": ("Canadian dollar", "cent"),
}  # fmt: skip
UNITS: dict[str, str | tuple[str, str]] = {
    "km": "kilometer", "m": "meter", "cm": "centimeter", "mm": "millimeter", "nm": "nanometer", "mi": "mile",
    "yd": "yard",
    "ft": ("foot", "feet"), "kg": "kilogram", "g": "gram", "mg": "milligram", "lb": "pound",
    "lbs": ("pound", "pounds"), "oz": "ounce",
    "L": "liter", "l": "liter", "ml": "milliliter", "mL": "milliliter", "mph": ("mile per hour", "miles per hour"),
    "km/h": ("kilometer per hour", "kilometers per hour"), "kph": ("kilometer per hour", "kilometers per hour"),
    "m/s": ("meter per second", "meters per second"), "KB": "kilobyte", "kB": "kilobyte", "MB": "megabyte",
    "GB": "gigabyte",
    "TB": "terabyte", "PB": "petabyte", "Kbps": ("kilobit per second", "kilobits per second"),
    "Mbps": ("megabit per second", "megabits per second"), "Gbps": ("gigabit per second", "gigabits per second"),
    "Hz": ("hertz", "hertz"), "kHz": ("kilohertz", "kilohertz"), "MHz": ("megahertz", "megahertz"),
    "GHz": ("gigahertz", "gigahertz"),
    "W": "watt", "kW": "kilowatt", "MW": "megawatt", "kWh": "kilowatt hour", "V": "volt", "mAh": "milliamp hour",
    "hr": "hour",
    "hrs": ("hour", "hours"), "h": "hour", "min": "minute", "mins": ("minute", "minutes"), "sec": "second",
    "secs": ("second", "seconds"),
    "ms": "millisecond", "kcal": "kilocalorie", "dB": "decibel", "fps": ("frame per second", "frames per second"),
    "dpi": ("dot per inch", "dots per inch"), "ha": "hectare", "sq ft": ("square foot", "square feet"),
}  # fmt: skip
OPERATORS = {
    "+": "plus",
    "-": "minus",
    "×": "times",
    "x": "times",
    "*": "times",
    "÷": "divided by",
    "/": "divided by",
    "=": "equals",
}
COMPARISONS = {
    "=": "equals", "≠": "is not equal to", "≥": "is at least", "≤": "is at most", ">=": "is at least",
    "<=": "is at most",
    "!=": "is not equal to", "==": "equals", "≈": "is about", "<": "is less than", ">": "is greater than",
}  # fmt: skip
TITLES = {
    "Dr": "Doctor", "Mr": "Mister", "Mrs": "Missus", "Ms": "Miz", "Prof": "Professor", "St": "Saint", "Mt": "Mount",
    "Ft": "Fort",
    "Gen": "General", "Sgt": "Sergeant", "Capt": "Captain", "Lt": "Lieutenant", "Sen": "Senator", "Gov": "Governor",
    "Rev": "Reverend",
}  # fmt: skip
ABBREVIATIONS = {
    "vs": "versus", "etc": "et cetera", "approx": "approximately", "e.g": "for example", "i.e": "that is",
    "Jr": "Junior", "Sr": "Senior",
    "Inc": "Incorporated", "Ltd": "Limited", "Corp": "Corporation", "dept": "department", "Dept": "Department",
    "Ave": "Avenue",
    "Blvd": "Boulevard", "Rd": "Road", "Fig": "Figure", "fig": "figure", "Vol": "Volume", "vol": "volume",
    "cf": "compare",
    "Ph.D": "PhD", "a.k.a": "also known as", "w/o": "without",
}  # fmt: skip
STREETS = {
    "St": "Street",
    "Ave": "Avenue",
    "Rd": "Road",
    "Blvd": "Boulevard",
    "Ln": "Lane",
    "Dr": "Drive",
    "Ct": "Court",
    "Pl": "Place",
}
SMALL_CODES = (
    "PIN|code|room|Room|ZIP|zip|dial|Dial|agent|Agent|password|passcode|extension|ext|Flight|flight|gate|Gate|area code"
)


def alternatives(words: Iterable[str]) -> str:
    """Return a pattern of any of `words`, the longest first."""
    return "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))


def month_number(name: str) -> int:
    """Return the number of a month, of which `name` has three letters or more."""
    return next(i for i, month in enumerate(MONTHS, 1) if month.startswith(name[:3]))


def date_words(match: re.Match[str]) -> str:
    """Return a date in digits with its year: groups `a`, `b`, `y`."""
    first, second, year = int(match["a"]), int(match["b"]), match["y"]
    month, day = (first, second) if first <= 12 else (second, first)
    if not (1 <= month <= 12 and 1 <= day <= 31):
        return match[0]
    if len(year) == 2:
        year = ("19" if int(year) > 40 else "20") + year
    return date_en(month, day, year)


def month_day_words(match: re.Match[str]) -> str:
    """Return a month's name with a day: groups `month`, `d`, `to`, `y`."""
    day = int(match["d"])
    if not 1 <= day <= 31:
        return match[0]
    last = f" to {ordinal_en(int(match['to']))}" if match["to"] else ""
    return date_en(month_number(match["month"]), day) + last + (f", {year_en(match['y'])}" if match["y"] else "")


def day_month_words(match: re.Match[str]) -> str:
    """Return a day with a month's name behind it: groups `d`, `month`, `y`."""
    day = int(match["d"])
    if not 1 <= day <= 31:
        return match[0]
    said = f"the {ordinal_en(day)} of {MONTHS[month_number(match['month']) - 1]}"
    return said + (f" {year_en(match['y'])}" if match["y"] else "")


def slashed_words(match: re.Match[str]) -> str:
    """Return two numbers with a slash as a date or a fraction: groups `before`, `whole`, `a`, `b`."""
    whole, top, bottom = match["whole"], int(match["a"]), int(match["b"])
    said_before = match["before"] or ""
    is_date = 1 <= top <= 12 and 1 <= bottom <= 31 and not whole
    if is_date and (said_before or top >= bottom or bottom > 16):
        return said_before + date_en(top, bottom)
    fraction = fraction_en(top, bottom)
    if whole:
        return f"{number_en(whole)} and {'a' + fraction[3:] if fraction.startswith('one half') else fraction}"
    return said_before + fraction


def time_words(match: re.Match[str]) -> str:
    """Return a time of day: groups `h`, `min`, `s`, `half`."""
    if int(match["h"]) > 24 or int(match["min"] or 0) > 59:
        return match[0]
    return clock_en(match["h"], match["min"] or "0", match["s"], match["half"])


def time_range_words(match: re.Match[str]) -> str:
    """Return a range of times: groups as for a time, and `h2`, `min2`, `half2`."""
    times = [(match["h"], match["min"]), (match["h2"], match["min2"])]
    if any(int(h) > 24 or int(m or 0) > 59 for h, m in times):
        return match[0]
    halves = [match["half"], match["half2"]]
    said = [
        clock_en(h, m or "0", None, half or "-").removesuffix(" - M")
        for (h, m), half in zip(times, halves, strict=True)
    ]
    return " to ".join(said)


def money_words(match: re.Match[str]) -> str:
    """Return an amount of money: groups `sign`, `n`, or `n2`, `code`; `to`, `big`."""
    unit, cent = MONEY[match["sign"] or match["code"]]
    amount, to = match["n"] or match["n2"], match["to"]
    plural = unit if unit in ("yen", "won") else unit + "s"
    big = match["big"] or ""
    big = BIG.get(big.lower(), big)
    whole, _, fraction = amount.replace(",", "").partition(".")
    if to or big or not cent or len(fraction) not in (0, 2) or len(whole) > MAX_WHOLE_DIGITS:
        said = " to ".join(number_en(n) for n in (amount, to) if n) + (" " + big if big else "")
        return f"{said} {unit if said == 'one' else plural}"
    cents = int(fraction or "0")
    cent_words = f"{whole_en(cents)} {cent if cents == 1 else 'pence' if cent == 'penny' else 'cents'}"
    if not int(whole or "0") and cents:
        return cent_words
    said = f"{number_en(whole)} {unit if whole == '1' else plural}"
    return f"{said} and {cent_words}" if cents else said


def temperature_words(match: re.Match[str]) -> str:
    """Return a temperature or an angle: groups `minus`, `n`, `to`, `scale`."""
    said = " to ".join(number_en(n) for n in (match["n"], match["to"]) if n)
    unit = "degree" if said == "one" else "degrees"
    scale = {"C": " Celsius", "F": " Fahrenheit"}.get(match["scale"] or "", "")
    return f"{'minus ' if match['minus'] else ''}{said} {unit}{scale} "


def percent_words(match: re.Match[str]) -> str:
    """Return a percentage: groups `minus`, `n`, `to`."""
    said = " to ".join(number_en(n) for n in (match["n"], match["to"]) if n)
    return f"{'minus ' if match['minus'] else ''}{said} percent"


def unit_words(match: re.Match[str]) -> str:
    """Return an amount with its unit: groups `n`, `to`, `unit`, `power`."""
    names = UNITS[match["unit"]]
    one, many = (names, names + "s") if isinstance(names, str) else names
    power = {"2": "square ", "3": "cubic "}.get(match["power"] or "", "")
    said = " to ".join(number_en(n) for n in (match["n"], match["to"]) if n)
    return f"{said} {power}{one if said == 'one' else many}"


def equation_words(match: re.Match[str]) -> str:
    """Return numbers with the operators between them in words."""
    text = re.sub(r"=\s*-", "= minus ", match[0])
    signs = re.sub(r"[+\-×*÷/=]|(?<=[\d\s])x(?=[\d\s])", lambda m: f" {OPERATORS[m[0]]} ", text)
    return " ".join(re.sub(N, lambda m: number_en(m[0]), signs).split())


def power_words(match: re.Match[str]) -> str:
    """Return a base and an exponent in words: groups 1 and 2."""
    base, exponent = match[1], match[2]
    said = base if base.isalpha() else number_en(base)
    if exponent in ("2", "3"):
        return f"{said} {'squared' if exponent == '2' else 'cubed'}"
    if exponent.startswith("-") or len(exponent) > MAX_WHOLE_DIGITS:
        return f"{said} to the power of {number_en(exponent)}"
    return f"{said} to the {ordinal_en(int(exponent))} power"


def scaled_words(match: re.Match[str]) -> str:
    """Return a number with a letter for thousands or more: groups 1 and 2."""
    plain = match[1].replace(",", "")
    if len(plain) > MAX_WHOLE_DIGITS:
        return match[0]
    return f"{number_en(format(Decimal(plain), 'f'))} {BIG[match[2].lower()]}"
