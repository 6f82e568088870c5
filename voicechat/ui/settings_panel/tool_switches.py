"""Tools group of the settings panel: which tools are on. A visitor may switch one off, and never adds any."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import gradio as gr

from voicechat.config.call_preferences import CallPreferences
from voicechat.tools.definition import ApprovalMode, ToolDefinition
from voicechat.ui.i18n import TOOL_SETTINGS_TEXTS, Locale, get_message, label

from .group import group

MAX_SWITCHED_OFF = 100
"""Tools that a visitor has switched off, as a browser keeps them."""
MAX_TOOL_NAME_CHARS = 64
"""Characters of a tool's name."""

ToolsProvider = Callable[[], Mapping[str, ToolDefinition]]
"""Return the operator's tools by name, as they are now: an MCP server may come later."""


def no_tools() -> Mapping[str, ToolDefinition]:
    """Return the tools of an operator who configured none."""
    return {}


def build(*, visible: bool) -> gr.CheckboxGroup:
    """Lay out the group in the current Blocks."""
    with group("tools", visible=visible):
        switches = gr.CheckboxGroup(choices=[], value=[], label=label("wish_tools"), elem_id="wish-tools")
        gr.HTML('<p class="note" data-text="tools_note"></p>', padding=False)
    return switches


def tool_choices(tools: Mapping[str, ToolDefinition], locale: Locale) -> list[tuple[str, str]]:
    """Return the switches as (words, name): the title, and whether the visitor is asked before each call."""
    asks = get_message(TOOL_SETTINGS_TEXTS, "asks", locale)
    return [
        (tool.title(locale) if tool.approval is ApprovalMode.NEVER else f"{tool.title(locale)} · {asks}", name)
        for name, tool in tools.items()
    ]


def switched_off(tools: Mapping[str, ToolDefinition], shown: object, before: CallPreferences) -> list[str]:
    """Return the tools that are off. `shown`: the names that the page has switched on.

    A tool that is not there at the moment, such as one of an MCP server that has ended, stays as it was.
    """
    on = set(parse_tool_names(shown))
    off = {name for name in tools if name not in on}
    return sorted(off | {name for name in before.switched_off_tools if name not in tools})


def parse_tool_names(value: Any) -> frozenset[str]:
    """Return the names in a list that a browser has sent; none for any other value."""
    if not isinstance(value, list | tuple | frozenset):
        return frozenset()
    names = [name for name in value if isinstance(name, str) and 0 < len(name) <= MAX_TOOL_NAME_CHARS]
    return frozenset(names[:MAX_SWITCHED_OFF])
