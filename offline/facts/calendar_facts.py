"""Questions for dates, weekdays and numbers of days. Pure."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta

from .dates import MONTHS, WEEKDAYS, WEEKDAYS_ZH, NamedDate, read_date
from .fact import Arguments, Fact, Locale, Request

MAX_NAME_CHARS = 40
"""Characters of a date's name."""

_DATE_QUESTIONS_EN = tuple(
    re.compile(pattern)
    for pattern in (
        r"(?:what|which) (?:day|weekday|day of the week)(?: of the week)? (?:is|was|will|does|did) (?P<day>.+?)"
        r"(?: be| fall on| land on| on| fall)?",
        r"(?:on )?(?:what|which) (?:day|weekday|day of the week)(?: of the week)? (?:is|was|will|does|did) (?P<day>.+?)"
        r"(?: be| fall| land)?",
        r"(?:what|which) (?:date|day) (?:is|was|will) (?:it be )?(?P<day>.+?)(?: be)?",
        r"(?:what is|what's|whats) the date (?:of |on |for )?(?P<day>.+)",
        r"(?:what is|what's|whats) (?P<day>today|tomorrow|yesterday)'?s? ?(?:date|day)",
        r"(?:what is|what's|whats) (?:the )?(?:date|day)(?: (?:is )?it)?(?: (?P<day>today|tomorrow))?",
        r"(?:what is|what's|whats) the day (?P<day>today|tomorrow)",
        r"(?:what|which) (?:day|date)(?: of the week)? (?:is it|is this)(?: (?P<day>today))?",
        r"when (?:is|was) (?P<day>.+)",
        r"(?P<day>.+?) (?:is|was) (?:what|which) (?:day|weekday|day of the week|date)",
        r"the date (?:of )?(?P<day>today|tomorrow)",
        r"(?:what|which) (?:year|month) (?:is it|are we in)(?: now)?",
    )
)
_DAYS_EN = tuple(
    re.compile(pattern)
    for pattern in (
        r"how many days(?: is it| are there| are left| left| remain| remaining| do we have| is there| until it is)?"
        r"(?: left)? (?:until|till|til|to|before) (?P<end>.+)",
        r"how (?:long|far) (?:is it |away is it )?(?:until|till|til) (?P<end>.+)",
        r"how many days (?:away )?(?:is|are) (?P<end>(?!in ).+?)(?: away)?",
        r"(?:the )?days (?:left )?(?:until|till) (?P<end>.+)",
        r"how many days (?:has it been |is it |have passed |passed |were there |are there )?since (?P<start>.+)",
        r"how many days(?: are there| is it| are| is)? (?:between|from) (?P<start>.+?) (?:and|to|until|till)"
        r" (?P<end>.+)",
    )
)
_DATE_QUESTIONS_ZH = tuple(
    re.compile(pattern)
    for pattern in (
        r"(?P<day>.+?)(?:那天|那一天)?(?:会)?(?:是|落在)?(?:星期|礼拜|周)几",
        r"(?P<day>.+?)(?:那天|那一天)?(?:是)?(?:几月)?几[号日]",
        r"(?P<day>.+?)(?:是|在)(?:哪一天|哪天|几月几[号日]|几[号日])",
        r"(?P<day>今天|今日|明天|后天|昨天)(?:的)?日期(?:是什么|是多少|是哪一天|是)?",
        r"(?P<year>今年)(?:是)?(?:哪一年|几年|西元几年|西元哪一年)",
        r"(?P<month>现在|这个月)(?:是)?(?:几月|几月份)",
    )
)
_HOLIDAY_QUESTION_ZH = re.compile(r"(?P<day>.+?)(?:是|在)?(?:什么时候|何时|哪时候)")
_DAYS_ZH = tuple(
    re.compile(pattern)
    for pattern in (
        r"(?:离|距离|距|到)(?P<end>.+?)(?:大概|大约)?(?:还)?(?:有|剩下|剩|要|差)?(?:多少|几)天",
        r"(?:还)?(?:有|剩下|剩|要|差)?(?:多少|几)天(?:就|才)?(?:到|是|会到|就是)(?P<end>.+)",
        r"从?(?P<start>.+?)(?:到|至)(?P<end>.+?)(?:之间|中间)?(?:总共|一共|共)?(?:是|有|隔|相差|差|过了)?(?:多少|几)天",
        r"(?P<end>.+?)(?:还)?(?:有|剩下|剩)(?:多少|几)天(?:到|才到)",
    )
)


def _words_of(day: NamedDate, locale: Locale) -> str:
    return day.english if locale == "en" else day.chinese


def catch_date(request: Request) -> Arguments | None:
    """Return the arguments of `calendar_date` for a request that asks for a date or its weekday."""
    today, is_chinese = request.now.date(), request.locale == "zh"
    for pattern in _DATE_QUESTIONS_ZH if is_chinese else _DATE_QUESTIONS_EN:
        match = pattern.fullmatch(request.text)
        if match is None:
            continue
        words = match.groupdict().get("day")
        if words is None:
            words = "今天" if is_chinese else "today"
        if found := read_date(words, today, is_chinese=is_chinese):
            return _date_arguments(found, request.locale)
    if is_chinese and (match := _HOLIDAY_QUESTION_ZH.fullmatch(request.text)):
        found = read_date(match["day"], today, is_chinese=True)
        return _date_arguments(found, "zh") if found and found.is_yearly and found.chinese else None
    return None


def _date_arguments(found: NamedDate, locale: Locale) -> Arguments:
    name = _words_of(found, locale)
    return {"date": found.day.isoformat(), **({"name": name} if name else {})}


def catch_days(request: Request) -> Arguments | None:
    """Return the arguments of `days_between` for a request that asks for a number of days."""
    today, is_chinese = request.now.date(), request.locale == "zh"
    for pattern in _DAYS_ZH if is_chinese else _DAYS_EN:
        match = pattern.fullmatch(request.text)
        if match is None:
            continue
        parts = match.groupdict()
        start = read_date(parts["start"], today, is_chinese=is_chinese) if "start" in parts else NamedDate(today)
        end = read_date(parts["end"], today, is_chinese=is_chinese) if "end" in parts else NamedDate(today)
        if start is None or end is None:
            continue
        start_day = start.day
        if "start" in parts and "end" not in parts and start.is_yearly:
            start_day = _year_before(start_day)
        end_day = end.day
        if "start" in parts and end.is_yearly and end_day < start_day:
            return None
        name = _words_of(end if "end" in parts else start, request.locale)
        return {
            "start": start_day.isoformat(),
            "end": end_day.isoformat(),
            **({"name": name} if name and ("start" not in parts or "end" not in parts) else {}),
        }
    return None


def _year_before(day: date) -> date:
    return day.replace(year=day.year - 1) if (day.month, day.day) != (2, 29) else day - timedelta(1461)


def _read_iso(value: str) -> date:
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", value):
        raise ValueError("a date has the form YYYY-MM-DD")
    return date.fromisoformat(value)


def say_date(day: date, locale: Locale, *, with_year: bool) -> str:
    """Return the date in words, without its weekday."""
    if locale == "en":
        return f"{MONTHS[day.month - 1]} {day.day}" + (f", {day.year}" if with_year else "")
    return (f"{day.year} 年 " if with_year else "") + f"{day.month} 月 {day.day} 日"


def answer_date(arguments: Arguments, locale: Locale, now: datetime) -> str:
    """Return the sentence with the date and its weekday. Raises `ValueError` for a value that is not a date."""
    day, name = _read_iso(arguments["date"]), str(arguments.get("name", ""))[:MAX_NAME_CHARS]
    today = now.date()
    written = say_date(day, locale, with_year=day.year != today.year or not name or day == today)
    if locale == "zh":
        weekday = f"星期{WEEKDAYS_ZH[day.weekday()]}"
        gap = " " if written[0].isascii() else ""
        return f"{name}是{gap}{written}，{weekday}。" if name else f"{written}是{weekday}。"
    weekday, verb = WEEKDAYS[day.weekday()], "was" if day < today else "is"
    if name and weekday.lower() in name.lower():
        return f"{name[0].upper()}{name[1:]} {verb} {written}."
    return f"{name[0].upper()}{name[1:]} {verb} {weekday}, {written}." if name else f"{written} {verb} a {weekday}."


def answer_days(arguments: Arguments, locale: Locale, now: datetime) -> str:
    """Return the sentence with the days from `start` to `end`. Raises `ValueError` for a value that is not a date."""
    start, end = _read_iso(arguments["start"]), _read_iso(arguments["end"])
    name, today, days = str(arguments.get("name", ""))[:MAX_NAME_CHARS], now.date(), (end - start).days
    if start == today or end == today:
        other, is_past = (start, True) if end == today and start != today else (end, end < today)
        what = name or say_date(other, locale, with_year=other.year != today.year)
        return _say_distance(abs(days), what, locale, is_past=is_past)
    first, second = (say_date(day, locale, with_year=start.year != end.year) for day in (start, end))
    count = f"{abs(days):,}" if locale == "en" else str(abs(days))
    if locale == "zh":
        return f"從 {first}到 {second}是 {count} 天。"
    return f"From {first} to {second} is {count} {'day' if abs(days) == 1 else 'days'}."


def _say_distance(days: int, what: str, locale: Locale, *, is_past: bool) -> str:
    if locale == "zh":
        what = f" {what}" if what[0].isascii() else what
        if days == 0:
            return f"{what.strip()}就是今天。"
        return f"{what.strip()}到今天已經 {days} 天了。" if is_past else f"離{what}還有 {days} 天。"
    unit = "day" if days == 1 else "days"
    if days == 0:
        return f"{what[0].upper()}{what[1:]} is today."
    return f"It has been {days:,} {unit} since {what}." if is_past else f"It is {days:,} {unit} until {what}."


_ISO = {"type": "string", "description": "YYYY-MM-DD"}
_NAME = {"type": "string", "description": "What the user calls the date, in the user's language"}
CALENDAR_DATE = Fact(
    "calendar_date",
    "Say a date with its weekday.",
    {"type": "object", "properties": {"date": _ISO, "name": _NAME}, "required": ["date"]},
    catch_date,
    answer_date,
)
DAYS_BETWEEN = Fact(
    "days_between",
    "Count the days from one date to another.",
    {"type": "object", "properties": {"start": _ISO, "end": _ISO, "name": _NAME}, "required": ["start", "end"]},
    catch_days,
    answer_days,
)
