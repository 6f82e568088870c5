"""Units of measure by their names in both languages, with exact factors. Pure.

Factors are exact by definition (the international yard and pound, 1959). Taiwanese units: 1 坪 = 400/121 m²,
1 台斤 = 600 g, 1 台兩 = 37.5 g, 1 台尺 = 10/33 m, 1 甲 = 2934 坪.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass
from fractions import Fraction


class MeasureKind(enum.Enum):
    """What a measure counts. Only measures of one kind convert into each other."""

    LENGTH = "length"
    MASS = "mass"
    VOLUME = "volume"
    AREA = "area"
    SPEED = "speed"
    TEMPERATURE = "temperature"
    DATA = "data"
    TIME = "time"
    ENERGY = "energy"
    PRESSURE = "pressure"


@dataclass(frozen=True, slots=True)
class Measure:
    """One unit of measure: amount * factor + offset is the amount in the kind's base unit."""

    kind: MeasureKind
    singular: str
    plural: str
    chinese: str
    factor: Fraction
    offset: Fraction = Fraction(0)

    def name(self, amount: str, language: str) -> str:
        """Return the unit's name after an amount."""
        if language == "zh":
            return self.chinese
        return self.singular if amount in ("1", "-1") else self.plural


_ROWS = """
LENGTH | 1/1000 | millimeter | millimeters | 公釐 | mm millimetre millimetres 毫米 公厘
LENGTH | 1/100 | centimeter | centimeters | 公分 | cm centimetre centimetres 厘米 釐米
LENGTH | 1 | meter | meters | 公尺 | m metre metres 米
LENGTH | 1000 | kilometer | kilometers | 公里 | km kilometre kilometres kms 千米
LENGTH | 0.0254 | inch | inches | 英吋 | in " ″ 英寸 吋 寸
LENGTH | 0.3048 | foot | feet | 英尺 | ft ' ′ 英呎 呎 尺
LENGTH | 0.9144 | yard | yards | 碼 | yd yds 码
LENGTH | 1609.344 | mile | miles | 英里 | mi 英哩 哩
LENGTH | 1852 | nautical_mile | nautical_miles | 海里 | nmi 浬
LENGTH | 10/33 | Taiwanese_foot | Taiwanese_feet | 台尺 | 臺尺
MASS | 1/1000 | milligram | milligrams | 毫克 | mg
MASS | 1 | gram | grams | 公克 | g gramme grammes 克
MASS | 1000 | kilogram | kilograms | 公斤 | kg kgs kilo kilos 千克
MASS | 1000000 | metric_ton | metric_tons | 公噸 | t ton tons tonne tonnes 公吨 噸 吨
MASS | 28.349523125 | ounce | ounces | 盎司 | oz 盎斯 安士
MASS | 453.59237 | pound | pounds | 磅 | lb lbs 英磅
MASS | 6350.29318 | stone | stone | 英石 | st stones
MASS | 600 | Taiwanese_catty | Taiwanese_catties | 台斤 | catty catties 臺斤 斤
MASS | 37.5 | Taiwanese_tael | Taiwanese_taels | 台兩 | tael taels 臺兩 台两 兩 两
VOLUME | 1 | milliliter | milliliters | 毫升 | ml millilitre millilitres cc 西西
VOLUME | 10 | centiliter | centiliters | 公勺 | cl
VOLUME | 100 | deciliter | deciliters | 公合 | dl
VOLUME | 1000 | liter | liters | 公升 | l litre litres 升
VOLUME | 1000000 | cubic_meter | cubic_meters | 立方公尺 | m3 m³ cubic_metre cubic_metres 立方米
VOLUME | 3785.411784 | US_gallon | US_gallons | 美制加侖 | gallon gallons gal 加侖 加仑
VOLUME | 4546.09 | imperial_gallon | imperial_gallons | 英制加侖 | 英加侖
VOLUME | 946.352946 | US_quart | US_quarts | 美制夸脫 | quart quarts qt 夸脫
VOLUME | 473.176473 | US_pint | US_pints | 美制品脫 | pint pints 品脫 品脱
VOLUME | 236.5882365 | US_cup | US_cups | 美制量杯 | cup cups 量杯 杯
VOLUME | 29.5735295625 | US_fluid_ounce | US_fluid_ounces | 美制液盎司 | fluid_ounce fluid_ounces fl_oz 液盎司
VOLUME | 14.78676478125 | tablespoon | tablespoons | 大匙 | tbsp 湯匙 汤匙
VOLUME | 4.92892159375 | teaspoon | teaspoons | 小匙 | tsp 茶匙
AREA | 1/10000 | square_centimeter | square_centimeters | 平方公分 | cm2 cm² square_centimetres 平方厘米
AREA | 1 | square_meter | square_meters | 平方公尺 | m2 m² sqm square_metre square_metres 平方米 平米
AREA | 1000000 | square_kilometer | square_kilometers | 平方公里 | km2 km² square_kilometres
AREA | 10000 | hectare | hectares | 公頃 | ha 公顷
AREA | 4046.8564224 | acre | acres | 英畝 | 英亩
AREA | 0.09290304 | square_foot | square_feet | 平方英尺 | sq_ft sqft ft2 ft² 平方英呎 平方呎
AREA | 2589988.110336 | square_mile | square_miles | 平方英里 | 平方英哩
AREA | 400/121 | ping | ping | 坪 | pings
AREA | 1173600/121 | Taiwanese_jia | Taiwanese_jia | 甲 | jia
SPEED | 1 | meter_per_second | meters_per_second | 公尺每秒 | m/s metres_per_second 每秒公尺 秒速公尺
SPEED | 5/18 | kilometer_per_hour | kilometers_per_hour | 公里每小時 | km/h kmh kph kilometres_per_hour 時速公里
SPEED | 0.44704 | mile_per_hour | miles_per_hour | 英里每小時 | mph mi/h 英哩每小時
SPEED | 1852/3600 | knot | knots | 節 | kn kt 节
DATA | 1 | byte | bytes | 位元組 | b 字节
DATA | 1000 | kilobyte | kilobytes | KB | kb
DATA | 1000000 | megabyte | megabytes | MB | mb
DATA | 1000000000 | gigabyte | gigabytes | GB | gb
DATA | 1000000000000 | terabyte | terabytes | TB | tb
DATA | 1024 | kibibyte | kibibytes | KiB | kib
DATA | 1048576 | mebibyte | mebibytes | MiB | mib
DATA | 1073741824 | gibibyte | gibibytes | GiB | gib
TIME | 1/1000 | millisecond | milliseconds | 毫秒 | ms
TIME | 1 | second | seconds | 秒 | s sec secs 秒鐘 秒钟
TIME | 60 | minute | minutes | 分鐘 | min mins 分 分钟
TIME | 3600 | hour | hours | 小時 | h hr hrs 鐘頭 小时
TIME | 86400 | day | days | 天 | d 日
TIME | 604800 | week | weeks | 週 | 星期 禮拜 周
ENERGY | 1 | joule | joules | 焦耳 | j
ENERGY | 1000 | kilojoule | kilojoules | 千焦 | kj 千焦耳
ENERGY | 4184 | kilocalorie | kilocalories | 大卡 | kcal calorie calories 卡路里 千卡 卡
ENERGY | 3600000 | kilowatt_hour | kilowatt_hours | 度電 | kwh 千瓦小時
PRESSURE | 1 | pascal | pascals | 帕 | pa 帕斯卡
PRESSURE | 100 | hectopascal | hectopascals | 百帕 | hpa millibar millibars mbar 毫巴
PRESSURE | 100000 | bar | bars | 巴 |
PRESSURE | 101325 | atmosphere | atmospheres | 大氣壓 | atm 大气压
PRESSURE | 6894.757293168 | pound_per_square_inch | pounds_per_square_inch | 磅每平方英吋 | psi
"""
"""One unit a row: kind, factor, names, and other names. An underscore stands for a space."""

_TEMPERATURES = (
    (
        Measure(
            MeasureKind.TEMPERATURE,
            "degree Celsius",
            "degrees Celsius",
            "度（攝氏）",
            Fraction(1),
            Fraction("273.15"),
        ),
        ("celsius", "c", "°c", "℃", "degrees c", "degree c", "centigrade", "攝氏", "攝氏度", "摄氏", "摄氏度"),
    ),
    (
        Measure(
            MeasureKind.TEMPERATURE,
            "degree Fahrenheit",
            "degrees Fahrenheit",
            "度（華氏）",
            Fraction(5, 9),
            Fraction("459.67") * 5 / 9,
        ),
        ("fahrenheit", "f", "°f", "℉", "degrees f", "degree f", "華氏", "華氏度", "华氏", "华氏度"),
    ),
    (
        Measure(MeasureKind.TEMPERATURE, "kelvin", "kelvins", "克耳文", Fraction(1)),
        ("k", "絕對溫度", "开尔文"),
    ),
)


def _by_name() -> dict[str, Measure]:
    named: dict[str, Measure] = {}
    for row in _ROWS.strip().splitlines():
        kind, factor, singular, plural, chinese, others = (cell.strip() for cell in row.split("|"))
        names = [name.replace("_", " ") for name in (singular, plural, chinese, *others.split())]
        measure = Measure(MeasureKind[kind], names[0], names[1], chinese, Fraction(factor))
        named.update({name.lower(): measure for name in names})
    for measure, others_of in _TEMPERATURES:
        named.update(
            {name.lower(): measure for name in (measure.singular, measure.plural, measure.chinese, *others_of)}
        )
    return named


_MEASURES = _by_name()
MAX_NAME_CHARS = 40
"""Characters of a unit's name that is looked up."""


def find_measure(name: str) -> Measure | None:
    """Return the unit with this name in either language, or None."""
    if len(name) > MAX_NAME_CHARS:
        return None
    name = re.sub(r"[\s_]+", " ", name).strip(" .。").lower()
    for wanted in (name, name.replace(" an hour", " per hour"), name.removeprefix("degrees "), name.rstrip("s")):
        if wanted in _MEASURES:
            return _MEASURES[wanted]
    return None


def convert_amount(amount: Fraction, source: Measure, target: Measure) -> Fraction | None:
    """Return an amount in another unit, or None when the units count different things, or below absolute zero."""
    if source.kind is not target.kind:
        return None
    base = amount * source.factor + source.offset
    if source.kind is MeasureKind.TEMPERATURE and base < 0:
        return None
    return (base - target.offset) / target.factor
