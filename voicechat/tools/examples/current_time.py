"""Tool `current_time`: the date and the time, here or elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import Field

from voicechat.tools.definition import ToolContext, ToolResult
from voicechat.tools.examples.places import MAX_PLACE_CHARS, find_zone
from voicechat.tools.python import tool

_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_WEEKDAYS_ZH = "一二三四五六日"
_MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July", "August", "September"),
    *("October", "November", "December"),
)


@tool(
    titles={"en": "Time", "zh": "時間"},
    read_only=True,
    timeout_s=5.0,
    hints=(
        *("what time", "the time", "current time", "what day", "today's date", "what date", "which day", "what year"),
        *("幾點", "現在時間", "今天星期幾", "禮拜幾", "今天幾號", "今天日期", "幾月幾號", "今年是"),
    ),
)
def current_time(
    context: ToolContext,
    place: Annotated[
        str,
        Field(
            description="City, country or IANA timezone; empty for the visitor's own time", max_length=MAX_PLACE_CHARS
        ),
    ] = "",
) -> ToolResult:
    """Return the present date, weekday and time, for the visitor or in a city."""
    return tell_time(context, place, lambda: datetime.now(UTC))


def tell_time(context: ToolContext, place: str, now: Callable[[], datetime]) -> ToolResult:
    """Return the time at a place; `now` gives the present moment with its zone."""
    is_chinese = context.language == "zh"
    found = find_zone(place)
    if place.strip() and found is None:
        english = "I do not know the timezone of that place."
        return ToolResult(english, "這個地方的時區我不曉得。" if is_chinese else english, is_error=True)
    zone, names = found or (_own_zone(context.timezone), ("", ""))
    local = now().astimezone(zone)
    offset = local.strftime("%z")
    text = f"{local:%Y-%m-%d %H:%M}, {_WEEKDAYS[local.weekday()]}, {zone.key} (UTC{offset[:3]}:{offset[3:5]})"
    return ToolResult(text, _said_zh(local, names[1]) if is_chinese else _said_en(local, names[0]))


def _own_zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, KeyError):
        return ZoneInfo("UTC")


def _said_en(local: datetime, place: str) -> str:
    clock = f"{local.hour % 12 or 12}:{local:%M} {'AM' if local.hour < 12 else 'PM'}"
    day = f"{_WEEKDAYS[local.weekday()]}, {_MONTHS[local.month - 1]} {local.day}, {local.year}"
    return f"In {place}, it is {clock} on {day}." if place else f"It is {clock} on {day}."


def _said_zh(local: datetime, place: str) -> str:
    minutes = "整" if local.minute == 0 else f" {local.minute} 分"
    day = f"{local.year} 年 {local.month} 月 {local.day} 日，星期{_WEEKDAYS_ZH[local.weekday()]}"
    return f"{place}現在是 {day}，{_part_of_day(local.hour)} {local.hour % 12 or 12} 點{minutes}。"


def _part_of_day(hour: int) -> str:
    parts = ((5, "凌晨"), (11, "早上"), (13, "中午"), (18, "下午"), (24, "晚上"))
    return next(name for end, name in parts if hour < end)
