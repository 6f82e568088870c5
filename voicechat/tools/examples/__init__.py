"""Included tools, all of them off by default: `TOOLS=examples` switches them on.

They also show how a tool is written. `search_notes` needs a folder, NOTES.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from voicechat.config.env_values import SettingsError
from voicechat.tools.examples.calculate import calculate
from voicechat.tools.examples.convert_units import convert_units
from voicechat.tools.examples.current_time import current_time
from voicechat.tools.examples.search_notes import search_notes_tool
from voicechat.tools.examples.timer import timer
from voicechat.tools.python import PythonTool

__all__ = ["calculate", "convert_units", "current_time", "example_tools", "timer"]


def example_tools(notes: str = "") -> list[PythonTool[Any, Any]]:
    """Return the included tools; `search_notes` is one of them when `notes` names a folder. Raise SettingsError."""
    tools: list[PythonTool[Any, Any]] = [current_time, timer, calculate, convert_units]
    if notes:
        folder = Path(notes).expanduser()
        if not folder.is_dir():
            raise SettingsError("NOTES must be a folder that exists.")
        tools.append(search_notes_tool(folder))
    return tools
