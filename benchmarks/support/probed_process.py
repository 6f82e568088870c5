"""Probed processes: children that report CPU, memory and event loop lag over stdin and stdout."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
import psutil

from .local_machine import ROOT

ANSWER_PREFIX = "@load "
"""Prefix of lines that are answers. All other lines are the program's own output."""
LAG_TICK_S = 0.01
"""Seconds between two measurements of the event loop lag."""

Answer = dict[str, Any]


def pin_to_core(core: int | None) -> None:
    """Pin this process and its later threads to one core; None changes nothing."""
    if core is not None and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {core})


def disable_gc() -> None:
    """Stop automatic garbage collection in this process.

    A full collection takes 0.1 s. In the callers this delay would count as lateness of the app.
    """
    gc.collect()
    gc.freeze()
    gc.disable()


# ---------------------------------------------------------------- in the child


class LoopLagMeter:
    """Measures the event loop lag: lateness of a 10 ms timer, in ms."""

    def __init__(self) -> None:
        self._late: list[float] = []
        self._task = asyncio.ensure_future(self._watch())

    async def _watch(self) -> None:
        while True:
            due = time.monotonic() + LAG_TICK_S
            await asyncio.sleep(LAG_TICK_S)
            self._late.append((time.monotonic() - due) * 1000)

    def take_percentiles(self) -> dict[str, float]:
        """Return the lag since the last call."""
        late, self._late = self._late or [0.0], []
        return {
            "lag_p50_ms": float(np.percentile(late, 50)),
            "lag_p99_ms": float(np.percentile(late, 99)),
            "lag_max_ms": max(late),
        }


def _release_memory() -> None:
    """Release the memory of garbage in Python and in the C library."""
    frozen = gc.get_freeze_count()
    gc.unfreeze()
    gc.collect()
    if frozen:
        gc.freeze()
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


class ProcessProbe:
    """Answers the commands of the benchmark in a process with an event loop. Create it in that loop."""

    def __init__(self, commands: dict[str, Callable[[], Answer]] | None = None) -> None:
        self._lag = LoopLagMeter()
        self._loop = asyncio.get_running_loop()
        self._process = psutil.Process()
        self._commands = {
            "how": self.report,
            "tidy": self.report_after_gc,
            "census": self.count_objects,
            **(commands or {}),
        }
        threading.Thread(target=self._answer_commands, daemon=True).start()

    def report(self) -> Answer:
        """Return the lag since the last report, the total CPU time, memory, descriptors, threads and tasks."""
        times = self._process.cpu_times()
        return {
            **self._lag.take_percentiles(),
            "cpu_s": times.user + times.system,
            "at_s": time.monotonic(),
            "rss_mb": self._process.memory_info().rss / 2**20,
            "fds": self._process.num_fds(),
            "threads": self._process.num_threads(),
            "tasks": len(asyncio.all_tasks(self._loop)),
        }

    def report_after_gc(self) -> Answer:
        """Return the same after a garbage collection."""
        _release_memory()
        return self.report()

    def count_objects(self) -> Answer:
        """Return the number of objects of each type, after a garbage collection."""
        _release_memory()
        gc.unfreeze()
        return dict(Counter(f"{type(one).__module__}.{type(one).__qualname__}" for one in gc.get_objects()))

    def _answer_commands(self) -> None:
        for line in sys.stdin:
            future = asyncio.run_coroutine_threadsafe(self._answer(line.strip()), self._loop)
            print(ANSWER_PREFIX + json.dumps(future.result()), flush=True)
        os._exit(0)  # the benchmark has ended

    async def _answer(self, command: str) -> Answer:
        return self._commands[command]()


# ---------------------------------------------------------------- in the benchmark


class ProbedProcess:
    """A running child with a probe."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.pid = process.pid

    def ask(self, command: str) -> Answer:
        """Send a command and block until the answer. Raises SystemExit when the child has ended."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()
        for line in self._process.stdout:
            if line.startswith(ANSWER_PREFIX):
                answer: Answer = json.loads(line[len(ANSWER_PREFIX) :])
                return answer
        raise SystemExit(f"A process of the benchmark ended with {self._process.wait()}.")


@contextmanager
def probed_process(arguments: Sequence[str], **environment: str) -> Iterator[ProbedProcess]:
    """Run `python -m *arguments` until the block ends. Yields when the child answers."""
    process = subprocess.Popen(
        [sys.executable, "-m", *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=None if os.environ.get("LOAD_LOG") else subprocess.DEVNULL,
        text=True,
    )
    try:
        one = ProbedProcess(process)
        one.ask("how")
        yield one
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
