"""Offline pool with real embedded servers on this computer, and its checks with answers of the test."""

from __future__ import annotations

import asyncio
import gc
import logging
import weakref
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from offline.server import RealtimeServer
from tests.support.manual_clock import ManualClock
from tests.support.network.fake_proxy import set_proxies
from tests.support.offline.scripted_models import make_loaded_server, running_server
from voicechat.server.embedded_server import EmbeddedServerPhase
from voicechat.server.offline_pool.choice import ServerLoad
from voicechat.server.offline_pool.pool import (
    CHECKS_UNTIL_SILENT,
    PENDING_S,
    OfflinePool,
    PooledServer,
    health_url,
)

KEY = "key-of-the-pool-canary"
READY = {"status": "ok", "sessions": 1, "capacity": 3}


async def short_pause(_: float) -> None:
    """Leave the loop to the other tasks between two checks."""
    await asyncio.sleep(0.005)


class WatchedPool(OfflinePool):
    """Pool whose changes a test can await."""

    def __init__(self, *urls: str, key: str = "") -> None:
        super().__init__(urls, key, sleep=short_pause)
        self.capacities: list[int] = []
        self._changed = asyncio.Event()

    def _update(self) -> None:
        super()._update()
        self._changed.set()

    async def wait_for(self, condition: Callable[[], bool]) -> None:
        """Wait until a check has made the condition true."""
        async with asyncio.timeout(10):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[WatchedPool]:
        async with self.run_in_background(lambda: self.capacities.append(self.capacity)):
            yield self


@pytest.mark.parametrize(
    ("url", "health"),
    [
        ("ws://10.0.0.5:8765/v1/realtime", "http://10.0.0.5:8765/health"),
        ("wss://voice.example/v1/realtime", "https://voice.example/health"),
        ("ws://[::1]:8765/one/v1/realtime", "http://[::1]:8765/one/health"),
    ],
)
def test_health_is_beside_the_address_of_the_sessions(url: str, health: str) -> None:
    assert health_url(url) == health


async def test_pool_sums_the_capacity_of_its_servers_and_chooses_the_one_with_room() -> None:
    small, large = make_loaded_server(capacity=1), make_loaded_server(capacity=3)
    async with running_server(small) as one, running_server(large) as two, WatchedPool(one, two).running() as pool:
        assert (pool.phase, pool.capacity, pool.find_address()) == (EmbeddedServerPhase.LOADING, 0, None)
        await pool.wait_for(lambda: pool.capacity == 4)
        assert pool.phase is EmbeddedServerPhase.READY
        assert (pool.model, pool.languages, pool.voices) == ("scripted", ("en", "zh"), ("hibari",))
        chosen = []
        for _ in range(4):
            address = pool.find_address()
            assert address is not None and address.observer is not None and not address.key
            address.observer.on_connecting()
            chosen.append(address.url)
        assert chosen == [two, two, one, two]
    assert pool.capacities[-1] == 4


async def test_server_that_ends_takes_its_share_of_the_capacity_with_it(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with AsyncExitStack() as stack, running_server(make_loaded_server(capacity=2)) as stays:
        ends = await stack.enter_async_context(running_server(make_loaded_server(capacity=3)))
        async with WatchedPool(ends, stays).running() as pool:
            await pool.wait_for(lambda: pool.capacity == 5)
            await stack.aclose()
            await pool.wait_for(lambda: pool.capacity == 2)
            address = pool.find_address()
            assert address is not None and address.url == stays
            assert pool.detail.startswith("Ready embedded servers: 1 of 2. The embedded server at 127.0.0.1:")
    host = ends.split("/")[2]
    assert f"offline pool: server host={host} phase=ready" in caplog.text
    assert f"offline pool: server host={host} phase=unreachable" in caplog.text


async def test_server_that_loads_counts_when_its_models_are_there() -> None:
    server = RealtimeServer(capacity=2)
    server.set_progress("Reading the language model.")
    async with running_server(server) as url, WatchedPool(url).running() as pool:
        await pool.wait_for(lambda: pool.detail == "Reading the language model.")
        assert (pool.phase, pool.find_address(), pool.capacity) == (EmbeddedServerPhase.LOADING, None, 0)
        loaded = make_loaded_server()
        assert loaded._workers is not None
        server.mark_ready(loaded._workers, ("en",))
        await pool.wait_for(lambda: pool.capacity == 2)
        assert pool.languages == ("en",)


async def test_no_server_that_answers_is_a_phase_of_its_own_with_the_reason() -> None:
    async with WatchedPool("ws://127.0.0.1:9/v1/realtime").running() as pool:
        await pool.wait_for(lambda: pool.phase is EmbeddedServerPhase.UNREACHABLE)
        assert pool.detail == "The embedded server at 127.0.0.1:9 does not answer."
        assert pool.find_address() is None


async def test_key_opens_the_servers_and_reaches_no_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    server = make_loaded_server()
    locked = RealtimeServer(capacity=2, key=KEY)
    assert server._workers is not None
    locked.mark_ready(server._workers, ("en",))
    async with running_server(locked) as url:
        async with WatchedPool(url, key=KEY).running() as pool:
            await pool.wait_for(lambda: pool.capacity == 2)
            address = pool.find_address()
            assert address is not None and address.key == KEY and KEY not in repr(address)
        async with WatchedPool(url, key=f"{KEY}x").running() as pool:
            await pool.wait_for(lambda: pool.phase is EmbeddedServerPhase.UNREACHABLE)
            assert pool.detail.endswith(" refuses OFFLINE_KEY.")
    assert KEY not in caplog.text


async def test_unusable_proxy_leaves_the_other_servers_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running_server(make_loaded_server()) as url:
        set_proxies(monkeypatch, all_proxy="socks4://h")
        async with WatchedPool("ws://voice.example:8765/v1/realtime", url).running() as pool:
            await pool.wait_for(lambda: pool.capacity == 2 and "1 of 2" in pool.detail)


# ---------------------------------------------------------------- single checks


class CheckedServer(PooledServer):
    """Server whose answers the test gives, in order: a status and JSON, or an error."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.changes = 0
        super().__init__("ws://10.0.0.5:8765/v1/realtime", KEY, self.clock, self._count)

    def _count(self) -> None:
        self.changes += 1

    async def check_with(self, answer: dict[str, object] | Exception) -> bool:
        """Check the server, which answers so. Return what the check does."""

        def respond(request: httpx.Request) -> httpx.Response:
            assert request.headers["Authorization"] == f"Bearer {KEY}" and request.url.path == "/health"
            if isinstance(answer, Exception):
                raise answer
            return httpx.Response(200, json=answer)

        headers = {"Authorization": f"Bearer {KEY}"}
        async with httpx.AsyncClient(transport=httpx.MockTransport(respond), headers=headers) as client:
            return await self.check(client)


class AskedConnection:
    """Open connection that counts how often it was asked for an answer."""

    def __init__(self) -> None:
        self.asked = 0

    async def abort_if_silent(self) -> None:
        self.asked += 1


async def test_one_late_answer_changes_nothing_and_two_make_a_server_unreachable() -> None:
    server = CheckedServer()
    await server.check_with(READY)
    for _ in range(CHECKS_UNTIL_SILENT - 1):
        await server.check_with(httpx.ReadTimeout("late"))
        assert server.load == ServerLoad(3, 1)
    await server.check_with(READY)  # the count begins again
    for _ in range(CHECKS_UNTIL_SILENT - 1):
        await server.check_with(httpx.ReadTimeout("late"))
    assert server.load == ServerLoad(3, 1)
    await server.check_with(httpx.ReadTimeout("late"))
    assert server.load is None


UNANSWERED = [httpx.ReadTimeout("late"), httpx.ConnectTimeout("lost"), httpx.ConnectError("no route to host")]


@given(st.lists(st.sampled_from([READY, *UNANSWERED]), max_size=12))
async def test_connections_are_asked_after_each_failed_check_from_the_second_in_a_row(
    answers: list[dict[str, object] | Exception],
) -> None:
    server, connection = CheckedServer(), AskedConnection()
    server.on_connected(connection)
    failed = 0
    for answer in answers:
        before = connection.asked
        await server.check_with(answer)
        failed = failed + 1 if isinstance(answer, Exception) else 0
        assert connection.asked - before == (failed >= CHECKS_UNTIL_SILENT)


async def test_connection_that_has_ended_is_not_kept() -> None:
    server = CheckedServer()
    connection = AskedConnection()
    ended = weakref.ref(connection)
    server.on_connected(connection)
    del connection
    gc.collect()
    assert ended() is None
    for _ in range(CHECKS_UNTIL_SILENT):
        await server.check_with(httpx.ReadTimeout("late"))


async def test_late_answer_is_followed_by_the_next_check_at_once() -> None:
    server = CheckedServer()
    assert not await server.check_with(READY)
    assert await server.check_with(httpx.ReadTimeout("late")), "two seconds have passed already"
    assert not await server.check_with(httpx.ConnectError("refused")), "it would be asked without any pause"
    assert not await server.check_with(READY)


@pytest.mark.parametrize("error", [httpx.ConnectError("refused"), httpx.RemoteProtocolError("nonsense")])
async def test_refused_or_broken_answer_makes_a_server_unreachable_at_once(error: Exception) -> None:
    server = CheckedServer()
    await server.check_with(READY)
    await server.check_with(error)
    assert server.load is None
    await server.check_with(READY)
    assert server.load == ServerLoad(3, 1)


async def test_begun_connection_counts_until_the_server_counts_it() -> None:
    server = CheckedServer()
    await server.check_with(READY)
    server.on_connecting()
    server.clock.now += PENDING_S / 2
    server.on_connecting()
    assert server.load == ServerLoad(3, 1, pending=2)
    await server.check_with(READY)
    assert server.load == ServerLoad(3, 1, pending=2), "this answer may not include them"
    server.clock.now += PENDING_S / 2
    await server.check_with({**READY, "sessions": 2})
    assert server.load == ServerLoad(3, 2, pending=1)
    server.clock.now += PENDING_S
    await server.check_with({**READY, "sessions": 3})
    assert server.load == ServerLoad(3, 3)


async def test_server_that_refuses_a_session_gets_none_until_its_next_answer() -> None:
    server = CheckedServer()
    await server.check_with(READY)
    before = server.changes
    server.on_connecting()
    server.on_unreachable()
    assert server.load is None and server.changes == before + 1
    server.clock.now += PENDING_S
    await server.check_with(READY)
    assert server.load == ServerLoad(3, 1)


async def test_same_answer_is_reported_once() -> None:
    server = CheckedServer()
    for _ in range(3):
        await server.check_with(READY)
    assert server.changes == 1
