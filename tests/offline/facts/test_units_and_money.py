"""Units and exchange: generated conversions against exact factors."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offline.facts.registry import answer_fact, catch_fact
from offline.facts.units import UNITS, Quantity, Unit, convert
from tests.support.facts.moment import NOW

PAIRS = [(a, b) for a in UNITS.values() for b in UNITS.values() if a is not b and a.quantity is b.quantity]


@given(st.sampled_from(PAIRS), st.integers(0, 10_000))
def test_generated_english_conversions_are_caught_with_their_units(pair: tuple[Unit, Unit], amount: int) -> None:
    source, target = pair
    expected = {"amount": amount, "from_unit": source.name, "to_unit": target.name}
    for question in (
        f"Convert {amount} {source.plural} to {target.plural}",
        f"what is {amount} {source.plural} in {target.plural}?",
        f"How many {target.plural} are in {amount} {source.plural}?",
    ):
        caught = catch_fact(question, NOW)
        assert caught is not None and caught.arguments == expected, question


@given(st.sampled_from(PAIRS), st.integers(0, 10_000))
def test_generated_chinese_conversions_are_caught_with_their_units(pair: tuple[Unit, Unit], amount: int) -> None:
    source, target = pair
    if source.quantity is Quantity.TEMPERATURE:
        if "kelvin" in (source.name, target.name):
            return
        question = f"{source.chinese}{amount}度是{target.chinese}幾度？"
    else:
        question = f"{amount}{source.chinese}等於多少{target.chinese}？"
    caught = catch_fact(question, NOW)
    expected = {"amount": amount, "from_unit": source.name, "to_unit": target.name}
    assert caught is not None and caught.arguments == expected, question


@given(st.sampled_from(PAIRS), st.fractions(-1000, 1000))
def test_conversion_and_back_is_exact(pair: tuple[Unit, Unit], amount: Fraction) -> None:
    source, target = pair
    assert convert(convert(amount, source, target), target, source) == amount


@pytest.mark.parametrize(
    ("amount", "source", "target", "expected"),
    [
        (1, "ping", "square meter", Fraction(400, 121)),
        (1, "mile", "kilometer", Fraction("1.609344")),
        (32, "degree Fahrenheit", "degree Celsius", Fraction(0)),
        (-40, "degree Celsius", "degree Fahrenheit", Fraction(-40)),
        (1, "Taiwanese catty", "gram", Fraction(600)),
        (36, "kilometer per hour", "meter per second", Fraction(10)),
        (8, "bit", "byte", Fraction(1)),
        (0, "degree Celsius", "kelvin", Fraction("273.15")),
    ],
)
def test_conversion_by_definition(amount: int, source: str, target: str, expected: Fraction) -> None:
    assert convert(Fraction(amount), UNITS[source], UNITS[target]) == expected


@given(st.integers(1, 10_000), st.integers(1, 400))
def test_generated_exchange_at_a_given_rate_is_answered_right(amount: int, rate: int) -> None:
    english = catch_fact(f"If one US dollar is {rate} NT dollars, how much is {amount} US dollars?", NOW)
    chinese = catch_fact(f"如果一美元是{rate}台幣，{amount}美元是多少台幣？", NOW)
    assert english is not None and chinese is not None
    assert english.answer(NOW).endswith(f" {amount * rate:,} Taiwan dollars.")
    assert chinese.answer(NOW).endswith(f"是 {amount * rate} 台幣。")


@pytest.mark.parametrize(
    "arguments",
    [
        {"amount": 1, "from_unit": "mile", "to_unit": "gram"},
        {"amount": 1, "from_unit": "league", "to_unit": "mile"},
        {"amount": "1", "from_unit": "mile", "to_unit": "kilometer"},
        {"amount": 1e30, "from_unit": "mile", "to_unit": "kilometer"},
        {"from_unit": "mile", "to_unit": "kilometer"},
    ],
)
def test_impossible_conversion_raises(arguments: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        answer_fact("convert_units", arguments, "en", NOW)


@pytest.mark.parametrize("rate", [0, -1])
def test_exchange_without_a_positive_rate_raises(rate: int) -> None:
    arguments = {"amount": 1, "from_currency": "USD", "to_currency": "TWD", "one": 1, "is_worth": rate}
    with pytest.raises(ValueError, match="positive"):
        answer_fact("exchange_money", arguments, "en", NOW)
