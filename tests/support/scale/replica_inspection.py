"""Inspection of a replica that runs: its tasks, open files and temporary files."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from .replica_set import ReplicaUnderTest

T = TypeVar("T")

ANSWER_TIMEOUT_S = 30.0
"""Seconds for a replica to write its tasks."""
SETTLE_TIMEOUT_S = 60.0
"""Seconds for what has ended to be given back: leases of 10 s, and connections that are kept for the next request."""


@dataclass(frozen=True)
class HeldResources:
    """What a process holds."""

    tasks: Counter[str]
    """Tasks of its event loop, by the name of their coroutine."""
    files: Counter[str]
    """Open files, by path or kind."""
    blocked_s: float
    """Longest time for which the app blocked its event loop since the last inspection, in seconds.

    What other programs took of the processor does not count.
    """

    def excess(self, other: HeldResources, spare: int) -> dict[str, int]:
        """Return what is held beyond `other`. `spare`: tasks or files of one name that may come and go."""
        more = (self.tasks - other.tasks) + (self.files - other.files)
        return {name: count for name, count in more.items() if count > spare}


def inspect_replica(replica: ReplicaUnderTest) -> HeldResources:
    """Return what a replica holds that runs `tests.support.scale.inspected_app`."""
    process, answer = replica.app.process.pid, replica.inspection_file
    answer.unlink(missing_ok=True)
    os.kill(process, signal.SIGUSR1)
    wait_until(answer.exists, True, ANSWER_TIMEOUT_S)
    state = json.loads(answer.read_text())
    return HeldResources(Counter(state["tasks"]), open_files(process), state["blocked_s"])


def open_files(process: int) -> Counter[str]:
    """Return the open files of a process: paths, and kinds such as "socket"."""
    found: Counter[str] = Counter()
    for each in Path(f"/proc/{process}/fd").iterdir():
        with suppress(OSError):
            found[re.sub(r":\[\d+\]$", "", str(each.readlink()))] += 1
    return found


def temporary_files(replica: ReplicaUnderTest) -> list[str]:
    """Return all files and folders that the replica and its predecessors have left."""
    root = replica.temp_folder
    return sorted(str(each.relative_to(root)) for each in root.rglob("*"))


def wait_until(read: Callable[[], T], wanted: T, timeout: float = SETTLE_TIMEOUT_S) -> None:
    """Wait until `read` returns `wanted`."""
    deadline = time.monotonic() + timeout
    while (found := read()) != wanted:
        assert time.monotonic() < deadline, f"{found} and not {wanted}"
        time.sleep(0.1)  # neither Redis nor a process announces what it gives back
