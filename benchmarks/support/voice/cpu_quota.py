"""CPU quota: a cgroup of Linux whose processes get a part of the computer's processors, as on a slower computer."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PERIOD_US = 10_000
"""Microseconds of the period in which the quota is used up. A long one would be a computer that stops at times."""
CGROUPS = Path("/sys/fs/cgroup")


class QuotaUnavailable(Exception):
    """The quota cannot be set here. The message says why."""


@contextmanager
def cpu_quota(percent: float, root: Path = CGROUPS, processors: int | None = None) -> Iterator[Path]:
    """Limit processes to `percent` of all processors. Yields the file to which a process writes 0 to join.

    The processes must have ended when the block does. Raises `QuotaUnavailable` without writable cgroups.
    """
    quota = int(PERIOD_US * (processors or os.cpu_count() or 1) * percent / 100)
    group = _create_group(root, quota)
    try:
        yield group / "cgroup.procs"
    finally:
        with suppress(OSError):
            group.rmdir()


def _create_group(root: Path, quota: int) -> Path:
    """Return a new cgroup with the quota, of version 2 where that controls the processors, else of version 1."""
    reasons = []
    name = f"offline-voice-{os.getpid()}"
    for parent in (root, root / "cpu", root / "cpu,cpuacct"):
        group = parent / name
        try:
            if parent == root:
                if "cpu" not in (parent / "cgroup.controllers").read_text("ascii").split():
                    raise OSError("the processors have no controller there")
                if "cpu" not in (parent / "cgroup.subtree_control").read_text("ascii").split():
                    (parent / "cgroup.subtree_control").write_text("+cpu", "ascii")
                group.mkdir()
                (group / "cpu.max").write_text(f"{quota} {PERIOD_US}", "ascii")
            else:
                group.mkdir()
                (group / "cpu.cfs_period_us").write_text(str(PERIOD_US), "ascii")
                (group / "cpu.cfs_quota_us").write_text(str(quota), "ascii")
            return group
        except OSError as error:
            reasons.append(f"{parent}: {error}")
            with suppress(OSError):
                group.rmdir()
    raise QuotaUnavailable(f"no cgroup can be made ({'; '.join(reasons)})")
