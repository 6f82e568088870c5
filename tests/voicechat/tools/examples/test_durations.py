"""Durations: words of both languages, and generated lengths read back from what is said."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicechat.tools.examples.durations import describe_duration, read_duration
from voicechat.tools.examples.numerals import read_chinese_numeral


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("5 minutes", 300),
        ("five minutes", 300),
        ("twenty-five minutes", 1500),
        ("an hour and a half", 5400),
        ("one and a half hours", 5400),
        ("half an hour", 1800),
        ("1 hour, 20 minutes", 4800),
        ("1h 30m", 5400),
        ("90s", 90),
        ("10-minute", 600),
        ("1:30", 90),
        ("1:00:00", 3600),
        ("PT1H30M", 5400),
        ("1.5 hours", 5400),
        ("五分鐘", 300),
        ("5分钟", 300),
        ("十五分", 900),
        ("半小時", 1800),
        ("半個鐘頭", 1800),
        ("一個半小時", 5400),
        ("兩個小時", 7200),
        ("1小時30分", 5400),
        ("一小時三十", 5400),
        ("三分鐘半", 210),
        ("兩分半鐘", 150),
        ("三十秒", 30),
        ("一刻鐘", 900),
    ],
)
def test_duration_in_words_is_read(text: str, seconds: float) -> None:
    assert read_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "5", "5 apples", "minutes", "five", "tomorrow", "1" * 81, "五", ":"])
def test_duration_that_is_unclear_is_not_guessed(text: str) -> None:
    assert read_duration(text) is None


@given(st.integers(1, 24 * 3600), st.sampled_from(["en", "zh"]))
def test_duration_as_it_is_said_is_read_back(seconds: int, language: str) -> None:
    assert read_duration(describe_duration(seconds, language)) == seconds


@given(st.text(max_size=120) | st.text("0123456789 半個小時分鐘秒hmsandofquarter:ptPT.-", max_size=80))
def test_duration_of_any_text_is_read_or_refused(text: str) -> None:
    found = read_duration(text)
    assert found is None or found >= 0


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("十", 10),
        ("十二", 12),
        ("二十", 20),
        ("一百零五", 105),
        ("兩千三百", 2300),
        ("一萬兩千", 12000),
        ("二〇二六", 2026),
    ],
)
def test_chinese_numeral_is_read(text: str, value: int) -> None:
    assert read_chinese_numeral(text) == value
