"""Questions for another unit of measure, in both languages. Pure."""

from __future__ import annotations

import re
from fractions import Fraction

from offline.chinese_text import to_simplified

from .fact import Arguments, Fact, Request
from .number_words import CHINESE_NUMBER, chinese_number, digits_for_words
from .units import CONVERT_PARAMETERS, MAX_AMOUNT, UNITS, Quantity, Unit, answer_conversion

_ENGLISH = {name.lower(): unit for unit in UNITS.values() for name in (unit.name, unit.plural, *unit.english_aliases)}
_CHINESE = {
    name: unit
    for unit in UNITS.values()
    for name in (to_simplified(unit.chinese).lower(), *unit.chinese_aliases)
    if unit.quantity is not Quantity.TEMPERATURE or unit.name == "kelvin"
}


def _alternatives(names: dict[str, Unit]) -> str:
    return "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))


_UNIT_EN = rf"(?:{_alternatives(_ENGLISH)})"
_NUMBER_EN = r"(?:(?:minus |negative |-)?\d+(?:\.\d+)?(?: and a half)?|half an?|an?)"
_AMOUNT_EN = (
    rf"(?P<amount>{_NUMBER_EN})(?: ?(?P<unit>{_UNIT_EN}))"
    rf"(?: (?:and )?(?P<amount2>{_NUMBER_EN}) ?(?P<unit2>{_UNIT_EN}))?"
)
_TARGET_EN = rf"(?P<target>{_UNIT_EN})"
_QUESTIONS_EN = tuple(
    re.compile(pattern)
    for pattern in (
        rf"how many {_TARGET_EN}(?: are| is|'s)?(?: there)? (?:in|per|make(?: up)?|equals?|does|do|are|is) {_AMOUNT_EN}"
        r"(?: have| has| make| equal)?",
        rf"how many {_TARGET_EN} (?:are|is) (?:there )?in {_AMOUNT_EN}",
        rf"(?:convert|change|turn|translate) {_AMOUNT_EN} (?:in)?to {_TARGET_EN}",
        r"(?:what is|what's|whats|what are|how much is|how much are"
        r"|how (?:long|far|heavy|big|tall|fast|hot|cold|warm) (?:is|are)|convert|calculate)"
        rf" {_AMOUNT_EN} (?:in|to|into) {_TARGET_EN}",
        rf"{_AMOUNT_EN} (?:in|to|into) {_TARGET_EN}",
        rf"{_AMOUNT_EN} (?:is|are|equals?|makes?) how many {_TARGET_EN}",
        rf"(?:what|how much) {_AMOUNT_EN} (?:is|are) in {_TARGET_EN}",
    )
)

_UNIT_ZH = rf"(?:{_alternatives(_CHINESE)})"
_NUMBER_ZH = rf"(?:负?{CHINESE_NUMBER}|半)"
_IS_ZH = (
    r"(?:大约|大概|约|总共|一共)?(?:是|等于|有|合|换算成|换算|换成|转换成|转成|转换|改成|换|变成|相当于|为)?"
    r"(?:大约|大概)?"
)
_HOW_MANY_ZH = r"(?:多少|几)"
_QUESTIONS_ZH = tuple(
    re.compile(pattern)
    for pattern in (
        rf"(?:把|将)?(?P<amount>{_NUMBER_ZH})个?(?P<unit>{_UNIT_ZH})(?P<half>半)?{_IS_ZH}{_HOW_MANY_ZH}个?"
        rf"(?P<target>{_UNIT_ZH})",
        rf"(?:换算|把|将)?(?P<amount>{_NUMBER_ZH})个?(?P<unit>{_UNIT_ZH})(?P<half>半)?(?:换算成|换成|转换成|转成|改成)"
        rf"(?P<target>{_UNIT_ZH})(?:{_IS_ZH}{_HOW_MANY_ZH})?",
    )
)
_SCALE_ZH = {"摄氏": "degree Celsius", "华氏": "degree Fahrenheit"}
_TEMPERATURES_ZH = tuple(
    re.compile(pattern)
    for pattern in (
        rf"(?:把|将)?(?P<scale>摄氏|华氏)(?P<below>零下)?(?P<amount>负?{CHINESE_NUMBER})度?{_IS_ZH}"
        rf"(?P<target>摄氏|华氏)(?:温度)?(?:是|有)?{_HOW_MANY_ZH}?度?",
        rf"(?:把|将)?(?P<below>零下)?(?P<amount>负?{CHINESE_NUMBER})度(?P<scale>摄氏|华氏){_IS_ZH}"
        rf"(?P<target>摄氏|华氏)(?:温度)?(?:是|有)?{_HOW_MANY_ZH}?度?",
    )
)
_EXPECTS_NUMBER_ZH = re.compile(r"多少|几|换|转|改")


def _english_amount(text: str) -> Fraction:
    if text.startswith("half"):
        return Fraction(1, 2)
    if text in ("a", "an"):
        return Fraction(1)
    is_negative = text.startswith(("minus", "negative", "-"))
    number = re.search(r"\d+(?:\.\d+)?", text)
    assert number is not None  # by the pattern
    value = Fraction(number[0]) + (Fraction(1, 2) if text.endswith("and a half") else 0)
    return -value if is_negative else value


def _chinese_amount(text: str) -> Fraction | None:
    if text == "半":
        return Fraction(1, 2)
    value = chinese_number(text.removeprefix("负"))
    return value if value is None or not text.startswith("负") else -value


def _arguments(amount: Fraction, source: Unit, target: Unit) -> Arguments | None:
    is_same = source.quantity is target.quantity and source is not target
    is_possible = source.quantity is Quantity.TEMPERATURE or amount >= 0
    if not (is_same and is_possible) or abs(amount) > MAX_AMOUNT:
        return None
    plain = int(amount) if amount.denominator == 1 else float(amount)
    return {"amount": plain, "from_unit": source.name, "to_unit": target.name}


def _catch_english(text: str) -> Arguments | None:
    text = re.sub(r"\bdegrees? (?=celsius|fahrenheit|centigrade|[cf]\b)", "", digits_for_words(text))
    text = re.sub(r"(?<=\d)-(?=[a-z])", " ", text)
    for pattern in _QUESTIONS_EN:
        match = pattern.fullmatch(text)
        if match is None:
            continue
        source, amount = _ENGLISH[match["unit"]], _english_amount(match["amount"])
        if match["unit2"]:
            smaller = _ENGLISH[match["unit2"]]
            if smaller.quantity is not source.quantity or smaller.factor >= source.factor or smaller.offset:
                return None
            amount = amount * source.factor / smaller.factor + _english_amount(match["amount2"])
            source = smaller
        return _arguments(amount, source, _ENGLISH[match["target"]])
    return None


def _catch_chinese(text: str) -> Arguments | None:
    for pattern in _QUESTIONS_ZH:
        if match := pattern.fullmatch(text):
            amount = _chinese_amount(match["amount"])
            if amount is None:
                return None
            amount += Fraction(1, 2) if match["half"] else 0
            return _arguments(amount, _CHINESE[match["unit"]], _CHINESE[match["target"]])
    for pattern in _TEMPERATURES_ZH:
        match = pattern.fullmatch(text)
        if match and _EXPECTS_NUMBER_ZH.search(text):
            amount = _chinese_amount(match["amount"])
            if amount is None:
                return None
            signed = -amount if match["below"] else amount
            return _arguments(signed, UNITS[_SCALE_ZH[match["scale"]]], UNITS[_SCALE_ZH[match["target"]]])
    return None


def catch_conversion(request: Request) -> Arguments | None:
    """Return the arguments of `convert_units` for a request that asks for another unit."""
    return _catch_english(request.text) if request.locale == "en" else _catch_chinese(request.text)


CONVERT_UNITS = Fact(
    "convert_units",
    "Convert an amount from one unit of measure to another, exactly.",
    CONVERT_PARAMETERS,
    catch_conversion,
    answer_conversion,
)
