"""Tools that a model may call: where they come from, and their limits."""

from __future__ import annotations

from typing import ClassVar

from voicechat.config.env_values import setting
from voicechat.config.settings_base import SettingsBase

MAX_SOURCE_CHARS = 1000
"""Characters of TOOLS and of MCP_CONFIG."""


class ToolsSettings(SettingsBase):
    """Tools of calls and chats. None is on by default."""

    TITLES: ClassVar = ("Tools", "工具")

    tools: str = setting(
        "",
        "模型可以呼叫的 Python 工具：一個 `.py` 檔、一個資料夾，或內附的 `examples`；可以用逗號隔開好幾個。",
        max_length=MAX_SOURCE_CHARS,
        example="examples",
    )
    """Python tools that the model may call: a `.py` file, a folder, or `examples` for those included. Commas separate
    several."""
    mcp_config: str = setting(
        "",
        "MCP 伺服器的 JSON 設定檔，格式和其他程式的 `mcpServers` 相同。`start.sh` 會在有設定時安裝 MCP 套件。",
        max_length=MAX_SOURCE_CHARS,
        example="mcp.json",
    )
    """JSON file of MCP servers, in the usual form with `mcpServers`. `start.sh` installs the MCP package when it is
    set."""
    max_tools: int = setting(16, "最多幾個工具。每個工具的說明每次回答都要讀，太多會變慢也變貴。", ge=1, le=128)
    """Tools at most. The model reads the description of each one for every reply, which costs time and money."""
    tool_seconds: float = setting(20.0, "一次呼叫最多跑幾秒，超過就當作失敗。", ge=1, le=600)
    """Seconds that one call may run. A longer call counts as failed."""
    tool_result_chars: int = setting(4000, "一次呼叫的結果最多給模型幾個字，多的截掉。", ge=200, le=100_000)
    """Characters of a result that the model gets. The rest is cut off."""
    max_tool_calls: int = setting(50, "一段對話裡最多呼叫幾次工具。", ge=1, le=10_000)
    """Calls of tools in one conversation."""
    approval_seconds: float = setting(30.0, "會動手的工具等使用者同意幾秒，沒有回答就當作不同意。", ge=5, le=600)
    """Seconds that an acting tool waits for the visitor's yes. Without an answer it counts as refused."""
