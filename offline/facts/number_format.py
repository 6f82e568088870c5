"""Numbers of an answer, rounded as a person would say them. Pure."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal, localcontext
from fractions import Fraction

from .fact import Locale

EXACT_PLACES = 4
"""Decimal places up to which a result is said in full."""
SIGNIFICANT_SMALL = 3
"""Significant digits of a rounded number below 1."""


def round_number(value: Fraction, places: int | None = None) -> tuple[Decimal, bool]:
    """Return `value` as said, and whether it was rounded. `places` overrides the decimal places of a rounded one."""
    with localcontext() as context:
        context.prec = 60
        exact = Decimal(value.numerator) / Decimal(value.denominator)
        limit = EXACT_PLACES if places is None else places
        if (value * 10**limit).denominator == 1:
            return _quantize(exact, limit), False
        if places is None:
            size = abs(value)
            places = 1 if size >= 100 else 2 if size >= 1 else SIGNIFICANT_SMALL - 1 - exact.adjusted()
        rounded = _quantize(exact, places)
        return rounded, Fraction(rounded) != value


def _quantize(exact: Decimal, places: int) -> Decimal:
    rounded = exact.quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_UP)
    return rounded.normalize() if rounded else Decimal(0)


def format_number(value: Fraction, locale: Locale, places: int | None = None) -> tuple[str, bool]:
    """Return the digits of `value`, and whether they are rounded. English has separators of thousands.

    Without them the English voice reads four digits as a year.
    """
    rounded, is_rounded = round_number(value, places)
    return f"{rounded:,f}" if locale == "en" else f"{rounded:f}", is_rounded
