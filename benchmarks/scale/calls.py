"""Calls that one and two replicas behind HAProxy hold, with what everything else takes of the same computer.

With Redis the replicas also keep every conversation there, as they do by default.
"""

from __future__ import annotations

import asyncio
import os
import statistics
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import psutil

from benchmarks.load import LoadBench, LoadKind
from benchmarks.support.gradio_page import GradioPage
from benchmarks.support.load_window import LoadRamp, LoadWindow
from benchmarks.support.local_machine import free_port
from benchmarks.support.probed_process import Answer, ProbedProcess, disable_gc, probed_process

from .servers import LocalServer, running_haproxy, running_redis

DEPLOYMENTS = ((1, False), (1, True), (2, True))
"""Compared: the number of replicas, and whether they share their state over Redis."""
QUICK_DEPLOYMENTS = DEPLOYMENTS[1:2]
QUICK_CALLS = 8
"""Calls of the only window of a quick run."""
FIRST_CALLS = 16
"""Calls of the first step of a ramp."""
SUMMED = ("cpu_s", "rss_mb", "fds", "threads", "tasks")
"""Values of a probe that are added over the replicas; of the others the highest counts."""


class BenchReplicas:
    """Probes of all replicas, asked as if they were one process."""

    def __init__(self, replicas: Sequence[ProbedProcess]) -> None:
        self._replicas = replicas

    def ask(self, command: str) -> Answer:
        """Send a command to all replicas, and return the sum or the highest of each value."""
        answers = [one.ask(command) for one in self._replicas]
        return {
            name: sum(one[name] for one in answers) if name in SUMMED else max(one[name] for one in answers)
            for name in answers[0]
        }


class ReplicaBench(LoadBench):
    """Replicas behind HAProxy under load, with their server and their callers. No process has a core of its own."""

    def __init__(self, replicas: int, stack: ExitStack, *, has_redis: bool) -> None:
        self._has_redis = has_redis
        self.kind = LoadKind.WEBRTC
        behind = str(free_port())
        self.server = stack.enter_context(probed_process(["benchmarks.support.load_server", behind, "talk"]))
        ports = [free_port() for _ in range(replicas)]
        url = f"ws://127.0.0.1:{behind}/v1/realtime"
        environment = {"REDIS_URL": ""}
        if has_redis:
            environment = {"REDIS_URL": f"redis://127.0.0.1:{stack.enter_context(running_redis()).port}/0"}
        started = [
            stack.enter_context(
                probed_process(["benchmarks.support.probed_app", "ours", str(port), url], **environment)
            )
            for port in ports
        ]
        self.app = BenchReplicas(started)
        self.haproxy: LocalServer = stack.enter_context(running_haproxy(ports))
        self.url = f"http://127.0.0.1:{self.haproxy.port}"
        self.callers = []
        self._config = {}
        self.shares: list[ComputerShares] = []
        """What everything but the replicas took, in each window."""
        self.memory_mb = 0.0
        """Resident memory of all replicas in the newest window."""

    def new_page(self, config: dict[str, Any]) -> GradioPage:
        """Return a page whose conversation is kept where there is a Redis."""
        return GradioPage(self.url, config, is_resumable=self._has_redis)

    async def measure_window(self) -> LoadWindow:
        """Measure one cycle of the conversation in all calls, and the other processes beside it."""
        watched = {"callers": psutil.Process(os.getpid()), "server": psutil.Process(self.server.pid)}
        with measured_shares(watched, self.haproxy, self.shares):
            window = await super().measure_window()
        self.memory_mb = (await self.ask(self.app, "how"))["rss_mb"]
        return window


@dataclass(frozen=True, slots=True)
class ComputerShares:
    """Mean cores that the processes beside the replicas kept busy in a window, its evaluation included."""

    callers: float
    server: float
    haproxy: float


@contextmanager
def measured_shares(
    watched: dict[str, psutil.Process], haproxy: LocalServer, found: list[ComputerShares]
) -> Iterator[None]:
    """Measure the block, and append the result to `found`."""

    def read() -> dict[str, float]:
        times = {name: process.cpu_times() for name, process in watched.items()}
        return {name: one.user + one.system for name, one in times.items()} | {"haproxy": haproxy.cpu_s()}

    loop = asyncio.get_running_loop()
    before, began = read(), loop.time()
    yield
    seconds = loop.time() - began
    found.append(ComputerShares(**{name: round((cpu - before[name]) / seconds, 3) for name, cpu in read().items()}))


def make_call_row(replicas: int, has_redis: bool, ramps: Sequence[LoadRamp], bench: ReplicaBench) -> dict[str, Any]:
    """Return the results of one deployment. The shares of `bench` belong to the windows of all ramps."""
    windows = [window for ramp in ramps for window in ramp.windows]
    best = max(
        zip(windows, bench.shares, strict=True),
        key=lambda pair: (pair[0].verdict.value == "intact", pair[0].calls),
    )
    held = [ramp.max_calls for ramp in ramps if ramp.max_calls]
    return {
        "replicas": replicas,
        "has_redis": has_redis,
        "calls_held": statistics.median(held) if held else None,
        "calls_least": min(held, default=None),
        "calls_most": max(held, default=None),
        "limited_by": next((ramp.limited_by for ramp in ramps if ramp.limited_by), ""),
        "measured_calls": best[0].calls,
        "verdict": best[0].verdict.value,
        "replica_cores": round(best[0].cpu_cores, 3),
        "cpu_percent_per_call": round(100 * best[0].cpu_cores / max(1, best[0].calls), 2),
        "other_cores": asdict(best[1]),
        "mb_per_replica": round(bench.memory_mb / replicas, 1),
        "windows": [asdict(window) for window in windows],
    }


async def measure_calls(rounds: int, *, quick: bool) -> dict[str, Any]:
    """Measure the calls of each deployment, in turns, while all of them run."""
    disable_gc()
    deployments = QUICK_DEPLOYMENTS if quick else DEPLOYMENTS
    ramps: dict[tuple[int, bool], list[LoadRamp]] = {deployment: [] for deployment in deployments}
    with ExitStack() as stack:
        benches = {
            (replicas, has_redis): ReplicaBench(replicas, stack, has_redis=has_redis)
            for replicas, has_redis in deployments
        }
        for _ in range(1 if quick else rounds):
            for deployment, bench in benches.items():
                if quick:
                    ramp = await bench.measure_once(QUICK_CALLS)
                else:
                    before = [one.max_calls for one in ramps[deployment]]
                    first = max(1, max(before) * 7 // 8) if any(before) else FIRST_CALLS
                    ramp = await bench.ramp_up(first, is_near_limit=any(before))
                ramps[deployment].append(ramp)
        rows = [make_call_row(*deployment, ramps[deployment], benches[deployment]) for deployment in deployments]
    return {"computer_cores": os.cpu_count(), "rows": rows}
