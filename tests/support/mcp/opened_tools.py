"""Tools of MCP servers in a running executor."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Hashable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from voicechat.config.settings import Settings
from voicechat.tools.definition import ToolContext, ToolResult
from voicechat.tools.runtime import ToolRuntime, build_tool_runtime

WAIT_S = 60
"""Seconds that a test waits for a server, at most."""
FAULT_SERVER = Path(__file__).with_name("fault_server.py")


def fault_entry(folder: Path, **more: Any) -> dict[str, Any]:
    """Return the entry of the fault server in a file of MCP servers."""
    return {"command": sys.executable, "args": [str(FAULT_SERVER), str(folder)], **more}


class OpenedTools:
    """The tools of a runtime, called from the test's loop."""

    def __init__(self, runtime: ToolRuntime) -> None:
        self.runtime = runtime
        self._changed = asyncio.Event()
        self._calls = 0
        loop = asyncio.get_running_loop()
        runtime.registry.add_listener(lambda: loop.call_soon_threadsafe(self._changed.set))

    @property
    def names(self) -> list[str]:
        return list(self.runtime.registry.definitions)

    async def wait_for(self, name: str, *, is_there: bool = True) -> None:
        """Wait until a tool is there, or is not."""
        async with asyncio.timeout(WAIT_S):
            while (name in self.names) is not is_there:
                await self._changed.wait()
                self._changed.clear()

    async def call(self, name: str, **arguments: Any) -> ToolResult:
        """Return the result of a call."""
        self._calls += 1
        future: asyncio.Future[ToolResult] = asyncio.get_running_loop().create_future()
        key = (id(self), self._calls)
        self.runtime.executor.start(key, name, arguments, ToolContext(), future.set_result)
        async with asyncio.timeout(WAIT_S):
            return await future

    def start(self, name: str, **arguments: Any) -> Hashable:
        """Start a call whose result is not awaited. Return its key, with which the executor cancels it."""
        self._calls += 1
        key = (id(self), self._calls)
        self.runtime.executor.start(key, name, arguments, ToolContext(), lambda result: None)
        return key

    async def call_until_answered(self, name: str, **arguments: Any) -> ToolResult:
        """Return the first result that is not an error: the server may be away for a moment."""
        async with asyncio.timeout(WAIT_S):
            while (result := await self.call(name, **arguments)).is_error:
                pass
        return result


@asynccontextmanager
async def opened_tools(
    folder: Path, servers: Mapping[str, Any], environ: Mapping[str, str] | None = None, **options: Any
) -> AsyncIterator[OpenedTools]:
    """Start the servers of a file, and end them."""
    file = folder / "mcp.json"
    file.write_text(json.dumps({"mcpServers": servers}), encoding="utf-8")
    variables = {"MCP_CONFIG": str(file), "MAX_TOOLS": "64", **{name: str(value) for name, value in options.items()}}
    runtime = build_tool_runtime(Settings.from_env(variables), environ or {})
    tools = OpenedTools(runtime)
    runtime.start()
    try:
        yield tools
    finally:
        await asyncio.to_thread(runtime.close)
