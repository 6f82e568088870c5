"""Arithmetic: a parser with exact fractions and bounded work. Pure; text is never run as code."""

from __future__ import annotations

import enum
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import NoReturn

from voicechat.tools.examples.numerals import replace_chinese_numerals

MAX_CHARS = 300
"""Characters of an expression."""
MAX_TOKENS = 150
"""Numbers, signs and names of an expression."""
MAX_DEPTH = 40
"""Parentheses, signs and powers within each other."""
MAX_BITS = 4096
"""Bits of a numerator or denominator, at every step."""
MAX_FACTORIAL = 200
"""Largest number whose factorial is calculated."""


class ArithmeticProblem(enum.Enum):
    """Why an expression has no result."""

    NOT_READABLE = "not readable"
    TOO_LONG = "too long"
    TOO_LARGE = "too large"
    ZERO_DIVISION = "division by zero"
    NOT_REAL = "not a real number"


class ArithmeticFailure(ValueError):
    """An expression without a result."""

    def __init__(self, problem: ArithmeticProblem) -> None:
        super().__init__(problem.value)
        self.problem = problem


@dataclass(frozen=True, slots=True)
class CalculatedValue:
    """Value of an expression. A root or a sine is a fraction near it, and not exact."""

    value: Fraction
    is_exact: bool = True


def _fail(problem: ArithmeticProblem) -> NoReturn:
    raise ArithmeticFailure(problem)


_WORDS = (
    (r"\s*的\s*", "的"),
    (r"§\s*(\d+(?:\.\d+)?)", r"\1%"),
    (r"(\d+(?:\.\d+)?)的平方根", r"sqrt(\1)"),
    (r"[,，](?=\d{3}(?!\d))", ""),
    (r"multiplied by|times|乘以|乘上|乘|×|·|✕", "*"),
    (r"divided by|over|除以|÷|／", "/"),
    (r"plus|加上|加|＋", "+"),
    (r"minus|減去|減掉|减去|减掉|減|减|−|–|－", "-"),
    (r"to the power of|的(?=\d+\s*次方)|\*\*|\^", "^"),
    (r"次方", ""),
    (r"squared|的?平方(?!根)|²", "^2"),
    (r"cubed|的?立方(?!根)|³", "^3"),
    (r"the square root of|square root of|√|根號|根号", "sqrt "),
    (r"percent|％|趴", "%"),
    (r"π|圓周率", "pi"),
    (r"modulo", "mod"),
    (r"的", " of "),
    (r"（", "("),
    (r"）", ")"),
    (r"^\s*(?:what is|what's|calculate|compute|請問|計算|算)\s*", ""),
    (r"(?:\s*(?:=|＝|等於|等于|equals|is|\?|？|多少|幾|是))+\s*$", ""),
)
_REWRITES = tuple((re.compile(pattern, re.IGNORECASE), sign) for pattern, sign in _WORDS)
_TOKEN = re.compile(r"\s*(\d+(?:\.\d*)?(?:e[+-]?\d{1,3})?|\.\d+|[a-z]+|[-+*/^%()!,])", re.IGNORECASE)


def _root(value: Fraction) -> CalculatedValue:
    if value < 0:
        _fail(ArithmeticProblem.NOT_REAL)
    top, bottom = math.isqrt(value.numerator), math.isqrt(value.denominator)
    if top * top == value.numerator and bottom * bottom == value.denominator:
        return CalculatedValue(Fraction(top, bottom))
    return _near(math.sqrt, value)


def _near(function: Callable[..., float], *values: Fraction) -> CalculatedValue:
    try:
        result = function(*(float(value) for value in values))
    except OverflowError:
        _fail(ArithmeticProblem.TOO_LARGE)
    except (ValueError, ZeroDivisionError):
        _fail(ArithmeticProblem.NOT_REAL)
    if isinstance(result, complex) or not math.isfinite(result):
        _fail(ArithmeticProblem.NOT_REAL)
    return CalculatedValue(Fraction(result), is_exact=False)


def _factorial(value: Fraction) -> CalculatedValue:
    if value.denominator != 1 or value < 0:
        _fail(ArithmeticProblem.NOT_REAL)
    if value > MAX_FACTORIAL:
        _fail(ArithmeticProblem.TOO_LARGE)
    return CalculatedValue(Fraction(math.factorial(int(value))))


_FUNCTIONS: dict[str, Callable[[Fraction], CalculatedValue]] = {
    "sqrt": _root,
    "abs": lambda value: CalculatedValue(abs(value)),
    "round": lambda value: CalculatedValue(Fraction(math.floor(value + Fraction(1, 2)))),
    "floor": lambda value: CalculatedValue(Fraction(math.floor(value))),
    "ceil": lambda value: CalculatedValue(Fraction(math.ceil(value))),
    "sin": lambda value: _near(math.sin, value),
    "cos": lambda value: _near(math.cos, value),
    "tan": lambda value: _near(math.tan, value),
    "ln": lambda value: _near(math.log, value),
    "log": lambda value: _near(math.log10, value),
    "exp": lambda value: _near(math.exp, value),
}
_CONSTANTS = {
    "pi": CalculatedValue(Fraction(math.pi), is_exact=False),
    "e": CalculatedValue(Fraction(math.e), is_exact=False),
}
_STARTS_OPERAND = re.compile(r"[\d.(a-z]", re.IGNORECASE)


def calculate_expression(text: str) -> CalculatedValue:
    """Return the value of an expression in signs or simple words. Raise ArithmeticFailure."""
    if len(text) > MAX_CHARS:
        _fail(ArithmeticProblem.TOO_LONG)
    parser = _ExpressionParser(_tokens(text))
    outcome = parser.sum()
    if parser.token:
        _fail(ArithmeticProblem.NOT_READABLE)
    return outcome


def _tokens(text: str) -> list[str]:
    text = text.translate({0xFF10 + digit: str(digit) for digit in range(10)})
    text = replace_chinese_numerals(text.replace("百分之", "§"))  # its 百 is not a number
    for pattern, sign in _REWRITES:
        text = pattern.sub(sign, text)
    text = text.strip().rstrip(".。")
    tokens: list[str] = []
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            _fail(ArithmeticProblem.NOT_READABLE)
        tokens.append(match[1].lower())
        position = match.end()
    if len(tokens) > MAX_TOKENS:
        _fail(ArithmeticProblem.TOO_LONG)
    return tokens


class _ExpressionParser:
    """Recursive descent over tokens; the depth is counted, so that hostile nesting cannot exhaust the stack."""

    def __init__(self, tokens: list[str]) -> None:
        self._tokens = tokens
        self._position = 0
        self._depth = 0

    @property
    def token(self) -> str:
        """The next token, or "" at the end."""
        return self._tokens[self._position] if self._position < len(self._tokens) else ""

    def _take(self, *wanted: str) -> str:
        token = self.token
        if token and token in wanted:
            self._position += 1
            return token
        return ""

    def sum(self) -> CalculatedValue:
        left = self._product()
        while sign := self._take("+", "-"):
            right = self._product()
            value = left.value + right.value if sign == "+" else left.value - right.value
            left = self._checked(value, left, right)
        return left

    def _product(self) -> CalculatedValue:
        left = self._signed()
        while sign := self._take("*", "/", "%", "mod", "of"):
            right = self._signed()
            if sign in ("/", "%", "mod") and right.value == 0:
                _fail(ArithmeticProblem.ZERO_DIVISION)
            if sign in ("*", "of"):
                value = left.value * right.value
            else:
                value = left.value / right.value if sign == "/" else left.value % right.value
            left = self._checked(value, left, right)
        return left

    def _signed(self) -> CalculatedValue:
        self._enter()
        if sign := self._take("+", "-"):
            inner = self._signed()
            outcome = CalculatedValue(-inner.value if sign == "-" else inner.value, inner.is_exact)
        else:
            outcome = self._power()
        self._depth -= 1
        return outcome

    def _power(self) -> CalculatedValue:
        base = self._with_suffix(self._operand())
        return self._raised(base, self._signed()) if self._take("^") else base

    def _with_suffix(self, outcome: CalculatedValue) -> CalculatedValue:
        while True:
            if self._take("!"):
                outcome = self._checked(_factorial(outcome.value).value, outcome)
            elif self.token == "%" and self._is_percent():
                self._position += 1
                outcome = self._checked(outcome.value / 100, outcome)
            else:
                return outcome

    def _is_percent(self) -> bool:
        after = self._tokens[self._position + 1] if self._position + 1 < len(self._tokens) else ""
        return after in ("of", "mod") or not _STARTS_OPERAND.match(after)

    def _operand(self) -> CalculatedValue:
        token = self.token
        self._position += 1
        if token == "(":
            outcome = self.sum()
            if not self._take(")"):
                _fail(ArithmeticProblem.NOT_READABLE)
            return outcome
        if token in _CONSTANTS:
            return _CONSTANTS[token]
        if token in _FUNCTIONS:
            self._enter()
            inner = self._operand()
            self._depth -= 1
            done = _FUNCTIONS[token](inner.value)
            return self._checked(done.value, done, inner)
        if token[:1].isdigit() or token[:1] == ".":
            return self._checked(Fraction(token.removesuffix(".")))
        return _fail(ArithmeticProblem.NOT_READABLE)

    def _raised(self, base: CalculatedValue, exponent: CalculatedValue) -> CalculatedValue:
        power = exponent.value
        if base.value == 0 and power < 0:
            _fail(ArithmeticProblem.ZERO_DIVISION)
        if power.denominator != 1:
            return _near(pow, base.value, power)
        bits = max(base.value.numerator.bit_length(), base.value.denominator.bit_length())
        if abs(base.value) != 1 and bits * abs(power) > MAX_BITS:
            _fail(ArithmeticProblem.TOO_LARGE)
        if abs(base.value) == 1:
            power %= 2
        return self._checked(base.value ** int(power), base, exponent)

    def _checked(self, value: Fraction, *parts: CalculatedValue) -> CalculatedValue:
        if max(value.numerator.bit_length(), value.denominator.bit_length()) > MAX_BITS:
            _fail(ArithmeticProblem.TOO_LARGE)
        return CalculatedValue(value, all(part.is_exact for part in parts))

    def _enter(self) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            _fail(ArithmeticProblem.TOO_LONG)
