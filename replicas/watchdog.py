"""Watchdog: ends the processes of a supervisor that was killed. `python -m replicas.watchdog FOLDER SECONDS`.

It leads the process group of all processes and reads their PIDs from stdin, one a line. stdin ends with the
supervisor, however that ends. Without the line `DONE` before, the processes are asked to end, and killed after SECONDS;
the private FOLDER is removed.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

DONE = b"done"
"""Line with which the supervisor says that all processes have ended."""
MAX_LINE_BYTES = 32
POLL_S = 0.05
"""Seconds between two looks at processes that are ending: those of another parent report no end."""
MAX_PIDS = 1000
"""Number of PIDs after which those of ended processes are forgotten."""


def read_pids(lines: BinaryIO) -> set[int] | None:
    """Return the PIDs of the processes when the supervisor has ended; None after `DONE`."""
    pids: set[int] = set()
    while line := lines.readline(MAX_LINE_BYTES):
        if line.strip() == DONE:
            return None
        if line.strip().isdigit():
            pids.add(int(line))
        if len(pids) > MAX_PIDS:
            pids = {each for each in pids if is_member(each)}
    return pids


def is_member(pid: int) -> bool:
    """Return whether a process is alive and belongs to the group of this one. A PID may have a new owner."""
    with suppress(ProcessLookupError, PermissionError):
        return os.getpgid(pid) == os.getpgrp()
    return False


def end_group(pids: set[int], limit_s: float) -> None:
    """Ask all processes of the group to end, and wait for those with these PIDs, `limit_s` seconds at most."""
    os.killpg(0, signal.SIGTERM)
    deadline = time.monotonic() + limit_s
    while any(is_member(each) for each in pids) and time.monotonic() < deadline:
        time.sleep(POLL_S)


def main(folder: Path, limit_s: float) -> int:
    """Wait for the end of the supervisor, then end what it left. Return the exit status."""
    for each in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)
    if os.getpgrp() != os.getpid():
        return 1  # the group of another process, which it must not end
    pids = read_pids(sys.stdin.buffer)
    if pids is not None:
        end_group(pids, limit_s)
        shutil.rmtree(folder, ignore_errors=True)
        os.killpg(0, signal.SIGKILL)  # this process too
    return 0


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1]), float(sys.argv[2])))
