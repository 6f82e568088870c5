"""Redis process: Debian's `redis-server` on loopback, without persistence. Tests kill, freeze and restart it."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.support.app.app_process import free_port

START_TIMEOUT_S = 30.0
"""Seconds for the process to accept connections."""


class RedisProcess:
    """A Redis server of this test alone, always on the same port."""

    def __init__(self, folder: Path) -> None:
        """`folder`: working directory of the server, where it writes dumps that a test asks for."""
        self.port = free_port()
        self.folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self, *more: str) -> None:
        """Start an empty server with more options, and wait until it accepts connections."""
        executable = shutil.which("redis-server")
        assert executable, "No redis-server: run ./test.sh, which installs it."
        options = ("--save", "", "--appendonly", "no", "--bind", "127.0.0.1", "--loglevel", "warning")
        self._process = subprocess.Popen(
            [executable, "--port", str(self.port), "--dir", str(self.folder), *options, *more],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 0.5) as probe:
                probe.sendall(b"PING\r\n")
                if probe.recv(16).startswith(b"+PONG"):
                    return
            time.sleep(0.02)  # a starting server has no push
        raise AssertionError("redis-server did not start")

    def kill(self) -> None:
        """End the server with SIGKILL: everything in it is lost."""
        assert self._process is not None
        self._send(signal.SIGCONT)
        self._process.kill()
        self._process.wait()

    def freeze(self) -> None:
        """Stop the process without closing its connections: it accepts requests, and answers none."""
        self._send(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen process go on."""
        self._send(signal.SIGCONT)

    def _send(self, number: int) -> None:
        if self._process is not None and self._process.poll() is None:
            os.kill(self._process.pid, number)


@contextmanager
def running_redis(folder: Path, *more: str) -> Iterator[RedisProcess]:
    """Run a Redis server with more options until the block ends."""
    server = RedisProcess(folder)
    server.start(*more)
    try:
        yield server
    finally:
        server.kill()
