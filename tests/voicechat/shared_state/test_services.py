"""Shared services of two replicas over a Redis process that is killed, frozen and restarted empty."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import redis.asyncio as redis

from tests.support.shared_state.redis_process import RedisProcess, running_redis
from voicechat.config.groups.limit_settings import LimitSettings
from voicechat.config.groups.scale_settings import ScaleSettings
from voicechat.config.settings import Settings
from voicechat.security.auth.password_attempts import VISITOR_ATTEMPT_BURST
from voicechat.shared_state.services import SharedServices

QUOTA_S = 100
VISITOR = "203.0.113.7"


@asynccontextmanager
async def two_replicas(server: RedisProcess) -> AsyncIterator[tuple[SharedServices, SharedServices]]:
    """Run the services of two replicas until the block ends."""
    settings = Settings(
        scale=ScaleSettings(redis_url=server.url), limits=LimitSettings(max_visitor_seconds_per_day=QUOTA_S)
    )
    one, two = SharedServices.open(settings), SharedServices.open(settings)
    async with asyncio.timeout(100), one.run_in_background(), two.run_in_background():
        yield one, two


def replicas_known(services: SharedServices) -> int:
    return services.admission.count_everywhere().replicas


async def wait_until(condition: Callable[[], bool | Awaitable[bool]]) -> None:
    """Wait until `condition` holds; the tasks in the background change it."""
    while True:
        found = condition()
        if found if isinstance(found, bool) else await found:
            return
        await asyncio.sleep(0.05)


async def stored_micro_usd(server: RedisProcess) -> int:
    """Return the micro-dollars in Redis; -1 while it does not answer."""
    client = redis.Redis.from_url(server.url, socket_timeout=1)
    try:
        keys = await client.keys("{voice}:usd:*")
        return sum([int(units) for key in keys for units in (await client.hgetall(key)).values()])
    except redis.RedisError:
        return -1
    finally:
        await client.aclose()


async def test_replicas_know_of_each_other_and_spend_as_one(tmp_path: Path) -> None:
    with running_redis(tmp_path) as server:
        async with two_replicas(server) as (one, two):
            await wait_until(lambda: replicas_known(one) == 2)
            one.daily_spend.add(0.25)
            two.daily_spend.add(0.5)
            one.daily_quota.add(VISITOR, QUOTA_S)
            await wait_until(lambda: one.daily_spend.today_usd == two.daily_spend.today_usd == 0.75)
            await wait_until(lambda: one.sum_exchange.is_current and two.sum_exchange.is_current)
            await two.daily_quota.refresh(VISITOR)
            assert two.daily_quota.is_exhausted(VISITOR)
            taken = [await (one, two)[turn % 2].password_attempts.take(VISITOR) for turn in range(8)]
            assert taken == [True] * VISITOR_ATTEMPT_BURST + [False] * 2
        assert await stored_micro_usd(server) == 750_000


async def test_unsent_sums_are_sent_at_the_end_of_a_replica(tmp_path: Path) -> None:
    with running_redis(tmp_path) as server:
        async with two_replicas(server) as (one, _):
            await wait_until(lambda: one.sum_exchange.is_current)
            one.daily_spend.add(0.25)  # the next exchange is up to a second away
        assert await stored_micro_usd(server) == 250_000


async def test_sums_survive_a_redis_that_is_killed_and_restarted_empty(tmp_path: Path) -> None:
    with running_redis(tmp_path) as server:
        async with two_replicas(server) as (one, two):
            one.daily_spend.add(0.25)
            one.daily_quota.add(VISITOR, QUOTA_S)
            await wait_until(lambda: two.daily_spend.today_usd == 0.25 and replicas_known(one) == 2)
            await wait_until(lambda: one.sum_exchange.is_current and two.sum_exchange.is_current)
            server.kill()
            await wait_until(lambda: not one.sum_exchange.is_current and not two.sum_exchange.is_current)
            one.daily_spend.add(0.125)
            two.daily_spend.add(0.5)
            assert one.daily_spend.today_usd == 0.25 + 2 * 0.125, "the other is taken to spend as much"
            assert one.daily_quota.is_exhausted(VISITOR) and not two.daily_quota.is_exhausted(VISITOR)
            await two.daily_quota.refresh(VISITOR)
            assert await two.password_attempts.take(VISITOR)
            server.start()
            await wait_until(lambda: one.sum_exchange.is_current and two.sum_exchange.is_current)
            assert one.daily_spend.today_usd == two.daily_spend.today_usd == 0.875
            await two.daily_quota.refresh(VISITOR)
            assert two.daily_quota.is_exhausted(VISITOR)
            assert replicas_known(one) == 2
        assert await stored_micro_usd(server) == 875_000


async def test_requests_to_a_frozen_redis_are_applied_once(tmp_path: Path) -> None:
    with running_redis(tmp_path) as server:
        async with two_replicas(server) as (one, two):
            await wait_until(lambda: one.sum_exchange.is_current and two.sum_exchange.is_current)
            server.freeze()
            one.daily_spend.add(0.25)
            two.daily_spend.add(0.5)
            await wait_until(lambda: not one.sum_exchange.is_current and not two.sum_exchange.is_current)
            one.daily_spend.add(0.125)  # a newer request; the older one is in the socket of the frozen process
            server.thaw()
            await wait_until(lambda: one.sum_exchange.is_current and two.sum_exchange.is_current)
            assert one.daily_spend.today_usd == two.daily_spend.today_usd == 0.875
        assert await stored_micro_usd(server) == 875_000


async def test_services_without_a_redis_at_the_start_count_alone_and_find_it_later(tmp_path: Path) -> None:
    with running_redis(tmp_path) as server:
        server.kill()
        async with two_replicas(server) as (one, two):
            one.daily_spend.add(0.25)
            one.daily_quota.add(VISITOR, QUOTA_S)
            await wait_until(lambda: not one.connection.is_reachable)
            assert one.daily_spend.today_usd == 0.25 and one.daily_quota.is_exhausted(VISITOR)
            assert two.daily_spend.today_usd == 0
            server.start()
            await wait_until(lambda: two.daily_spend.today_usd == 0.25)
            await wait_until(lambda: one.sum_exchange.is_current)
            while not two.daily_quota.is_exhausted(VISITOR):
                await two.daily_quota.refresh(VISITOR)
                await asyncio.sleep(0.05)


async def test_tasks_of_the_services_end_with_them(tmp_path: Path) -> None:
    before = asyncio.all_tasks()
    with running_redis(tmp_path) as server:
        async with two_replicas(server) as (one, _):
            await wait_until(lambda: one.sum_exchange.is_current)
            server.freeze()
            with_services = asyncio.all_tasks()
        assert asyncio.all_tasks() == before
        assert len(with_services) == len(before) + 2 * 4
