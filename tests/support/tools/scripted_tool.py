"""Scripted tool: runs until the test gives its result."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from voicechat.tools.definition import ApprovalMode, ToolContext, ToolDefinition, ToolResult
from voicechat.tools.registry import ToolRegistry
from voicechat.tools.runtime import ToolRuntime


class ScriptedTool:
    """Tool that notes its calls. Without `result` it runs until it is cancelled."""

    def __init__(self, name: str, result: str | None = "42", *, read_only: bool = True) -> None:
        self.definition = ToolDefinition(
            name,
            f"The tool {name}.",
            {"type": "object", "properties": {"at": {"type": "string"}}},
            read_only=read_only,
            approval=ApprovalMode.NEVER if read_only else ApprovalMode.ASK,
        )
        self.contexts: list[ToolContext] = []
        self.is_cancelled = threading.Event()
        self._result = result

    async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        self.contexts.append(context)
        if self._result is not None:
            return ToolResult(self._result)
        try:
            return await asyncio.Future()
        except asyncio.CancelledError:
            self.is_cancelled.set()
            raise


@contextmanager
def running_tools(*tools: ScriptedTool, servers: Sequence[str] = ()) -> Iterator[ToolRuntime]:
    """Run the executor of these tools until the block ends. `servers`: names of servers of further tools."""
    runtime = ToolRuntime(ToolRegistry(tools, servers=servers))
    try:
        yield runtime
    finally:
        runtime.close()
