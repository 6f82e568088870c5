"""Tool actions: what the shells do for the tool call tracker, in the order of the list. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from voicechat.tools.definition import ToolDefinition


@dataclass(frozen=True, slots=True)
class StartTool:
    """Run a call. Its result goes to `ToolCallTracker.take_result`."""

    call_id: str
    name: str
    arguments: Mapping[str, Any]
    """Arguments that fit the schema; read-only."""


@dataclass(frozen=True, slots=True)
class CancelTool:
    """Cancel a running call. A result that comes all the same is ignored."""

    call_id: str


@dataclass(frozen=True, slots=True)
class SendOutput:
    """Send a `function_call_output` item, without `response.create`."""

    call_id: str
    text: str


@dataclass(frozen=True, slots=True)
class SendSystemMessage:
    """Send a message item of role `system`, without `response.create`."""

    text: str


@dataclass(frozen=True, slots=True)
class DeclareTools:
    """Declare these tools by `session.update`, before any `RequestResponse` that follows in the list."""

    definitions: tuple[ToolDefinition, ...]


@dataclass(frozen=True, slots=True)
class RequestResponse:
    """Want one reply to the outputs: requested at once, or as soon as no reply is being made.

    The call keeps it as a pending response. While the visitor speaks, the reply to the turn answers it too.
    """

    tools_allowed: bool = True
    """False at the cap of rounds: the request has `tool_choice: "none"`."""


ToolAction = StartTool | CancelTool | SendOutput | SendSystemMessage | DeclareTools | RequestResponse
