"""Servers of the benchmark: the system's HAProxy and Redis, on free ports of this computer, for the time of a block."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.proxy import get_cpu_s
from benchmarks.support.local_machine import PORT_POLL_S, free_port
from replicas.haproxy_config import render_haproxy_config

START_TIMEOUT_S = 20.0
"""Seconds for a server to listen."""
PACKAGES = {"haproxy": "haproxy", "redis-server": "redis-server"}
"""Debian's packages, by program."""


@dataclass(frozen=True, slots=True)
class LocalServer:
    """Server that runs."""

    port: int
    process: psutil.Process

    def cpu_s(self) -> float:
        """Return the CPU time of the server so far, in seconds."""
        return get_cpu_s(self.process)


def find_program(name: str) -> str:
    """Return the path of a server. Raises SystemExit when it is not installed."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
    if found is None:
        raise SystemExit(f"The benchmark needs {name}: apt install {PACKAGES[name]}")
    return found


@contextmanager
def running_server(port: int, *command: str) -> Iterator[LocalServer]:
    """Run a server until the block ends. Yields it once it listens. Raises SystemExit when it does not."""
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                if child.poll() is not None or time.monotonic() > deadline:
                    raise SystemExit(f"{Path(command[0]).name} did not start") from None
                time.sleep(PORT_POLL_S)
        yield LocalServer(port, psutil.Process(child.pid))
    finally:
        child.terminate()
        child.wait()


@contextmanager
def running_haproxy(replica_ports: Sequence[int]) -> Iterator[LocalServer]:
    """Run HAProxy with the project's configuration in front of replicas at these ports of this computer."""
    port = free_port()
    replicas = tuple(f"127.0.0.1:{one}" for one in replica_ports)
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "haproxy.cfg"
        config.write_text(render_haproxy_config(f"127.0.0.1:{port}", replicas))
        with running_server(port, find_program("haproxy"), "-f", str(config)) as server:
            yield server


@contextmanager
def running_redis() -> Iterator[LocalServer]:
    """Run an empty Redis without persistence."""
    port = free_port()
    options = ("--save", "", "--appendonly", "no", "--bind", "127.0.0.1", "--loglevel", "warning")
    with tempfile.TemporaryDirectory() as folder:
        command = (find_program("redis-server"), "--port", str(port), "--dir", folder, *options)
        with running_server(port, *command) as server:
            yield server
