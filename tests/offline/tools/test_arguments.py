"""Arguments that code reads in a message, and the repair of those that a model wrote."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.support.tools.router_requests import NOW, read_declarations
from offline.llm.tool_calls import matches_schema
from offline.tools.arguments import KnownArguments, complete_arguments, read_arguments, read_duration_s
from offline.tools.declaration import DeclaredTool, read_declaration

TOOLS = {tool["name"]: read_declaration(tool) for tool in read_declarations()}


def tool_with(properties: dict[str, Any], *required: str) -> DeclaredTool:
    parameters = {"type": "object", "properties": properties, "required": list(required)}
    return read_declaration({"name": "f", "description": "", "parameters": parameters})


@pytest.mark.parametrize(
    ("message", "seconds"),
    [
        ("ten minutes", 600),
        ("two and a half minutes", 150),
        ("half an hour", 1800),
        ("an hour and 20 minutes", 4800),
        ("一個半小時", 5400),
        ("三分鐘", 180),
        ("半小時後", 1800),
        ("soon", None),
    ],
)
def test_duration_is_read(message: str, seconds: int | None) -> None:
    assert read_duration_s(message) == seconds


@pytest.mark.parametrize(
    ("message", "name", "known"),
    [
        ("What is 12 times 14?", "calculate", {"expression": "12 * 14"}),
        ("Convert 26 miles to kilometers", "convert_units", None),
        ("Set a timer for ten minutes", "timer", {"seconds": 600}),
        ("What time is it in Tokyo?", "current_time", {"timezone": "Asia/Tokyo"}),
    ],
)
def test_arguments_that_code_knows_need_no_model(message: str, name: str, known: dict[str, Any] | None) -> None:
    read = read_arguments(message, TOOLS[name], NOW)
    assert read.is_complete and (known is None or read.values == known)
    assert matches_schema(dict(read.values), TOOLS[name].parameters)


def test_label_beside_a_duration_is_left_to_the_model() -> None:
    read = read_arguments("Set a pasta timer for ten minutes", TOOLS["timer"], NOW)
    assert (read.values, read.is_complete) == ({"seconds": 600}, False)


def test_duration_in_several_properties_is_divided() -> None:
    tool = tool_with({"hours": {"type": "integer"}, "minutes": {"type": "integer"}}, "hours", "minutes")
    assert read_arguments("90 minutes", tool, NOW).values == {"hours": 1, "minutes": 30}


@pytest.mark.parametrize(
    ("message", "duration", "is_complete"),
    [
        ("Set a timer for three seconds,", "3 seconds", True),
        ("set a timer for an hour and a half", "90 minutes", True),
        ("3秒鐘以後提醒我喝水", "3 seconds", False),
        ("倒數一小時", "1 hour", True),
    ],
)
def test_duration_is_written_as_a_text(message: str, duration: str, is_complete: bool) -> None:
    text = {"type": "string"}
    described = {"name": "timer", "description": "Set timers. Keywords: timer, 倒數, 提醒我."}
    tool = read_declaration(
        {**described, "parameters": {"type": "object", "properties": {"duration": text, "name": text}}}
    )
    assert read_arguments(message, tool, NOW) == KnownArguments({"duration": duration}, is_complete)


def test_optional_argument_that_the_message_does_not_show_is_left_out() -> None:
    written = {"city": "London"}
    assert complete_arguments(written, KnownArguments(), "Will it rain?", TOOLS["get_weather"]) == {}
    assert complete_arguments(written, KnownArguments(), "Rain in London?", TOOLS["get_weather"]) == written
    assert complete_arguments({"city": "台北"}, KnownArguments(), "台北會下雨嗎", TOOLS["get_weather"]) == {
        "city": "台北"
    }


def test_whole_message_stands_for_the_only_required_text() -> None:
    message = "What do my notes say about boilers?"
    assert complete_arguments(None, KnownArguments(), message, TOOLS["search_notes"]) == {"query": message}
    assert complete_arguments(None, KnownArguments(), message, TOOLS["send_message"]) is None


def test_arguments_outside_the_schema_are_refused() -> None:
    tool = tool_with({"level": {"type": "integer", "minimum": 0, "maximum": 10}}, "level")
    assert complete_arguments({"level": 11, "more": 1}, KnownArguments(), "level 11", tool) is None
    assert complete_arguments({"level": 3, "more": 1}, KnownArguments(), "level 3", tool) == {"level": 3}
