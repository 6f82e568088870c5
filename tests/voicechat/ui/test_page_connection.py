"""Page connection: who may open it, what it says, and when it closes."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import uvicorn
from fastapi import APIRouter, FastAPI
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.support.app.protected_app import PASSWORD, ProtectedApp, handshake_denial, open_socket
from voicechat.limits.admission import ConcurrencyLimits
from voicechat.limits.waiting_queue import AdmissionController
from voicechat.server import uvicorn_options
from voicechat.server.graceful_shutdown import GracefulShutdown
from voicechat.ui.page_connection import (
    CLOSE_POLICY_VIOLATION,
    CLOSE_TRY_AGAIN_LATER,
    DRAINING_MESSAGE,
    MOVING_MESSAGE,
    PATH,
    PageConnections,
)

SERVICE_RESTART = 1012
"""Close code of uvicorn when it stops."""


def app_of(connections: PageConnections) -> FastAPI:
    router, app = APIRouter(), FastAPI()
    connections.add_to(router)
    app.include_router(router)
    return app


@asynccontextmanager
async def served(connections: PageConnections) -> AsyncIterator[tuple[str, uvicorn.Server]]:
    """Serve the route with the options of every server of the app."""
    config = uvicorn.Config(app_of(connections), host="127.0.0.1", port=0, log_level="error", lifespan="off")
    uvicorn_options.set_options(config)
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110  uvicorn has no event for it
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"ws://127.0.0.1:{port}{PATH}", server
    finally:
        server.should_exit = True
        async with asyncio.timeout(10):
            await serving


async def wait_closed(socket: ClientConnection) -> int | None:
    async with asyncio.timeout(10):
        with pytest.raises(ConnectionClosed):
            while True:
                await socket.recv()
    return socket.close_code


async def wait_for_count(connections: PageConnections, count: int) -> None:
    async with asyncio.timeout(10):
        while len(connections) != count:  # noqa: ASYNC110  the page is not part of it
            await asyncio.sleep(0.01)


def test_processes_differ() -> None:
    assert PageConnections().process_id != PageConnections().process_id


@pytest.mark.parametrize("sent", ["text", b"bytes", "", "x" * 100_000], ids=["text", "bytes", "empty", "long"])
def test_client_that_sends_anything_is_closed(sent: str | bytes) -> None:
    connections = PageConnections()
    with TestClient(app_of(connections)).websocket_connect(PATH) as socket:
        assert socket.receive_text() == connections.process_id
        if isinstance(sent, bytes):
            socket.send_bytes(sent)
        else:
            socket.send_text(sent)
        with pytest.raises(WebSocketDisconnect) as closed:
            socket.receive_text()
    assert closed.value.code == CLOSE_POLICY_VIOLATION
    assert len(connections) == 0


@pytest.mark.parametrize("limits", [(2, 99), (99, 2)], ids=["of all", "of one visitor"])
async def test_connections_beyond_the_limit_are_closed_until_another_one_ends(limits: tuple[int, int]) -> None:
    protected = ProtectedApp()
    connections = protected.application.page_connections
    connections._max_connections, connections._max_per_visitor = limits
    with open_socket(protected, PATH) as first, open_socket(protected, PATH) as second:
        assert first.receive_text() == second.receive_text() == connections.process_id
        with open_socket(protected, PATH) as third:
            assert third.receive_text() == connections.process_id, "a restarted server has to be noticed"
            with pytest.raises(WebSocketDisconnect) as closed:
                third.receive_text()
        assert closed.value.code == CLOSE_TRY_AGAIN_LATER
    assert len(connections) == 0 and not connections._visitors
    with open_socket(protected, PATH) as later:
        assert later.receive_text() == connections.process_id


# ---------------------------------------------------------------- who may open it


def test_page_of_another_origin_is_denied() -> None:
    protected = ProtectedApp()
    for origin in ("https://evil.example", "null"):
        assert handshake_denial(protected, PATH, headers={"Origin": origin})["status"] == 403
    with open_socket(protected, PATH, headers={"Origin": "http://voice.localhost"}) as socket:
        assert socket.receive_text()


async def test_page_without_a_websocket_asks_over_http() -> None:
    protected = ProtectedApp()
    connections = protected.application.page_connections
    async with protected.browser_client() as browser:
        answer = await browser.get(PATH)
        assert answer.json() == {"process": connections.process_id, "draining": ""}
        assert answer.headers["cache-control"] == "no-store"
        await connections.announce_drain()
        assert (await browser.get(PATH)).json()["draining"] == DRAINING_MESSAGE
    async with ProtectedApp(app_password=PASSWORD).browser_client() as stranger:
        assert (await stranger.get(PATH)).status_code == 401


async def test_page_without_the_password_is_denied() -> None:
    protected = ProtectedApp(app_password=PASSWORD)
    assert handshake_denial(protected, PATH)["status"] == 401
    async with protected.browser_client() as browser:
        await browser.post("/login", data={"password": PASSWORD})
        cookies = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    with open_socket(protected, PATH, headers={"Cookie": cookies}) as socket:
        assert socket.receive_text()


# ---------------------------------------------------------------- end of the process


async def test_stopping_server_closes_the_pages_at_once() -> None:
    connections = PageConnections()
    async with served(connections) as (url, server), connect(url) as one, connect(url) as two:
        assert await one.recv() == await two.recv() == connections.process_id
        server.should_exit = True
        codes = await asyncio.gather(wait_closed(one), wait_closed(two))
        assert codes == [SERVICE_RESTART, SERVICE_RESTART]
    assert len(connections) == 0


async def test_draining_server_tells_open_pages_and_new_ones_and_then_ends() -> None:
    connections = PageConnections()
    shutdown = GracefulShutdown(AdmissionController(ConcurrencyLimits()), 5.0, connections.announce_drain)
    async with served(connections) as (url, server), connect(url) as page:
        assert await page.recv() == connections.process_id
        await connections.announce_drain()
        assert await page.recv() == DRAINING_MESSAGE
        async with connect(url) as late:
            assert [await late.recv(), await late.recv()] == [connections.process_id, DRAINING_MESSAGE]
        shutdown.attach_server(server)
        shutdown.on_signal(signal.SIGTERM, None)
        assert await page.recv() == DRAINING_MESSAGE
        assert await wait_closed(page) == SERVICE_RESTART


async def test_draining_replica_tells_its_pages_whether_there_is_another() -> None:
    replicas = 2
    connections = PageConnections(lambda: replicas > 1)
    async with served(connections) as (url, _), connect(url) as page:
        await page.recv()
        await connections.announce_drain()
        assert await page.recv() == MOVING_MESSAGE
        replicas = 1
        async with connect(url) as late:
            assert [await late.recv(), await late.recv()] == [connections.process_id, DRAINING_MESSAGE]


async def test_page_that_vanishes_during_the_announcement_disturbs_no_other() -> None:
    connections = PageConnections()
    async with served(connections) as (url, _), connect(url) as page:
        await page.recv()
        other = await connect(url)
        await other.recv()
        other.transport.abort()
        await connections.announce_drain()
        assert await page.recv() == DRAINING_MESSAGE
        await wait_for_count(connections, 1)
