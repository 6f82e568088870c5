"""Seconds of visitors over replicas, and the names of visitors in Redis."""

from __future__ import annotations

import asyncio

import fakeredis
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.manual_clock import ManualClock
from tests.support.shared_state.faulty_connection import Fault, FaultyConnection, restart_empty
from voicechat.config.groups.scale_settings import ScaleSettings
from voicechat.config.groups.security_settings import SecuritySettings
from voicechat.config.settings import Settings
from voicechat.limits.daily_quota import QuotaMeter
from voicechat.limits.pricing import DAY_S
from voicechat.shared_state.sum_exchange import ANSWERS_TO_BE_CURRENT, MAX_SUMS_PER_REQUEST, SumExchange
from voicechat.shared_state.visitor_names import VisitorNames, deployment_secret
from voicechat.shared_state.visitor_seconds import SharedDailyQuota

NOON = 20_000 * DAY_S + DAY_S / 2
LIMIT_S = 60
SECRET = b"secret of the deployment"
ADDRESS = "203.0.113.7"


class QuotaReplica:
    """One replica's quotas."""

    def __init__(
        self, server: fakeredis.FakeServer, name: str, clock: ManualClock, *, secret: bytes = SECRET, visitors: int = 50
    ) -> None:
        self.connection = FaultyConnection(server)
        self.exchange = SumExchange(self.connection)
        names = VisitorNames(self.connection, secret)
        self.quota = SharedDailyQuota(self.connection, self.exchange, names, name, LIMIT_S, clock, visitors)

    async def exchange_with(self, fault: Fault) -> None:
        """Exchange once, with this fault."""
        self.connection.fault = fault
        await self.exchange.exchange_due()
        self.connection.fault = Fault.NONE


def two_replicas(server: fakeredis.FakeServer, *, secret: bytes = SECRET) -> tuple[QuotaReplica, QuotaReplica]:
    """Return the replicas a and b."""
    clock = ManualClock(NOON)
    return QuotaReplica(server, "a", clock, secret=secret), QuotaReplica(server, "b", clock, secret=secret)


async def stored_ms(server: fakeredis.FakeServer) -> list[int]:
    """Return the milliseconds of each visitor in Redis, in rising order."""
    client = fakeredis.FakeAsyncRedis(server=server)
    keys = [key async for key in client.scan_iter("{voice}:ms:*")]
    return sorted([sum(map(int, (await client.hgetall(key)).values())) for key in keys])


async def test_seconds_of_one_replica_end_the_call_at_the_other() -> None:
    one, two = two_replicas(fakeredis.FakeServer())
    first, second = QuotaMeter(one.quota, ADDRESS, 0.0), QuotaMeter(two.quota, ADDRESS, 0.0)
    assert not first.must_end(True, LIMIT_S - 10) and not second.must_end(True, 9.0)
    await one.exchange_with(Fault.NONE)
    await two.exchange_with(Fault.NONE)
    assert not second.must_end(True, 9.5)
    assert second.must_end(True, 10.0)
    assert not two.quota.is_exhausted("another")


async def test_newcomer_is_refused_after_a_refresh() -> None:
    one, two = two_replicas(fakeredis.FakeServer())
    one.quota.add(ADDRESS, LIMIT_S)
    await one.exchange_with(Fault.NONE)
    assert one.quota.is_exhausted(ADDRESS) and not two.quota.is_exhausted(ADDRESS)
    two.connection.fault = Fault.REQUEST_LOST
    await two.quota.refresh(ADDRESS)
    assert not two.quota.is_exhausted(ADDRESS), "without an answer nothing changes"
    two.connection.fault = Fault.NONE
    await two.quota.refresh(ADDRESS)
    assert two.quota.is_exhausted(ADDRESS)


async def test_unknown_visitor_and_no_limit_ask_redis_nothing() -> None:
    server = fakeredis.FakeServer()
    one, _ = two_replicas(server)
    one.quota.add("", LIMIT_S)
    await one.quota.refresh("")
    await one.exchange_with(Fault.NONE)
    assert not one.quota.is_exhausted("")
    assert not await fakeredis.FakeAsyncRedis(server=server).keys()


async def test_quota_begins_again_at_midnight_utc() -> None:
    clock = ManualClock(NOON)
    replica = QuotaReplica(fakeredis.FakeServer(), "a", clock)
    replica.quota.add(ADDRESS, LIMIT_S)
    clock.now += DAY_S / 2
    assert not replica.quota.is_exhausted(ADDRESS)
    await replica.quota.refresh(ADDRESS)
    assert not replica.quota.is_exhausted(ADDRESS)


VISITOR = st.sampled_from(["v", "w"])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.booleans(), VISITOR, st.integers(1, 5000)),
        st.tuples(st.just("exchange"), st.booleans(), st.sampled_from(Fault), st.none()),
        st.tuples(st.just("refresh"), st.booleans(), VISITOR, st.sampled_from(Fault)),
        st.tuples(st.just("deliver"), st.booleans(), st.none(), st.none()),
        st.tuples(st.just("restart"), st.booleans(), st.none(), st.none()),
    ),
    max_size=25,
)


@settings(max_examples=50)
@given(STEPS, st.sampled_from([SECRET, b""]))
def test_seconds_are_exact_after_any_faults(steps: list[tuple[str, bool, object, object]], secret: bytes) -> None:
    async def run() -> None:
        server, oracle = fakeredis.FakeServer(), {"v": 0, "w": 0}
        replicas = two_replicas(server, secret=secret)
        for what, is_second, detail, more in steps:
            replica = replicas[is_second]
            match what, detail, more:
                case "add", str(), int():
                    oracle[detail] += more
                    replica.quota.add(detail, more / 1000)
                case "exchange", Fault(), _:
                    await replica.exchange_with(detail)
                case "refresh", str(), Fault():
                    replica.connection.fault = more
                    await replica.quota.refresh(detail)
                    replica.connection.fault = Fault.NONE
                case "deliver", _, _:
                    await replica.connection.deliver_late()
                case _:
                    await restart_empty(server)
        for replica in replicas:
            await replica.connection.deliver_late()
        for _ in range(ANSWERS_TO_BE_CURRENT):
            for replica in replicas:
                await replica.quota.refresh("v")
                await replica.quota.refresh("w")
                await replica.exchange_with(Fault.NONE)
        for replica in replicas:
            exhausted = {visitor: replica.quota.is_exhausted(visitor) for visitor in oracle}
            assert exhausted == {visitor: ms >= LIMIT_S * 1000 for visitor, ms in oracle.items()}
        if secret:  # a random secret may have changed, and Redis then has sums under two names until they expire
            assert await stored_ms(server) == sorted(ms for ms in oracle.values() if ms)

    asyncio.run(run())


async def test_visitor_who_was_dropped_and_returns_is_counted_on() -> None:
    server = fakeredis.FakeServer()
    replica = QuotaReplica(server, "a", ManualClock(NOON), visitors=1)
    for visitor, seconds in (("v", 40), ("w", 5), ("v", 15), ("w", 5), ("v", 5)):
        replica.quota.add(visitor, seconds)
        await replica.exchange_with(Fault.NONE)
    assert replica.quota.is_exhausted("v"), "40 + 15 + 5"
    assert await stored_ms(server) == [10_000, 60_000]


async def test_all_visitors_are_sent_again_after_a_restart() -> None:
    server = fakeredis.FakeServer()
    one, two = two_replicas(server, secret=b"")
    many = MAX_SUMS_PER_REQUEST + 20
    one.quota._max_visitors = many
    for number in range(many):
        one.quota.add(f"visitor {number}", LIMIT_S)
    await one.exchange_with(Fault.NONE)
    await restart_empty(server)
    one.quota.add("one more", 1)
    for _ in range(2):
        await one.exchange_with(Fault.NONE)
    await two.quota.refresh("visitor 1")
    assert two.quota.is_exhausted("visitor 1"), "under the same name: the secret is the same"
    assert len(await stored_ms(server)) == many


async def test_redis_holds_no_address_and_no_cookie() -> None:
    server = fakeredis.FakeServer()
    for secret in (SECRET, b""):
        one, _ = two_replicas(server, secret=secret)
        for visitor in (ADDRESS, "browser cookie-canary"):
            one.quota.add(visitor, 5)
        await one.exchange_with(Fault.NONE)
    keys = [bytes(key).decode() async for key in fakeredis.FakeAsyncRedis(server=server).scan_iter()]
    assert len([key for key in keys if ":ms:2024-10-04:" in key]) == 4
    assert not [key for key in keys if ADDRESS in key or "canary" in key]


async def test_random_secret_is_that_of_the_first_replica_and_survives_a_restart() -> None:
    server = fakeredis.FakeServer()
    one, two = VisitorNames(FaultyConnection(server)), VisitorNames(FaultyConnection(server))
    await one.agree()
    await two.agree()
    name = one.name(ADDRESS)
    assert two.name(ADDRESS) == name and one.name("another") != name and len(name) == 16
    await restart_empty(server)
    two.renew()
    await two.agree()
    assert two.name(ADDRESS) == name


def test_secret_is_derived_from_a_setting_that_all_replicas_share() -> None:
    def secret(*, password: str = "", tokens: tuple[str, ...] = (), redis_url: str = "redis://127.0.0.1/0") -> bytes:
        security = SecuritySettings(app_password=password, api_tokens=tokens)
        return deployment_secret(Settings(security=security, scale=ScaleSettings(redis_url=redis_url)))

    assert secret() == b""
    assert secret(password="correct horse") == secret(password="correct horse", redis_url="redis://other/0")
    found = [
        secret(password="correct horse"),
        secret(password="another horse"),
        secret(tokens=("a" * 16,)),
        secret(redis_url="redis://:battery%20staple@127.0.0.1/0"),
    ]
    assert len(set(found)) == 4 and all(found)
    assert secret(redis_url="redis://:battery%20staple@other/0") == found[3]
