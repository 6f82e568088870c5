"""How much of the machine others used while something was measured."""

from __future__ import annotations

import os
import time
from pathlib import Path


def _busy_s() -> float:
    fields = [int(f) for f in Path("/proc/stat").read_text().split("\n")[0].split()[1:9]]
    return (sum(fields) - fields[3] - fields[4]) / os.sysconf("SC_CLK_TCK")


def _process_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class OtherProcessesCpu:
    """Mean number of cores that other processes than `pids` kept busy since this was made; None without /proc."""

    def __init__(self, pids: list[int]) -> None:
        self._pids = pids
        self._is_measurable = Path("/proc/stat").exists()
        if self._is_measurable:
            self._start, self._start_s = time.monotonic(), self._other_cpu_s()

    def _other_cpu_s(self) -> float:
        return _busy_s() - sum(map(_process_s, self._pids))

    def busy_cores(self) -> float | None:
        if not self._is_measurable:
            return None
        return max(0.0, (self._other_cpu_s() - self._start_s) / max(1e-3, time.monotonic() - self._start))
