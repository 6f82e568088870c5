"""Questions for the time, here or in a named city. Pure: the time is that of the request."""

from __future__ import annotations

import re
from datetime import datetime
from zoneinfo import ZoneInfo

from offline.chinese_text import to_simplified

from .fact import Arguments, Fact, Locale, Request

_CITIES = (
    ("Asia/Taipei", "Taipei", "台北", ("taiwan", "kaohsiung"), ("台湾", "高雄", "台中", "台南")),
    ("Asia/Tokyo", "Tokyo", "東京", ("japan", "osaka"), ("日本", "大阪")),
    ("Asia/Seoul", "Seoul", "首爾", ("korea", "south korea"), ("韩国",)),
    ("Asia/Shanghai", "Beijing", "北京", ("shanghai", "china"), ("上海", "中国")),
    ("Asia/Hong_Kong", "Hong Kong", "香港", (), ()),
    ("Asia/Singapore", "Singapore", "新加坡", (), ()),
    ("Asia/Bangkok", "Bangkok", "曼谷", ("thailand",), ("泰国",)),
    ("Asia/Ho_Chi_Minh", "Hanoi", "河內", ("vietnam",), ("越南",)),
    ("Asia/Manila", "Manila", "馬尼拉", ("the philippines",), ("菲律宾",)),
    ("Asia/Jakarta", "Jakarta", "雅加達", (), ()),
    ("Asia/Kuala_Lumpur", "Kuala Lumpur", "吉隆坡", ("malaysia",), ("马来西亚",)),
    ("Asia/Kolkata", "Delhi", "德里", ("india", "new delhi", "mumbai"), ("印度", "新德里", "孟买")),
    ("Asia/Dubai", "Dubai", "杜拜", (), ()),
    ("Europe/London", "London", "倫敦", ("england", "the uk"), ("英国",)),
    ("Europe/Paris", "Paris", "巴黎", ("france",), ("法国",)),
    ("Europe/Berlin", "Berlin", "柏林", ("germany", "munich"), ("德国", "慕尼黑")),
    ("Europe/Rome", "Rome", "羅馬", ("italy",), ("意大利", "义大利")),
    ("Europe/Madrid", "Madrid", "馬德里", ("spain",), ("西班牙",)),
    ("Europe/Amsterdam", "Amsterdam", "阿姆斯特丹", ("the netherlands",), ("荷兰",)),
    ("Europe/Zurich", "Zurich", "蘇黎世", ("switzerland",), ("瑞士",)),
    ("Europe/Vienna", "Vienna", "維也納", ("austria",), ("奥地利",)),
    ("Europe/Moscow", "Moscow", "莫斯科", (), ()),
    ("Europe/Istanbul", "Istanbul", "伊斯坦堡", ("turkey",), ("土耳其",)),
    ("Africa/Cairo", "Cairo", "開羅", ("egypt",), ("埃及",)),
    ("America/New_York", "New York", "紐約", ("boston", "new york city"), ("波士顿",)),
    ("America/Chicago", "Chicago", "芝加哥", (), ()),
    ("America/Denver", "Denver", "丹佛", (), ()),
    ("America/Los_Angeles", "Los Angeles", "洛杉磯", ("california", "san francisco"), ("加州", "旧金山")),
    ("America/Vancouver", "Vancouver", "溫哥華", (), ()),
    ("America/Toronto", "Toronto", "多倫多", (), ()),
    ("America/Sao_Paulo", "São Paulo", "聖保羅", ("sao paulo",), ()),
    ("Pacific/Honolulu", "Honolulu", "檀香山", ("hawaii",), ("夏威夷",)),
    ("Australia/Sydney", "Sydney", "雪梨", ("melbourne",), ("墨尔本", "悉尼")),
    ("Pacific/Auckland", "Auckland", "奧克蘭", ("new zealand",), ("纽西兰", "新西兰")),
)
"""Time zone, name of its city in both languages, and other places with that time."""
_CITIES_EN = {name: row for row in _CITIES for name in (row[1].lower(), *row[3])}
_CITIES_ZH = {name: row for row in _CITIES for name in (to_simplified(row[2]), *row[4])}
_PLACE_EN = "|".join(sorted(_CITIES_EN, key=len, reverse=True))
_PLACE_ZH = "|".join(sorted(_CITIES_ZH, key=len, reverse=True))
_NOW_EN = r"(?: (?:right )?now| at the moment| currently| here)*"
_QUESTIONS_EN = tuple(
    re.compile(rf"{pattern}(?:{_NOW_EN}(?: in (?P<city>{_PLACE_EN}))?{_NOW_EN})")
    for pattern in (
        r"(?:what|which) time (?:is it|it is)",
        r"(?:what is|what's|whats) (?:the |the current )?time(?: is it)?",
        r"(?:the )?current time",
        r"(?:do you have |have you got |you have )?the time(?: is it)?",
        r"what's the current local time",
    )
)
_QUESTIONS_ZH = re.compile(
    rf"(?:现在|目前|请问现在)?(?P<city>{_PLACE_ZH})?(?:的)?(?:现在|目前)?(?:的)?"
    r"(?:时间)?(?:是)?(?:几点(?:钟|几分)?(?:了)?|什么时间(?:了)?|什么时候了)"
    rf"|(?:现在|目前)(?:的)?(?P<city2>{_PLACE_ZH})?(?:的)?时间(?:是(?:多少|什么|几点)?)?"
    rf"|(?P<city3>{_PLACE_ZH})(?:的)?(?:现在|目前)?(?:的)?时间(?:是(?:多少|什么|几点)?)?"
)
_HAS_NOW_ZH = re.compile(r"现在|目前|了$|时间")


def catch_time(request: Request) -> Arguments | None:
    """Return the arguments of `current_time` for a request that asks for the time."""
    if request.locale == "en":
        match = next((found for p in _QUESTIONS_EN if (found := p.fullmatch(request.text))), None)
        row = _CITIES_EN.get(match["city"] or "") if match else None
        is_question = match is not None and request.text not in ("the time", "current time", "the current time")
    else:
        match = _QUESTIONS_ZH.fullmatch(request.text)
        place = next((name for name in match.groups() if name), "") if match else ""
        row = _CITIES_ZH.get(place)
        is_question = match is not None and _HAS_NOW_ZH.search(request.text) is not None
    if not is_question:
        return None
    return {} if row is None else {"time_zone": row[0]}


def answer_time(arguments: Arguments, locale: Locale, now: datetime) -> str:
    """Return the sentence with the time. Raises `ValueError` for an unknown time zone."""
    zone = arguments.get("time_zone")
    row = next((row for row in _CITIES if row[0] == zone), None)
    if zone is not None:
        try:
            now = now.astimezone(ZoneInfo(zone))
        except (OSError, KeyError) as error:  # `ZoneInfoNotFoundError` is a `KeyError`
            raise ValueError("the time zone is unknown") from error
    place = "" if zone is None else (row[1 if locale == "en" else 2] if row else zone.split("/")[-1].replace("_", " "))
    hour = now.hour % 12 or 12
    if locale == "en":
        minute = f":{now.minute:02d}"
        said = f"It is {hour}{minute} {'AM' if now.hour < 12 else 'PM'}"
        return f"In {place}, it{said[2:]}." if place else f"{said}."
    minutes = "整" if now.minute == 0 else f" {now.minute} 分"
    return f"{place}現在是{_part_of_day(now.hour)} {hour} 點{minutes}。"


def _part_of_day(hour: int) -> str:
    if hour < 5:
        return "凌晨"
    if hour < 11:
        return "早上"
    if hour < 13:
        return "中午"
    return "下午" if hour < 18 else "晚上"


CURRENT_TIME = Fact(
    "current_time",
    "Say the time, of the server or of a time zone.",
    {
        "type": "object",
        "properties": {"time_zone": {"type": "string", "description": "IANA name, for example Asia/Tokyo"}},
    },
    catch_time,
    answer_time,
)
