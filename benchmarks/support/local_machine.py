"""The local machine: checkout folder, free ports, server processes, and CPU time of other processes."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
"""The checkout, working directory of all processes."""
NO_SERVER_SETTINGS = dict.fromkeys(("OPENAI_API_KEY", "REALTIME_API_KEY", "REALTIME_MODEL", "INSTRUCTIONS"), "")
"""Environment that overrides a developer's `.env`. Empty, not absent: `.env` fills in absent variables only."""
PORT_POLL_S = 0.05


def free_port() -> int:
    """Return a port at which no process listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def listening_process(
    port: int, *arguments: str, quiet: bool = False, folder: Path = ROOT, **environment: str
) -> Iterator[int]:
    """Run `python *arguments` in `folder` until the block ends. Yields its process id once it listens at `port`."""
    output = subprocess.DEVNULL if quiet else None
    child = subprocess.Popen(
        [sys.executable, *arguments], cwd=folder, env={**os.environ, **environment}, stdout=output, stderr=output
    )
    try:
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                if child.poll() is not None:
                    raise SystemExit(f"{' '.join(arguments)} ended with {child.returncode}") from None
                time.sleep(PORT_POLL_S)
        yield child.pid
    finally:
        child.terminate()
        child.wait()


def _busy_s() -> float:
    fields = [int(f) for f in Path("/proc/stat").read_text().split("\n")[0].split()[1:9]]
    return (sum(fields) - fields[3] - fields[4]) / os.sysconf("SC_CLK_TCK")


def _process_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def precise_cpu_s(pid: int) -> float:
    """Return the CPU time of a process, in seconds: from the scheduler, which counts nanoseconds and not ticks."""
    threads = list(Path(f"/proc/{pid}/task").glob("*/schedstat"))
    return sum(int(one.read_text().split()[0]) for one in threads) / 1e9


class OtherProcessesCpu:
    """Mean number of cores that processes other than `pids` kept busy since creation; None without /proc."""

    def __init__(self, pids: list[int]) -> None:
        self._pids = pids
        self._is_measurable = Path("/proc/stat").exists()
        if self._is_measurable:
            self._start, self._start_s = time.monotonic(), self._other_cpu_s()

    def _other_cpu_s(self) -> float:
        return _busy_s() - sum(map(_process_s, self._pids))

    def busy_cores(self) -> float | None:
        """Return the mean so far."""
        if not self._is_measurable:
            return None
        return max(0.0, (self._other_cpu_s() - self._start_s) / max(1e-3, time.monotonic() - self._start))
