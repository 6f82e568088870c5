"""Arithmetic: a parser of its own with exact fractions, limits and sentences. Pure; no `eval`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from math import isqrt
from typing import Literal

from .fact import Arguments, Locale
from .number_format import format_number

MAX_EXPRESSION_CHARS = 120
MAX_TOKENS = 32
"""Numbers, operators and brackets of an expression."""
MAX_DEPTH = 8
"""Brackets within each other, and signs in a row."""
MAX_NUMBER_DIGITS = 15
"""Digits of a number before the decimal point; after it as many again."""
MAX_EXPONENT = 128
"""Largest exponent of a power, and the smallest with a minus sign."""
MAX_SIZE = 10**18
"""Limit of a result and of each step. A larger number has too many digits to be understood when heard."""
MAX_DENOMINATOR = 10**80
ROOT_DIGITS = 20
"""Decimal places to which a root is calculated."""

Operator = Literal["+", "-", "*", "/", "^", "of"]
_TOKEN = re.compile(r"\s*(\d+(?:\.\d+)?|\.\d+|\*\*|[-+*/^()%×÷−]|sqrt|of)", re.IGNORECASE)
_SAME = {"**": "^", "×": "*", "÷": "/", "−": "-"}


class ArithmeticRefused(ValueError):
    """The expression has no result that can be said. `sentence` says why, by locale."""

    def __init__(self, english: str, chinese: str) -> None:
        super().__init__(english)
        self.sentence: dict[Locale, str] = {"en": english, "zh": chinese}


class InvalidExpression(ValueError):
    """The text is not an arithmetic expression, or exceeds a limit of its length."""


@dataclass(frozen=True, slots=True)
class Value:
    """Result of a part of an expression, with the words for that part."""

    number: Fraction
    english: str
    chinese: str
    is_exact: bool = True
    has_brackets: bool = False


def _too_large() -> ArithmeticRefused:
    return ArithmeticRefused("That number is too large for me.", "這個數字太大了，我沒辦法念出來。")


class _Parser:
    """Recursive descent: sum, product, sign, power, percent, number. Powers bind to the right."""

    def __init__(self, expression: str) -> None:
        if len(expression) > MAX_EXPRESSION_CHARS:
            raise InvalidExpression("the expression is too long")
        self._tokens: list[str] = []
        at, text = 0, expression.rstrip()
        while at < len(text):
            match = _TOKEN.match(text, at)
            if match is None:
                raise InvalidExpression("the expression has an unknown sign")
            self._tokens.append(_SAME.get(match[1], match[1].lower()))
            at = match.end()
        if len(self._tokens) > MAX_TOKENS:
            raise InvalidExpression("the expression is too long")
        self._at = self._depth = 0

    def parse(self) -> Value:
        value = self._sum()
        if self._at < len(self._tokens):
            raise InvalidExpression("the expression goes on after its end")
        return value

    @property
    def _next(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _take(self) -> str:
        self._at += 1
        return self._tokens[self._at - 1]

    def _sum(self) -> Value:
        value = self._product()
        while self._next in ("+", "-"):
            value = _apply(self._take(), value, self._product())
        return value

    def _product(self) -> Value:
        value = self._sign()
        while self._next in ("*", "/", "of"):
            value = _apply(self._take(), value, self._sign())
        return value

    def _sign(self) -> Value:
        if self._next != "-":
            return self._power()
        self._enter()
        self._take()
        value = self._sign()
        self._depth -= 1
        return Value(-value.number, f"minus {value.english}", f"負 {value.chinese}", value.is_exact, value.has_brackets)

    def _power(self) -> Value:
        base = self._percent()
        if self._next != "^":
            return base
        self._enter()
        self._take()
        exponent = self._sign()
        self._depth -= 1
        return _apply("^", base, exponent)

    def _percent(self) -> Value:
        value = self._number()
        if self._next == "%":
            self._take()
            return Value(
                value.number / 100, f"{value.english} percent", f"{value.chinese}%", value.is_exact, value.has_brackets
            )
        return value

    def _number(self) -> Value:
        token = self._next
        if token == "(":
            self._enter()
            self._take()
            value = self._sum()
            if self._next != ")":
                raise InvalidExpression("a bracket is open")
            self._take()
            self._depth -= 1
            return Value(value.number, value.english, value.chinese, value.is_exact, has_brackets=True)
        if token == "sqrt":
            self._enter()
            self._take()
            value = self._number()
            self._depth -= 1
            return _square_root(value)
        if not token or not (token[0].isdigit() or token[0] == "."):
            raise InvalidExpression("a number is missing")
        self._take()
        whole, _, places = token.partition(".")
        if len(whole.lstrip("0")) > MAX_NUMBER_DIGITS or len(places) > MAX_NUMBER_DIGITS:
            raise _too_large()
        number = Fraction(f"{whole or '0'}.{places or '0'}")
        english, _ = format_number(number, "en", MAX_NUMBER_DIGITS)
        chinese, _ = format_number(number, "zh", MAX_NUMBER_DIGITS)
        return Value(number, english, chinese)

    def _enter(self) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise InvalidExpression("the expression has too many brackets")


def _apply(operator: str, left: Value, right: Value) -> Value:
    a, b = left.number, right.number
    match operator:
        case "+":
            number, english, chinese = a + b, "{} plus {}", "{} 加 {}"
        case "-":
            number, english, chinese = a - b, "{} minus {}", "{} 減 {}"
        case "*":
            number, english, chinese = a * b, "{} times {}", "{} 乘以 {}"
        case "of":
            number, english, chinese = a * b, "{} of {}", "{1} 的 {0}"
        case "/":
            number, english, chinese = _divide(a, b), "{} divided by {}", "{} 除以 {}"
        case _:
            number, (english, chinese) = _raise(a, b), _power_words(right)
    if abs(number) >= MAX_SIZE:
        raise _too_large()
    if number.denominator >= MAX_DENOMINATOR:
        raise InvalidExpression("the result is too fine")
    return Value(
        number,
        english.format(left.english, right.english),
        chinese.format(left.chinese, right.chinese),
        left.is_exact and right.is_exact,
        left.has_brackets or right.has_brackets,
    )


def _power_words(exponent: Value) -> tuple[str, str]:
    if exponent.number == 2:
        return "{} squared", "{} 的平方"
    if exponent.number == 3:
        return "{} cubed", "{} 的立方"
    return "{} to the power of {}", "{} 的 {} 次方"


def _divide(a: Fraction, b: Fraction) -> Fraction:
    if not b:
        raise ArithmeticRefused("Nothing can be divided by zero.", "任何數都不能除以零。")
    return a / b


def _raise(base: Fraction, exponent: Fraction) -> Fraction:
    if exponent.denominator != 1:
        raise InvalidExpression("the exponent is no whole number")
    size = abs(exponent.numerator)
    if exponent < 0 and not base:
        return _divide(Fraction(1), base)
    if abs(base) in (0, 1):
        return Fraction(base ** (2 + size % 2)) if size else Fraction(1)
    digits = max(len(str(abs(base.numerator))), len(str(base.denominator)))
    if size > MAX_EXPONENT or size * digits > 4 * MAX_EXPONENT:
        raise _too_large()
    return Fraction(base**exponent.numerator)


def _square_root(value: Value) -> Value:
    number = value.number
    if number < 0:
        raise ArithmeticRefused("A negative number has no real square root.", "負數沒有實數的平方根。")
    root = Fraction(isqrt(number.numerator), isqrt(number.denominator))
    is_exact = root * root == number
    if not is_exact:
        root = Fraction(isqrt(int(number * 10 ** (2 * ROOT_DIGITS))), 10**ROOT_DIGITS)
    return Value(
        root,
        f"the square root of {value.english}",
        f"{value.chinese} 的平方根",
        value.is_exact and is_exact,
        value.has_brackets,
    )


def evaluate(expression: str) -> Value:
    """Return the value of `expression`. Raises `ArithmeticRefused` and `InvalidExpression`.

    Operators are + - * / ^ % "of" and "sqrt", with brackets.
    """
    return _Parser(expression).parse()


def answer_calculation(arguments: Arguments, locale: Locale, now: datetime) -> str:
    """Return the sentence with the result. Raises `InvalidExpression`."""
    try:
        value = evaluate(arguments["expression"])
        digits, is_rounded = format_number(value.number, locale)
    except ArithmeticRefused as refused:
        return refused.sentence[locale]
    is_about = is_rounded or not value.is_exact
    digits = digits.replace("-", "minus " if locale == "en" else "負 ")
    if locale == "zh" and digits[0].isascii():
        digits = f" {digits}"  # as everywhere between Chinese characters and digits
    if locale == "en":
        subject = "It" if value.has_brackets else value.english[0].upper() + value.english[1:]
        return f"{subject} is {'about ' if is_about else ''}{digits}."
    if value.has_brackets:
        return f"答案{'大約' if is_about else ''}是{digits}。"
    gap = " " if value.chinese[-1].isascii() else ""
    return f"{value.chinese}{gap}{'大約' if is_about else ''}等於{digits}。"


CALCULATE_PARAMETERS = {
    "type": "object",
    "properties": {
        "expression": {
            "type": "string",
            "description": "Numbers with + - * / ^ ( ), % after a number, sqrt before one, and: 15% of 300",
        }
    },
    "required": ["expression"],
}
