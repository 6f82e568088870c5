"""Transport to an MCP server in a process of its own: JSON in lines, each of a bounded length.

The MCP package's own transport reads lines of any length, and logs what it cannot read.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from voicechat.tools.mcp.config import McpServerConfig
from voicechat.tools.mcp.variables import INHERITED
from voicechat.tools.registry import sanitise_name

logger = logging.getLogger(__name__)

MAX_LINE_BYTES = 4 * 2**20
"""Bytes of one message. A process that writes a longer one is ended."""
MAX_PARSED_BYTES = 2**19
"""Bytes of a message that is read. The reading of 4 MiB holds up every thread for 40 ms."""
TOO_LONG_CODE = -32097
"""Error code with which the transport answers a call whose result is not read."""
MAX_JUNK_BYTES = 2**20
"""Bytes outside messages that one process may write to its output."""
CHUNK_BYTES = 2**14
"""Bytes read at once."""
UNUSED_NOTIFICATIONS = frozenset(
    {"notifications/message", "notifications/progress", "notifications/resources/updated"}
    | {"notifications/resources/list_changed", "notifications/prompts/list_changed"}
)
"""Notifications that nothing here reads. A flood of them would keep the client busy."""
PAUSE_S = 0.001
"""Seconds between two chunks of a flood, in which other threads run."""
EXIT_S = 2.0
"""Seconds that a process gets to end by itself, and then to end after SIGTERM."""
DRAIN_S = 0.5
"""Seconds for the rest of an ended process's output. A child of it may hold the pipe open."""

ID_SEARCH_BYTES = 200
"""Bytes at either end of a long message in which its number is looked for."""
_ID_AT_START = re.compile(rb'\s*\{\s*(?:"jsonrpc"\s*:\s*"2\.0"\s*,\s*)?"id"\s*:\s*(?P<id>\d{1,15})\s*,')
_ID_AT_END = re.compile(rb'[}\]"\d]\s*,\s*"id"\s*:\s*(?P<id>\d{1,15})\s*(?:,\s*"jsonrpc"\s*:\s*"2\.0"\s*)?\}\s*$')


class ServerFlood(Exception):
    """A server wrote a message that is too long, or too much else."""


class LineSplitter:
    """Splits a stream of bytes into lines, and refuses one that is too long before it is complete."""

    def __init__(self, max_bytes: int = MAX_LINE_BYTES) -> None:
        self._max_bytes = max_bytes
        self._parts: list[bytes] = []
        self._size = 0

    def feed(self, chunk: bytes) -> list[bytes]:
        """Return the lines that `chunk` completes. Raise ServerFlood."""
        *complete, rest = chunk.split(b"\n")
        lines = []
        for part in complete:
            self._add(part)
            lines.append(b"".join(self._parts))
            self._parts, self._size = [], 0
        self._add(rest)
        return lines

    def _add(self, part: bytes) -> None:
        self._size += len(part)
        if self._size > self._max_bytes:
            self._parts = []
            raise ServerFlood
        self._parts.append(part)


def child_environment(server: McpServerConfig) -> dict[str, str]:
    """Return the variables of a server's process: a few of ours, and those of its entry."""
    inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
    return {**inherited, **server.env}


@asynccontextmanager
async def open_stdio(server: McpServerConfig) -> AsyncIterator[Any]:
    """Start the process of a server, and yield the streams for the MCP client. At the end the process ends."""
    import anyio
    from mcp.shared.message import SessionMessage

    process = await asyncio.create_subprocess_exec(
        server.command,
        *server.args,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,  # it may hold arguments and secrets
        env=child_environment(server),
        cwd=server.cwd or None,
        start_new_session=sys.platform != "win32",
    )
    to_client, from_server = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    from_client, to_server = anyio.create_memory_object_stream[SessionMessage](0)
    reader = asyncio.create_task(_read(process, to_client, server.name))
    writer = asyncio.create_task(_write(process, to_server, to_client))
    try:
        yield from_server, from_client
    finally:
        with anyio.CancelScope(shield=True):
            # The process ends first. Until then its output is read, so that a full pipe does not hold it up.
            from_server.close()
            await _end_process(process)
            await asyncio.wait((reader,), timeout=DRAIN_S)  # to the end of its output, which closes the pipe
            for task in (reader, writer):
                task.cancel()
            await asyncio.wait((reader, writer))
            for stream in (to_client, from_client, to_server):
                stream.close()


async def _read(process: asyncio.subprocess.Process, to_client: Any, name: str) -> None:
    """Give each message of the process to the client. Other lines are dropped, and nothing of them is logged."""
    assert process.stdout is not None
    splitter, junk = LineSplitter(), 0
    try:
        while chunk := await process.stdout.read(CHUNK_BYTES):
            for line in splitter.feed(chunk):
                message = _parse(line)
                if message is not None:
                    if getattr(message.message, "method", "") not in UNUSED_NOTIFICATIONS:
                        await to_client.send(message)
                    continue
                junk += len(line)
                if junk > MAX_JUNK_BYTES:
                    raise ServerFlood
            if len(chunk) == CHUNK_BYTES:
                await asyncio.sleep(PAUSE_S)
    except ServerFlood as flood:
        logger.warning("tools: server writes too much server=%s", sanitise_name(name))
        _kill(process)
        with contextlib.suppress(Exception):
            await to_client.send(flood)
    except Exception:
        pass  # the client has closed its stream, or the pipe broke: the end below says all
    finally:
        to_client.close()  # the client's calls end with "connection closed"
    with contextlib.suppress(Exception):
        while await process.stdout.read(CHUNK_BYTES):  # noqa: ASYNC110
            await asyncio.sleep(PAUSE_S)


async def _write(process: asyncio.subprocess.Process, to_server: Any, to_client: Any) -> None:
    """Give each message of the client to the process."""
    assert process.stdin is not None
    try:
        async for one in to_server:
            line = one.message.model_dump_json(by_alias=True, exclude_unset=True)
            process.stdin.write(line.encode() + b"\n")
            await process.stdin.drain()
    except Exception:
        to_client.close()


def _parse(line: bytes) -> Any:
    """Return the message in a line; None for any other line."""
    from mcp.shared.message import SessionMessage
    from mcp_types import jsonrpc_message_adapter

    if not line.lstrip().startswith(b"{"):
        return None
    if len(line) > MAX_PARSED_BYTES:
        number = find_id(line)
        error = {"code": TOO_LONG_CODE, "message": ""}
        line = b"" if number is None else json.dumps({"jsonrpc": "2.0", "id": number, "error": error}).encode()
    try:
        return SessionMessage(jsonrpc_message_adapter.validate_json(line, by_name=False))
    except ValueError:
        return None


def find_id(line: bytes) -> int | None:
    """Return the number of the request that a long line answers: near its start or at its end. Else None."""
    found = _ID_AT_START.match(line[:ID_SEARCH_BYTES]) or _ID_AT_END.search(line[-ID_SEARCH_BYTES:])
    return int(found["id"]) if found else None


async def _end_process(process: asyncio.subprocess.Process) -> None:
    """Close the input, wait, and end the whole process group if it does not end by itself."""
    if process.stdin is not None:
        with contextlib.suppress(Exception):
            process.stdin.close()
    if not await _has_ended(process):
        _signal_group(process, signal.SIGTERM)
        await _has_ended(process)
    _kill(process)
    if not await _has_ended(process):
        logger.warning("tools: server process does not end pid=%d", process.pid)


async def _has_ended(process: asyncio.subprocess.Process) -> bool:
    """Return whether the process ends within EXIT_S. `wait()` would also wait for children that hold its pipes."""
    end = asyncio.get_running_loop().time() + EXIT_S
    while process.returncode is None:
        if asyncio.get_running_loop().time() > end:
            return False
        await asyncio.sleep(0.01)
    return True


def _kill(process: asyncio.subprocess.Process) -> None:
    """End the process and those that it started."""
    _signal_group(process, signal.SIGTERM if sys.platform == "win32" else signal.SIGKILL)


def _signal_group(process: asyncio.subprocess.Process, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError, OSError):
        if sys.platform == "win32":
            process.terminate()
        else:
            os.killpg(process.pid, number)
