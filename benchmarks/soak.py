"""Whether anything is left of calls that are over: memory, file descriptors, asyncio tasks, threads.

    python -m benchmarks.soak [--minutes 30] [--json]

The app runs as always. For so long callers come, over WebRTC, over the page's web socket and as programs; they
interrupt the replies; and they hang up, or vanish without a word. When all are gone, what the app's process holds has
to be back where it was after the first few calls:

    tasks        exactly
    descriptors  within 2
    threads      within 2, once pools have let idle ones go
    memory       within 12 MB; before the first measurement the app remembers as many closed pages as it ever will

Ends with 1 where it is not.
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
from benchmarks.support.probed_process import ProbedProcess, probed_process
from voicechat.server.gradio_patches.session_retention import MAX_CLOSED_SESSIONS

from .proxy import free_port

CONCURRENT_CALLS = 8
"""Calls at the same time."""
CALL_LENGTH_RANGE_S = 1.0, 14.0
WARM_UP_CALLS = MAX_CLOSED_SESSIONS * 3 // 2 + 5 * CONCURRENT_CALLS
"""Short calls before the first measurement: what is made once is made then, and the app remembers as many closed pages
as it ever will, all of them of calls. Two of three kinds of callers have a page."""
SETTLE_TIMEOUT_S = 120.0
"""For all to be noticed as gone: a browser that vanishes is missed after half a minute, a pool's thread goes later."""
TOLERATED_GROWTH = {"tasks": 0, "fds": 2, "threads": 2, "rss_mb": 12.0}
CALLER_TYPES: dict[str, type[LoadCaller]] = {
    "webrtc": WebRtcLoadCaller,
    "socket": AudioSocketLoadCaller,
    "program": ApiLoadCaller,
}


@dataclass
class SoakCounts:
    """What has happened."""

    begun: Counter[str] = field(default_factory=Counter)
    ended: Counter[str] = field(default_factory=Counter)
    failed: int = 0
    """Calls that could not be made."""
    frames: int = 0
    """That were heard."""


class CallerPool:
    """The callers."""

    def __init__(self, url: str, config: dict[str, Any], seed: int) -> None:
        self._url, self._config = url, config
        self._rng = random.Random(seed)
        self.counts = SoakCounts()

    async def run_one_call(self, stay_s: tuple[float, float] = CALL_LENGTH_RANGE_S) -> None:
        """Somebody calls, stays for a while, and goes in one way or another."""
        kind = self._rng.choice(list(CALLER_TYPES))
        way = self._rng.choice(["hangs up", "vanishes", "hangs up early"])
        caller = CALLER_TYPES[kind](GradioPage(self._url, self._config))
        self.counts.begun[kind] += 1
        dialling = asyncio.create_task(caller.connect())
        try:
            if way == "hangs up early":  # before there is a connection, or hardly
                await asyncio.wait([dialling], timeout=self._rng.uniform(0.05, 1.5))
            else:
                await dialling
                await asyncio.sleep(self._rng.uniform(*stay_s))
        except CONNECT_ERRORS:
            self.counts.failed += 1
        finally:
            dialling.cancel()
            await asyncio.gather(dialling, return_exceptions=True)
            await (caller.drop() if way == "vanishes" else caller.hang_up())
            self.counts.ended[way] += 1
            self.counts.frames += caller.received_frames

    async def _repeat_calls(self, until: float) -> None:
        while time.monotonic() < until:
            await self.run_one_call()

    async def run_until(self, moment: float) -> None:
        """Calls, `TOGETHER` at a time, until then (`time.monotonic`), and until the last has gone."""
        await asyncio.gather(*(self._repeat_calls(moment) for _ in range(CONCURRENT_CALLS)))


async def _wait_until_settled(
    app: ProbedProcess, like: dict[str, Any] | None = None, seconds: float = SETTLE_TIMEOUT_S
) -> dict[str, Any]:
    """How the app is after `seconds`; or as soon as it is as before and nothing gets less any more."""
    until = time.monotonic() + seconds
    last: dict[str, Any] = {}
    while True:
        now = await asyncio.to_thread(app.ask, "tidy")
        still = last and all(now[name] >= last[name] for name in ("tasks", "fds", "threads"))
        if time.monotonic() > until or (
            like is not None and still and not _growth({**like, "rss_mb": now["rss_mb"]}, now)
        ):
            return now
        last = now
        await asyncio.sleep(5)


def _growth(before: dict[str, Any], after: dict[str, Any]) -> dict[str, float]:
    """What there is more of than is tolerated: how much more than before."""
    return {
        name: after[name] - before[name] for name, most in TOLERATED_GROWTH.items() if after[name] - before[name] > most
    }


async def run_soak(minutes: float, seed: int) -> dict[str, Any]:
    """All of it."""
    with ExitStack() as stack:
        behind, front = str(free_port()), str(free_port())
        stack.enter_context(probed_process(["benchmarks.support.load_server", behind, "interrupt"]))
        app = stack.enter_context(
            probed_process(["benchmarks.support.probed_app", "ours", front, f"ws://127.0.0.1:{behind}/v1/realtime"])
        )
        url = f"http://127.0.0.1:{front}"
        crowd = CallerPool(url, await fetch_config(url), seed)
        for _ in range(WARM_UP_CALLS // CONCURRENT_CALLS):
            await asyncio.gather(*(crowd.run_one_call(stay_s=(0.2, 1.0)) for _ in range(CONCURRENT_CALLS)))
        before = await _wait_until_settled(app, seconds=SETTLE_TIMEOUT_S / 2)
        _print_status("before", before, crowd.counts)
        crowd.counts = SoakCounts()
        end = time.monotonic() + minutes * 60
        calling = asyncio.create_task(crowd.run_until(end))
        while not calling.done():
            await asyncio.wait([calling], timeout=60)
            _print_status("meanwhile", await asyncio.to_thread(app.ask, "how"), crowd.counts)
        await calling
        after = await _wait_until_settled(app, like=before)
        _print_status("after", after, crowd.counts)
    done = crowd.counts
    left = _growth(before, after)
    return {
        "minutes": minutes,
        "calls": dict(done.begun),
        "ways": dict(done.ended),
        "failed": done.failed,
        "frames_heard": done.frames,
        "before": before,
        "after": after,
        "left": left,
        "clean": not left and done.frames > 0,
    }


def _print_status(when: str, how: dict[str, Any], done: SoakCounts) -> None:
    print(
        f"{when:10} {done.begun.total():>5} calls  {how['rss_mb']:>6.1f} MB  {how['tasks']:>4} tasks  {how['fds']:>4} "
        f"descriptors  {how['threads']:>3} threads",
        file=sys.stderr,
        flush=True,
    )


def format_table(report: dict[str, Any]) -> str:
    """For people."""
    lines = [
        f"{sum(report['calls'].values())} calls in {report['minutes']:g} minutes: {report['calls']}, {report['ways']}"
    ]
    lines.append(f"{'':14}{'before':>10}{'after':>10}")
    for name, label in (("tasks", "tasks"), ("fds", "descriptors"), ("threads", "threads"), ("rss_mb", "memory, MB")):
        lines.append(f"{label:14}{report['before'][name]:>10.0f}{report['after'][name]:>10.0f}")
    lines.append("all is as it was" if report["clean"] else f"LEFT: {report['left']}")
    return "\n".join(lines)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--minutes", type=float, default=30.0, help="how long callers come (30)")
    parser.add_argument("--seed", type=int, default=1, help="of what they do")
    parser.add_argument("--json", action="store_true", help="the numbers instead of a table")
    given = parser.parse_args()
    report = asyncio.run(run_soak(given.minutes, given.seed))
    print(json.dumps(report, indent=1) if given.json else format_table(report))
    sys.exit(0 if report["clean"] else 1)


if __name__ == "__main__":
    main()
