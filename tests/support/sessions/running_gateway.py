"""The gateway behind uvicorn in this process, and clients for it."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from fastapi import FastAPI
from starlette.websockets import WebSocket
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.support.manual_clock import ManualClock
from voicechat.config.session_update import SessionMode
from voicechat.config.settings import Settings
from voicechat.gateway.gateway import RealtimeGateway
from voicechat.limits.admission import Admission
from voicechat.limits.billing import BillingService
from voicechat.security.access_policy import AccessPolicy
from voicechat.security.gradio.pending_offers import PendingOffers
from voicechat.security.guard import Guard
from voicechat.security.route_access import FOUNDATION_RULES, RouteTable
from voicechat.server import uvicorn_options
from voicechat.server.routes import ROUTE_RULES, Health, build_router
from voicechat.upstream.reconnecting_client import EndpointSource

Event = dict[str, Any]
OPERATOR_KEY = "sk-operators-key-0123456789"
SHORT_TIMEOUTS = {"CONNECT_SECONDS": "2", "READY_SECONDS": "0.3"}


def append_event(pcm: bytes = bytes(960), **more: Any) -> Event:
    """20 ms of silence, or other sound."""
    return {"type": "input_audio_buffer.append", "audio": base64.b64encode(pcm).decode(), **more}


class ObservedGateway(RealtimeGateway):
    """A gateway that reports when a client has left."""

    def __init__(
        self, settings: Settings, endpoint: EndpointSource, accounts: BillingService | None, **more: Any
    ) -> None:
        super().__init__(settings, endpoint, accounts, **more)
        self.client_left = asyncio.Event()

    async def serve(self, websocket: WebSocket, mode: SessionMode) -> None:
        try:
            await super().serve(websocket, mode)
        finally:
            self.client_left.set()

    @property
    def connection_count(self) -> int:
        return sum(map(self.count_sessions, SessionMode))


class RunningGateway:
    """A running gateway."""

    def __init__(self, gateway: ObservedGateway, port: int) -> None:
        self.gateway, self.port = gateway, port

    def url(self, path: str = "/realtime-voice") -> str:
        return f"ws://127.0.0.1:{self.port}{path}"

    async def wait_until_empty(self) -> None:
        """Wait until no program is connected any more."""
        async with asyncio.timeout(30):
            while self.gateway.connection_count:
                self.gateway.client_left.clear()
                await self.gateway.client_left.wait()


def _access_policy(settings: Settings) -> AccessPolicy:
    """The policy of an app without the page."""
    return AccessPolicy(
        settings.security,
        component_id=0,
        webrtc_input_indexes={},
        routes=RouteTable((*FOUNDATION_RULES, *ROUTE_RULES), ()),
        script_hashes=(),
        pending_offers=PendingOffers(lambda _: None),
    )


@asynccontextmanager
async def running_gateway(
    server_url: str = "",
    endpoint: EndpointSource | None = None,
    accounts: BillingService | None = None,
    clock: ManualClock | None = None,
    admission: Admission | None = None,
    **environment: str,
) -> AsyncIterator[RunningGateway]:
    """A gateway to a server, served as in production; by `clock` instead of the computer's where one is given.

    With `API_TOKENS` in the environment, clients need one of them.
    """
    settings = Settings.from_env(
        {"REALTIME_URL": server_url, "REALTIME_API_KEY": OPERATOR_KEY, **SHORT_TIMEOUTS, **environment}
    )
    more: dict[str, Any] = {"clock": clock, "sleep": clock.sleep} if clock is not None else {}
    gateway = ObservedGateway(settings, endpoint or settings.endpoint, accounts, admission=admission, **more)

    async def health() -> Health:
        return Health("ok", settings.server_kind, "", 0, 0, 0.0, "1")

    app = FastAPI(openapi_url=None)
    app.include_router(build_router(health, gateway))
    if settings.security.api_tokens:
        app.add_middleware(Guard, access_policy=_access_policy(settings))
    config = uvicorn.Config(app, host="127.0.0.1", port=0, lifespan="off", log_level=None, log_config=None)
    uvicorn_options.set_options(config, settings.limits.max_message_bytes)
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    try:
        yield RunningGateway(gateway, server.servers[0].sockets[0].getsockname()[1])
    finally:
        async with asyncio.timeout(10):
            await server.shutdown()


class ApiClient:
    """A client that keeps what it gets."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.received: list[Event] = []

    async def send(self, *events: Event) -> None:
        for event in events:
            await self.socket.send(json.dumps(event))

    async def next_event(self) -> Event:
        async with asyncio.timeout(30):
            self.received.append(json.loads(await self.socket.recv()))
        return self.received[-1]

    async def read_until(self, kind: str) -> Event:
        while (event := await self.next_event())["type"] != kind:
            pass
        return event

    async def send_expecting_error(self, *messages: str | bytes | Event) -> Event:
        """The `error` of the error event that comes next after these messages."""
        for message in messages:
            await self.socket.send(json.dumps(message) if isinstance(message, dict) else message)
        event = await self.next_event()
        assert event["type"] == "error", event
        error: Event = event["error"]
        return error

    async def read_until_closed(self) -> tuple[int, str]:
        """Read on until the socket is closed: the close frame."""
        try:
            while True:
                await self.next_event()
        except ConnectionClosed as closed:
            return (closed.rcvd.code, closed.rcvd.reason) if closed.rcvd else (1006, "")


@asynccontextmanager
async def connected_client(url: str, **how: Any) -> AsyncIterator[ApiClient]:
    """A connected client."""
    async with connect(url, close_timeout=1, **how) as socket:
        yield ApiClient(socket)
