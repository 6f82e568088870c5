"""Programs of the system that the replicas need: where they are, and what to install when they are missing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

SYSTEM_FOLDERS = ("/usr/local/sbin", "/usr/sbin", "/sbin")
"""Folders of servers' programs. Debian leaves them out of the PATH of users."""


@dataclass(frozen=True, slots=True)
class SystemPrograms:
    """Paths of the programs; "" for one that is missing or not needed."""

    haproxy: str
    redis: str


def find_program(name: str, environ: Mapping[str, str]) -> str:
    """Return the path of a program; "" without one."""
    folders = [*environ.get("PATH", os.defpath).split(os.pathsep), *SYSTEM_FOLDERS]
    return shutil.which(name, path=os.pathsep.join(folders)) or ""


def find_programs(environ: Mapping[str, str], *, needs_redis: bool) -> SystemPrograms:
    """Return the programs of this system."""
    return SystemPrograms(
        haproxy=find_program("haproxy", environ),
        redis=find_program("redis-server", environ) if needs_redis else "",
    )


def describe_packages(packages: Sequence[str]) -> str:
    """Return the end of the sentence on what a start needs."""
    return f"{' and '.join(packages)} (Debian: apt install {' '.join(packages)})"


def missing_packages(programs: SystemPrograms, *, needs_redis: bool) -> Sequence[str]:
    """Return the names of Debian's packages with the missing programs."""
    return [
        *([] if programs.haproxy else ["haproxy"]),
        *(["redis-server"] if needs_redis and not programs.redis else []),
    ]
