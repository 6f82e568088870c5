"""Arithmetic: results of generated questions against Python's fractions, and the limits."""

from __future__ import annotations

import re
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offline.facts.arithmetic import (
    MAX_EXPRESSION_CHARS,
    MAX_SIZE,
    ArithmeticRefused,
    InvalidExpression,
    evaluate,
)
from offline.facts.number_format import format_number
from offline.facts.registry import fact_answer
from tests.support.facts.moment import NOW
from tests.support.facts.number_writer import chinese_words, english_words

OPERATORS = {"plus": "+", "minus": "-", "times": "*", "divided by": "/"}
CHINESE_OPERATORS = {"加": "+", "減": "-", "乘以": "*", "除以": "/"}
NUMBERS = st.integers(0, 100_000)


def apply(left: Fraction, operator: str, right: Fraction) -> Fraction | None:
    if operator == "/":
        return left / right if right else None
    return {"+": left + right, "-": left - right, "*": left * right}[operator]


def number_in(sentence: str) -> Fraction:
    """Return the last number of a sentence, with its sign."""
    found = re.findall(r"(minus |負 )?(\d[\d,]*(?:\.\d+)?)", sentence)[-1]
    value = Fraction(found[1].replace(",", ""))
    return -value if found[0] else value


def assert_says(sentence: str | None, expected: Fraction | None) -> None:
    assert sentence is not None
    if expected is None:
        assert "zero" in sentence or "零" in sentence
        return
    said = number_in(sentence)
    is_about = "about" in sentence or "大約" in sentence
    assert (said != expected) == is_about
    assert abs(said - expected) <= max(abs(expected), Fraction(1, 100)) * Fraction(1, 100)


@given(NUMBERS, st.sampled_from(sorted(OPERATORS)), NUMBERS, st.booleans(), st.booleans())
def test_generated_english_questions_are_answered_right(
    a: int, operator: str, b: int, in_words: bool, is_polite: bool
) -> None:
    left, right = (english_words(n) if in_words else str(n) for n in (a, b))
    question = f"{left} {operator} {right}"
    question = f"Could you please tell me what {question} is?" if is_polite else f"What is {question}"
    assert_says(fact_answer(question, NOW), apply(Fraction(a), OPERATORS[operator], Fraction(b)))


@given(NUMBERS, st.sampled_from(sorted(CHINESE_OPERATORS)), NUMBERS, st.booleans(), st.booleans())
def test_generated_chinese_questions_are_answered_right(
    a: int, operator: str, b: int, in_words: bool, is_polite: bool
) -> None:
    left, right = (chinese_words(n) if in_words else str(n) for n in (a, b))
    question = f"{left}{operator}{right}"
    question = f"請問{question}等於多少？" if is_polite else f"{question}是多少"
    assert_says(fact_answer(question, NOW), apply(Fraction(a), CHINESE_OPERATORS[operator], Fraction(b)))


@given(st.integers(0, 1000), st.integers(0, 100_000))
def test_generated_percentages_are_answered_right(share: int, whole: int) -> None:
    expected = Fraction(share * whole, 100)
    assert_says(fact_answer(f"what's {share} percent of {whole}", NOW), expected)
    assert_says(fact_answer(f"{chinese_words(whole)}的百分之{chinese_words(share)}是多少", NOW), expected)


EXPRESSIONS = st.recursive(
    st.integers(0, 99).map(lambda n: (str(n), Fraction(n))),
    lambda parts: st.tuples(parts, st.sampled_from("+-*"), parts).map(
        lambda t: (f"({t[0][0]} {t[1]} {t[2][0]})", apply(t[0][1], t[1], t[2][1]))
    ),
    max_leaves=6,
)


@given(EXPRESSIONS)
def test_value_of_a_nested_expression_is_exact(expression: tuple[str, Fraction]) -> None:
    assert evaluate(expression[0]).number == expression[1]


@given(st.text(alphabet="0123456789.+-*/^()% sqrtof", max_size=40))
def test_any_text_has_a_value_within_the_limits_or_is_refused(text: str) -> None:
    try:
        value = evaluate(text)
    except (ArithmeticRefused, InvalidExpression):
        return
    assert abs(value.number) < MAX_SIZE
    assert format_number(value.number, "en")[0]


@pytest.mark.parametrize(
    ("expression", "number"),
    [
        *(("2 ^ 10", 1024), ("2 ^ 3 ^ 2", 512), ("-2 ^ 2", -4), ("(-1) ^ 127", -1), ("0 ^ 0", 1), ("sqrt 81", 9)),
        *(("15% of 300", 45), ("2 ^ -2", Fraction(1, 4)), ("1 + 2 * 3", 7), ("10 - 4 - 3", 3), ("8 / 4 / 2", 1)),
    ],
)
def test_operators_bind_as_written_in_mathematics(expression: str, number: Fraction) -> None:
    assert evaluate(expression).number == number


@pytest.mark.parametrize("expression", ["1 / 0", "0 ^ -1", "sqrt (0 - 4)", "9 ^ 99", "2 ^ 1000", "9" * 16, "10 ^ 18"])
def test_expression_without_a_result_is_refused_in_both_languages(expression: str) -> None:
    with pytest.raises(ArithmeticRefused) as refused:
        evaluate(expression)
    assert refused.value.sentence["en"].endswith(".") and refused.value.sentence["zh"].endswith("。")


@pytest.mark.parametrize(
    "expression",
    [
        *("", "1 +", "(1", "1)", "1 2", "import os", "2 ^ 0.5", "(" * 9 + "1" + ")" * 9, "1+" * 100, "-" * 20 + "1"),
        *("1" + " " * MAX_EXPRESSION_CHARS + "+ 1", "1 +" * 17 + " 1"),
    ],
)
def test_text_that_is_no_expression_is_invalid(expression: str) -> None:
    with pytest.raises(InvalidExpression):
        evaluate(expression)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (Fraction(1, 3), ("0.333", True)),
        (Fraction(10, 3), ("3.33", True)),
        (Fraction(1000, 3), ("333.3", True)),
        (Fraction(5, 2), ("2.5", False)),
        (Fraction(12345678), ("12,345,678", False)),
        (Fraction(-1, 3), ("-0.333", True)),
        (Fraction(0), ("0", False)),
        (Fraction(1, 10**9), ("0.000000001", False)),
    ],
)
def test_numbers_are_rounded_as_a_person_says_them(value: Fraction, said: tuple[str, bool]) -> None:
    digits, is_rounded = format_number(value, "en")
    assert (digits, is_rounded) == said
