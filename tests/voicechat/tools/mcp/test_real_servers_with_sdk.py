"""Two MCP servers that others use: time from PyPI (newer protocol), everything from npm (older protocol)."""

from __future__ import annotations

import os
from pathlib import Path

from tests.support.javascript.javascript_client import ENVIRONMENT, PACKAGES, node_path
from tests.support.mcp.opened_tools import opened_tools
from voicechat.tools.calls.schema import normalise_schema

TIME = ENVIRONMENT / ("Scripts/mcp-server-time.exe" if os.name == "nt" else "bin/mcp-server-time")
EVERYTHING = PACKAGES / "node_modules" / "@modelcontextprotocol" / "server-everything" / "dist" / "index.js"


async def test_time_from_pypi_tells_the_time(tmp_path: Path) -> None:
    entry = {"command": str(TIME), "args": ["--local-timezone", "Asia/Taipei"], "tools": ["get_current_time"]}
    async with opened_tools(tmp_path, {"time": entry}) as tools:
        await tools.wait_for("time__get_current_time")
        assert tools.names == ["time__get_current_time"]
        result = await tools.call("time__get_current_time", timezone="Asia/Taipei")
        assert "+08:00" in result.text and not result.is_error
        assert (await tools.call("time__get_current_time", timezone="Nowhere/Town")).is_error


async def test_everything_from_npm_echoes_and_shows_no_key(tmp_path: Path) -> None:
    entry = {"command": str(node_path()), "args": [str(EVERYTHING)]}
    every = {"echo": {}, "get-env": {"readOnly": True}}
    servers = {"all": entry, "some": {**entry, "tools": every, "env": {"TOKEN": "${TOKEN}"}}}
    async with opened_tools(tmp_path, servers, {"TOKEN": "canary-token"}) as tools:
        await tools.wait_for("some__echo")
        assert "hello" in (await tools.call("some__echo", message="hello")).text
        assert "canary" not in (await tools.call("some__get-env")).text
        await tools.wait_for("all__echo")
        definitions = tools.runtime.registry.definitions
        assert all(one.read_only for name, one in definitions.items() if name.startswith("all__"))
        assert all(normalise_schema(one.parameters) for one in definitions.values())
