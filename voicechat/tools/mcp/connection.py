"""Connection to one MCP server: opened, held and closed by one task, and opened again when it is lost."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

from voicechat.logs import error_location
from voicechat.tools.definition import Tool
from voicechat.tools.failure import ToolFailure
from voicechat.tools.mcp.config import McpServerConfig, TransportKind
from voicechat.tools.mcp.http_transport import open_http
from voicechat.tools.mcp.remote_tool import ToolBook
from voicechat.tools.mcp.stdio_transport import TOO_LONG_CODE, ServerFlood, open_stdio
from voicechat.tools.registry import sanitise_name
from voicechat.tools.time_limit import is_time_over

logger = logging.getLogger(__name__)

FIRST_DELAY_S, MAX_DELAY_S = 0.2, 5.0
"""Seconds before a lost connection is opened again, at first and at most. Each failure doubles them."""
STABLE_S = 10.0
"""Seconds that a connection must last to count as a success for the next delay."""
OPEN_S = 30.0
"""Seconds for the start of a server, its handshake and its list of tools."""
CLOSE_S = 7.0
"""Seconds for the end of a connection, before its task is cancelled."""
MAX_PAGES = 20
"""Pages of a list of tools."""
MAX_TIMEOUTS = 2
"""Calls in a row whose time ran out after which a connection counts as lost."""
LIST_AGAIN_S = 1.0
"""Seconds between two lists of tools, however often a server announces a change."""
REOPEN_WAIT_S = 4.0
"""Seconds that a call waits for a lost server. A longer silence would be worse than an answer without the tool."""
LOST_CODES = frozenset({-32000, -32600})
"""Error codes of a lost connection: closed, or a session that the server does not know any more."""
HTTP_ERROR_TEXT = "Server returned an error response"
"""Words of the MCP package for an HTTP error without a message. Its code is also that of any fault inside a tool."""
QUIET_LOGGERS = ("mcp", "httpx2", "httpcore2")
"""Loggers of packages that quote messages and addresses."""

OpenTransport = Callable[[McpServerConfig], AbstractAsyncContextManager[Any]]
"""Function that opens the streams of a server; in tests also one that returns a server object."""
TRANSPORTS: Mapping[TransportKind, OpenTransport] = {TransportKind.STDIO: open_stdio, TransportKind.HTTP: open_http}


class ServerUnreachable(ToolFailure):
    """The connection was lost, or is not open yet."""

    def __init__(self) -> None:
        super().__init__("The tool's server cannot be reached.")


class ServerRefused(ToolFailure):
    """The server answered a call with an error. Its text may quote anything and is not kept."""

    def __init__(self) -> None:
        super().__init__("The tool's server refused the call.")


class AnswerTooLong(ToolFailure):
    """The server's answer was too long to be read."""

    def __init__(self) -> None:
        super().__init__("The result is too long. Ask for less.")


class McpConnection:
    """One server, in the executor's loop. `run` owns the connection; any other task may call tools."""

    def __init__(
        self,
        server: McpServerConfig,
        on_tools: Callable[[Sequence[Tool]], None],
        open_transport: OpenTransport | None = None,
    ) -> None:
        self._server = server
        self._on_tools = on_tools
        self._open_transport = open_transport or TRANSPORTS[server.kind]
        self._book = ToolBook(server, self.call)
        self._name = sanitise_name(server.name)
        self._link: _Link | None = None
        self._is_open = asyncio.Event()
        self._timeouts = 0

    @property
    def is_open(self) -> bool:
        """Whether calls can be made now."""
        return self._is_open.is_set()

    async def wait_until_open(self) -> None:
        """Return as soon as the server is connected and its tools are listed."""
        await self._is_open.wait()

    async def run(self) -> None:
        """Hold the connection, and open it again after each loss, until this task is cancelled."""
        delay = FIRST_DELAY_S
        loop = asyncio.get_running_loop()
        while True:
            # A task of its own: the MCP package cancels the task that holds a connection when its server dies.
            link = _Link(self._forget)
            holder = asyncio.create_task(self._hold(link))
            try:
                await asyncio.wait({holder})
            except asyncio.CancelledError:
                link.lose()
                await asyncio.wait({holder}, timeout=CLOSE_S)
                holder.cancel()
                await asyncio.wait({holder}, timeout=CLOSE_S)
                raise
            finally:
                link.lose()
            if link.opened_at and loop.time() - link.opened_at > STABLE_S:
                delay = FIRST_DELAY_S
            level = logging.WARNING if delay < MAX_DELAY_S else logging.DEBUG  # a server may be away for days
            logger.log(level, "tools: server lost server=%s cause=%s retry_s=%.1f", self._name, _cause(holder), delay)
            await asyncio.sleep(delay)
            delay = min(delay * 2, MAX_DELAY_S)

    async def call(self, name: str, arguments: Mapping[str, Any], is_repeatable: bool) -> Any:
        """Return the `mcp_types.CallToolResult` of a call. The caller bounds its time.

        A repeatable call that was in flight when the connection was lost is made once more. Raise ToolFailure.
        """
        try:
            return await self._call_once(name, arguments)
        except ServerUnreachable:
            if not is_repeatable:
                raise
        try:
            async with asyncio.timeout(REOPEN_WAIT_S):
                await self.wait_until_open()
        except TimeoutError:
            raise ServerUnreachable from None
        return await self._call_once(name, arguments)

    async def _call_once(self, name: str, arguments: Mapping[str, Any]) -> Any:
        from mcp import MCPError

        link = self._link
        if link is None:
            raise ServerUnreachable
        try:
            result = await link.client.call_tool(name, dict(arguments))
        except MCPError as error:
            is_lost = error.code in LOST_CODES or (self._is_http and error.message == HTTP_ERROR_TEXT)
            if is_lost:
                link.lose()
            if link.is_flooded or error.code == TOO_LONG_CODE:
                raise AnswerTooLong from None
            raise (ServerUnreachable if is_lost else ServerRefused) from None
        except asyncio.CancelledError:
            self._timeouts += is_time_over()  # a visitor who cancels or hangs up says nothing of the server
            if self._timeouts >= MAX_TIMEOUTS:
                link.lose()
            raise
        except Exception as error:  # wrong structured content: the text quotes it
            if link.ends.is_set() or type(error).__module__.startswith("anyio"):
                link.lose()
                raise ServerUnreachable from None
            raise ServerRefused from None
        self._timeouts = 0
        return result

    @property
    def _is_http(self) -> bool:
        return self._server.kind is TransportKind.HTTP

    def _forget(self, link: _Link) -> None:
        if self._link is link:
            self._link = None
            self._is_open.clear()

    async def _hold(self, link: _Link) -> None:
        """Open the connection, list the tools, and wait for the end. One task does all of it."""
        import anyio

        client_class = _import_client()
        async with contextlib.AsyncExitStack() as stack:
            async with asyncio.timeout(OPEN_S):  # a scope of anyio could not end before the client's own
                client = client_class(
                    _WatchedTransport(self._open_transport(self._server), link),
                    read_timeout_seconds=None,
                    message_handler=link.take_message,
                    cache=None,
                )
                link.client = await stack.enter_async_context(client)
                tools = self._book.take_list(await _list_tools(link.client))
            self._link = link
            link.opened_at = asyncio.get_running_loop().time()
            self._timeouts = 0
            self._on_tools(tools)
            self._is_open.set()
            logger.info("tools: server open server=%s tools=%d", self._name, len(tools))
            if link.ends.is_set():
                return
            async with anyio.create_task_group() as group:
                group.start_soon(_listen, link)
                group.start_soon(self._list_again, link)
                await link.ends.wait()
                group.cancel_scope.cancel()

    async def _list_again(self, link: _Link) -> None:
        """List the tools after each announced change."""
        while True:
            await link.changed.wait()
            link.changed.clear()
            try:
                async with asyncio.timeout(OPEN_S):
                    listed = await _list_tools(link.client)
            except Exception:
                link.lose()
                return
            self._on_tools(self._book.take_list(listed))
            await asyncio.sleep(LIST_AGAIN_S)


class _Link:
    """State of one connection, from its opening to its loss."""

    def __init__(self, on_lost: Callable[[_Link], None]) -> None:
        self.client: Any = None
        self.opened_at = 0.0
        """Time of the loop; 0 before it is open."""
        self.is_flooded = False
        """Whether the server wrote too much. The call that made it do so is not repeated."""
        self.ends = asyncio.Event()
        self.changed = asyncio.Event()
        self._on_lost = on_lost

    def lose(self) -> None:
        """End the connection. No further call is made with it."""
        self.ends.set()
        self._on_lost(self)

    async def take_message(self, message: Any) -> None:
        """Note a changed list of tools, which older servers announce so."""
        if getattr(message, "method", "") == "notifications/tools/list_changed":
            self.changed.set()


class _WatchedTransport:
    """A transport whose end is noticed at once, and not with the next call."""

    def __init__(self, transport: AbstractAsyncContextManager[Any], link: _Link) -> None:
        self._transport = transport
        self._link = link

    async def __aenter__(self) -> Any:
        from_server, to_server = await self._transport.__aenter__()
        return _WatchedStream(from_server, self._link), to_server

    async def __aexit__(self, *error: Any) -> bool | None:
        return await self._transport.__aexit__(*error)


class _WatchedStream:
    """The messages of a server. Their end is the end of the link."""

    def __init__(self, stream: Any, link: _Link) -> None:
        self._stream = stream
        self._link = link

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def __aiter__(self) -> _WatchedStream:
        return self

    async def __anext__(self) -> Any:
        return await self._next(self._stream.__anext__())

    async def receive(self) -> Any:
        return await self._next(self._stream.receive())

    async def _next(self, coming: Awaitable[Any]) -> Any:
        try:
            message = await coming
        except BaseException:
            self._link.lose()
            raise
        if isinstance(message, ServerFlood):
            self._link.is_flooded = True
        return message

    async def __aenter__(self) -> _WatchedStream:
        await self._stream.__aenter__()
        return self

    async def __aexit__(self, *error: Any) -> Any:
        return await self._stream.__aexit__(*error)


async def _listen(link: _Link) -> None:
    """Note changes of the list of tools, which newer servers announce on a stream of its own. Older ones have none."""
    with contextlib.suppress(Exception):
        async with link.client.listen(tools_list_changed=True) as changes:
            async for _ in changes:
                link.changed.set()


async def _list_tools(client: Any) -> list[Any]:
    """Return the tools on all pages of a server's list."""
    listed: list[Any] = []
    cursor = None
    for _ in range(MAX_PAGES):
        page = await client.list_tools(cursor=cursor)
        listed += page.tools
        cursor = page.next_cursor
        if cursor is None:
            break
    return listed


def _import_client() -> Any:
    """Return the class of the MCP package's client, with its loggers silent."""
    for name in QUIET_LOGGERS:
        quiet = logging.getLogger(name)
        quiet.setLevel(logging.CRITICAL + 1)
        quiet.propagate = False
    from mcp import Client

    return Client


def _cause(holder: asyncio.Task[None]) -> str:
    """Return why a connection ended, without the text of any message."""
    if holder.cancelled():
        return "server died"
    error = holder.exception()
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error_location(error) if error is not None else "closed"
