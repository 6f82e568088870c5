"""Registry: names that every server takes, clashes, and the greatest number of tools."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicechat.config.env_values import SettingsError
from voicechat.tools.definition import ToolContext, ToolDefinition, ToolResult
from voicechat.tools.registry import ToolRegistry, is_tool_name, sanitise_name, server_tool_name


class NamedTool:
    """A tool with a name and no use."""

    def __init__(self, name: str, timeout_s: float = 5.0) -> None:
        self.definition = ToolDefinition(name, "A tool.", {"type": "object"}, timeout_s=timeout_s)

    async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        return ToolResult(self.definition.name)


@given(st.text(), st.text())
def test_server_tool_name_of_any_text_is_taken_by_every_server(server: str, name: str) -> None:
    assert is_tool_name(server_tool_name(server, name))


def test_server_tool_name_of_long_names_stays_different() -> None:
    names = {server_tool_name("server", "x" * 80 + end) for end in "abc"}
    assert len(names) == 3
    assert server_tool_name("a b", "c.d e") == "a_b__c_d_e"
    assert sanitise_name("時間") == ""


@pytest.mark.parametrize("name", ["", "a b", "x" * 65, "時間"])
def test_registry_with_a_python_name_that_no_server_takes_raises(name: str) -> None:
    with pytest.raises(SettingsError, match="letters, digits"):
        ToolRegistry([NamedTool(name)])


def test_registry_with_a_python_name_twice_raises() -> None:
    with pytest.raises(SettingsError, match="two tools have the name 'a'"):
        ToolRegistry([NamedTool("a"), NamedTool("a")])


def test_registry_with_too_many_python_tools_raises() -> None:
    with pytest.raises(SettingsError, match="has 3 tools, and MAX_TOOLS is 2"):
        ToolRegistry([NamedTool(name) for name in "abc"], max_tools=2)


def test_registry_bounds_time_limits() -> None:
    registry = ToolRegistry([NamedTool("a", 5), NamedTool("b", 50)], max_seconds=20)
    assert [one.timeout_s for one in registry.definitions.values()] == [5, 20]


def test_registry_with_server_tools_keeps_the_order_of_the_servers() -> None:
    registry = ToolRegistry([NamedTool("a")], servers=["one", "two"], max_tools=3)
    before = registry.definitions
    registry.set_server_tools("two", [NamedTool("two__x"), NamedTool("two__y")])
    registry.set_server_tools("one", [NamedTool("one__x")])
    assert list(registry.definitions) == ["a", "one__x", "two__x"]
    assert list(before) == ["a"]
    registry.set_server_tools("one", [])
    assert list(registry.definitions) == ["a", "two__x", "two__y"]
    assert registry.get("one__x") is None


def test_registry_with_clashing_server_tools_takes_none_of_them(caplog: pytest.LogCaptureFixture) -> None:
    registry = ToolRegistry([NamedTool("one__a")], servers=["one"])
    registry.set_server_tools(
        "one", [NamedTool("one__a"), NamedTool("one__b"), NamedTool("one__b"), NamedTool("one__c")]
    )
    assert list(registry.definitions) == ["one__a", "one__c"]
    assert "names clash server=one count=2" in caplog.text


def test_registry_calls_listeners_after_changes_only() -> None:
    registry, calls = ToolRegistry(servers=["one"]), []
    stop = registry.add_listener(lambda: calls.append(list(registry.definitions)))
    registry.set_server_tools("one", [NamedTool("one__a")])
    registry.set_server_tools("one", [NamedTool("one__a")])
    stop()
    registry.set_server_tools("one", [])
    assert calls == [["one__a"]]
