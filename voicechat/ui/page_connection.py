"""Page connection: a WebSocket of every open page, so that it notices when its server ends or cannot be reached.

Gradio's own page does not: after a broken event stream it sends events that are never answered. The server's first
message is the id of its process. The page compares it, reloads and resumes (connection_monitor.js). A second message
says that the process drains: it finishes open conversations, and then ends, alone or beside other replicas. The page
sends nothing.

A page without a WebSocket asks the same over HTTP: `{"process": id, "draining": message or ""}`. A page whose process
drains asks it too, with `?again=1`, which HAProxy sends to any replica that takes new visitors: another id means that
the page may move there (drain.js, deploy/haproxy.cfg). A process without such a proxy answers with its own id.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

from fastapi import APIRouter
from starlette.responses import JSONResponse
from starlette.websockets import WebSocket, WebSocketDisconnect

from voicechat.logs import error_location
from voicechat.security.route_access import WEBSOCKET_METHOD, RouteAccess, RouteRule
from voicechat.security.visitor_key import visitor_key

log = logging.getLogger(__name__)

PATH = "/page-connection"
ROUTE_RULES = (
    RouteRule(WEBSOCKET_METHOD, PATH, RouteAccess.ASSET),
    RouteRule("GET", PATH, RouteAccess.ASSET),
)
MAX_CONNECTIONS = 2000
"""Connected pages. Further ones learn the process and are closed; they go on asking over HTTP."""
MAX_CONNECTIONS_PER_VISITOR = 200
"""Connected pages of one visitor, or of all visitors behind one address."""
DRAINING_MESSAGE, MOVING_MESSAGE = "draining", "moving"
"""Messages of a process that finishes open conversations and ends: alone, and where another replica takes them over."""
CLOSE_POLICY_VIOLATION = 1008
"""Close code for a client that sends anything: no page of ours does."""
CLOSE_TRY_AGAIN_LATER = 1013
"""Close code beyond the limits."""
SEND_TIMEOUT_S = 1.0
"""Seconds for a message to pages that take nothing."""


class PageConnections:
    """Connected pages of one process."""

    def __init__(
        self,
        has_peers: Callable[[], bool] = lambda: False,
        max_connections: int = MAX_CONNECTIONS,
        max_per_visitor: int = MAX_CONNECTIONS_PER_VISITOR,
    ) -> None:
        """`has_peers`: whether there are other live replicas."""
        self.process_id = secrets.token_hex(8)
        """Random id of this process."""
        self._has_peers = has_peers
        self._max_connections = max_connections
        self._max_per_visitor = max_per_visitor
        self._open: set[WebSocket] = set()
        self._visitors: Counter[str] = Counter()
        self._is_draining = False

    def __len__(self) -> int:
        return len(self._open)

    def add_to(self, router: APIRouter) -> None:
        """Add the routes."""
        router.add_api_websocket_route(PATH, self._serve)
        router.add_api_route(PATH, self._answer, methods=["GET"], include_in_schema=False)

    async def announce_drain(self) -> None:
        """Tell all pages, now and later, that this process finishes open conversations and ends."""
        self._is_draining = True
        async with asyncio.timeout(SEND_TIMEOUT_S):
            sent = await asyncio.gather(
                *(socket.send_text(self._drain_message) for socket in list(self._open)), return_exceptions=True
            )
        unexpected = [error for error in sent if error and not isinstance(error, RuntimeError | WebSocketDisconnect)]
        for error in unexpected[:1]:
            assert isinstance(error, Exception)
            log.error("page connection: internal error error=%s", error_location(error))

    @property
    def _drain_message(self) -> str:
        return MOVING_MESSAGE if self._has_peers() else DRAINING_MESSAGE

    async def _answer(self) -> JSONResponse:
        answer = {"process": self.process_id, "draining": self._drain_message if self._is_draining else ""}
        return JSONResponse(answer, headers={"Cache-Control": "no-store"})

    async def _serve(self, websocket: WebSocket) -> None:
        visitor = visitor_key(websocket)
        await websocket.accept()
        if len(self._open) >= self._max_connections or (visitor and self._visitors[visitor] >= self._max_per_visitor):
            with suppress(RuntimeError, WebSocketDisconnect):
                await websocket.send_text(self.process_id)
                await websocket.close(CLOSE_TRY_AGAIN_LATER)
            return
        self._open.add(websocket)
        self._visitors[visitor] += 1
        try:
            await websocket.send_text(self.process_id)
            if self._is_draining:
                await websocket.send_text(self._drain_message)
            message = await websocket.receive()  # uvicorn's pings notice a page that has vanished
            if message["type"] != "websocket.disconnect":
                await websocket.close(CLOSE_POLICY_VIOLATION)
        except (RuntimeError, WebSocketDisconnect):  # RuntimeError: uvicorn has closed it by itself
            pass
        finally:
            self._open.discard(websocket)
            self._visitors[visitor] -= 1
            if not self._visitors[visitor]:
                del self._visitors[visitor]
