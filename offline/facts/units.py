"""Units of measure: their names in both languages, and exact conversion. Pure.

Factors are exact by definition (the international yard and pound, 1959). Taiwanese units: 1 坪 = 400/121 m²,
1 台斤 = 600 g, 1 台兩 = 37.5 g, 1 台尺 = 10/33 m, 1 甲 = 2934 坪.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from fractions import Fraction

from .fact import Arguments, Locale
from .number_format import format_number

MAX_AMOUNT = 10**15
"""Largest amount that is converted."""


class Quantity(Enum):
    """What a unit measures."""

    LENGTH = "length"
    WEIGHT = "weight"
    VOLUME = "volume"
    AREA = "area"
    SPEED = "speed"
    TEMPERATURE = "temperature"
    DATA = "data"
    TIME = "time"


@dataclass(frozen=True, slots=True)
class Unit:
    """Unit of measure. `factor` and `offset` lead to the base unit: amount * factor + offset."""

    name: str
    """English singular, which names the unit in arguments."""
    plural: str
    chinese: str
    """Name in Traditional Chinese."""
    quantity: Quantity
    factor: Fraction
    english_aliases: tuple[str, ...] = ()
    chinese_aliases: tuple[str, ...] = ()
    """Other names in Simplified characters, as `read_request` gives them."""
    offset: Fraction = Fraction(0)


def _unit(
    quantity: Quantity, factor: str, name: str, plural: str, chinese: str, english: str = "", more_chinese: str = ""
) -> Unit:
    aliases = tuple(alias.strip() for alias in english.split(",") if alias.strip())
    return Unit(name, plural, chinese, quantity, Fraction(factor), aliases, tuple(more_chinese.split()))


def _units() -> tuple[Unit, ...]:
    q = Quantity
    return (
        _unit(q.LENGTH, "1/1000", "millimeter", "millimeters", "公釐", "millimetre, millimetres, mm", "毫米 公厘 mm"),
        _unit(q.LENGTH, "1/100", "centimeter", "centimeters", "公分", "centimetre, centimetres, cm", "厘米 cm"),
        _unit(q.LENGTH, "1", "meter", "meters", "公尺", "metre, metres, m", "米 m"),
        _unit(q.LENGTH, "1000", "kilometer", "kilometers", "公里", "kilometre, kilometres, km, k", "千米 km"),
        _unit(q.LENGTH, "254/10000", "inch", "inches", "英吋", "in", "英寸 吋"),
        _unit(q.LENGTH, "3048/10000", "foot", "feet", "英尺", "ft", "英呎 呎"),
        _unit(q.LENGTH, "9144/10000", "yard", "yards", "碼", "yd", "码"),
        _unit(q.LENGTH, "1609344/1000", "mile", "miles", "英里", "mi", "英哩 哩"),
        _unit(q.LENGTH, "1852", "nautical mile", "nautical miles", "海里", "", "浬"),
        _unit(q.LENGTH, "10/33", "Taiwanese foot", "Taiwanese feet", "台尺"),
        _unit(q.WEIGHT, "1/1000", "milligram", "milligrams", "毫克", "mg", "mg"),
        _unit(q.WEIGHT, "1", "gram", "grams", "公克", "gramme, grammes, g", "克 g"),
        _unit(q.WEIGHT, "1000", "kilogram", "kilograms", "公斤", "kilo, kilos, kg, kgs", "千克 kg"),
        _unit(q.WEIGHT, "1000000", "metric ton", "metric tons", "公噸", "tonne, tonnes, ton, tons", "公吨 吨"),
        _unit(q.WEIGHT, "28349523125/1000000000", "ounce", "ounces", "盎司", "oz", "盎斯 安士"),
        _unit(q.WEIGHT, "45359237/100000", "pound", "pounds", "磅", "lb, lbs", "英磅"),
        _unit(q.WEIGHT, "600", "Taiwanese catty", "Taiwanese catties", "台斤", "catty, catties, taijin", "斤"),
        _unit(q.WEIGHT, "375/10", "Taiwanese tael", "Taiwanese taels", "台兩", "tael, taels", "台两"),
        _unit(q.VOLUME, "1", "milliliter", "milliliters", "毫升", "millilitre, millilitres, ml, cc", "ml cc 西西"),
        _unit(q.VOLUME, "1000", "liter", "liters", "公升", "litre, litres, l", "升"),
        _unit(
            q.VOLUME, "3785411784/1000000", "US gallon", "US gallons", "美制加侖", "gallon, gallons", "加仑 美制加仑"
        ),
        _unit(q.VOLUME, "473176473/1000000", "US pint", "US pints", "美制品脫", "pint, pints", "品脱"),
        _unit(q.VOLUME, "2365882365/10000000", "US cup", "US cups", "美制量杯", "cup, cups", "量杯"),
        _unit(q.VOLUME, "295735295625/10000000000", "fluid ounce", "fluid ounces", "液盎司", "fl oz", "液体盎司"),
        _unit(q.VOLUME, "1478676478125/100000000000", "tablespoon", "tablespoons", "大匙", "tbsp", "汤匙"),
        _unit(q.VOLUME, "492892159375/100000000000", "teaspoon", "teaspoons", "小匙", "tsp", "茶匙"),
        _unit(
            q.AREA, "1/10000", "square centimeter", "square centimeters", "平方公分", "square centimetres", "平方厘米"
        ),
        _unit(
            q.AREA,
            "1",
            "square meter",
            "square meters",
            "平方公尺",
            "square metre, square metres, sqm",
            "平方米 平米 平方",
        ),
        _unit(
            q.AREA,
            "1000000",
            "square kilometer",
            "square kilometers",
            "平方公里",
            "square kilometre, square kilometres",
        ),
        _unit(q.AREA, "10000", "hectare", "hectares", "公頃", "ha", "公顷"),
        _unit(q.AREA, "40468564224/10000000", "acre", "acres", "英畝", "", "英亩"),
        _unit(q.AREA, "9290304/100000000", "square foot", "square feet", "平方英尺", "sq ft", "平方英呎 平方呎"),
        _unit(q.AREA, "2589988110336/1000000", "square mile", "square miles", "平方英里", "", "平方英哩"),
        _unit(q.AREA, "400/121", "ping", "ping", "坪", "pings"),
        _unit(q.AREA, "1173600/121", "Taiwanese jia", "Taiwanese jia", "甲"),
        _unit(
            q.SPEED, "1", "meter per second", "meters per second", "公尺每秒", "metres per second", "米每秒 每秒公尺"
        ),
        _unit(
            q.SPEED,
            "10/36",
            "kilometer per hour",
            "kilometers per hour",
            "公里每小時",
            "kilometres per hour, km/h, kmh, kph, km per hour, kilometers an hour, kilometres an hour",
            "公里每小时 每小时公里 km/h",
        ),
        _unit(
            q.SPEED,
            "1609344/3600000",
            "mile per hour",
            "miles per hour",
            "英里每小時",
            "mph, miles an hour",
            "英里每小时 英哩每小时 mph",
        ),
        _unit(q.SPEED, "1852/3600", "knot", "knots", "節", "", "节"),
        Unit(
            "degree Celsius",
            "degrees Celsius",
            "攝氏",
            q.TEMPERATURE,
            Fraction(1),
            ("celsius", "c", "centigrade", "degrees c", "degrees centigrade", "°c"),
            ("摄氏度", "°c", "度c"),
            Fraction("273.15"),
        ),
        Unit(
            "degree Fahrenheit",
            "degrees Fahrenheit",
            "華氏",
            q.TEMPERATURE,
            Fraction(5, 9),
            ("fahrenheit", "f", "degrees f", "°f"),
            ("华氏度", "°f", "度f"),
            Fraction("273.15") - 32 * Fraction(5, 9),
        ),
        Unit("kelvin", "kelvins", "克耳文", q.TEMPERATURE, Fraction(1), ("k degrees",), ("开尔文",)),
        _unit(q.DATA, "1/8", "bit", "bits", "位元", "", "比特"),
        _unit(q.DATA, "1", "byte", "bytes", "位元組", "", "位元组 字节"),
        _unit(q.DATA, "1000", "kilobyte", "kilobytes", "KB", "kb", "千位元组"),
        _unit(q.DATA, "1000000", "megabyte", "megabytes", "MB", "mb, megs", "百万位元组"),
        _unit(q.DATA, "1000000000", "gigabyte", "gigabytes", "GB", "gb, gigs, gig"),
        _unit(q.DATA, "1000000000000", "terabyte", "terabytes", "TB", "tb"),
        _unit(q.TIME, "1", "second", "seconds", "秒", "sec, secs", "秒钟"),
        _unit(q.TIME, "60", "minute", "minutes", "分鐘", "min, mins", "分钟 分"),
        _unit(q.TIME, "3600", "hour", "hours", "小時", "hr, hrs", "小时 钟头"),
        _unit(q.TIME, "86400", "day", "days", "天", "", "日"),
        _unit(q.TIME, "604800", "week", "weeks", "週", "", "周 星期 礼拜"),
    )


UNITS = {unit.name: unit for unit in _units()}
"""Units by their English name."""


def convert(amount: Fraction, source: Unit, target: Unit) -> Fraction:
    """Return `amount` of `source` in `target`, which measures the same quantity."""
    return (amount * source.factor + source.offset - target.offset) / target.factor


def answer_conversion(arguments: Arguments, locale: Locale, now: datetime) -> str:
    """Return the sentence with the converted amount. Raises `ValueError` for units of different quantities."""
    source, target = UNITS[arguments["from_unit"]], UNITS[arguments["to_unit"]]
    if source.quantity is not target.quantity:
        raise ValueError("the units measure different quantities")
    amount = Fraction(str(arguments["amount"]))
    if abs(amount) > MAX_AMOUNT:
        raise ValueError("the amount is too large")
    result = convert(amount, source, target)
    places = 1 if source.quantity is Quantity.TEMPERATURE else None
    said, is_rounded = format_number(result, locale, places)
    given, _ = format_number(amount, locale, 6)
    if locale == "zh":
        about = "大約是" if is_rounded else "是"
        subject, result_words = _chinese_amount(given, source), _chinese_amount(said, target)
        before, after = " " * subject[-1].isascii(), " " * result_words[0].isascii()
        return f"{subject}{before}{about}{after}{result_words}。"
    about = "about " if is_rounded else ""
    sentence = f"{_english_amount(given, source)} is {about}{_english_amount(said, target)}."
    return sentence[0].upper() + sentence[1:]


def _english_amount(digits: str, unit: Unit) -> str:
    return f"{digits.replace('-', 'minus ')} {unit.name if digits == '1' else unit.plural}"


def _chinese_amount(digits: str, unit: Unit) -> str:
    digits = digits.replace("-", "零下 " if unit.quantity is Quantity.TEMPERATURE else "負 ")
    if unit.quantity is Quantity.TEMPERATURE and unit.name != "kelvin":
        return f"{unit.chinese}{'' if digits.startswith('零') else ' '}{digits} 度"
    return f"{digits} {unit.chinese}"


CONVERT_PARAMETERS = {
    "type": "object",
    "properties": {
        "amount": {"type": "number"},
        "from_unit": {"type": "string", "enum": list(UNITS)},
        "to_unit": {"type": "string", "enum": list(UNITS)},
    },
    "required": ["amount", "from_unit", "to_unit"],
}
