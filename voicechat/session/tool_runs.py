"""Tool runs of one session: what its call wants from the executor, and the tools that it declares."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

from voicechat.config.settings import Endpoint, ServerKind, Settings
from voicechat.tools.calls.actions import StartTool
from voicechat.tools.calls.call_admission import CountRecent, RecentCalls
from voicechat.tools.calls.tool_call_tracker import ToolCallTracker, ToolLimits
from voicechat.tools.definition import ToolContext, ToolDefinition, ToolResult
from voicechat.tools.memory import ToolMemory
from voicechat.tools.runtime import ToolRuntime

FAILED_START = ToolResult("The tool could not be started.", is_error=True)
XAI_HOST_SUFFIX = ".x.ai"
"""Ending of the hosts whose models say the outcome in the reply that calls."""

Event = dict[str, Any]


def declare_tool(definition: ToolDefinition, kind: ServerKind) -> Event:
    """Return a tool as `session.update` declares it. The embedded server's router reads its hints."""
    has_hints = kind is ServerKind.OFFLINE and bool(definition.hints)
    hints = f" Keywords: {', '.join(definition.hints)}." if has_hints else ""
    return {
        "type": "function",
        "name": definition.name,
        "description": definition.description + hints,
        "parameters": dict(definition.parameters),
    }


def build_tracker(
    tools: Mapping[str, ToolDefinition], settings: Settings, count_recent: CountRecent | None = None
) -> ToolCallTracker:
    """Return the tracker of a session. `count_recent`: see there."""
    chosen = settings.tools
    return ToolCallTracker(
        tools,
        ToolLimits(
            tool_seconds=chosen.tool_seconds,
            result_chars=chosen.tool_result_chars,
            max_calls=chosen.max_tool_calls,
            approval_seconds=chosen.approval_seconds,
        ),
        count_recent=count_recent,
    )


def adapt_tracker(tracker: ToolCallTracker, endpoint: Endpoint) -> None:
    """Prepare a tracker for a connection to this server."""
    is_xai = f".{endpoint.host}".endswith(XAI_HOST_SUFFIX)
    tracker.set_server(approve_tool=endpoint.kind is not ServerKind.OFFLINE, speaks_first=is_xai)


class ToolRuns:
    """Calls of one session in the executor of the process. Without a runtime there are no tools."""

    def __init__(self, runtime: ToolRuntime | None, disabled: frozenset[str] = frozenset()) -> None:
        """`disabled`: names of the tools that the visitor has switched off."""
        self._runtime = runtime
        self.disabled = disabled
        self._memory = ToolMemory()
        self._remove_listener: Callable[[], None] | None = None

    @property
    def definitions(self) -> dict[str, ToolDefinition]:
        """Tools that the session may use now, by name."""
        found = self._runtime.registry.definitions if self._runtime is not None else {}
        return {name: definition for name, definition in found.items() if name not in self.disabled}

    def count_recent(self, visitor_key: str, own: RecentCalls | None) -> CountRecent | None:
        """Return what counts a visitor's last minute. `own`: counts one page where visitors cannot be told apart."""
        if visitor_key and self._runtime is not None:
            return partial(self._runtime.recent_calls.count, visitor_key)
        return None if own is None else partial(own.count, "")

    def watch(self, on_change: Callable[[], None]) -> None:
        """Call `on_change` in this event loop whenever servers of tools come or go."""
        if self._runtime is not None and self._remove_listener is None:
            loop = asyncio.get_running_loop()

            def listener() -> None:
                with suppress(RuntimeError):  # the loop is closed
                    loop.call_soon_threadsafe(on_change)

            self._remove_listener = self._runtime.registry.add_listener(listener)

    def start(
        self,
        command: StartTool,
        language: str,
        timezone: str,
        on_done: Callable[[ToolResult], None],
        on_announcement: Callable[[ToolResult], None],
    ) -> None:
        """Run a call. Both functions are called in this event loop."""
        loop = asyncio.get_running_loop()

        def announce(result: ToolResult) -> None:
            with suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(on_announcement, result)

        context = ToolContext(language=language, timezone=timezone or "UTC", announce=announce, memory=self._memory)
        if self._runtime is None:
            loop.call_soon(on_done, FAILED_START)
            return
        try:
            self._runtime.executor.start((self, command.call_id), command.name, command.arguments, context, on_done)
        except ValueError:
            loop.call_soon(on_done, FAILED_START)

    def cancel(self, call_id: str) -> None:
        """Stop a call."""
        if self._runtime is not None:
            self._runtime.executor.cancel((self, call_id))

    def forget(self) -> None:
        """End what tools have kept for the conversation, such as timers. Later calls may keep more."""
        self._memory.close()
        self._memory = ToolMemory()

    def close(self) -> None:
        """End what tools have kept for the session, such as timers, and watch no more."""
        self._memory.close()
        if self._remove_listener is not None:
            self._remove_listener()
            self._remove_listener = None
