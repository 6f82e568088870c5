"""Processes of the load benchmark that are asked how they are: a line in, a line of JSON out."""

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
from pathlib import Path
from typing import Any

import numpy as np
import psutil

PROJECT = Path(__file__).resolve().parents[2]
ANSWER_PREFIX = "@load "
"""Begins the lines that are answers; all others are the program's own."""
LAG_TICK_S = 0.01

Answer = dict[str, Any]


def pin_to_core(core: int | None) -> None:
    """Keep this process, and all threads that it makes from now on, on one core; None: on all."""
    if core is not None and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {core})


def disable_gc() -> None:
    """Nothing looks for garbage by itself in this process any more: a full collection holds everything up for 0.1 s,
    and what it holds up among the callers would count as the app's lateness."""
    gc.collect()
    gc.freeze()
    gc.disable()


# ---------------------------------------------------------------- inside the child


class LoopLagMeter:
    """How late a loop wakes up, in ms, over what a timer needs anyway."""

    def __init__(self) -> None:
        self._late: list[float] = []
        self._task = asyncio.ensure_future(self._watch())

    async def _watch(self) -> None:
        while True:
            due = time.monotonic() + LAG_TICK_S
            await asyncio.sleep(LAG_TICK_S)
            self._late.append((time.monotonic() - due) * 1000)

    def take_percentiles(self) -> dict[str, float]:
        """Since the last time."""
        late, self._late = self._late or [0.0], []
        return {
            "lag_p50_ms": float(np.percentile(late, 50)),
            "lag_p99_ms": float(np.percentile(late, 99)),
            "lag_max_ms": max(late),
        }


def _release_memory() -> None:
    """Nothing that is garbage is held any more, neither by Python nor by the C library."""
    frozen = gc.get_freeze_count()
    gc.unfreeze()
    gc.collect()
    if frozen:
        gc.freeze()
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


class ProcessProbe:
    """Answers for a process that has a loop. Made in that loop."""

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
        """Lag since the last time, CPU in all, and what is held now."""
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
        """The same, after the garbage was collected."""
        _release_memory()
        return self.report()

    def count_objects(self) -> Answer:
        """How many objects there are of each kind, once the garbage was collected."""
        _release_memory()
        gc.unfreeze()
        return dict(Counter(f"{type(one).__module__}.{type(one).__qualname__}" for one in gc.get_objects()))

    def _answer_commands(self) -> None:
        for line in sys.stdin:
            future = asyncio.run_coroutine_threadsafe(self._answer(line.strip()), self._loop)
            print(ANSWER_PREFIX + json.dumps(future.result()), flush=True)
        os._exit(0)  # whoever asked is gone

    async def _answer(self, command: str) -> Answer:
        return self._commands[command]()


# ---------------------------------------------------------------- the other end


class ProbedProcess:
    """A process that answers."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.pid = process.pid

    def ask(self, command: str) -> Answer:
        """Blocks until it has answered. Raises SystemExit when it has ended."""
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
    """`python -m *arguments`, once it answers; ended with the block."""
    process = subprocess.Popen(
        [sys.executable, "-m", *arguments],
        cwd=PROJECT,
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
