"""Conversion of units: known values, both ways, both languages, and what cannot be converted."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicechat.tools.definition import ToolContext
from voicechat.tools.examples import convert_units
from voicechat.tools.examples.measures import convert_amount, find_measure
from voicechat.tools.python.python_tool import ToolArgumentError

EN, ZH = ToolContext(language="en"), ToolContext(language="zh")
NAMES = [
    "km",
    "miles",
    "kg",
    "pounds",
    "台斤",
    "坪",
    "square feet",
    "celsius",
    "華氏",
    "cups",
    "ml",
    "mph",
    "kcal",
    "psi",
]


@pytest.mark.parametrize(
    ("value", "source", "target", "english", "chinese"),
    [
        (10, "km", "miles", "10 kilometers are about 6.214 miles.", "10 公里大約是 6.214 英里。"),
        (1, "lb", "公斤", "1 pound is about 0.4536 kilograms.", "1 磅大約是 0.4536 公斤。"),
        (-5, "°C", "F", "-5 degrees Celsius is 23 degrees Fahrenheit.", "攝氏零下 5 度等於華氏 23 度。"),
        (212, "fahrenheit", "攝氏", "212 degrees Fahrenheit is 100 degrees Celsius.", "華氏 212 度等於攝氏 100 度。"),
        (30, "坪", "square meters", "30 ping are about 99.17 square meters.", "30 坪大約是 99.17 平方公尺。"),
        (2, "台斤", "公克", "2 Taiwanese catties are 1200 grams.", "2 台斤等於 1200 公克。"),
        (1.5, "hours", "minutes", "1.5 hours are 90 minutes.", "1.5 小時等於 90 分鐘。"),
        (100, "kilometers an hour", "mph", None, "100 公里每小時大約是 62.14 英里每小時。"),
    ],
)
def test_amount_is_converted_and_said(
    value: float, source: str, target: str, english: str | None, chinese: str
) -> None:
    result = convert_units(value, source, target, EN)
    assert not result.is_error
    assert english is None or result.speech == english
    assert convert_units(value, source, target, ZH).speech == chinese


@pytest.mark.parametrize(
    ("value", "source", "target", "said"),
    [
        (5, "kg", "km", "公斤和公里量的是不同的東西，沒辦法換算。"),
        (5, "parsecs", "km", "這個單位我不認得。"),
        (-300, "celsius", "f", "沒有比絕對零度更低的溫度。"),
    ],
)
def test_amount_that_cannot_be_converted_says_why(value: float, source: str, target: str, said: str) -> None:
    result = convert_units(value, source, target, ZH)
    assert result.is_error
    assert result.speech == said


@given(st.fractions(0, 10**6, max_denominator=1000), st.sampled_from(NAMES), st.sampled_from(NAMES))
def test_conversion_there_and_back_is_exact(amount: Fraction, first: str, second: str) -> None:
    source, target = find_measure(first), find_measure(second)
    assert source is not None
    assert target is not None
    there = convert_amount(amount, source, target)
    assert (there is None) == (source.kind is not target.kind)
    if there is not None:
        assert convert_amount(there, target, source) == amount


@pytest.mark.parametrize("value", [float("inf"), float("nan"), 1e300])
async def test_amount_without_a_bound_is_refused_by_the_schema(value: float) -> None:
    with pytest.raises(ToolArgumentError):
        await convert_units.run({"value": value, "from_unit": "km", "to_unit": "m"}, EN)
