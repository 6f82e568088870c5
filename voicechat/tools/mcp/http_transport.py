"""Transport to an MCP server over streamable HTTP, with bounded answers.

The MCP package bounds the events of a stream and not a plain JSON answer.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from network.proxies import proxy_for
from voicechat.tools.mcp.config import McpServerConfig

MAX_ANSWER_BYTES = 2**19
"""Bytes of one answer. To read more JSON would hold up every thread for too long."""
MAX_EVENT_BYTES = 2**19
"""Bytes of one event."""
MAX_STREAM_BYTES = 4 * 2**20
"""Bytes of an answer that is a stream of events."""
CONNECT_S = 10.0
"""Seconds for a connection, and for the sending of a request."""
READ_S = 300.0
"""Seconds without a byte after which an answer counts as lost. Calls have limits of their own."""


@asynccontextmanager
async def open_http(server: McpServerConfig) -> AsyncIterator[Any]:
    """Yield the streams for the MCP client."""
    import httpx2
    from mcp.client.streamable_http import streamable_http_client

    class CappedStream(httpx2.AsyncByteStream):  # type: ignore[misc]
        """The bytes of an answer, up to a limit."""

        def __init__(self, inner: Any, max_bytes: int) -> None:
            self._inner = inner
            self._max_bytes = max_bytes

        async def __aiter__(self) -> AsyncIterator[bytes]:
            size = 0
            async for chunk in self._inner:
                size += len(chunk)
                if size > self._max_bytes:
                    raise httpx2.StreamError("the answer is too long")
                yield chunk

        async def aclose(self) -> None:
            await self._inner.aclose()

    class CappedTransport(httpx2.AsyncHTTPTransport):  # type: ignore[misc]
        """A transport whose answers to requests are bounded, and never compressed: a small one could unpack to much."""

        async def handle_async_request(self, request: Any) -> Any:
            request.headers["accept-encoding"] = "identity"
            response = await super().handle_async_request(request)
            if response.headers.get("content-encoding", "identity") != "identity":
                await response.aclose()
                raise httpx2.RemoteProtocolError("the answer is compressed")
            if request.method != "GET":  # a GET is the stream of notifications, which lasts
                is_stream = response.headers.get("content-type", "").lower().startswith("text/event-stream")
                max_bytes = MAX_STREAM_BYTES if is_stream else MAX_ANSWER_BYTES
                response.stream = CappedStream(response.stream, max_bytes)
            return response

    transport = CappedTransport(proxy=proxy_for(server.url), retries=0)
    timeout = httpx2.Timeout(CONNECT_S, read=READ_S)
    async with (
        httpx2.AsyncClient(transport=transport, headers=dict(server.headers), timeout=timeout) as client,
        streamable_http_client(server.url, http_client=client, max_sse_event_size=MAX_EVENT_BYTES) as streams,
    ):
        yield streams
