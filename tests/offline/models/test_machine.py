"""Machine: memory, processors and the processor's name, from folders that stand for /proc and /sys."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from offline.models.machine import count_processors, free_bytes_of_vm_stat, read_machine

linux_only = pytest.mark.skipif(sys.platform in ("darwin", "win32"), reason="reads /proc and /sys")
GIB = 2**30
MEMINFO = "MemTotal:       16777216 kB\nMemFree:  1 kB\nMemAvailable:    8388608 kB\n"


def write_files(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@linux_only
def test_memory_without_a_container(tmp_path: Path) -> None:
    files = {"proc/meminfo": MEMINFO, "proc/cpuinfo": "processor : 0\nmodel name\t: Some CPU @ 2 GHz\n"}
    machine = read_machine(write_files(tmp_path, files))
    assert (machine.memory_bytes, machine.free_bytes, machine.cpu_name) == (16 * GIB, 8 * GIB, "Some CPU @ 2 GHz")


@linux_only
@pytest.mark.parametrize(
    "files",
    [
        {
            "proc/self/cgroup": "0::/app/worker\n",
            "sys/fs/cgroup/app/memory.max": f"{4 * GIB}\n",
            "sys/fs/cgroup/app/memory.current": f"{3 * GIB}\n",
            "sys/fs/cgroup/app/memory.stat": f"anon {GIB}\ninactive_file {2 * GIB}\n",
            "sys/fs/cgroup/app/worker/memory.max": "max\n",
        },
        {
            "proc/self/cgroup": "4:memory:/docker/0\n1:cpu:/\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": f"{4 * GIB}\n",
            "sys/fs/cgroup/memory/memory.usage_in_bytes": f"{3 * GIB}\n",
            "sys/fs/cgroup/memory/memory.stat": f"total_inactive_file {2 * GIB}\n",
        },
    ],
    ids=["version 2", "version 1"],
)
def test_memory_of_a_container(tmp_path: Path, files: dict[str, str]) -> None:
    machine = read_machine(write_files(tmp_path, {"proc/meminfo": MEMINFO, **files}))
    assert (machine.memory_bytes, machine.free_bytes) == (4 * GIB, 3 * GIB)


@linux_only
@pytest.mark.parametrize(
    ("files", "count"),
    [
        ({}, 64),
        ({"sys/fs/cgroup/cpu.max": "max 100000\n"}, 64),
        ({"sys/fs/cgroup/cpu.max": "350000 100000\n"}, 3),
        ({"sys/fs/cgroup/cpu.max": "50000 100000\n"}, 1),
        ({"sys/fs/cgroup/cpu/cpu.cfs_quota_us": "200000", "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000"}, 2),
        ({"sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1", "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000"}, 64),
    ],
)
def test_processors_are_those_of_the_process_and_the_container(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str], count: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(64)))
    write_files(tmp_path, {"proc/self/cgroup": "1:cpu,cpuacct:/\n0::/\n", **files})
    assert count_processors(tmp_path) == count


@linux_only
def test_machine_without_any_file_is_unknown(tmp_path: Path) -> None:
    machine = read_machine(tmp_path)
    assert (machine.memory_bytes, machine.free_bytes) == (0, 0)
    assert machine.processors >= 1


def test_this_machine_has_memory_and_a_name() -> None:
    machine = read_machine()
    assert 0 < machine.free_bytes <= machine.memory_bytes
    assert machine.cpu_name and machine.processors >= 1


def test_free_bytes_of_macos() -> None:
    text = (
        "Mach Virtual Memory Statistics: (page size of 16384 bytes)\nPages free:    100.\nPages active:  900.\n"
        "Pages inactive:   50.\nPages speculative:   10.\nPages purgeable:   5.\n"
    )
    assert free_bytes_of_vm_stat(text) == 165 * 16384
    assert free_bytes_of_vm_stat("") == 0
