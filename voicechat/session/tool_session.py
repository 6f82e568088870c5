"""Tools of a session: the calls that its state machine wants run, their results, and the visitor's decisions."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from voicechat.config.settings import Endpoint
from voicechat.limits.billing import MetricsSink
from voicechat.tools.calls.actions import CancelTool
from voicechat.tools.calls.tool_call import ToolCall
from voicechat.tools.definition import ToolResult
from voicechat.turn_taking.call import CallStateMachine

from .tool_runs import ToolRuns, declare_tool

TakeToolResult = Callable[[str, ToolResult, float], list[dict[str, Any]]]
"""Method of the call that takes a result: id of the call, result, time."""


class ToolSession:
    """The part of a session that concerns tools. `BaseSession` has the rest."""

    clock: Callable[[], float]
    _call: CallStateMachine
    _tool_runs: ToolRuns
    _metrics: MetricsSink
    _timezone: str

    @property
    def is_active(self) -> bool:
        """The session is neither ended nor failed."""
        raise NotImplementedError

    def fail(self, error: Exception) -> None:
        """End the session because of an internal error."""
        raise NotImplementedError

    def _send(self, events: list[dict[str, Any]]) -> None:
        raise NotImplementedError

    def _build_live_updates(self) -> list[dict[str, Any]]:
        """Return the events that bring the connected server to the settings that are wanted now."""
        raise NotImplementedError

    def _on_change(self) -> None:
        """Note that the snapshot may differ."""

    def _on_tool_ended(self, call: ToolCall) -> None:
        """Note that a call of a tool has ended."""

    # ---------------------------------------------------------------- tools

    def _declared_tools(self, endpoint: Endpoint) -> list[dict[str, Any]]:
        """Return the tools that the model may call now, as the protocol declares them."""
        return [declare_tool(definition, endpoint.kind) for definition in self._call.tools.tracker.definitions]

    def _run_tools(self) -> None:
        """Start and stop tools as the call wants it, and count those that have ended."""
        tools = self._call.tools
        for command in tools.take_commands():
            if isinstance(command, CancelTool):
                self._tool_runs.cancel(command.call_id)
            else:
                on_done, on_announcement = (
                    partial(self._take_from_tool, take, command.call_id)
                    for take in (self._call.take_tool_result, self._call.announce)
                )
                self._tool_runs.start(command, tools.language, self._timezone, on_done, on_announcement)
        for call in tools.take_finished():
            self._count_tool(call)

    def _take_from_tool(self, take: TakeToolResult, call_id: str, result: ToolResult) -> None:
        """Hand a result or an announcement to the call, and send what follows at once."""
        if self.is_active:
            try:
                self._send(take(call_id, result, self.clock()))
            except Exception as error:
                self.fail(error)
            self._on_change()

    def _count_tool(self, call: ToolCall) -> None:
        known = call.name if call.name in self._tool_runs.definitions else "other"
        ran = call.started_at is not None and call.ended_at is not None
        seconds = (call.ended_at or 0.0) - (call.started_at or 0.0) if ran else None
        self._metrics.record_tool_call(known, call.state.value, seconds)
        self._on_tool_ended(call)

    def _apply_tools(self) -> None:
        """Declare the tools that are there now and not switched off."""
        if self.is_active:
            self._call.tools.tracker.set_tools(self._tool_runs.definitions)
            self._send(self._build_live_updates())

    def set_disabled_tools(self, names: frozenset[str]) -> None:
        """Switch tools off by name, and all others on."""
        self._tool_runs.disabled = names
        self._apply_tools()

    def approve(self, call_id: str, allowed: bool) -> None:
        """Take the visitor's decision about an acting tool, by button."""
        self._send(self._call.approve(call_id, allowed, self.clock()))
        self._on_change()

    def cancel_tool(self, call_id: str) -> None:
        """Cancel one call of a tool."""
        self._send(self._call.cancel_tool(call_id, self.clock()))
        self._on_change()
