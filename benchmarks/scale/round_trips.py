"""Round trips of programs, directly at a replica and through HAProxy, in turns."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import psutil

from benchmarks.proxy import PERIOD_S, RoundTrips, measure_clients, median_and_range
from benchmarks.support.local_machine import free_port, listening_process

from .servers import running_haproxy

CONNECTIONS, QUICK_CONNECTIONS = (1, 10, 30), (10,)
"""Numbers of connections that are measured."""


@dataclass(frozen=True, slots=True)
class RoundTripRow:
    """Results for one number of connections: medians of the rounds, some with minimum and maximum."""

    connections: int
    direct_ms: tuple[float, float]
    """Median and 95th percentile at the replica."""
    haproxy_ms: tuple[float, float]
    """The same through HAProxy."""
    added_median_ms: tuple[float, float, float]
    """Median, minimum and maximum of the rounds."""
    added_p95_ms: tuple[float, float, float]
    haproxy_cpu_percent_each: float
    """Percent of one core that a connection takes of HAProxy, with 50 events a second each way."""
    replica_cpu_percent_each: float
    """The same of the replica."""


def make_row(connections: int, direct: Sequence[RoundTrips], through: Sequence[RoundTrips]) -> RoundTripRow:
    """Return the results of rounds that alternated. CPU times are the replica's in `direct`, HAProxy's in `through`."""
    pairs = list(zip(direct, through, strict=True))

    def middle(rounds: Sequence[RoundTrips], share: float) -> float:
        return round(statistics.median(one.percentile(share) for one in rounds), 3)

    def cpu_percent(rounds: Sequence[RoundTrips]) -> float:
        shares = [100 * one.cpu_s / one.seconds / (one.per_second * PERIOD_S) for one in rounds]
        return round(statistics.median(shares), 2)

    return RoundTripRow(
        connections,
        (middle(direct, 0.5), middle(direct, 0.95)),
        (middle(through, 0.5), middle(through, 0.95)),
        median_and_range([b.percentile(0.5) - a.percentile(0.5) for a, b in pairs]),
        median_and_range([b.percentile(0.95) - a.percentile(0.95) for a, b in pairs]),
        cpu_percent(through),
        cpu_percent(direct),
    )


async def measure_round_trips(rounds: int, seconds: float, *, quick: bool) -> list[RoundTripRow]:
    """Run a Realtime server, a replica's gateway and HAProxy, and measure `rounds` of `seconds` each way."""
    behind, front = free_port(), free_port()
    server = listening_process(behind, "-m", "benchmarks.proxy", "--upstream", str(behind), quiet=True)
    command = ("-m", "uvicorn", "--factory", "benchmarks.proxy:gateway_app", "--log-level", "critical")
    url = f"ws://127.0.0.1:{behind}/v1/realtime"
    gateway = listening_process(
        front, *command, "--port", str(front), quiet=True, REALTIME_URL=url, OPENAI_API_KEY="", MAX_SOCKETS="1000"
    )
    rows = []
    with server, gateway as gateway_pid, running_haproxy([front]) as haproxy:
        ways = [
            (f"ws://127.0.0.1:{front}/realtime-voice", psutil.Process(gateway_pid)),
            (f"ws://127.0.0.1:{haproxy.port}/realtime-voice", haproxy.process),
        ]
        for connections in QUICK_CONNECTIONS if quick else CONNECTIONS:
            found: list[list[RoundTrips]] = [[], []]
            for number in range(rounds):
                for way in (0, 1) if number % 2 == 0 else (1, 0):  # a drift of the computer meets both
                    address, process = ways[way]
                    found[way].append(await measure_clients(address, connections, seconds, process))
            rows.append(make_row(connections, *found))
    return rows
