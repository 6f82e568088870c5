"""Redis connection: its circuit breaker, its messages, and a server that hangs, dies and comes back empty."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from pathlib import Path

import fakeredis
import pytest
import redis.asyncio as redis
from redis.exceptions import ConnectionError as RedisConnectionError

from tests.support.manual_clock import ManualClock
from tests.support.shared_state.redis_process import running_redis
from voicechat.config.env_values import SettingsError
from voicechat.shared_state.redis_connection import (
    BREAKER_S,
    FAILURES_TO_OPEN,
    MAX_CONNECTIONS,
    RedisConnection,
    SharedStateUnavailable,
)

COUNT = "return redis.call('INCRBY', KEYS[1], ARGV[1])"


class RefusingRedis:
    """Stands for a client: refuses while `is_down`, and counts what it was asked."""

    def __init__(self) -> None:
        self.is_down = True
        self.asked = 0

    async def ask(self, _: object) -> int:
        self.asked += 1
        if self.is_down:
            raise RedisConnectionError
        return self.asked


async def test_script_counts_under_a_key_of_the_deployment() -> None:
    client = fakeredis.FakeAsyncRedis()
    connection = RedisConnection(client, "shop")
    assert await connection.run_script(COUNT, [connection.key("sum", "today")], [2]) == 2
    assert await connection.run_script(COUNT, [connection.key("sum", "today")], [3]) == 5
    assert await client.get("{shop}:sum:today") == b"5"


async def test_breaker_after_two_failures_asks_nothing_until_its_time_is_over() -> None:
    clock, server = ManualClock(), RefusingRedis()
    connection = RedisConnection(fakeredis.FakeAsyncRedis(), clock=clock)
    returned = []

    def on_return() -> None:
        returned.append(clock())

    connection.on_return(on_return)
    with pytest.raises(SharedStateUnavailable):
        await connection.request(server.ask)
    assert connection.is_reachable, "one failure may be a connection that Redis has closed"
    for _ in range(3):
        with pytest.raises(SharedStateUnavailable):
            await connection.request(server.ask)
    assert (server.asked, connection.is_reachable) == (FAILURES_TO_OPEN, False)

    server.is_down = False
    await clock.advance(BREAKER_S)
    assert await connection.request(server.ask) == FAILURES_TO_OPEN + 1
    assert connection.is_reachable
    assert returned == [clock()]
    await connection.request(server.ask)
    assert len(returned) == 1, "the return of Redis is announced once"


async def test_requests_that_hang_at_the_same_time_are_one_failure() -> None:
    connection, may_fail = RedisConnection(fakeredis.FakeAsyncRedis()), asyncio.Event()

    async def hang(_: object) -> None:
        await may_fail.wait()
        raise TimeoutError

    hanging = [asyncio.create_task(connection.request(hang)) for _ in range(3 * FAILURES_TO_OPEN)]
    await asyncio.sleep(0)
    may_fail.set()
    assert [type(each) for each in await asyncio.gather(*hanging, return_exceptions=True)] == (
        [SharedStateUnavailable] * len(hanging)
    )
    assert connection.is_reachable
    for _ in range(FAILURES_TO_OPEN - 1):
        with pytest.raises(SharedStateUnavailable):
            await connection.request(hang)
    assert not connection.is_reachable


async def test_answer_to_an_older_request_closes_the_breaker() -> None:
    connection, server = RedisConnection(fakeredis.FakeAsyncRedis()), RefusingRedis()
    may_answer = asyncio.Event()

    async def answer_later(_: object) -> str:
        await may_answer.wait()
        return "late"

    older = asyncio.create_task(connection.request(answer_later))
    await asyncio.sleep(0)
    for _ in range(FAILURES_TO_OPEN):
        with pytest.raises(SharedStateUnavailable):
            await connection.request(server.ask)
    assert not connection.is_reachable
    may_answer.set()
    assert await older == "late"
    server.is_down = False
    assert connection.is_reachable and await connection.request(server.ask)


async def test_burst_of_requests_and_a_busy_event_loop_are_no_outage(tmp_path: Path) -> None:
    stall_s, requests = 0.06, 3 * MAX_CONNECTIONS
    with running_redis(tmp_path) as server:
        connection = RedisConnection.open(server.url, "voice")
        is_over = False

        async def keep_the_loop_busy() -> None:
            while not is_over:
                time.sleep(stall_s)  # noqa: ASYNC251  the loop is to be busy
                await asyncio.sleep(0)

        busy = [asyncio.create_task(keep_the_loop_busy()) for _ in range(4)]
        asked = (connection.run_script(COUNT, [connection.key("sum")], [1]) for _ in range(requests))
        answers = await asyncio.gather(*asked, return_exceptions=True)
        is_over = True
        await asyncio.gather(*busy)
        assert set(answers) == set(range(1, requests + 1))
        assert connection.is_reachable


@pytest.mark.parametrize(
    "url", ["redis://127.0.0.1:6379/0", "rediss://user:word@redis.example/1", "unix:///run/redis.sock?db=1"]
)
def test_each_kind_of_address_is_opened(url: str) -> None:
    RedisConnection.open(url, "voice")


def test_address_with_an_unknown_option_is_refused_at_the_start() -> None:
    with pytest.raises(SettingsError, match="REDIS_URL has an option"):
        RedisConnection.open("redis://127.0.0.1:6379/0?canary=1", "voice")


async def test_request_that_hangs_is_given_up() -> None:
    connection = RedisConnection(fakeredis.FakeAsyncRedis())

    def hang(_: redis.Redis) -> Awaitable[object]:
        return asyncio.Event().wait()

    async with asyncio.timeout(20):
        with pytest.raises(SharedStateUnavailable):
            await connection.request(hang)


async def test_messages_arrive_again_after_redis_was_killed_and_restarted_empty(tmp_path: Path) -> None:
    with running_redis(tmp_path) as server:
        connection = RedisConnection.open(server.url, "voice")
        arrived: asyncio.Queue[bytes] = asyncio.Queue()
        returned = asyncio.Event()

        def on_return() -> None:
            returned.set()

        async def publish_until_it_arrives(word: str) -> bytes:
            while True:  # the subscription may come after the first message
                try:
                    await connection.request(lambda client: client.publish(connection.key("news"), word))
                    async with asyncio.timeout(0.2):
                        return await arrived.get()
                except (SharedStateUnavailable, TimeoutError):
                    await asyncio.sleep(0.05)

        connection.subscribe(connection.key("news"), arrived.put_nowait)
        connection.on_return(on_return)
        async with asyncio.timeout(60), connection.run_in_background():
            assert await publish_until_it_arrives("one") == b"one"
            server.kill()
            while connection.is_reachable:
                with pytest.raises(SharedStateUnavailable):
                    await connection.request(lambda client: client.ping())
            server.start()
            await returned.wait()
            while not arrived.empty():
                arrived.get_nowait()
            assert await publish_until_it_arrives("two") == b"two"


async def test_restart_between_two_requests_is_noticed_and_a_closed_connection_is_none(tmp_path: Path) -> None:
    returned = []

    def on_return() -> None:
        returned.append(True)

    async def ping(client: redis.Redis) -> object:
        return await client.ping()

    with running_redis(tmp_path) as server:
        connection = RedisConnection.open(server.url, "voice")
        connection.on_return(on_return)
        await connection.request(ping)
        with pytest.raises(SharedStateUnavailable):
            await connection.request(RefusingRedis().ask)
        await connection.request(ping)
        assert not returned, "one failure, and still the same Redis"
        server.kill()
        with pytest.raises(SharedStateUnavailable):
            await connection.request(ping)
        assert connection.is_reachable
        server.start()
        await connection.request(ping)
        assert returned == [True]


async def test_return_is_announced_though_the_request_that_noticed_it_is_cancelled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock, client = ManualClock(), fakeredis.FakeAsyncRedis()
    connection, returned = RedisConnection(client, clock=clock), []
    is_asked, may_answer = asyncio.Event(), asyncio.Event()

    async def answer_later(_: str) -> dict[str, str]:
        is_asked.set()
        await may_answer.wait()
        return {"run_id": "first"}

    connection.on_return(lambda: returned.append(True))
    await connection.request(lambda each: each.ping())
    for _ in range(FAILURES_TO_OPEN):
        with pytest.raises(SharedStateUnavailable):
            await connection.request(RefusingRedis().ask)
    await clock.advance(BREAKER_S)
    monkeypatch.setattr(client, "info", answer_later)
    first = asyncio.create_task(connection.request(lambda each: each.ping()))
    await is_asked.wait()
    first.cancel()
    await asyncio.wait([first])
    may_answer.set()
    assert not returned
    await connection.request(lambda each: each.ping())
    assert connection.is_reachable and returned == [True]


async def test_redis_that_does_not_name_its_run_counts_as_restarted_after_a_failure() -> None:
    connection, returned = RedisConnection(fakeredis.FakeAsyncRedis()), []

    def on_return() -> None:
        returned.append(True)

    connection.on_return(on_return)
    await connection.request(lambda client: client.ping())
    assert not returned
    with pytest.raises(SharedStateUnavailable):
        await connection.request(RefusingRedis().ask)
    await connection.request(lambda client: client.ping())
    assert returned == [True]


async def test_warning_of_a_lost_redis_has_no_password(caplog: pytest.LogCaptureFixture) -> None:
    connection = RedisConnection.open("redis://user:canary-secret@127.0.0.1:1/0", "voice")
    with pytest.raises(SharedStateUnavailable):
        await connection.request(lambda client: client.ping())
    assert "redis does not answer" in caplog.text
    assert "canary" not in caplog.text + repr(connection)
