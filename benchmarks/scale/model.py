"""Model on paper: what a number of calls would take of Redis and HAProxy, calculated from the measured rows. Pure.

An admission reads the calls of its own replica, not all of them. What the calls of others add to it is measured.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

CALLS = (45, 1_000, 3_000, 10_000, 100_000)
"""Simultaneous calls of the rows."""
CALLS_PER_REPLICA = 45
CALL_S = 300.0
"""Seconds of a call, assumed."""
LOOK_INTERVAL_S = 2.0
"""Seconds after which a replica asks for its slots although nothing happens (shared_admission.py)."""
WRITES_PER_S = 2.0
"""Writes of a conversation that changes all the time (conversations.py): the most there are."""
NOISE = 0.2
"""Part of a measured time by which two of them may differ without a reason."""
MAX_REDIS_SHARE = 0.5
"""Share of its core that Redis may be busy, so that requests are still answered at once."""


@dataclass(frozen=True, slots=True)
class MeasuredCosts:
    """CPU time of Redis for each step, in µs, and of HAProxy for each socket."""

    admission_us: float
    """Of an admission at a full replica, without the calls of others."""
    admission_us_per_call: float
    """Added by each call of all; 0 if what was measured does not depend on them."""
    exchange_us: float
    """Of the sums of a full replica."""
    exchange_us_per_replica: float
    """Added by each other replica, whose part of the day's money it reads."""
    message_us: float
    haproxy_percent: float
    """Percent of a core for a socket of a program."""

    @classmethod
    def from_rows(cls, steps: Sequence[dict[str, float]], trips: Sequence[dict[str, float]]) -> MeasuredCosts:
        """Return the costs in the rows of a report."""
        admissions = sorted((row["size"], row["redis_cpu_us"]) for row in steps if row["step"] == "admission")
        (few, low), (many, high) = admissions[0], admissions[-1]
        slope = (high - low) / (many - few) if high > (1 + NOISE) * low else 0.0
        largest = {row["step"]: row["redis_cpu_us"] for row in sorted(steps, key=lambda row: row["size"])}
        others = max(row["size"] for row in steps if row["step"] == "exchange_beside")
        per_replica = max(0.0, largest["exchange_beside"] - largest["exchange"]) / others
        haproxy = trips[-1]["haproxy_cpu_percent_each"]
        alone_us = max(0.0, low - slope * few)
        return cls(alone_us, slope, largest["exchange"], per_replica, largest["message"], haproxy)


@dataclass(frozen=True, slots=True)
class ModelRow:
    """Calculated load of one number of calls. Shares are of one core of one Redis; above 1 it cannot be done."""

    calls: int
    replicas: int
    admission_ms: float
    """Time for which Redis works on one admission. A replica waits 500 ms for an answer."""
    admission_share: float
    sums_share: float
    conversations_share: float
    haproxy_cores: float
    """Cores of HAProxy if all were programs, with 50 messages a second each way."""

    @property
    def redis_share(self) -> float:
        return self.admission_share + self.sums_share + self.conversations_share


def model_row(calls: int, costs: MeasuredCosts) -> ModelRow:
    """Return the load of this number of calls."""
    replicas = math.ceil(calls / CALLS_PER_REPLICA)
    admission_s = (costs.admission_us + calls * costs.admission_us_per_call) / 1e6
    requests_per_s = replicas / LOOK_INTERVAL_S + 2 * calls / CALL_S
    return ModelRow(
        calls,
        replicas,
        1000 * admission_s,
        requests_per_s * admission_s,
        replicas * (costs.exchange_us + (replicas - 1) * costs.exchange_us_per_replica) / 1e6,
        WRITES_PER_S * calls * costs.message_us / 1e6,
        calls * costs.haproxy_percent / 100,
    )


def calls_per_redis(costs: MeasuredCosts) -> int:
    """Return the calls with which one Redis is as busy as it may be, rounded down to hundreds."""
    calls = 0
    while model_row(calls + 100, costs).redis_share <= MAX_REDIS_SHARE and calls < CALLS[-1]:
        calls += 100
    return calls
