"""Tools of an MCP server: which of them are allowed, how they are declared, and what a result says."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from voicechat.tools.calls.result_text import clean_text
from voicechat.tools.calls.schema import SchemaRefused, normalise_schema
from voicechat.tools.definition import DEFAULT_TIMEOUT_S, ApprovalMode, ToolContext, ToolDefinition, ToolResult
from voicechat.tools.mcp.config import McpServerConfig, ToolRule
from voicechat.tools.mcp.variables import hide_secrets
from voicechat.tools.registry import sanitise_name, server_tool_name

logger = logging.getLogger(__name__)

MAX_DESCRIPTION_CHARS = 1024
"""Characters of a server's description that the model gets."""
MAX_TITLE_CHARS = 60
"""Characters of a server's title that the page shows."""
MAX_LISTED_TOOLS = 500
"""Tools of one server that are looked at."""
NOT_TEXT = "[content that is not text]"
"""Text in place of a picture or sound in a result."""

RunTool = Callable[[str, Mapping[str, Any], bool], Awaitable[Any]]
"""Function that calls a tool on its server: name there, arguments, and whether a second try does no harm."""


class McpTool:
    """A tool of a server."""

    def __init__(self, server: McpServerConfig, name: str, definition: ToolDefinition, call: RunTool) -> None:
        self._server = server
        self._name = name
        self._definition = definition
        self._call = call

    @property
    def definition(self) -> ToolDefinition:
        return self._definition

    async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        """Call the tool on its server. A call that only reads is tried again after a lost connection."""
        result = await self._call(self._name, arguments, self._definition.read_only)
        return ToolResult(hide_secrets(result_text(result), self._server.secrets), is_error=bool(result.is_error))


class ToolBook:
    """The tools of one server as they were seen first. One that has changed since stays off."""

    def __init__(self, server: McpServerConfig, call: RunTool) -> None:
        self._server = server
        self._call = call
        self._fingerprints: dict[str, str] = {}
        self._is_first_list = True

    def take_list(self, listed: Iterable[Any]) -> list[McpTool]:
        """Return the usable tools of a list (`mcp_types.Tool`), and log why others are not."""
        tools: list[McpTool] = []
        known = self._server.rules
        names: set[str] = set()
        changed = refused = late = 0
        for one in list(listed)[:MAX_LISTED_TOOLS]:
            rule = (known or {}).get(one.name)
            if rule is None and (known is not None or not is_marked_read_only(one)):
                continue
            names.add(one.name)
            print_now = fingerprint(one)
            is_new = one.name not in self._fingerprints
            if is_new and not self._is_first_list and rule is None:
                late += 1  # without a list of allowed tools, those of the start are the allowed ones
                continue
            if self._fingerprints.setdefault(one.name, print_now) != print_now:
                changed += 1
                continue
            try:
                definition = describe_tool(self._server, one, rule or ToolRule())
            except SchemaRefused:
                refused += 1
                continue
            tools.append(McpTool(self._server, one.name, definition, self._call))
        missing = len((known or {}).keys() - names)
        self._is_first_list = False
        if changed or refused or late or missing:
            logger.warning(
                "tools: some are off server=%s changed=%d unusable_schema=%d appeared_later=%d not_offered=%d",
                *(sanitise_name(self._server.name), changed, refused, late, missing),
            )
        return tools


def is_marked_read_only(tool: Any) -> bool:
    """Return whether the server says that a tool only reads."""
    return tool.annotations is not None and tool.annotations.read_only_hint is True


def fingerprint(tool: Any) -> str:
    """Return a hash of all that a server says of a tool."""
    annotations = tool.annotations.model_dump(mode="json") if tool.annotations is not None else None
    said = [tool.name, tool.title, tool.description, tool.input_schema, annotations]
    return hashlib.sha256(json.dumps(said, sort_keys=True, default=str).encode()).hexdigest()


def describe_tool(server: McpServerConfig, tool: Any, rule: ToolRule) -> ToolDefinition:
    """Return the definition of a tool. Raise SchemaRefused.

    The server's hints make a tool stricter than the default; only the operator's rule makes one laxer.
    """
    hints = tool.annotations
    read_only = is_marked_read_only(tool) if rule.read_only is None else rule.read_only
    is_destructive = hints is not None and hints.destructive_hint is True
    approval = ApprovalMode.BUTTON if is_destructive else ApprovalMode.ASK
    if read_only:
        approval = ApprovalMode.NEVER
    is_closed = hints is not None and hints.open_world_hint is False
    schema = json.loads(hide_secrets(json.dumps(normalise_schema(tool.input_schema)), server.secrets))
    title = tool.title or (hints.title if hints is not None else None) or ""
    title = clean_text(hide_secrets(title, server.secrets), MAX_TITLE_CHARS)
    return ToolDefinition(
        name=server_tool_name(server.name, tool.name),
        description=clean_text(hide_secrets(tool.description or tool.name, server.secrets), MAX_DESCRIPTION_CHARS),
        parameters=schema,
        titles={**({"en": title, "zh": title} if title else {}), **rule.titles},
        source=server.name,
        read_only=read_only,
        open_world=not is_closed if rule.open_world is None else rule.open_world,
        approval=rule.approval or approval,
        timeout_s=rule.timeout_s or server.timeout_s or DEFAULT_TIMEOUT_S,
        hints=rule.hints,
    )


def result_text(result: Any) -> str:
    """Return what a result (`mcp_types.CallToolResult`) says as text."""
    parts = [_block_text(block) for block in result.content]
    if not parts and result.structured_content is not None:
        return json.dumps(result.structured_content, ensure_ascii=False)
    return "\n".join(part for part in parts if part)


def _block_text(block: Any) -> str:
    if block.type == "text":
        return str(block.text)
    if block.type == "resource":
        return str(getattr(block.resource, "text", NOT_TEXT))
    if block.type == "resource_link":
        return str(block.uri)
    return NOT_TEXT
