"""Programs of the system: found on the PATH or in the folders of servers, else named with their packages."""

from __future__ import annotations

from pathlib import Path

import pytest

from replicas import programs
from replicas.programs import SystemPrograms, find_program, find_programs, missing_packages


@pytest.fixture(autouse=True)
def system_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty folder in place of the system's folders of servers."""
    folder = tmp_path / "sbin"
    folder.mkdir()
    monkeypatch.setattr(programs, "SYSTEM_FOLDERS", (str(folder),))
    return folder


def write_program(folder: Path, name: str) -> str:
    (folder / name).write_text("#!/bin/sh\n")
    (folder / name).chmod(0o755)
    return str(folder / name)


def test_program_outside_the_path_of_users_is_found(system_folder: Path, tmp_path: Path) -> None:
    haproxy = write_program(system_folder, "haproxy")
    assert find_program("haproxy", {"PATH": str(tmp_path)}) == haproxy
    first = write_program(tmp_path, "haproxy")
    assert find_program("haproxy", {"PATH": str(tmp_path)}) == first


@pytest.mark.parametrize(
    ("found", "needs_redis", "missing"),
    [
        (("haproxy", "redis-server"), True, []),
        (("haproxy",), True, ["redis-server"]),
        (("haproxy",), False, []),
        ((), True, ["haproxy", "redis-server"]),
        ((), False, ["haproxy"]),
    ],
)
def test_missing_packages_are_those_of_programs_that_are_needed(
    found: tuple[str, ...], needs_redis: bool, missing: list[str], tmp_path: Path
) -> None:
    for name in found:
        write_program(tmp_path, name)
    there = find_programs({"PATH": str(tmp_path)}, needs_redis=needs_redis)
    assert missing_packages(there, needs_redis=needs_redis) == missing


def test_redis_that_is_not_needed_is_not_looked_for(tmp_path: Path) -> None:
    write_program(tmp_path, "redis-server")
    assert find_programs({"PATH": str(tmp_path)}, needs_redis=False) == SystemPrograms("", "")
