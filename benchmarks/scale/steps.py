"""Steps that are timed one after the other, in memory and over Redis, and their results."""

from __future__ import annotations

import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from benchmarks.proxy import median_and_range
from voicechat.shared_state.redis_connection import RedisConnection

from .servers import LocalServer


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
