"""Child process of the supervisor: its start, its signals, its end, and its lines in the common log."""

from __future__ import annotations

import os
import re
import subprocess
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import IO, BinaryIO

from .launch_plan import PROJECT_DIR, ProcessSpec

MAX_LINE_BYTES = 8192
"""Bytes of one line in the log. A longer one is continued on the next."""
LAST_LINES_S = 1.0
"""Seconds to wait for the last lines of an ended process. A process that it started may still hold its pipe."""


class PrefixedLog:
    """Common log: lines of all processes, each behind the name of its process. Thread-safe."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self._lock = threading.Lock()

    def write(self, name: str, line: bytes) -> None:
        """Write one line. A log that cannot be written is left out."""
        with self._lock, suppress(OSError, ValueError):
            self._out.write(f"{name}: ".encode() + line.rstrip(b"\r\n") + b"\n")
            self._out.flush()

    def copy_lines(self, name: str, lines: BinaryIO, left_out: re.Pattern[bytes] | None = None) -> None:
        """Write the lines of a stream without those that are left out, until it ends."""
        with lines, suppress(OSError, ValueError):
            while line := lines.readline(MAX_LINE_BYTES):
                if left_out is None or not left_out.search(line):
                    self.write(name, line)


class ChildProcess:
    """One run of a process. Two threads wait for its lines and for its end: neither holds up the supervisor."""

    def __init__(self, spec: ProcessSpec, group: int, log: PrefixedLog, report_end: Callable[[int], None]) -> None:
        """Start the process in a process group. Raise OSError.

        `report_end` is called in another thread, with the exit status or the negative number of the signal.
        """
        self._process = subprocess.Popen(
            list(spec.command),
            cwd=PROJECT_DIR,
            env=dict(spec.environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if spec.shows_stdout else subprocess.DEVNULL,
            stderr=subprocess.STDOUT if spec.shows_stdout else subprocess.PIPE,
            # Ctrl+C in a terminal reaches the supervisor's group. HAProxy and Redis have to outlive the last call.
            process_group=group,
        )
        lines = self._process.stdout or self._process.stderr
        assert lines is not None
        self._copier = threading.Thread(target=log.copy_lines, args=(spec.name, lines, spec.left_out), daemon=True)
        self._copier.start()
        threading.Thread(target=self._wait, args=(report_end,), daemon=True).start()

    @property
    def pid(self) -> int:
        """PID of the process."""
        return self._process.pid

    def send_signal(self, number: int) -> None:
        """Send a signal, unless the process has ended."""
        with suppress(ProcessLookupError):
            self._process.send_signal(number)

    def _wait(self, report_end: Callable[[int], None]) -> None:
        status = self._process.wait()
        self._copier.join(LAST_LINES_S)
        report_end(status)


def start_watchdog(command: list[str]) -> subprocess.Popen[bytes]:
    """Start the watchdog as the leader of a new process group. Raise OSError."""
    return subprocess.Popen(
        command, cwd=PROJECT_DIR, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, process_group=0, bufsize=0
    )


def write_line(pipe: IO[bytes] | None, line: bytes) -> None:
    """Write a line to the watchdog. It may have been killed."""
    if pipe is not None:
        with suppress(OSError):
            pipe.write(line + b"\n")


def has_terminal() -> bool:
    """Return whether this process has a terminal that was not closed."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True
