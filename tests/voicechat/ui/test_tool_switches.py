"""Switches of the tools in the settings panel."""

from __future__ import annotations

import json

import pytest

from voicechat.config.call_preferences import CallPreferences, EffectiveFrom, effective_from
from voicechat.tools.definition import ApprovalMode, ToolDefinition
from voicechat.ui.settings_panel.call_preferences import parse_kept_preferences, parse_preferences
from voicechat.ui.settings_panel.tool_switches import parse_tool_names, switched_off, tool_choices

TOOLS = {
    "clock": ToolDefinition("clock", "", {}, titles={"en": "Clock", "zh": "時鐘"}),
    "send": ToolDefinition("send", "", {}, approval=ApprovalMode.ASK),
}
FIELDS = [None, None, "default", "", "", "balanced", "default", 1.0, 0]


def test_choices_name_each_tool_in_the_language_of_the_page() -> None:
    assert tool_choices(TOOLS, "en") == [("Clock", "clock"), ("send · asks you first", "send")]
    assert tool_choices(TOOLS, "zh-TW")[0] == ("時鐘", "clock")


def test_switched_off_are_the_tools_that_the_page_does_not_name() -> None:
    assert switched_off(TOOLS, ["clock"], CallPreferences()) == ["send"]
    assert switched_off(TOOLS, ["clock", "send", "more"], CallPreferences()) == []
    assert switched_off(TOOLS, None, CallPreferences()) == ["clock", "send"]


def test_switched_off_tool_of_a_server_that_is_away_stays_off() -> None:
    before = CallPreferences(switched_off_tools=frozenset({"notes__search"}))
    assert switched_off(TOOLS, ["clock", "send"], before) == ["notes__search"]


def test_switches_count_from_the_next_answer_on_during_a_call() -> None:
    before, after = CallPreferences(), CallPreferences(switched_off_tools=frozenset({"send"}))
    assert effective_from(before, after, in_call=True) is EffectiveFrom.NEXT_TURN
    assert effective_from(before, after, in_call=False) is EffectiveFrom.NEXT_CALL


def test_kept_preferences_hold_the_switches() -> None:
    kept = parse_kept_preferences(json.dumps([*FIELDS, ["send"]]))
    assert kept is not None and kept.switched_off_tools == {"send"}


def test_kept_preferences_of_a_version_without_tools_are_still_read() -> None:
    kept = parse_kept_preferences(json.dumps(FIELDS))
    assert kept == parse_preferences(*FIELDS) and kept.switched_off_tools == frozenset()


@pytest.mark.parametrize("names", [None, "send", 3, {"send": 1}, [None, 1, "x" * 65, ""]])
def test_hostile_names_of_tools_are_ignored(names: object) -> None:
    assert parse_tool_names(names) == frozenset()
