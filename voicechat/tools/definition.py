"""Tool definitions: what a model, a visitor and the executor know of one tool. Pure."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from voicechat.tools.memory import ToolMemory

DEFAULT_TIMEOUT_S = 20.0
"""Seconds that a call may run."""


class ApprovalMode(enum.Enum):
    """Who must agree before a call of a tool runs."""

    NEVER = "never"
    """A call runs at once: the tool only reads."""
    ASK = "ask"
    """The visitor is asked: a button, or a spoken yes."""
    BUTTON = "button"
    """The visitor is asked, by button only: money and deletion."""


@dataclass(frozen=True, slots=True)
class ToolDefinition:
    """One tool, as it is declared to the model and shown to the visitor."""

    name: str
    """`[A-Za-z0-9_-]{1,64}`. Tools of an MCP server: `server__tool`."""
    description: str
    """For the model, at most 1,024 characters."""
    parameters: Mapping[str, Any]
    """JSON schema of an object, without `$ref`."""
    titles: Mapping[str, str] = field(default_factory=dict)
    """Name for the visitor by language, "en" and "zh"; else `name` is shown."""
    source: str = "python"
    """"python", or the name of the MCP server."""
    read_only: bool = True
    """Whether a call changes nothing. An acting tool never runs out of an interrupted reply."""
    open_world: bool = False
    """Whether results contain text of strangers. After one, no acting tool runs without approval."""
    approval: ApprovalMode = ApprovalMode.NEVER
    timeout_s: float = DEFAULT_TIMEOUT_S
    """Seconds that a call may run."""
    hints: tuple[str, ...] = ()
    """Words of a request that ask for this tool, in any language. The embedded server's router matches them."""

    def title(self, language: str) -> str:
        """Return the name shown in `language` ("en", "zh" or a tag such as "zh-TW")."""
        return self.titles.get(language.split("-")[0].lower(), self.name)


@dataclass(frozen=True, slots=True)
class ToolResult:
    """The outcome of one call."""

    text: str
    """For the model; bounded before it is sent."""
    speech: str = ""
    """A sentence that says the result, in the language of the turn. A small model speaks it as it is."""
    is_error: bool = False


@dataclass(frozen=True, slots=True)
class ToolContext:
    """What a running call may know and do. A tool's function gets it when it has a parameter of this type."""

    language: str = "en"
    """Language of the visitor's last turn: "en" or "zh"."""
    timezone: str = "UTC"
    """IANA name of the visitor's timezone."""
    announce: Callable[[ToolResult], None] = lambda result: None
    """Tell the visitor something later, after the call has ended. Callable from any thread."""
    memory: ToolMemory = field(default_factory=ToolMemory)
    """What tools keep for the conversation: the same one in all its calls, closed at its end."""


class Tool(Protocol):
    """A tool that can be run. An exception ends the call as failed; the executor bounds time and result."""

    @property
    def definition(self) -> ToolDefinition: ...

    async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        """Run one call with arguments that fit the schema."""
        ...
