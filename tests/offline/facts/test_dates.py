"""Dates and time: generated questions against Python's calendar."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offline.facts.dates import HOLIDAYS, MONTHS, WEEKDAYS, WEEKDAYS_ZH, read_date
from offline.facts.registry import answer_fact, fact_answer
from tests.support.facts.moment import NOW
from tests.support.facts.number_writer import chinese_words

TODAY = NOW.date()
DAYS = st.dates(date(1950, 1, 1), date(2100, 12, 31))
TIMES = st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1)).map(lambda t: t.replace(tzinfo=NOW.tzinfo))


@given(DAYS)
def test_weekday_of_any_date_is_answered_right(day: date) -> None:
    english, chinese = WEEKDAYS[day.weekday()], f"星期{WEEKDAYS_ZH[day.weekday()]}"
    for question in (
        f"What day is {MONTHS[day.month - 1]} {day.day}, {day.year}?",
        f"what day of the week was {day.day} {MONTHS[day.month - 1].lower()} {day.year}",
        f"what day of the week is {day.isoformat()}",
    ):
        answer = fact_answer(question, NOW)
        assert answer is not None and english in answer and str(day.year) in answer, question
    words = f"{chinese_words(day.month)}月{chinese_words(day.day)}號"
    answer = fact_answer(f"{day.year}年{words}是星期幾？", NOW)
    assert answer is not None and chinese in answer


@given(TIMES, st.integers(0, 6))
def test_weekday_of_next_week_is_in_the_week_after_this(now: datetime, index: int) -> None:
    day = read_date(f"下周{WEEKDAYS_ZH[index]}", now.date(), is_chinese=True)
    assert day is not None and day.day.weekday() == index
    assert day.day.isocalendar()[:2] == (now.date() + timedelta(7)).isocalendar()[:2]
    assert read_date(f"next {WEEKDAYS[index].lower()}", now.date(), is_chinese=False) is not None


@given(TIMES, st.sampled_from(HOLIDAYS))
def test_days_until_a_holiday_are_counted_to_the_next_one(now: datetime, holiday: object) -> None:
    assert isinstance(holiday, type(HOLIDAYS[0]))
    answer = fact_answer(f"how many days until {holiday.english}", now)
    today = now.date()
    following = min(day for year in (today.year, today.year + 1) if (day := holiday.day_in(year)) >= today)
    days = (following - today).days
    assert answer is not None
    assert (f"{days} day" in answer) if days else answer.endswith("is today.")


@given(DAYS, DAYS)
def test_days_between_two_dates_are_counted(start: date, end: date) -> None:
    answer = fact_answer(f"how many days are there between {start.isoformat()} and {end.isoformat()}", NOW)
    assert answer is not None and f"{abs((end - start).days):,} day" in answer


@given(TIMES)
def test_date_without_a_year_is_the_next_one(now: datetime) -> None:
    for words in ("march 3", "february 29"):
        found = read_date(words, now.date(), is_chinese=False)
        assert found is not None and found.day >= now.date()
        assert (found.day - now.date()).days <= 8 * 366


@given(TIMES)
def test_time_is_that_of_the_request(now: datetime) -> None:
    english, chinese = fact_answer("What time is it?", now), fact_answer("現在幾點？", now)
    assert english == f"It is {now.hour % 12 or 12}:{now.minute:02d} {'AM' if now.hour < 12 else 'PM'}."
    assert chinese is not None and f" {now.hour % 12 or 12} 點" in chinese
    there = now.astimezone(ZoneInfo("America/New_York"))
    in_new_york = fact_answer("what time is it in New York right now", now)
    assert in_new_york is not None and f" {there.hour % 12 or 12}:{there.minute:02d} " in in_new_york


@pytest.mark.parametrize(
    "words",
    ["february 30", "april 31", "2027-13-01", "the war", "my birthday", "next life", "999999 days from now", "march 0"],
)
def test_words_that_are_no_date_are_none(words: str) -> None:
    assert read_date(words, TODAY, is_chinese=False) is None


@pytest.mark.parametrize(
    "words", ["二月三十号", "过年", "中秋节", "春节", "端午节", "周一", "十三月一号", "清明节", "生日"]
)
def test_chinese_words_that_are_no_solar_date_are_none(words: str) -> None:
    assert read_date(words, TODAY, is_chinese=True) is None


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("calendar_date", {"date": "tomorrow"}),
        ("calendar_date", {"date": "2026-02-30"}),
        ("calendar_date", {}),
        ("days_between", {"start": "2026-01-01", "end": "20260102"}),
        ("current_time", {"time_zone": "Mars/Olympus"}),
        ("current_time", {"time_zone": 3}),
        ("horoscope", {}),
    ],
)
def test_arguments_without_an_answer_raise(name: str, arguments: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        answer_fact(name, arguments, "en", NOW)
