"""Dates in words: "next Wednesday", 「下週三」, holidays with a date in the solar calendar. Pure.

A week begins on Monday. Holidays of the lunar calendar and the solar terms are not known here.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta

from .number_words import CHINESE_NUMBER, chinese_number, digits_for_ordinals, digits_for_words

MAX_OFFSET_DAYS = 40_000
"""Days from today to the furthest date that is counted: about a century."""
MONTHS = (
    "January February March April May June July August September October November December".split()  # noqa: SIM905
)
WEEKDAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()  # noqa: SIM905
WEEKDAYS_ZH = "一二三四五六日"


@dataclass(frozen=True, slots=True)
class NamedDate:
    """Date with its name, e.g. "next Wednesday"; "" when the date was said itself."""

    day: date
    english: str = ""
    chinese: str = ""
    is_yearly: bool = False
    """Whether the words name a day of every year, as a holiday or "March 3" does."""


@dataclass(frozen=True, slots=True)
class Holiday:
    """Holiday with a date in the solar calendar."""

    english: str
    chinese: str
    day_in: Callable[[int], date]
    """Returns the date in a year."""
    english_aliases: tuple[str, ...] = ()
    chinese_aliases: tuple[str, ...] = ()
    """In Simplified characters."""


def _fixed(month: int, day: int) -> Callable[[int], date]:
    return lambda year: date(year, month, day)


def _nth_weekday(month: int, weekday: int, n: int) -> Callable[[int], date]:
    def day_in(year: int) -> date:
        first = date(year, month, 1)
        return first + timedelta((weekday - first.weekday()) % 7 + 7 * (n - 1))

    return day_in


HOLIDAYS = (
    Holiday("Christmas", "聖誕節", _fixed(12, 25), ("christmas day", "xmas"), ("圣诞节", "圣诞", "耶诞节")),
    Holiday("Christmas Eve", "平安夜", _fixed(12, 24), (), ("平安夜", "圣诞夜")),
    Holiday("New Year's Eve", "跨年夜", _fixed(12, 31), ("new years eve",), ("跨年夜", "跨年")),
    Holiday(
        "New Year's Day", "元旦", _fixed(1, 1), ("new year's", "new years", "new year", "new years day"), ("元旦",)
    ),
    Holiday("Valentine's Day", "西洋情人節", _fixed(2, 14), ("valentines day",), ("西洋情人节",)),
    Holiday("Peace Memorial Day", "和平紀念日", _fixed(2, 28), (), ("和平纪念日", "二二八", "228")),
    Holiday("Halloween", "萬聖節", _fixed(10, 31), (), ("万圣节",)),
    Holiday("Thanksgiving", "感恩節", _nth_weekday(11, 3, 4), ("thanksgiving day",), ("感恩节",)),
    Holiday("Mother's Day", "母親節", _nth_weekday(5, 6, 2), ("mothers day",), ("母亲节",)),
    Holiday("National Day of Taiwan", "國慶日", _fixed(10, 10), ("double ten day",), ("国庆日", "双十节", "国庆")),
    Holiday("Labor Day", "勞動節", _fixed(5, 1), ("labour day", "may day"), ("劳动节", "五一劳动节")),
    Holiday("Children's Day", "兒童節", _fixed(4, 4), (), ("儿童节",)),
    Holiday("Teachers' Day", "教師節", _fixed(9, 28), ("teacher's day",), ("教师节",)),
    Holiday("Father's Day of Taiwan", "父親節", _fixed(8, 8), (), ("父亲节", "八八节")),
)
"""Holidays with a date in the solar calendar. "Labor Day" and "Children's Day" are those of Taiwan."""

_HOLIDAYS_EN = {name.lower(): h for h in HOLIDAYS for name in (h.english, *h.english_aliases)}
_HOLIDAYS_ZH = {name: h for h in HOLIDAYS for name in h.chinese_aliases}
_MONTH_NUMBERS = {name.lower(): n for n, name in enumerate(MONTHS, 1)} | {
    name.lower()[:3]: n for n, name in enumerate(MONTHS, 1)
}
_MONTH_EN = "|".join(sorted(_MONTH_NUMBERS, key=len, reverse=True))
_DATES_EN = tuple(
    re.compile(pattern)
    for pattern in (
        rf"(?:the )?(?P<day>\d{{1,2}}),? (?:of )?(?P<month>{_MONTH_EN})(?:,? (?:of )?(?P<year>\d{{4}}))?",
        rf"(?P<month>{_MONTH_EN}) (?:the )?(?P<day>\d{{1,2}})(?:,? (?:of |in )?(?P<year>\d{{4}}))?",
        r"(?P<year>\d{4})[-/](?P<month>\d{1,2})[-/](?P<day>\d{1,2})",
    )
)
_DAY_OFFSETS_EN = {
    "today": 0,
    "tomorrow": 1,
    "yesterday": -1,
    "the day after tomorrow": 2,
    "day after tomorrow": 2,
    "the day before yesterday": -2,
}
_DAY_OFFSETS_ZH = {
    **{"今天": 0, "今日": 0, "明天": 1, "明日": 1, "后天": 2, "大后天": 3, "昨天": -1, "昨日": -1},
    **{"前天": -2, "大前天": -3},
}
_DAY_NAMES_ZH = {0: "今天", 1: "明天", 2: "後天", 3: "大後天", -1: "昨天", -2: "前天", -3: "大前天"}
_DAY_NAMES_EN = {value: name for name, value in reversed(_DAY_OFFSETS_EN.items())}
_WEEKDAY_EN = re.compile(
    rf"(?:(?P<which>next|this|last|this coming|the coming) )?(?P<day>{'|'.join(WEEKDAYS).lower()})"
)
_LATER_EN = re.compile(
    r"(?:in )?(?P<count>\d+|a) (?P<unit>days?|weeks?)(?P<after> from now| from today| later| after today| ago)?"
)
_WEEKDAY_ZH = re.compile(r"(?P<which>下下个?|下个?|这个?|本|上上个?|上个?)?(?:周|星期|礼拜)(?P<day>[一二三四五六日天])")
_WHICH_ZH = {"下下": 2, "下": 1, "这": 0, "本": 0, "上": -1, "上上": -2}
_WHICH_WORDS_ZH = {2: "下下", 1: "下", 0: "這", -1: "上", -2: "上上"}
_DATE_ZH = re.compile(
    rf"(?:(?P<year>\d{{4}}|[零〇一二三四五六七八九]{{4}})年|(?P<roc>民国)(?P<roc_year>{CHINESE_NUMBER})年"
    rf"|(?P<near>今年|明年|后年|去年)的?)?(?P<month>{CHINESE_NUMBER})月(?P<day>{CHINESE_NUMBER})[号日]?"
)
_LATER_ZH = re.compile(
    rf"(?P<from_now>再过|再|过)?(?P<count>{CHINESE_NUMBER})个?(?P<unit>天|日|周|星期|礼拜)(?(from_now)(?:(?:以|之)?(?P<after>后))?"
    r"|(?:以|之)?(?P<way>后|前))"
)
_NEAR_YEARS_ZH = {"今年": 0, "明年": 1, "后年": 2, "去年": -1}
ROC_YEAR_ZERO = 1911
"""Year before the first one of 民國."""


def read_date(words: str, today: date, *, is_chinese: bool) -> NamedDate | None:
    """Return the date that normalised `words` name; None when they are anything else or no date exists.

    A day without a year is the next one from today on.
    """
    try:
        found = _read_chinese(words, today) if is_chinese else _read_english(words, today)
    except (ValueError, OverflowError):
        return None
    return found if found is not None and abs((found.day - today).days) <= MAX_OFFSET_DAYS else None


def _next_yearly(day_in: Callable[[int], date], today: date) -> date:
    this_year = day_in(today.year)
    return this_year if this_year >= today else day_in(today.year + 1)


def _in_year(month: int, day: int, year: int | None, today: date) -> NamedDate:
    if year is not None:
        return NamedDate(date(year, month, day))
    date(2024, month, day)  # raises `ValueError` for a day of no year; 2024 is a leap year
    while True:
        year = today.year if year is None else year + 1
        if (month, day) != (2, 29) or (year % 4 == 0 and (year % 100 or year % 400 == 0)):
            found = date(year, month, day)
            if found >= today:
                return NamedDate(found, is_yearly=True)


def _read_english(words: str, today: date) -> NamedDate | None:
    words = words.removeprefix("on ").strip()
    if words in _DAY_OFFSETS_EN:
        offset = _DAY_OFFSETS_EN[words]
        return NamedDate(today + timedelta(offset), _DAY_NAMES_EN[offset], _DAY_NAMES_ZH[offset])
    holiday = re.fullmatch(
        r"(?P<name>.+?)(?: (?:in )?(?P<year>\d{4})| (?P<near>this|next) year)?", digits_for_words(words)
    )
    name = holiday["name"].removeprefix("next ").removeprefix("this ") if holiday else words
    if holiday and (known := _HOLIDAYS_EN.get(name)):
        year = int(holiday["year"]) if holiday["year"] else None
        year = today.year + (holiday["near"] == "next") if holiday["near"] else year
        return _holiday_date(known, year, today)
    if match := _WEEKDAY_EN.fullmatch(words):
        index, which = [day.lower() for day in WEEKDAYS].index(match["day"]), match["which"]
        return _english_weekday(index, which, today)
    words = digits_for_words(digits_for_ordinals(words.replace(",", ""), ",")).rstrip(",")
    if match := _LATER_EN.fullmatch(words):
        if not (match["after"] or words.startswith("in ")):
            return None
        count = (1 if match["count"] == "a" else int(match["count"])) * (7 if "week" in match["unit"] else 1)
        is_past = (match["after"] or "").endswith("ago")
        name = f"{match['count']} {match['unit']}{' ago' if is_past else ' from now'}"
        return NamedDate(today + timedelta(-count if is_past else count), name, "")
    for pattern in _DATES_EN:
        if match := pattern.fullmatch(words):
            month = int(match["month"]) if match["month"].isdigit() else _MONTH_NUMBERS[match["month"]]
            return _in_year(month, int(match["day"]), int(match["year"]) if match["year"] else None, today)
    return None


def _english_weekday(index: int, which: str | None, today: date) -> NamedDate:
    monday = today - timedelta(today.weekday())
    if which in ("next", "last"):
        day = monday + timedelta(index + (7 if which == "next" else -7))
    elif which == "this":
        day = monday + timedelta(index)
    else:
        day = today + timedelta((index - today.weekday()) % 7 or 7)
    name = f"{which} {WEEKDAYS[index]}" if which else WEEKDAYS[index]
    return NamedDate(day, name, "")


def _holiday_date(holiday: Holiday, year: int | None, today: date) -> NamedDate:
    day = _next_yearly(holiday.day_in, today) if year is None else holiday.day_in(year)
    return NamedDate(day, holiday.english, holiday.chinese, is_yearly=year is None)


def _read_chinese(words: str, today: date) -> NamedDate | None:
    if words in _DAY_OFFSETS_ZH:
        offset = _DAY_OFFSETS_ZH[words]
        return NamedDate(today + timedelta(offset), _DAY_NAMES_EN.get(offset, ""), _DAY_NAMES_ZH[offset])
    holiday = re.fullmatch(r"(?:(?P<near>今年|明年|后年|去年)的?)?(?P<name>.+)", words)
    if holiday and (known := _HOLIDAYS_ZH.get(holiday["name"])):
        year = today.year + _NEAR_YEARS_ZH[holiday["near"]] if holiday["near"] else None
        return _holiday_date(known, year, today)
    if match := _WEEKDAY_ZH.fullmatch(words):
        index = WEEKDAYS_ZH.index(match["day"].replace("天", "日"))
        which = _WHICH_ZH[match["which"].removesuffix("个")] if match["which"] else 0
        day = today - timedelta(today.weekday()) + timedelta(index + 7 * which)
        if match["which"] is None and day < today:
            return None  # the one before or the one after
        name = f"{_WHICH_WORDS_ZH[which] if match['which'] else ''}週{WEEKDAYS_ZH[index]}"
        return NamedDate(day, "", name)
    if match := _LATER_ZH.fullmatch(words):
        count = chinese_number(match["count"])
        if count is None or count.denominator != 1:
            return None
        is_week = match["unit"] in ("周", "星期", "礼拜")
        days = int(count) * (7 if is_week else 1) * (-1 if match["way"] == "前" else 1)
        unit = ("個星期" if is_week else " 天") + ("前" if match["way"] == "前" else "後")
        return NamedDate(today + timedelta(days), "", f"{int(count)}{' ' * is_week}{unit}")
    if match := _DATE_ZH.fullmatch(words):
        return _chinese_date(match, today)
    return None


def _chinese_date(match: re.Match[str], today: date) -> NamedDate | None:
    year, month, day = (chinese_number(match[name] or "") for name in ("year", "month", "day"))
    if month is None or day is None or month.denominator != 1 or day.denominator != 1:
        return None
    number: int | None = int(year) if year is not None else None
    if match["near"]:
        number = today.year + _NEAR_YEARS_ZH[match["near"]]
    elif match["roc"]:
        roc = chinese_number(match["roc_year"])
        if roc is None or roc.denominator != 1:
            return None
        number = ROC_YEAR_ZERO + int(roc)
    return _in_year(int(month), int(day), number, today)
