"""Tool `calculate`: the value of an arithmetic expression."""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated

from pydantic import Field

from voicechat.tools.definition import ToolContext, ToolResult
from voicechat.tools.examples.arithmetic import (
    MAX_CHARS,
    ArithmeticFailure,
    ArithmeticProblem,
    CalculatedValue,
    calculate_expression,
)
from voicechat.tools.examples.numerals import rounded_decimal
from voicechat.tools.python import tool

MAX_PLAIN = 10**15
"""Numbers from here on are said as a power of ten: longer ones cannot be followed by ear."""
DIGITS_SHOWN = 12
"""Significant digits of a result for the model."""
DIGITS_SAID = 6
"""Significant digits of a result that is spoken."""

_SENTENCES = {
    ArithmeticProblem.NOT_READABLE: ("I could not read that as a calculation.", "這個算式我看不懂，請換個說法。"),
    ArithmeticProblem.TOO_LONG: ("That calculation is too long for me.", "這個算式太長了，我沒辦法算。"),
    ArithmeticProblem.TOO_LARGE: ("The result is too large for me.", "這個結果太大了，我沒辦法算。"),
    ArithmeticProblem.ZERO_DIVISION: ("Nothing can be divided by zero.", "不能除以零。"),
    ArithmeticProblem.NOT_REAL: ("That has no real result.", "這個算式沒有實數解。"),
}


@tool(
    titles={"en": "Calculator", "zh": "計算機"},
    read_only=True,
    timeout_s=5.0,
    hints=(
        *("calculate", "compute", "work out", "plus", "minus", "times", "divided by", "multiplied", "percent of"),
        *("square root", "squared", "sum of", "how much is"),
        *("計算", "算一下", "算算", "加上", "減掉", "減去", "乘以", "除以", "平方", "百分之", "總共多少", "等於多少"),
    ),
)
def calculate(
    expression: Annotated[
        str,
        Field(description="What to calculate, e.g. '12 * 7', '15% of 80', 'sqrt(2) + 3^2'", max_length=MAX_CHARS),
    ],
    context: ToolContext,
) -> ToolResult:
    """Calculate an arithmetic expression exactly. Signs: + - * / ^ % ! ( ), mod, sqrt, sin, cos, tan, ln, log, pi."""
    is_chinese = context.language == "zh"
    try:
        outcome = calculate_expression(expression)
    except ArithmeticFailure as failure:
        english, chinese = _SENTENCES[failure.problem]
        return ToolResult(english, chinese if is_chinese else english, is_error=True)
    shown, is_exact = written(outcome, DIGITS_SHOWN)
    said, is_said_exactly = written(outcome, DIGITS_SAID)
    if is_chinese:
        said = said.replace(" × 10^", " 乘以 10 的 ") + " 次方" * ("^" in said)
        sentence = f"答案是 {said}。" if is_said_exactly else f"答案大約是 {said}。"
    else:
        said = said.replace("× 10^", "times 10 to the power of ")
        sentence = f"The result is {said}." if is_said_exactly else f"The result is about {said}."
    return ToolResult(f"= {shown}" if is_exact else f"≈ {shown}", sentence)


def written(outcome: CalculatedValue, digits: int) -> tuple[str, bool]:
    """Return a value in about as many significant `digits`, and whether that is all of it."""
    size = abs(outcome.value)
    if size < MAX_PLAIN and (size == 0 or size >= Fraction(1, 10**6)):
        text, is_all = rounded_decimal(outcome.value, digits)
        return text, is_all and outcome.is_exact
    exponent = len(str(int(size))) - 1 if size >= 1 else -1
    while size < 1 and size * Fraction(10) ** -exponent < 1:
        exponent -= 1
    mantissa, is_all = rounded_decimal(outcome.value / Fraction(10) ** exponent, digits)
    return f"{mantissa} × 10^{exponent}", is_all and outcome.is_exact
