"""Arithmetic: generated expressions against Python's own, words of both languages, hostile input."""

from __future__ import annotations

import ast
import time
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicechat.tools.definition import ToolContext
from voicechat.tools.examples import calculate
from voicechat.tools.examples.arithmetic import (
    MAX_BITS,
    MAX_DEPTH,
    ArithmeticFailure,
    ArithmeticProblem,
    calculate_expression,
)

MOST_SECONDS = 2.0
"""Seconds that a refused expression may take on a busy computer."""

numbers = st.integers(0, 10**6).map(str) | st.tuples(st.integers(0, 999), st.integers(0, 99)).map(
    lambda pair: f"{pair[0]}.{pair[1]:02d}"
)
expressions = st.recursive(
    numbers,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["+", "-", "*", "/"]), inner).map(" ".join),
        inner.map(lambda text: f"({text})"),
        inner.map(lambda text: f"-{text}"),
        st.tuples(inner, st.integers(0, 3)).map(lambda pair: f"({pair[0]})**{pair[1]}"),
        st.tuples(inner, st.integers(-3, 3)).map(lambda pair: f"({pair[0]}) ** {pair[1]}"),
    ),
    max_leaves=12,
)


def evaluate_by_python(text: str) -> Fraction | None:
    """Return the value by Python's own parser with each number as a fraction; None for a division by zero."""

    tree = ast.parse(text, mode="eval")

    class InFractions(ast.NodeTransformer):
        def visit_Constant(self, node: ast.Constant) -> ast.AST:
            source = ast.get_source_segment(text, node)
            return ast.copy_location(ast.parse(f"Fraction({source!r})", mode="eval").body, node)

    code = compile(ast.fix_missing_locations(InFractions().visit(tree)), "expression", "eval")
    try:
        return Fraction(eval(code, {"Fraction": Fraction}))
    except ZeroDivisionError:
        return None


@given(expressions)
def test_expression_as_generated_has_the_value_of_python(text: str) -> None:
    try:
        outcome = calculate_expression(text)
    except ArithmeticFailure as failure:
        if failure.problem is ArithmeticProblem.ZERO_DIVISION:
            assert evaluate_by_python(text) is None
        else:
            assert failure.problem in (ArithmeticProblem.TOO_LARGE, ArithmeticProblem.TOO_LONG)
            assert len(text) > 30
        return
    expected = evaluate_by_python(text)
    assert outcome.is_exact
    assert outcome.value == expected


@given(st.text(max_size=400) | st.text("0123456789+-*/^%!().,e sqrtpiof的次方", max_size=400))
def test_expression_of_any_text_ends_with_a_bounded_value_or_a_failure(text: str) -> None:
    try:
        value = calculate_expression(text).value
    except ArithmeticFailure:
        return
    assert max(value.numerator.bit_length(), value.denominator.bit_length()) <= MAX_BITS


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("12 × 7", "84"),
        ("what is 12 times 7?", "84"),
        ("144 divided by 12", "12"),
        ("15% of 80", "12"),
        ("15 percent of 80", "12"),
        ("17 % 5", "2"),
        ("17 mod 5", "2"),
        ("-2^2", "-4"),
        ("2^-1", "1/2"),
        ("2^3^2", "512"),
        ("1,234,567 + 1", "1234568"),
        ("the square root of 144", "12"),
        ("√16 + 2", "6"),
        ("5!", "120"),
        ("5 squared", "25"),
        ("abs(-3) + round(2.5)", "6"),
        ("1.5e3", "1500"),
        ("１２＋３", "15"),
        ("(1)^(10**9)", "1"),
        ("十二乘以七", "84"),
        ("十五加三十二等於多少", "47"),
        ("一百減掉三十五", "65"),
        ("一萬兩千除以三", "4000"),
        ("八十的百分之十五", "12"),
        ("三的平方", "9"),
        ("3 的 4 次方", "81"),
        ("十六的平方根", "4"),
        ("三點五乘以二", "7"),
    ],
)
def test_expression_in_signs_and_words_is_calculated(text: str, expected: str) -> None:
    outcome = calculate_expression(text)
    assert outcome.is_exact
    assert outcome.value == Fraction(expected)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("9**9**9", ArithmeticProblem.TOO_LARGE),
        ("9**9**9**9**9", ArithmeticProblem.TOO_LARGE),
        ("2^100000", ArithmeticProblem.TOO_LARGE),
        ("0.5^-99999", ArithmeticProblem.TOO_LARGE),
        ("999!", ArithmeticProblem.TOO_LARGE),
        ("200!!", ArithmeticProblem.TOO_LARGE),
        ("exp(99999)", ArithmeticProblem.TOO_LARGE),
        ("(" * 150 + "1" + ")" * 149, ArithmeticProblem.TOO_LONG),
        ("(" * (MAX_DEPTH + 1) + "1" + ")" * (MAX_DEPTH + 1), ArithmeticProblem.TOO_LONG),
        ("-" * 149 + "1", ArithmeticProblem.TOO_LONG),
        ("sqrt " * 50 + "1", ArithmeticProblem.TOO_LONG),
        ("1+" * 1000 + "1", ArithmeticProblem.TOO_LONG),
        ("1/0", ArithmeticProblem.ZERO_DIVISION),
        ("5 % 0", ArithmeticProblem.ZERO_DIVISION),
        ("0^-1", ArithmeticProblem.ZERO_DIVISION),
        ("sqrt(-1)", ArithmeticProblem.NOT_REAL),
        ("(-8)^0.5", ArithmeticProblem.NOT_REAL),
        ("ln(0)", ArithmeticProblem.NOT_REAL),
        ("2.5!", ArithmeticProblem.NOT_REAL),
        ("", ArithmeticProblem.NOT_READABLE),
        ("2 3", ArithmeticProblem.NOT_READABLE),
        ("1 +", ArithmeticProblem.NOT_READABLE),
        ("(1", ArithmeticProblem.NOT_READABLE),
        ("3.14.15", ArithmeticProblem.NOT_READABLE),
        ("__import__('os').system('ls')", ArithmeticProblem.NOT_READABLE),
        ("open", ArithmeticProblem.NOT_READABLE),
    ],
)
def test_expression_that_is_hostile_or_wrong_fails_soon(text: str, problem: ArithmeticProblem) -> None:
    began = time.monotonic()
    with pytest.raises(ArithmeticFailure) as caught:
        calculate_expression(text)
    assert caught.value.problem is problem
    assert time.monotonic() - began < MOST_SECONDS


@pytest.mark.parametrize(
    ("text", "shown", "english", "chinese"),
    [
        ("12*7", "= 84", "The result is 84.", "答案是 84。"),
        ("1/3", "≈ 0.333333333333", "The result is about 0.333333.", "答案大約是 0.333333。"),
        ("sqrt(2)", "≈ 1.41421356237", "The result is about 1.41421.", "答案大約是 1.41421。"),
        ("10/4", "= 2.5", "The result is 2.5.", "答案是 2.5。"),
        (
            "2^70",
            "≈ 1.18059162072 × 10^21",
            "The result is about 1.18059 times 10 to the power of 21.",
            "答案大約是 1.18059 乘以 10 的 21 次方。",
        ),
        ("0", "= 0", "The result is 0.", "答案是 0。"),
    ],
)
def test_calculate_returns_the_value_and_a_sentence(text: str, shown: str, english: str, chinese: str) -> None:
    result = calculate(text, ToolContext(language="en"))
    assert (result.text, result.speech, result.is_error) == (shown, english, False)
    assert calculate(text, ToolContext(language="zh")).speech == chinese


async def test_calculate_by_its_schema_reports_a_failure_in_the_language() -> None:
    result = await calculate.run({"expression": "1/0"}, ToolContext(language="zh"))
    assert result.is_error
    assert result.speech == "不能除以零。"
