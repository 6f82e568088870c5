"""Load: number of calls that one core carries before the audio breaks, and the cost of one call.

    python -m benchmarks.load [--quick] [--json]

The app runs unchanged, alone on one core. An instant Realtime server and the callers run on another core. Callers play
recorded voices over WebRTC (aiortc), over the page's WebSocket, and as programs at `/realtime-voice`. Calls are added
until the audio breaks. The plain fastrtc demo (benchmarks/support/plain_fastrtc.py) gets the same load in the same run.

    calls      most calls that a core carried intact, in one of at most two windows of six seconds (not with --quick)
    by CPU     number of calls that would keep the core busy, by the CPU time of one call under load
    broken     a frame over 60 ms later than the earliest frame of its reply; an event loop lag over 40 ms (99th
               percentile); or a missing piece of voice at either end
    CPU        of the app's process, for each call, at the most calls it carried
    memory     of the app's process, for each silent call
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from enum import Enum
from typing import Any

import numpy as np

from benchmarks.support.gradio_page import GradioPage, fetch_config
from benchmarks.support.load_callers import (
    CONNECT_ERRORS,
    ApiLoadCaller,
    AudioSocketLoadCaller,
    LoadCaller,
    WebRtcLoadCaller,
)
from benchmarks.support.load_speech import WINDOW_S, count_lost_pieces
from benchmarks.support.load_window import LoadRamp, LoadWindow, WindowVerdict
from benchmarks.support.local_machine import OtherProcessesCpu, free_port
from benchmarks.support.probed_process import ProbedProcess, disable_gc, pin_to_core, probed_process

SETTLE_S = 1.5
"""Seconds between the last handshake and the measurement."""
CALLS_AT_ONCE = 4
"""Calls that start at the same time; the cost of handshakes is not measured."""
MIN_TIMES_PLAIN, MIN_PROGRAMS_PER_CORE, MAX_IDLE_MB = 2.0, 60, 3.0
"""Goals: ratio of WebRTC calls per core to the plain demo, WebSocket calls per core, MB for each idle call."""


class LoadKind(Enum):
    """Transport under load, and the program that serves it."""

    WEBRTC = "webrtc"
    PLAIN = "plain"
    SOCKET = "socket"
    PROGRAM = "program"


CALLER_TYPES: dict[LoadKind, type[LoadCaller]] = {
    LoadKind.WEBRTC: WebRtcLoadCaller,
    LoadKind.PLAIN: WebRtcLoadCaller,
    LoadKind.SOCKET: AudioSocketLoadCaller,
    LoadKind.PROGRAM: ApiLoadCaller,
}
RAMP_START_CALLS = {LoadKind.WEBRTC: 32, LoadKind.PLAIN: 12, LoadKind.SOCKET: 48, LoadKind.PROGRAM: 64}
QUICK_CALLS = {LoadKind.WEBRTC: 12, LoadKind.PLAIN: 12, LoadKind.SOCKET: 16, LoadKind.PROGRAM: 30}
"""Number of calls in the first step of a ramp; in the only window of a quick run."""
KIND_NAMES = {
    LoadKind.WEBRTC: "this app, WebRTC",
    LoadKind.PLAIN: "plain fastrtc, WebRTC",
    LoadKind.SOCKET: "this app, page's WebSocket",
    LoadKind.PROGRAM: "this app, /realtime-voice",
}


def choose_cores() -> tuple[int | None, int | None]:
    """Return the cores of the app and of everything else; None without pinning, or with one core.

    Call this before any process is pinned.
    """
    if not hasattr(os, "sched_getaffinity"):
        return None, None
    cores = sorted(os.sched_getaffinity(0))
    return (cores[0], cores[-1]) if len(cores) > 1 else (None, None)


class LoadBench:
    """One program under load, with its server and its callers."""

    def __init__(
        self, kind: LoadKind, cores: tuple[int | None, int | None], stack: ExitStack, **environment: str
    ) -> None:
        """`environment`: more variables of the app."""
        self.kind = kind
        behind, front = str(free_port()), str(free_port())
        core_arguments = [[str(core)] if core is not None else [] for core in cores]
        mode = "echo" if kind is LoadKind.PROGRAM else "talk"
        program = "plain" if kind is LoadKind.PLAIN else "ours"
        url = f"ws://127.0.0.1:{behind}/v1/realtime"
        server_command = ["benchmarks.support.load_server", behind, mode, *core_arguments[1]]
        app_command = ["benchmarks.support.probed_app", program, front, url, *core_arguments[0]]
        self.server = stack.enter_context(probed_process(server_command))
        self.app = stack.enter_context(probed_process(app_command, **environment))
        self.url = f"http://127.0.0.1:{front}"
        self.callers: list[LoadCaller] = []
        self._config: dict[str, Any] = {}

    def new_page(self, config: dict[str, Any]) -> GradioPage:
        """Return a page of the app."""
        return GradioPage(self.url, config)

    async def ask(self, process: ProbedProcess, command: str) -> dict[str, Any]:
        return await asyncio.to_thread(process.ask, command)

    async def set_call_count(self, count: int, *, speaking: bool = True) -> None:
        """Start or end calls until there are `count`. The newest calls end first."""
        self._config = self._config or await fetch_config(self.url)
        while len(self.callers) > count:
            ending = [self.callers.pop() for _ in range(min(CALLS_AT_ONCE, len(self.callers) - count))]
            await asyncio.gather(*(one.hang_up() for one in ending))
        while len(self.callers) < count:
            made = [
                CALLER_TYPES[self.kind](self.new_page(self._config), speaking=speaking)
                for _ in range(min(CALLS_AT_ONCE, count - len(self.callers)))
            ]
            self.callers += made
            outcomes = await asyncio.gather(*(one.connect() for one in made), return_exceptions=True)
            for outcome in outcomes:
                if isinstance(outcome, BaseException):
                    raise outcome

    async def measure_window(self) -> LoadWindow:
        """Measure one cycle of the conversation in all calls."""
        calls = list(self.callers)
        if self.kind is not LoadKind.PROGRAM:
            await self.ask(self.server, "mark")
        before = await self.ask(self.app, "how")
        for one in calls:
            one.start_recording()
        await asyncio.sleep(WINDOW_S)
        for one in calls:
            one.is_recording = False
        after = await self.ask(self.app, "how")
        heard = (
            {"lost_words": 0, "calls": len(calls)}
            if self.kind is LoadKind.PROGRAM
            else await self.ask(self.server, "heard")
        )
        lost, late, dropped = await asyncio.to_thread(self._evaluate_calls, calls)
        own = [late for one in calls for late in one.send_lateness_ms] or [1e9]
        return LoadWindow(
            calls=len(calls),
            cpu_cores=(after["cpu_s"] - before["cpu_s"]) / (after["at_s"] - before["at_s"]),
            lag_p99_ms=after["lag_p99_ms"],
            late_p99_ms=float(np.percentile(late, 99)),
            late_max_ms=max(late),
            lost_words=heard["lost_words"] + lost,
            dropped=dropped + max(0, len(calls) - heard["calls"]),
            own_late_ms=float(np.percentile(own, 95)),
        )

    def _evaluate_calls(self, calls: list[LoadCaller]) -> tuple[int, list[float], int]:
        """Return lost pieces of voice, lateness of frames (ms) and the number of calls without audio."""
        lost, late, dropped = 0, [0.0], 0
        for one in calls:
            if not one.recorded_frames:
                dropped += 1
                continue
            late += one.frame_lateness_ms()
            lost += count_lost_pieces(one.recorded_audio(), of_reply=self.kind is not LoadKind.PROGRAM)
        return lost, late, dropped

    async def try_call_count(self, count: int, ramp: LoadRamp) -> WindowVerdict:
        """Measure `count` calls. They are broken after two broken windows: another process may cause one of them."""
        verdict = WindowVerdict.BROKEN
        try:
            await self.set_call_count(count)
        except CONNECT_ERRORS as error:
            ramp.limited_by = f"no more calls could be made ({type(error).__name__})"
            return WindowVerdict.BROKEN
        for _ in range(2):
            await asyncio.sleep(SETTLE_S)  # the evaluation of a window delays the callers too
            window = await self.measure_window()
            ramp.windows.append(window)
            verdict = window.verdict
            print_progress(self.kind, window)
            if verdict is WindowVerdict.INTACT:
                ramp.max_calls = max(ramp.max_calls, count)
                break
        return verdict

    async def ramp_up(self, first: int, *, is_near_limit: bool) -> LoadRamp:
        """Add calls until the audio breaks. `is_near_limit`: `first` is close to the limit of an earlier round."""
        ramp, count, broken = LoadRamp(), first, 10**9
        while count not in (0, ramp.max_calls, broken):
            verdict = await self.try_call_count(count, ramp)
            if verdict is WindowVerdict.INTACT:
                window = ramp.windows[-1]
                room = int(count * 0.95 / max(0.05, window.cpu_cores)) - count
                stride = max(1, count // 12) if is_near_limit or room < count // 6 else max(1, room * 2 // 3)
                count = min(count + stride, (count + broken) // 2)
                continue
            broken = count
            if verdict is WindowVerdict.CALLERS_TOO_SLOW:
                ramp.limited_by = "the callers' core"
                break
            if ramp.max_calls and count - ramp.max_calls <= max(1, count // 12):
                break
            count = (ramp.max_calls + count) // 2 if ramp.max_calls else max(1, count * 3 // 4)
        await self.set_call_count(0)
        gc.collect()
        return ramp

    async def measure_once(self, count: int) -> LoadRamp:
        """Measure one window with a number of calls far below the limit."""
        ramp = LoadRamp()
        await self.set_call_count(count)
        await asyncio.sleep(SETTLE_S)
        ramp.windows.append(await self.measure_window())
        print_progress(self.kind, ramp.windows[0])
        await self.set_call_count(0)
        return ramp

    async def measure_idle_mb(self, few: int, many: int) -> float:
        """Return the MB of a silent call: the slope between `few` and `many` calls."""
        await self.ask(self.server, "listen")
        await self.set_call_count(few, speaking=False)
        await self.set_call_count(0)
        found = []
        for count in (few, many):
            await self.set_call_count(count, speaking=False)
            await asyncio.sleep(3)
            found.append((await self.ask(self.app, "tidy"))["rss_mb"])
        await self.set_call_count(0)
        await self.ask(self.server, "talk")
        return float((found[1] - found[0]) / (many - few))


def print_progress(kind: LoadKind, window: LoadWindow) -> None:
    """Print one line of a window to stderr."""
    print(
        f"{KIND_NAMES[kind]:28} {window.calls:>3} calls: {window.verdict.value:9} CPU {window.cpu_cores:.2f}  lag p99 "
        f"{window.lag_p99_ms:.0f} ms  late p99 {window.late_p99_ms:.0f} max {window.late_max_ms:.0f} ms  words lost "
        f"{window.lost_words}  callers late {window.own_late_ms:.0f} ms",
        file=sys.stderr,
        flush=True,
    )


# ---------------------------------------------------------------- the whole benchmark


def _make_row(ramps: list[LoadRamp], idle_mb: float | None, *, quick: bool) -> dict[str, Any]:
    most = [one.max_calls for one in ramps]
    tops = [window for one in ramps if (window := one.windows[0] if quick else one.best_window) is not None]
    cpu = [100 * window.cpu_cores / window.calls for window in tops]
    row: dict[str, Any] = (
        {} if quick else {"calls_per_core": statistics.median(most), "calls_least": min(most), "calls_most": max(most)}
    )
    if cpu:
        row |= {"cpu_percent_per_call": statistics.median(cpu), "calls_by_cpu": 100 / statistics.median(cpu)}
    if idle_mb is not None:
        row["idle_mb_per_call"] = idle_mb
    row["limited_by"] = next((one.limited_by for one in ramps if one.limited_by), "")
    row["ramps"] = [{"most": one.max_calls, "windows": [asdict(window) for window in one.windows]} for one in ramps]
    return row


async def _measure_group(
    group: Sequence[LoadKind], rounds: int, cores: tuple[int | None, int | None], *, quick: bool
) -> dict[str, Any]:
    """Measure some programs in turns, while all of them run."""
    ramps: dict[LoadKind, list[LoadRamp]] = {kind: [] for kind in group}
    idle: dict[LoadKind, float] = {}
    with ExitStack() as stack:
        benches = [LoadBench(kind, cores, stack) for kind in group]
        for one in benches:
            if quick:
                ramps[one.kind].append(await one.measure_once(QUICK_CALLS[one.kind]))
            else:
                idle[one.kind] = await one.measure_idle_mb(4, 20)
        for _ in range(0 if quick else rounds):
            for one in benches:
                before = [ramp.max_calls for ramp in ramps[one.kind]]
                first = max(1, max(before) * 7 // 8) if any(before) else RAMP_START_CALLS[one.kind]
                ramps[one.kind].append(await one.ramp_up(first, is_near_limit=any(before)))
    return {kind.value: _make_row(ramps[kind], idle.get(kind), quick=quick) for kind in group}


async def measure(kinds: list[LoadKind], *, quick: bool) -> dict[str, Any]:
    """Measure WebRTC calls of the app and of the plain demo in turns, then the WebSockets."""
    cores = choose_cores()
    pin_to_core(cores[1])
    disable_gc()
    others, began = OtherProcessesCpu([os.getpid()]), time.monotonic()
    rows: dict[str, Any] = {}
    if rtc := [kind for kind in (LoadKind.WEBRTC, LoadKind.PLAIN) if kind in kinds]:
        rows |= await _measure_group(rtc, 3, cores, quick=quick)
    for kind in (LoadKind.SOCKET, LoadKind.PROGRAM):
        if kind in kinds:
            rows |= await _measure_group([kind], 2, cores, quick=quick)
    report: dict[str, Any] = {"seconds": time.monotonic() - began, "cores_pinned": None not in cores, "rows": rows}
    report["all_programs_cores"] = others.busy_cores()
    for name in ("calls_per_core", "calls_by_cpu"):
        if all(rows.get(kind, {}).get(name) for kind in ("webrtc", "plain")):
            report[f"webrtc_times_plain_{name}"] = rows["webrtc"][name] / rows["plain"][name]
    report["reached"] = {goal: bool(test(report)) for goal, test in GOALS.items() if _is_measured(test, report)}
    return report


GOALS: dict[str, Callable[[dict[str, Any]], bool]] = {
    f">= {MIN_TIMES_PLAIN:.0f}x the plain demo's WebRTC calls per core": lambda r: (
        r["webrtc_times_plain_calls_per_core"] >= MIN_TIMES_PLAIN
    ),
    f">= {MIN_PROGRAMS_PER_CORE} programs per core": lambda r: (
        r["rows"]["program"]["calls_per_core"] >= MIN_PROGRAMS_PER_CORE
    ),
    f">= {MIN_PROGRAMS_PER_CORE} calls over the page's WebSocket per core": lambda r: (
        r["rows"]["socket"]["calls_per_core"] >= MIN_PROGRAMS_PER_CORE
    ),
    f"< {MAX_IDLE_MB:.0f} MB for each idle call": lambda r: all(
        row["idle_mb_per_call"] < MAX_IDLE_MB for name, row in r["rows"].items() if name != "plain"
    ),
}


def _is_measured(test: Callable[[dict[str, Any]], bool], report: dict[str, Any]) -> bool:
    try:
        test(report)
    except KeyError:
        return False
    return True


def format_table(report: dict[str, Any]) -> str:
    """Return the report as a table."""

    def cell(row: dict[str, Any], name: str, form: str) -> str:
        return form.format(row[name]) if name in row else "-"

    lines = [f"{'':28}{'calls per core':>15}{'(spread)':>10}{'by CPU':>8}{'CPU per call':>14}{'MB per idle call':>18}"]
    for name, row in report["rows"].items():
        spread = f"{row['calls_least']}-{row['calls_most']}" if "calls_least" in row else "-"
        lines.append(
            f"{KIND_NAMES[LoadKind(name)]:28}{cell(row, 'calls_per_core', '{:.0f}'):>15}{spread:>10}"
            f"{cell(row, 'calls_by_cpu', '{:.0f}'):>8}{cell(row, 'cpu_percent_per_call', '{:.2f} %'):>14}"
            f"{cell(row, 'idle_mb_per_call', '{:.2f}'):>18}"
            + (f"   limited by {row['limited_by']}" if row["limited_by"] else "")
        )
    for name, label in (("calls_per_core", "WebRTC, ours : plain"), ("calls_by_cpu", "the same, by CPU")):
        if f"webrtc_times_plain_{name}" in report:
            lines.append(f"{label:28}{report[f'webrtc_times_plain_{name}']:>14.1f}x")
    lines += [f"{'reached' if yes else 'MISSED'}: {goal}" for goal, yes in report["reached"].items()]
    if not report["cores_pinned"]:
        lines.append("The app had no core of its own: calls per core are those of the whole computer.")
    return "\n".join(lines)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="under a minute: the cost of a call, without ramps")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.add_argument(
        "--only", choices=[kind.value for kind in LoadKind], action="append", help="measure this transport only"
    )
    given = parser.parse_args()
    usual = (LoadKind.WEBRTC, LoadKind.PLAIN, LoadKind.PROGRAM) if given.quick else tuple(LoadKind)
    kinds = [kind for kind in LoadKind if (kind.value in given.only if given.only else kind in usual)]
    report = asyncio.run(measure(kinds, quick=given.quick))
    print(json.dumps(report, indent=1) if given.json else format_table(report))


if __name__ == "__main__":
    main()
