"""MCP server over streamable HTTP in this process, made with the MCP package."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from mcp import MCPError
from mcp.server.mcpserver import MCPServer
from mcp_types import INTERNAL_ERROR, ToolAnnotations

READS = ToolAnnotations(read_only_hint=True, open_world_hint=False)


def make_server() -> MCPServer:
    """Return a server with a few tools."""
    server = MCPServer("http")

    @server.tool(annotations=READS)
    def double(number: int) -> int:
        """Double a number."""
        return 2 * number

    @server.tool(annotations=READS)
    def much(size: int) -> str:
        """Return much text."""
        return "x" * size

    @server.tool()
    def act() -> str:
        """Act."""
        return "acted"

    @server.tool(annotations=READS)
    def fail() -> str:
        """Fail with the protocol's error of a fault inside the server."""
        raise MCPError(code=INTERNAL_ERROR, message="SECRET-ERROR")

    return server


@asynccontextmanager
async def serve(port: int = 0, *, json_response: bool = False) -> AsyncIterator[int]:
    """Serve on a port of this computer, and yield its number."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        app = make_server().streamable_http_app(json_response=json_response)
        config = uvicorn.Config(app, log_level="critical", timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign, assignment]
        task = asyncio.create_task(server.serve([listener]))
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = server.force_exit = True
            await asyncio.wait({task})
