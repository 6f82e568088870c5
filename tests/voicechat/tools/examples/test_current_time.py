"""Time: the visitor's zone, places in both languages, and unknown ones."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from voicechat.tools.definition import ToolContext
from voicechat.tools.examples import current_time
from voicechat.tools.examples.current_time import tell_time

NOON = datetime(2026, 11, 27, 12, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("place", "english", "chinese"),
    [
        (
            "",
            "It is 8:05 PM on Friday, November 27, 2026.",
            "現在是 2026 年 11 月 27 日，星期五，晚上 8 點 5 分。",
        ),
        (
            "Tokyo",
            "In Tokyo, it is 9:05 PM on Friday, November 27, 2026.",
            "東京現在是 2026 年 11 月 27 日，星期五，晚上 9 點 5 分。",
        ),
        (
            "紐約",
            "In New York, it is 7:05 AM on Friday, November 27, 2026.",
            "紐約現在是 2026 年 11 月 27 日，星期五，早上 7 點 5 分。",
        ),
        (
            "Pacific/Kiritimati",
            "In Kiritimati, it is 2:05 AM on Saturday, November 28, 2026.",
            "Kiritimati現在是 2026 年 11 月 28 日，星期六，凌晨 2 點 5 分。",
        ),
    ],
)
def test_time_at_a_place_is_said_in_both_languages(place: str, english: str, chinese: str) -> None:
    en, zh = (ToolContext(language=language, timezone="Asia/Taipei") for language in ("en", "zh"))
    assert tell_time(en, place, lambda: NOON).speech == english
    assert tell_time(zh, place, lambda: NOON).speech == chinese


def test_time_for_the_model_names_day_zone_and_offset() -> None:
    result = tell_time(ToolContext(timezone="Asia/Kolkata"), "", lambda: NOON)
    assert result.text == "2026-11-27 17:35, Friday, Asia/Kolkata (UTC+05:30)"


@pytest.mark.parametrize("place", ["Atlantis", "../../etc/passwd", "/etc/localtime", "Asia/../Asia/Taipei", "\0"])
def test_time_of_an_unknown_place_is_not_guessed(place: str) -> None:
    result = tell_time(ToolContext(language="zh"), place, lambda: NOON)
    assert result.is_error
    assert result.speech == "這個地方的時區我不曉得。"


@pytest.mark.parametrize("zone", ["", "Nowhere/Town", "../etc", "x" * 300])
async def test_time_with_a_wrong_zone_of_the_visitor_is_utc(zone: str) -> None:
    result = await current_time.run({}, ToolContext(timezone=zone))
    assert "(UTC+00:00)" in result.text
