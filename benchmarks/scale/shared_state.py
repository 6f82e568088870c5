"""Shared state over Redis, beside the same in memory: admission to a slot, and the sums that are sent."""

from __future__ import annotations

import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from benchmarks.proxy import median_and_range
from voicechat.limits.admission import Admission, AdmissionKind, AdmissionState, AdmissionTicket, ConcurrencyLimits
from voicechat.limits.pricing import DailySpend
from voicechat.limits.waiting_queue import AdmissionController
from voicechat.shared_state.redis_connection import RedisConnection
from voicechat.shared_state.shared_admission import SharedAdmissionController
from voicechat.shared_state.spending import SharedDailySpend
from voicechat.shared_state.sum_exchange import SumExchange
from voicechat.shared_state.visitor_names import VisitorNames
from voicechat.shared_state.visitor_seconds import SharedDailyQuota

from .servers import LocalServer, running_redis

HELD_CALLS, QUICK_HELD_CALLS = (10, 100, 1000), (10, 100)
"""Calls that hold a slot while others are admitted."""
CALLS_PER_REPLICA = 45
"""Calls of a replica that is full: one core carries about as many."""
SENT_VISITORS = (1, CALLS_PER_REPLICA)
"""Visitors whose seconds are sent in one exchange."""
ADMISSIONS, QUICK_ADMISSIONS = 100, 30
"""Admissions of one round."""
EXCHANGES, QUICK_EXCHANGES = 50, 20
"""Exchanges of one round."""
LIMITS = ConcurrencyLimits(calls=10_000, chats=10_000, api_clients=10_000, offline_sessions=10_000, queue_length=100)
"""Limits that no round reaches."""


class SilentListener:
    """Session that holds a ticket and does nothing."""

    def on_admission_changed(self) -> None:
        pass

    def on_shutdown(self, grace_s: float) -> None:
        pass


@dataclass(frozen=True, slots=True)
class TimedRound:
    """Times of one round of the same step."""

    ms: Sequence[float]
    own_cpu_us: float
    """CPU time of this process for each step."""
    redis_cpu_us: float
    """CPU time of Redis for each step."""

    def percentile(self, share: float) -> float:
        ordered = sorted(self.ms)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


@dataclass(frozen=True, slots=True)
class StepRow:
    """Results of one step over all rounds, in memory (or "" where it has none) and over Redis."""

    step: str
    size: int
    """Calls that hold a slot, or visitors whose seconds are sent."""
    memory_ms: tuple[float, float] | None
    """Median and 95th percentile."""
    redis_ms: tuple[float, float]
    added_median_ms: tuple[float, float, float]
    """Median, minimum and maximum of the rounds."""
    added_p95_ms: tuple[float, float, float]
    own_cpu_us: float
    """CPU time of the replica for each step over Redis."""
    redis_cpu_us: float


async def time_steps(
    count: int, step: Callable[[], Awaitable[None]], redis: LocalServer, connection: RedisConnection
) -> TimedRound:
    """Run a step `count` times, one after the other. Raises SystemExit when Redis does not answer in time."""
    times = []
    own, other = time.process_time(), redis.cpu_s()
    for _ in range(count):
        began = time.perf_counter()
        await step()
        times.append((time.perf_counter() - began) * 1000)
    if not connection.is_reachable:
        raise SystemExit("Redis did not answer in time. Run the benchmark on a computer that is less busy.")
    scale = 1e6 / count
    return TimedRound(times, (time.process_time() - own) * scale, (redis.cpu_s() - other) * scale)


def make_row(step: str, size: int, memory: Sequence[TimedRound], shared: Sequence[TimedRound]) -> StepRow:
    """Return the results of rounds that alternated; `memory` is empty for a step that memory does not need."""

    def middle(rounds: Sequence[TimedRound]) -> tuple[float, float]:
        medians, tails = ([one.percentile(share) for one in rounds] for share in (0.5, 0.95))
        return round(statistics.median(medians), 3), round(statistics.median(tails), 3)

    def added(share: float) -> tuple[float, float, float]:
        before = [one.percentile(share) for one in memory] or [0.0] * len(shared)
        return median_and_range([b.percentile(share) - a for a, b in zip(before, shared, strict=True)])

    return StepRow(
        step,
        size,
        middle(memory) if memory else None,
        middle(shared),
        added(0.5),
        added(0.95),
        round(statistics.median(one.own_cpu_us for one in shared), 1),
        round(statistics.median(one.redis_cpu_us for one in shared), 1),
    )


# ---------------------------------------------------------------- admission


async def admit(admission: Admission) -> AdmissionTicket:
    """Request a slot for a call, and wait for it. Raises RuntimeError when it is refused."""
    ticket = admission.request_admission(SilentListener(), AdmissionKind.CALL, "")
    await ticket.decided()
    if ticket.state is not AdmissionState.ADMITTED:
        raise RuntimeError(f"not admitted: {ticket.state.name}")
    return ticket


class HeldCalls:
    """Calls that hold a slot at other replicas, with the calls of one core at each."""

    def __init__(self, calls: int, connection: RedisConnection) -> None:
        self._replicas = [
            (SharedAdmissionController(LIMITS, connection, f"other-{first}"), min(CALLS_PER_REPLICA, calls - first))
            for first in range(0, calls, CALLS_PER_REPLICA)
        ]

    async def enter(self) -> None:
        """Take all slots."""
        for replica, calls in self._replicas:
            tickets = [replica.request_admission(SilentListener(), AdmissionKind.CALL) for _ in range(calls)]
            await replica.synchronise()
            if any(ticket.state is not AdmissionState.ADMITTED for ticket in tickets):
                raise RuntimeError("a call is without its slot")

    async def renew(self) -> None:
        """Renew the leases, which last for some seconds."""
        for replica, _ in self._replicas:
            await replica.synchronise()


async def measure_admission(
    rounds: int, redis: LocalServer, connection: RedisConnection, *, quick: bool
) -> list[StepRow]:
    """Measure admissions while some calls hold a slot, in memory and over Redis in turns."""
    rows = []
    count = QUICK_ADMISSIONS if quick else ADMISSIONS
    for held in QUICK_HELD_CALLS if quick else HELD_CALLS:
        await connection.request(lambda client: client.flushall())
        memory = AdmissionController(LIMITS)
        for _ in range(held):
            await admit(memory)
        others = HeldCalls(held, connection)
        await others.enter()
        shared = SharedAdmissionController(LIMITS, connection, "measured")
        found: dict[str, list[TimedRound]] = {"memory": [], "redis": []}
        async with shared.run_in_background():
            for _ in range(rounds):
                for name, admission in (("memory", memory), ("redis", shared)):
                    await others.renew()

                    async def step(admission: Admission = admission) -> None:
                        (await admit(admission)).release()  # over Redis, the next request takes the release along

                    found[name].append(await time_steps(count, step, redis, connection))
        rows.append(make_row("admission", held, found["memory"], found["redis"]))
    return rows


# ---------------------------------------------------------------- sums


async def measure_booking(rounds: int, redis: LocalServer, connection: RedisConnection) -> StepRow:
    """Measure what booking an amount takes in the call that spends it. Neither way waits for Redis."""
    exchange = SumExchange(connection)
    spending = {
        "memory": DailySpend(time.time),
        "redis": SharedDailySpend(connection, exchange, "benchmark", lambda: 2),
    }
    found: dict[str, list[TimedRound]] = {"memory": [], "redis": []}
    for _ in range(rounds):
        for name, spend in spending.items():

            async def step(spend: DailySpend | SharedDailySpend = spend) -> None:
                spend.add(0.001)
                assert spend.today_usd > 0

            found[name].append(await time_steps(1000, step, redis, connection))
    return make_row("booking", 1, found["memory"], found["redis"])


async def measure_exchange(
    rounds: int, redis: LocalServer, connection: RedisConnection, *, quick: bool
) -> list[StepRow]:
    """Measure the exchange of a second: the day's spending, and the seconds of some visitors."""
    rows = []
    count = QUICK_EXCHANGES if quick else EXCHANGES
    for visitors in SENT_VISITORS:
        exchange = SumExchange(connection)
        spend = SharedDailySpend(connection, exchange, "benchmark", lambda: 2)
        quota = SharedDailyQuota(connection, exchange, VisitorNames(connection, b"benchmark"), "benchmark", 3600)

        async def step(
            exchange: SumExchange = exchange,
            spend: SharedDailySpend = spend,
            quota: SharedDailyQuota = quota,
            visitors: int = visitors,
        ) -> None:
            spend.add(0.01)
            for number in range(visitors):
                quota.add(f"visitor {number}", 5)
            await exchange.exchange_due()

        await step()
        found = [await time_steps(count, step, redis, connection) for _ in range(rounds)]
        rows.append(make_row("exchange", visitors, [], found))
    return rows


async def measure_shared_state(rounds: int, *, quick: bool) -> list[StepRow]:
    """Run a Redis and measure all steps."""
    with running_redis() as redis:
        connection = RedisConnection.open(f"redis://127.0.0.1:{redis.port}/0", "benchmark")
        return [
            *await measure_admission(rounds, redis, connection, quick=quick),
            await measure_booking(rounds, redis, connection),
            *await measure_exchange(rounds, redis, connection, quick=quick),
        ]
