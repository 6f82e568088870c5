"""Tools of the process: what the settings name, in one registry and one executor."""

from __future__ import annotations

import importlib.util
import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from voicechat.config.deployment_defaults import is_public_space
from voicechat.config.env_values import SettingsError
from voicechat.config.settings import Settings

from .calls.call_admission import RecentCalls
from .definition import Tool
from .executor import ToolExecutor
from .mcp.config import McpConfig, McpServerConfig, TransportKind, parse_mcp_config
from .mcp.connection import McpConnection
from .python.loader import load_tools
from .registry import ToolRegistry

logger = logging.getLogger(__name__)

MAX_CONFIG_BYTES = 2**20
"""Bytes of the file of MCP servers."""


class ToolRuntime:
    """Registry and executor of the process. Without tools it has no thread and costs nothing."""

    def __init__(
        self,
        registry: ToolRegistry,
        servers: Sequence[McpServerConfig] = (),
        *,
        allows_acting: bool = True,
    ) -> None:
        self.registry = registry
        self.executor = ToolExecutor(registry)
        self.recent_calls = RecentCalls()
        """Calls of the last minute of all visitors who can be told apart."""
        self._servers = servers
        self._allows_acting = allows_acting

    def start(self) -> None:
        """Open the MCP servers in the executor's thread, without waiting. Their tools come as soon as they answer."""
        for server in self._servers:
            self.executor.submit(self._hold(server))

    def close(self) -> None:
        """End all calls and all servers. It blocks, for a few seconds at most."""
        self.executor.close()

    async def _hold(self, server: McpServerConfig) -> None:
        await McpConnection(server, lambda tools: self._take_tools(server.name, tools)).run()

    def _take_tools(self, server: str, tools: Sequence[Tool]) -> None:
        self.registry.set_server_tools(server, keep_allowed(tools, allows_acting=self._allows_acting))


def build_tool_runtime(settings: Settings, environ: Mapping[str, str] | None = None) -> ToolRuntime:
    """Return the tools that the settings name; an empty runtime if they name none. Raise SettingsError.

    `start` opens the MCP servers, and `close` ends them. `environ` has the values for the file of MCP servers.
    """
    given = os.environ if environ is None else environ
    options = settings.tools
    tools: Sequence[Tool] = load_tools(options.tools, options.notes) if options.tools else ()
    config = read_mcp_config(Path(options.mcp_config), given) if options.mcp_config else McpConfig()
    for sentence in config.warnings:
        logger.warning("tools: %s", sentence)
    is_open_to_all = is_public_space(given) and not settings.security.app_password
    servers: Sequence[McpServerConfig] = config.servers
    if is_open_to_all:
        tools = keep_allowed(tools, allows_acting=False)
        refused = [server.name for server in servers if server.kind is TransportKind.STDIO]
        servers = [server for server in servers if server.kind is not TransportKind.STDIO]
        if refused:
            logger.warning("tools: server refused on a public Space without APP_PASSWORD servers=%s", ",".join(refused))
    registry = ToolRegistry(
        tools,
        servers=[server.name for server in servers],
        max_tools=options.max_tools,
        max_seconds=options.tool_seconds,
    )
    if tools:
        logger.info("tools: loaded names=%s", ",".join(registry.definitions))
    return ToolRuntime(registry, servers, allows_acting=not is_open_to_all)


def keep_allowed(tools: Sequence[Tool], *, allows_acting: bool) -> Sequence[Tool]:
    """Return the tools that this deployment may have, and log the names of the others."""
    if allows_acting:
        return tools
    refused = [tool.definition.name for tool in tools if not tool.definition.read_only]
    if refused:
        logger.warning("tools: acting ones refused on a public Space without APP_PASSWORD names=%s", ",".join(refused))
    return [tool for tool in tools if tool.definition.read_only]


def read_mcp_config(path: Path, environ: Mapping[str, str]) -> McpConfig:
    """Return the servers in the file of MCP_CONFIG. Raise SettingsError, also when the MCP package is missing."""
    try:
        with path.expanduser().open("rb") as file:
            text = file.read(MAX_CONFIG_BYTES + 1).decode("utf-8-sig")
    except OSError as error:
        raise SettingsError(f"MCP_CONFIG: the file cannot be read: {error.strerror or type(error).__name__}.") from None
    except UnicodeDecodeError:
        raise SettingsError("MCP_CONFIG: the file must be text in UTF-8.") from None
    if len(text) > MAX_CONFIG_BYTES:
        raise SettingsError(f"MCP_CONFIG: the file is longer than {MAX_CONFIG_BYTES} bytes.")
    config = parse_mcp_config(text, environ)
    if config.servers and importlib.util.find_spec("mcp") is None:
        raise SettingsError("MCP_CONFIG needs the package mcp: start.sh installs it, or pip from requirements-mcp.txt.")
    return config
