"""Numbers in words: read back as the numbers that were written."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offline.chinese_text import to_simplified
from offline.facts.number_words import (
    chinese_number,
    digits_for_chinese,
    digits_for_ordinals,
    digits_for_words,
    plain_digits,
)
from tests.support.facts.number_writer import chinese_words, english_words


@given(st.integers(0, 10**9 - 1), st.booleans())
def test_english_number_words_are_read_as_the_number(number: int, with_and: bool) -> None:
    assert digits_for_words(english_words(number, with_and=with_and)) == str(number)


@given(st.integers(0, 10**8 - 1))
def test_chinese_number_words_are_read_as_the_number(number: int) -> None:
    assert chinese_number(to_simplified(chinese_words(number))) == number


@given(st.decimals(-(10**6), 10**6, places=6))
def test_plain_digits_are_those_of_the_value(value: object) -> None:
    assert Fraction(plain_digits(Fraction(str(value)))) == Fraction(str(value))


def test_plain_digits_of_a_recurring_fraction_are_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        plain_digits(Fraction(1, 3))


@pytest.mark.parametrize(
    ("words", "digits"),
    [
        ("two point five", "2.5"),
        ("point five", "0.5"),
        ("one hundred and five", "105"),
        ("a hundred", "100"),
        ("3.5 million", "3500000"),
        ("twenty twenty seven", "2027"),
        ("nineteen ninety nine", "1999"),
        ("twenty oh five", "2005"),
        ("two thousand and three", "2003"),
        ("five six", "five six"),
        ("twenty thirty forty", "twenty thirty forty"),
        ("hundred", "hundred"),
        ("one two three", "one two three"),
        ("someone", "someone"),
        ("two and two", "two and two"),
    ],
)
def test_english_words_become_digits_only_as_one_number(words: str, digits: str) -> None:
    assert digits_for_words(words) == digits


@pytest.mark.parametrize(
    ("words", "value"),
    [
        ("三百五", 350),
        ("一万二", 12000),
        ("一百零五", 105),
        ("一九九六", 1996),
        ("二〇二七", 2027),
        ("两千", 2000),
        ("十", 10),
        ("二十", 20),
        ("三点一四", Fraction("3.14")),
        ("3.5万", 35000),
        ("一亿", 10**8),
        ("二三", None),
        ("百", None),
        ("一十百", None),
        ("三点", None),
        ("", None),
        ("一" * 30, None),
    ],
)
def test_chinese_words_are_a_number_or_none(words: str, value: Fraction | None) -> None:
    assert chinese_number(words) == value


def test_ordinals_become_digits_up_to_the_thirty_first() -> None:
    assert digits_for_ordinals("march third") == "march 3"
    assert digits_for_ordinals("the twenty-first of may") == "the 21 of may"
    assert digits_for_ordinals("may 2nd", ",") == "may 2,"
    assert digits_for_ordinals("thirty twentieth") == "thirty twentieth"


def test_chinese_numbers_within_a_text_become_digits() -> None:
    assert digits_for_chinese("三月二十号") == "3月20号"
    assert digits_for_chinese("二三月") == "二三月"
