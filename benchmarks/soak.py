"""Soak test: finds remains of finished calls in memory, file descriptors, asyncio tasks and threads.

    python -m benchmarks.soak [--minutes 30] [--json]

The app runs unchanged. Callers come over WebRTC, over the page's WebSocket and as programs. They interrupt replies, and
they hang up or drop their connection. After the last call the app's process must be back at its first figures:

    tasks        exactly
    descriptors  within 2
    threads      within 2, after pools have released idle threads
    memory       within 12 MB; the app has its maximum of closed pages before the first measurement

The exit status is 1 when a figure is higher.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from benchmarks.support.gradio_page import GradioPage, fetch_config
from benchmarks.support.load_callers import (
    CONNECT_ERRORS,
    ApiLoadCaller,
    AudioSocketLoadCaller,
    LoadCaller,
    WebRtcLoadCaller,
)
from benchmarks.support.local_machine import free_port
from benchmarks.support.probed_process import ProbedProcess, probed_process
from voicechat.server.gradio_patches.session_retention import MAX_CLOSED_SESSIONS

CONCURRENT_CALLS = 8
"""Calls at the same time."""
CALL_LENGTH_RANGE_S = 1.0, 14.0
"""Seconds, minimum and maximum, before a caller leaves."""
WARM_UP_CALLS = MAX_CLOSED_SESSIONS * 3 // 2 + 5 * CONCURRENT_CALLS
"""Short calls before the first measurement. They create one-time objects and the maximum of closed pages.
Two of three kinds of callers have a page."""
SETTLE_TIMEOUT_S = 120.0
"""Seconds until all ends are noticed: a dropped browser after half a minute, an idle pool thread later."""
TOLERATED_GROWTH = {"tasks": 0, "fds": 2, "threads": 2, "rss_mb": 12.0}
"""Number of tasks, descriptors and threads, and MB, that may be left."""
CALLER_TYPES: dict[str, type[LoadCaller]] = {
    "webrtc": WebRtcLoadCaller,
    "socket": AudioSocketLoadCaller,
    "program": ApiLoadCaller,
}


@dataclass
class SoakCounts:
    """Calls so far."""

    begun: Counter[str] = field(default_factory=Counter)
    ended: Counter[str] = field(default_factory=Counter)
    failed: int = 0
    """Calls that could not connect."""
    frames: int = 0
    """Audio frames received by callers."""


class CallerPool:
    """Callers that come and leave at random."""

    def __init__(self, url: str, config: dict[str, Any], seed: int) -> None:
        self._url, self._config = url, config
        self._rng = random.Random(seed)
        self.counts = SoakCounts()

    async def run_one_call(self, length_s: tuple[float, float] = CALL_LENGTH_RANGE_S) -> None:
        """Make one call that lasts a random time and ends in a random way."""
        kind = self._rng.choice(list(CALLER_TYPES))
        way = self._rng.choice(["hangs up", "vanishes", "hangs up early"])
        caller = CALLER_TYPES[kind](GradioPage(self._url, self._config))
        self.counts.begun[kind] += 1
        connecting = asyncio.create_task(caller.connect())
        try:
            if way == "hangs up early":  # before or just after it is connected
                await asyncio.wait([connecting], timeout=self._rng.uniform(0.05, 1.5))
            else:
                await connecting
                await asyncio.sleep(self._rng.uniform(*length_s))
        except CONNECT_ERRORS:
            self.counts.failed += 1
        finally:
            connecting.cancel()
            await asyncio.gather(connecting, return_exceptions=True)
            await (caller.drop() if way == "vanishes" else caller.hang_up())
            self.counts.ended[way] += 1
            self.counts.frames += caller.received_frames

    async def _repeat_calls(self, until: float) -> None:
        while time.monotonic() < until:
            await self.run_one_call()

    async def run_until(self, moment: float) -> None:
        """Make `CONCURRENT_CALLS` calls at a time until `moment` (`time.monotonic`), and wait for their end."""
        await asyncio.gather(*(self._repeat_calls(moment) for _ in range(CONCURRENT_CALLS)))


async def _wait_until_settled(
    app: ProbedProcess, like: dict[str, Any] | None = None, seconds: float = SETTLE_TIMEOUT_S
) -> dict[str, Any]:
    """Return the app's figures after `seconds`, or earlier when they equal `like` and do not fall any more."""
    until = time.monotonic() + seconds
    last: dict[str, Any] = {}
    while True:
        now = await asyncio.to_thread(app.ask, "tidy")
        is_stable = last and all(now[name] >= last[name] for name in ("tasks", "fds", "threads"))
        if time.monotonic() > until or (
            like is not None and is_stable and not _growth({**like, "rss_mb": now["rss_mb"]}, now)
        ):
            return now
        last = now
        await asyncio.sleep(5)


def _growth(before: dict[str, Any], after: dict[str, Any]) -> dict[str, float]:
    """Return the figures that grew by more than is tolerated, with their growth."""
    return {
        name: after[name] - before[name] for name, most in TOLERATED_GROWTH.items() if after[name] - before[name] > most
    }


async def run_soak(minutes: float, seed: int) -> dict[str, Any]:
    """Make calls for `minutes`, and compare the app's figures before and after."""
    with ExitStack() as stack:
        behind, front = str(free_port()), str(free_port())
        stack.enter_context(probed_process(["benchmarks.support.load_server", behind, "interrupt"]))
        app = stack.enter_context(
            probed_process(["benchmarks.support.probed_app", "ours", front, f"ws://127.0.0.1:{behind}/v1/realtime"])
        )
        url = f"http://127.0.0.1:{front}"
        pool = CallerPool(url, await fetch_config(url), seed)
        for _ in range(WARM_UP_CALLS // CONCURRENT_CALLS):
            await asyncio.gather(*(pool.run_one_call(length_s=(0.2, 1.0)) for _ in range(CONCURRENT_CALLS)))
        before = await _wait_until_settled(app, seconds=SETTLE_TIMEOUT_S / 2)
        _print_status("before", before, pool.counts)
        pool.counts = SoakCounts()
        end = time.monotonic() + minutes * 60
        running = asyncio.create_task(pool.run_until(end))
        while not running.done():
            await asyncio.wait([running], timeout=60)
            _print_status("meanwhile", await asyncio.to_thread(app.ask, "how"), pool.counts)
        await running
        after = await _wait_until_settled(app, like=before)
        _print_status("after", after, pool.counts)
    counts = pool.counts
    left = _growth(before, after)
    return {
        "minutes": minutes,
        "calls": dict(counts.begun),
        "ways": dict(counts.ended),
        "failed": counts.failed,
        "frames_heard": counts.frames,
        "before": before,
        "after": after,
        "left": left,
        "clean": not left and counts.frames > 0,
    }


def _print_status(when: str, figures: dict[str, Any], counts: SoakCounts) -> None:
    print(
        f"{when:10} {counts.begun.total():>5} calls  {figures['rss_mb']:>6.1f} MB  {figures['tasks']:>4} tasks  "
        f"{figures['fds']:>4} descriptors  {figures['threads']:>3} threads",
        file=sys.stderr,
        flush=True,
    )


def format_table(report: dict[str, Any]) -> str:
    """Return the report as a table."""
    lines = [
        f"{sum(report['calls'].values())} calls in {report['minutes']:g} minutes: {report['calls']}, {report['ways']}"
    ]
    lines.append(f"{'':14}{'before':>10}{'after':>10}")
    for name, label in (("tasks", "tasks"), ("fds", "descriptors"), ("threads", "threads"), ("rss_mb", "memory, MB")):
        lines.append(f"{label:14}{report['before'][name]:>10.0f}{report['after'][name]:>10.0f}")
    lines.append("nothing is left" if report["clean"] else f"LEFT: {report['left']}")
    return "\n".join(lines)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--minutes", type=float, default=30.0, help="minutes of calls (30)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the random calls")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    given = parser.parse_args()
    report = asyncio.run(run_soak(given.minutes, given.seed))
    print(json.dumps(report, indent=1) if given.json else format_table(report))
    sys.exit(0 if report["clean"] else 1)


if __name__ == "__main__":
    main()
