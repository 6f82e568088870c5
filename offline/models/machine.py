"""Machine: processors, memory and the name of the processor, as far as this process may use them.

A container's limits (cgroups of Linux, version 1 and 2) count. Nothing raises: what a system does not tell is 0 or "".
"""

from __future__ import annotations

import ctypes
import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

COMMAND_TIMEOUT_S = 5.0
"""Seconds for a command of macOS."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What this process may use of the computer, at one moment."""

    processors: int
    memory_bytes: int
    """Memory of the computer, or of the container."""
    free_bytes: int
    """Memory that programs can take without others being swapped out."""
    cpu_name: str


def read_machine(root: Path = Path("/")) -> Machine:
    """Return what this process may use now. `root` holds `proc` and `sys` on Linux."""
    total, free = _memory(root)
    return Machine(count_processors(root), total, free, _cpu_name(root))


def count_processors(root: Path = Path("/")) -> int:
    """Return the processors of this process: those it may run on, and no more than the container's share."""
    try:
        count = len(os.sched_getaffinity(0))
    except AttributeError:  # not available on every platform
        count = os.cpu_count() or 1
    shares = [quota for folder in _cgroup_folders(root, "cpu") if (quota := _cpu_quota(folder))]
    return max(1, min([count, *(int(share) for share in shares)]))


def _cpu_quota(folder: Path) -> float | None:
    """Return the processors that a cgroup may use; None without a limit."""
    with suppress(OSError, ValueError):
        quota, period = (folder / "cpu.max").read_text("ascii").split()
        return None if quota == "max" else int(quota) / int(period)
    with suppress(OSError, ValueError, ZeroDivisionError):
        limit = int((folder / "cpu.cfs_quota_us").read_text("ascii"))
        return limit / int((folder / "cpu.cfs_period_us").read_text("ascii")) if limit > 0 else None
    return None


def _cgroup_folders(root: Path, controller: str) -> Iterator[Path]:
    """Yield the folders of this process's cgroup and its parents; a limit of any of them counts."""
    try:
        lines = (root / "proc/self/cgroup").read_text("utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if controllers and controller not in controllers.split(","):
            continue
        top = root / "sys/fs/cgroup" / (controller if controllers else "")
        inner = Path(path.lstrip("/"))
        yield from (top / each for each in (inner, *inner.parents) if (top / each).is_dir())


def _memory(root: Path) -> tuple[int, int]:
    """Return the bytes of all memory and of the free part."""
    if sys.platform == "win32":
        return _windows_memory()
    if sys.platform == "darwin":
        return _macos_memory()
    fields = _number_fields(root / "proc/meminfo")
    total, free = fields.get("MemTotal", 0) * 1024, fields.get("MemAvailable", 0) * 1024
    for folder in _cgroup_folders(root, "memory"):
        limit, used = _cgroup_memory(folder)
        if 0 < limit < total:
            total, free = limit, min(free, max(0, limit - used))
    return total, free


def _cgroup_memory(folder: Path) -> tuple[int, int]:
    """Return the limit of a cgroup and what it uses without file caches that can be dropped; 0 without a limit."""
    inactive = _number_fields(folder / "memory.stat")
    for limit_name, used_name, cache in (
        ("memory.max", "memory.current", "inactive_file"),
        ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ):
        with suppress(OSError, ValueError):  # without a limit it says "max"
            limit = int((folder / limit_name).read_text("ascii"))
            return limit, int((folder / used_name).read_text("ascii")) - inactive.get(cache, 0)
    return 0, 0


def _number_fields(path: Path) -> dict[str, int]:
    """Return the numbers of a file with one name and number per line."""
    try:
        text = path.read_text("utf-8")
    except OSError:
        return {}
    return {name: int(number) for name, number in re.findall(r"^([\w()]+):?\s+(\d+)", text, re.MULTILINE)}


def _cpu_name(root: Path) -> str:
    if sys.platform == "darwin":
        return _output_of("sysctl", "-n", "machdep.cpu.brand_string").strip()
    with suppress(OSError):
        text = (root / "proc/cpuinfo").read_text("utf-8", "replace")
        if named := re.search(r"^(?:model name|Hardware|cpu model|CPU part)\s*:\s*(.+)$", text, re.MULTILINE):
            return named[1].strip()
    return platform.processor() or platform.machine()


def _output_of(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=COMMAND_TIMEOUT_S, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""


def _macos_memory() -> tuple[int, int]:
    total = int(_output_of("sysctl", "-n", "hw.memsize").strip() or 0)
    return total, free_bytes_of_vm_stat(_output_of("vm_stat"))


def free_bytes_of_vm_stat(text: str) -> int:
    """Return the free bytes of the output of macOS's `vm_stat`: free pages and those that can be dropped."""
    size = re.search(r"page size of (\d+) bytes", text)
    names = ("free", "inactive", "speculative", "purgeable")
    pages = [re.search(rf"^Pages {name}:\s+(\d+)", text, re.MULTILINE) for name in names]
    return int(size[1]) * sum(int(each[1]) for each in pages if each) if size else 0


class _MemoryStatus(ctypes.Structure):
    """Windows' MEMORYSTATUSEX."""

    _fields_ = [
        ("length", ctypes.c_uint32),
        ("load", ctypes.c_uint32),
        *(
            (name, ctypes.c_uint64)
            for name in ("total", "free", "total_page", "free_page", "total_virtual", "free_virtual", "extended")
        ),
    ]


def _windows_memory() -> tuple[int, int]:
    if sys.platform != "win32":
        return 0, 0
    status = _MemoryStatus(length=ctypes.sizeof(_MemoryStatus))
    if not ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status)):
        return 0, 0
    return int(status.total), int(status.free)
