"""Watchdog: what it does with the processes of a supervisor that ended."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from replicas.child_process import start_watchdog, write_line
from replicas.watchdog import DONE, MAX_PIDS, read_pids

pytestmark = pytest.mark.skipif(os.name == "nt", reason="process groups")

WAIT_S = 30
SLEEP = [sys.executable, "-c", "import sys; print('up', flush=True); sys.stdin.read()"]
STUBBORN = [sys.executable, "-c", f"import signal; signal.signal({int(signal.SIGTERM)}, signal.SIG_IGN); {SLEEP[2]}"]


def watchdog(folder: Path, limit_s: float) -> subprocess.Popen[bytes]:
    return start_watchdog([sys.executable, "-m", "replicas.watchdog", str(folder), str(limit_s)])


def start_member(command: list[str], group: int) -> subprocess.Popen[bytes]:
    member = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, process_group=group)
    assert member.stdout is not None and member.stdout.readline() == b"up\n"
    return member


@pytest.mark.parametrize(
    ("command", "limit_s", "number"), [(SLEEP, WAIT_S, signal.SIGTERM), (STUBBORN, 0.1, signal.SIGKILL)]
)
def test_watchdog_ends_all_processes_and_removes_the_folder_when_its_pipe_ends(
    command: list[str], limit_s: float, number: int, tmp_path: Path
) -> None:
    folder = tmp_path / "private"
    folder.mkdir()
    guard = watchdog(folder, limit_s)
    member = start_member(command, guard.pid)
    write_line(guard.stdin, str(member.pid).encode())
    assert guard.stdin is not None
    guard.stdin.close()
    assert member.wait(WAIT_S) == -number
    assert guard.wait(WAIT_S) == -signal.SIGKILL
    assert not folder.exists()


def test_watchdog_ends_a_process_whose_number_it_was_not_given(tmp_path: Path) -> None:
    guard = watchdog(tmp_path / "private", WAIT_S)
    member = start_member(STUBBORN, guard.pid)
    assert guard.stdin is not None
    guard.stdin.close()
    assert member.wait(WAIT_S) == -signal.SIGKILL


def test_watchdog_after_a_complete_end_touches_nothing(tmp_path: Path) -> None:
    guard = watchdog(tmp_path, WAIT_S)
    member = start_member(SLEEP, guard.pid)
    write_line(guard.stdin, DONE)
    assert guard.wait(WAIT_S) == 0
    assert member.poll() is None and tmp_path.exists()
    member.kill()
    member.wait()


def test_watchdog_in_a_group_of_another_process_ends_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "replicas.watchdog", str(tmp_path), "0.1"]
    assert subprocess.run(command, stdin=subprocess.DEVNULL, timeout=WAIT_S).returncode == 1
    assert tmp_path.exists()


def test_read_pids_forgets_ended_processes() -> None:
    own = os.getpid()
    lines = "".join(f"{number}\n" for number in range(5_000_000, 5_000_000 + MAX_PIDS)) + f"{own}\nnoise\n"
    assert read_pids(io.BytesIO(lines.encode())) == {own}
    assert read_pids(io.BytesIO(b"12\ndone\n")) is None
    assert read_pids(io.BytesIO(b"")) == set()
