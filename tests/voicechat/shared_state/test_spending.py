"""Spending of a day over replicas: generated orders of spending, exchanges and faults against a plain sum."""

from __future__ import annotations

import asyncio
import logging
import random
from dataclasses import dataclass, field

import fakeredis
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.manual_clock import ManualClock
from tests.support.shared_state.faulty_connection import Fault, FaultyConnection, SumStore, restart_empty
from voicechat.limits.pricing import DAY_S, MILLION
from voicechat.shared_state.redis_connection import RedisConnection
from voicechat.shared_state.spending import SharedDailySpend
from voicechat.shared_state.sum_exchange import ANSWERS_TO_BE_CURRENT, EXCHANGE_SCRIPT, SumExchange

NOON = 20_000 * DAY_S + DAY_S / 2
REPLICAS = 2
EXAMPLES = 60
RANDOM_ORDERS, ORDERS_PER_TEST = 10_000, 2500


class SpendingReplica:
    """One replica, and what it has spent."""

    def __init__(self, server: fakeredis.FakeServer | SumStore, name: str, clock: ManualClock) -> None:
        self.connection = FaultyConnection(server)
        self.exchange = SumExchange(self.connection)
        self.ledger = SharedDailySpend(self.connection, self.exchange, name, lambda: REPLICAS, clock)
        self.spent = 0
        """Micro-dollars: the truth."""

    def spend(self, micro_usd: int) -> None:
        """Book an amount."""
        self.spent += micro_usd
        self.ledger.add(micro_usd / MILLION)

    async def exchange_with(self, fault: Fault) -> None:
        """Exchange once, with this fault."""
        self.connection.fault = fault
        await self.exchange.exchange_due()
        self.connection.fault = Fault.NONE

    @property
    def known(self) -> int:
        """Micro-dollars of the day, as this replica knows them."""
        return round(self.ledger.today_usd * MILLION)


@dataclass
class SpendingDeployment:
    """Two replicas and their Redis."""

    clock: ManualClock = field(default_factory=lambda: ManualClock(NOON))
    server: fakeredis.FakeServer | SumStore = field(default_factory=fakeredis.FakeServer)

    def __post_init__(self) -> None:
        self.replicas = [SpendingReplica(self.server, name, self.clock) for name in ("a", "b")]

    @property
    def spent(self) -> int:
        return sum(replica.spent for replica in self.replicas)

    async def settle(self) -> None:
        """Let all requests arrive, and all replicas exchange."""
        for replica in self.replicas:
            await replica.connection.deliver_late()
        for _ in range(ANSWERS_TO_BE_CURRENT):
            for replica in self.replicas:
                await replica.exchange_with(Fault.NONE)

    async def stored(self, day: str = "2024-10-04") -> int:
        """Return the micro-dollars of a day in Redis."""
        if isinstance(self.server, SumStore):
            return sum(self.server.sums.get(f"{{voice}}:usd:{day}", {}).values())
        client = fakeredis.FakeAsyncRedis(server=self.server)
        return sum(int(units) for units in (await client.hgetall(f"{{voice}}:usd:{day}")).values())


Step = tuple[str, int, object]
REPLICA = st.sampled_from(range(REPLICAS))
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("spend"), REPLICA, st.integers(1, 1000)),
        st.tuples(st.just("exchange"), REPLICA, st.sampled_from(Fault)),
        st.tuples(st.just("deliver"), REPLICA, st.none()),
        st.tuples(st.just("restart"), REPLICA, st.none()),
    ),
    max_size=40,
)


@settings(max_examples=EXAMPLES)
@given(STEPS)
def test_sum_of_all_replicas_is_exact_after_any_faults(steps: list[Step]) -> None:
    async def run() -> None:
        deployment = SpendingDeployment()
        for what, index, detail in steps:
            replica = deployment.replicas[index]
            before = [each.known for each in deployment.replicas if each.exchange.is_current]
            match what, detail:
                case "spend", int():
                    replica.spend(detail)
                case "exchange", Fault():
                    await replica.exchange_with(detail)
                case "deliver", _:
                    await replica.connection.deliver_late()
                case "restart", _:
                    await restart_empty(deployment.server)
            for each in deployment.replicas:
                assert each.known >= each.spent, "nothing is forgotten"
                assert not each.exchange.is_current or each.known <= deployment.spent, "nothing is counted twice"
            assert what == "exchange" or sum(before) <= sum(each.known for each in deployment.replicas)
            assert await deployment.stored() <= deployment.spent
        await deployment.settle()
        assert [each.known for each in deployment.replicas] == [deployment.spent] * REPLICAS
        assert await deployment.stored() == deployment.spent

    asyncio.run(run())


SECOND = 10
"""Micro-dollars that one replica spends at most in a second."""
SECONDS = st.lists(
    st.tuples(
        st.integers(0, SECOND), st.integers(0, SECOND), st.sampled_from(Fault), st.sampled_from(Fault), st.booleans()
    ),
    max_size=40,
)
CAPS = st.integers(1, 300)


async def spend_seconds(
    cap: int, seconds: list[tuple[int, int, Fault, Fault, bool]], deployment: SpendingDeployment
) -> None:
    """Spend up to the cap as both replicas know it, one micro-dollar after the other; exchange after each second."""
    for *amounts, fault_a, fault_b, is_emptied in seconds:
        for unit in range(max(amounts)):
            for replica, amount in zip(deployment.replicas, amounts, strict=True):
                if unit < amount and replica.known < cap:
                    replica.spend(1)
        if is_emptied:
            await restart_empty(deployment.server)
        for replica, fault in zip(deployment.replicas, (fault_a, fault_b), strict=True):
            await replica.exchange_with(fault)


@settings(max_examples=EXAMPLES)
@given(CAPS, SECONDS)
def test_total_stays_within_the_cap_and_one_second_while_redis_is_lost_for_all(
    cap: int, seconds: list[tuple[int, int, Fault, Fault, bool]]
) -> None:
    async def run() -> None:
        deployment = SpendingDeployment()
        await deployment.settle()
        await spend_seconds(cap, [(a, b, fault, fault, empty) for a, b, fault, _, empty in seconds], deployment)
        assert deployment.spent <= cap + REPLICAS * SECOND

    asyncio.run(run())


@settings(max_examples=EXAMPLES)
@given(CAPS, SECONDS)
def test_total_exceeds_the_cap_by_the_share_of_a_replica_that_alone_has_lost_redis(
    cap: int, seconds: list[tuple[int, int, Fault, Fault, bool]]
) -> None:
    async def run() -> None:
        deployment = SpendingDeployment()
        await deployment.settle()
        await spend_seconds(cap, seconds, deployment)
        assert deployment.spent <= cap + cap / REPLICAS + REPLICAS * SECOND

    asyncio.run(run())


@pytest.mark.parametrize("first_seed", range(0, RANDOM_ORDERS, ORDERS_PER_TEST))
async def test_ten_thousand_orders_stay_within_the_cap_and_end_with_the_exact_sum(
    first_seed: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Redis is lost, slow or empty for both replicas at once, in outages of random length."""
    caplog.set_level(logging.ERROR)  # a line for each restart
    for seed in range(first_seed, first_seed + ORDERS_PER_TEST):
        chance = random.Random(seed)
        deployment, cap = SpendingDeployment(server=SumStore()), chance.randint(1, 150)
        await deployment.settle()
        seconds, fault, restart_rate = [], Fault.NONE, chance.choice((0.0, 0.1, 0.7))
        for _ in range(chance.randint(1, 15)):
            if chance.random() < 0.3:
                fault = chance.choice(list(Fault))
            amounts = chance.randint(0, SECOND), chance.randint(0, SECOND)
            seconds.append((*amounts, fault, fault, chance.random() < restart_rate))
        await spend_seconds(cap, seconds, deployment)
        assert deployment.spent <= cap + REPLICAS * SECOND, f"seed {seed}"
        await deployment.settle()
        assert [each.known for each in deployment.replicas] == [deployment.spent] * REPLICAS, f"seed {seed}"
        assert await deployment.stored() == deployment.spent, f"seed {seed}"


PARTS = st.dictionaries(st.sampled_from("xyz"), st.integers(0, 100), max_size=3)


@given(st.lists(st.tuples(st.lists(PARTS, max_size=3), st.booleans()), max_size=8))
def test_store_of_these_tests_answers_as_the_script_does(requests: list[tuple[list[dict[str, int]], bool]]) -> None:
    async def run() -> None:
        store, server = SumStore(), fakeredis.FakeServer()
        connection = RedisConnection(fakeredis.FakeAsyncRedis(server=server))
        for number, (sums, is_emptied) in enumerate(requests):
            if is_emptied:
                store.restart_empty()
                await restart_empty(server)
            keys = ["contents", *(f"sum {index}" for index in range(len(sums)))]
            arguments: list[str | int] = [f"mark {number}", 60]
            for parts in sums:
                arguments += [len(parts), *(word for part in parts.items() for word in part)]
            answers = await connection.run_script(EXCHANGE_SCRIPT, keys, arguments)
            expected = await store.exchange(keys, arguments)
            assert answers[0] == expected[0]
            for answer, wanted in zip(answers[1:], expected[1:], strict=True):
                assert dict(zip(answer[::2], answer[1::2], strict=True)) == dict(
                    zip(wanted[::2], wanted[1::2], strict=True)
                )

    asyncio.run(run())


@given(CAPS, SECONDS)
def test_total_reaches_the_cap_while_redis_answers(
    cap: int, seconds: list[tuple[int, int, Fault, Fault, bool]]
) -> None:
    async def run() -> None:
        deployment = SpendingDeployment()
        await deployment.settle()
        await spend_seconds(cap, [(a, b, Fault.NONE, Fault.NONE, False) for a, b, *_ in seconds], deployment)
        wanted = sum(a + b for a, b, *_ in seconds)
        assert deployment.spent >= min(cap, wanted)

    asyncio.run(run())


async def test_spending_while_redis_is_away_ends_at_the_share() -> None:
    deployment = SpendingDeployment()
    one, two = deployment.replicas
    one.spend(400)
    await deployment.settle()
    await one.exchange_with(Fault.REQUEST_LOST)
    two.spend(100)  # unseen
    while one.known < 1000:
        one.spend(1)
    assert one.spent == 400 + (1000 - 400) / REPLICAS
    await deployment.settle()
    assert one.known == two.known == 800, "afterwards as spent"


async def test_part_of_an_ended_replica_survives_a_restart_of_redis() -> None:
    deployment = SpendingDeployment()
    ended, other = deployment.replicas
    ended.spend(700)
    await deployment.settle()
    await restart_empty(deployment.server)
    await other.exchange_with(Fault.NONE)
    await other.exchange_with(Fault.NONE)
    new = SpendingReplica(deployment.server, "c", deployment.clock)
    await new.exchange_with(Fault.NONE)
    assert new.known == other.known == 700


async def test_day_begins_with_nothing_and_yesterdays_rest_is_sent() -> None:
    server = fakeredis.FakeServer()
    deployment = SpendingDeployment(server=server)
    one, two = deployment.replicas
    one.spend(700)
    await deployment.settle()
    one.spend(50)
    deployment.clock.now += DAY_S / 2
    assert one.known == two.known == 0
    deployment.clock.now -= 10  # set back over midnight: nothing is forgiven
    one.spend(3)
    assert one.known == 3
    await deployment.settle()
    assert one.known == two.known == 3
    assert (await deployment.stored(), await deployment.stored("2024-10-05")) == (750, 3)
    client = fakeredis.FakeAsyncRedis(server=server)
    assert 0 < await client.ttl("{voice}:usd:2024-10-05") <= 2 * DAY_S


@pytest.mark.parametrize("usd", [-3.0, float("nan"), float("inf")])
async def test_impossible_amount_is_not_booked(usd: float) -> None:
    one = SpendingDeployment().replicas[0]
    one.ledger.add(usd)
    assert one.ledger.today_usd == 0


async def test_key_with_other_contents_stops_no_replica(caplog: pytest.LogCaptureFixture) -> None:
    server = fakeredis.FakeServer()
    one = SpendingDeployment(server=server).replicas[0]
    client = fakeredis.FakeAsyncRedis(server=server)
    await client.hset("{voice}:usd:2024-10-04", "x", "canary")
    one.spend(5)
    await one.exchange_with(Fault.NONE)
    assert "cannot be exchanged" in caplog.text and "canary" not in caplog.text
    assert not one.exchange.is_current and one.known == 10, "it spends its share"
