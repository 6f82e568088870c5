"""Tool `convert_units`: an amount in another unit of measure."""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated

from pydantic import Field

from voicechat.tools.definition import ToolContext, ToolResult
from voicechat.tools.examples.measures import MAX_NAME_CHARS, Measure, MeasureKind, convert_amount, find_measure
from voicechat.tools.examples.numerals import rounded_decimal
from voicechat.tools.python import tool

MAX_AMOUNT = 1e15
"""Largest amount that is converted."""
DIGITS_SHOWN = 10
"""Significant digits of a result for the model."""
DIGITS_SAID = 4
"""Significant digits of a result that is spoken."""


@tool(
    titles={"en": "Unit converter", "zh": "單位換算"},
    read_only=True,
    timeout_s=5.0,
    hints=(
        *("convert", "in kilometers", "in miles", "in pounds", "in kilos", "in kilograms", "in celsius"),
        *("in fahrenheit", "in inches", "in centimeters", "in liters", "in ping", "how many ounces", "how many grams"),
        *(
            "換算",
            "轉換成",
            "換成",
            "等於幾",
            "是幾公斤",
            "是幾磅",
            "是幾公里",
            "是幾坪",
            "幾公分",
            "攝氏",
            "華氏",
            "英里",
        ),
    ),
)
def convert_units(
    value: Annotated[float, Field(description="Amount to convert", ge=-MAX_AMOUNT, le=MAX_AMOUNT)],
    from_unit: Annotated[str, Field(description="Its unit, e.g. 'km', 'pound', '坪'", max_length=MAX_NAME_CHARS)],
    to_unit: Annotated[str, Field(description="Unit wanted, e.g. 'miles', '公斤'", max_length=MAX_NAME_CHARS)],
    context: ToolContext,
) -> ToolResult:
    """Convert an amount into another unit: length, mass, volume, area, speed, temperature, data, time, energy."""
    is_chinese = context.language == "zh"
    source, target = find_measure(from_unit), find_measure(to_unit)
    if source is None or target is None:
        return _failed(is_chinese, "I do not know that unit.", "這個單位我不認得。")
    amount = Fraction(repr(value))
    converted = convert_amount(amount, source, target)
    if converted is None and source.kind is not target.kind:
        return _failed(
            is_chinese,
            f"{source.plural.capitalize()} and {target.plural} measure different things.",
            f"{source.chinese}和{target.chinese}量的是不同的東西，沒辦法換算。",
        )
    if converted is None:
        return _failed(is_chinese, "Nothing is colder than absolute zero.", "沒有比絕對零度更低的溫度。")
    given = rounded_decimal(amount, DIGITS_SHOWN)[0]
    shown, is_exact = rounded_decimal(converted, DIGITS_SHOWN)
    said, is_said_exactly = rounded_decimal(converted, DIGITS_SAID)
    text = f"{given} {source.name(given, 'en')} {'=' if is_exact else '≈'} {shown} {target.name(shown, 'en')}"
    if is_chinese:
        link = "等於" if is_said_exactly else "大約是"
        return ToolResult(text, f"{_amount_zh(given, source)}{link}{_amount_zh(said, target)}。".strip())
    verb = "is" if given in ("1", "-1") or source.kind is MeasureKind.TEMPERATURE else "are"
    about = "" if is_said_exactly else "about "
    sentence = f"{given} {source.name(given, 'en')} {verb} {about}{said} {target.name(said, 'en')}."
    return ToolResult(text, sentence)


def _amount_zh(amount: str, measure: Measure) -> str:
    """Return an amount with its unit as it is said: a scale of temperature comes before the number."""
    if measure.chinese.startswith("度（"):
        cold = "零下 " if amount.startswith("-") else " "
        return f"{measure.chinese[2:4]}{cold}{amount.lstrip('-')} 度"
    return f" {amount} {measure.chinese}"


def _failed(is_chinese: bool, english: str, chinese: str) -> ToolResult:
    return ToolResult(english, chinese if is_chinese else english, is_error=True)
