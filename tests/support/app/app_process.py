"""App process: `python app.py` on a free port, with its log in a file."""

from __future__ import annotations

import json
import os
import random
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from tests.support.paths import ROOT

DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""HTTP client that asks no proxy, whatever the environment of a test names."""
OPERATOR_KEY = "sk-operator-canary"

NO_SERVER_SETTINGS = dict.fromkeys(
    ("OPENAI_API_KEY", "OFFLINE_URL", "REALTIME_URL", "REALTIME_API_KEY", "REALTIME_MODEL", "INSTRUCTIONS"), ""
)
"""Environment that overrides a developer's `.env`. Empty, not absent: `.env` fills in absent variables only."""


def free_port() -> int:
    """Return a free port outside the range from which systems assign ports to other tests' servers."""
    while True:
        port = random.randrange(15_000, 32_000)
        with suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port


def find_port_run(count: int) -> int:
    """Return the first of some free ports in a row."""
    while True:
        first = free_port()
        with suppress(OSError), ExitStack() as probes:
            for port in range(first, first + count):
                probes.enter_context(socket.create_server(("127.0.0.1", port)))
            return first


class AppProcess:
    """A running app, and its health endpoint."""

    def __init__(self, url: str, process: subprocess.Popen[bytes], log: Path) -> None:
        self.url, self.process, self.log_path = url, process, log
        self.first_health: dict[str, object] = {}
        """The first answer of /health, for tests that need it."""

    def health(self) -> dict[str, object]:
        """Return the JSON answer of /health, with its status as `http`."""
        try:
            with DIRECT.open(self.url + "/health", timeout=5) as answer:
                return {"http": answer.status, **json.load(answer)}
        except urllib.error.HTTPError as answer:
            return {"http": answer.code, **json.load(answer)}

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def kill(self) -> None:
        """Kill the process, as a crash or the lack of memory does. Its server ends with it."""
        self.process.kill()
        self.process.wait()

    def fetch_text(self, path: str) -> str:
        """Return the body at `path`."""
        with DIRECT.open(self.url + path, timeout=10) as answer:
            return str(answer.read().decode())

    def wait_for_health(self, condition: Callable[[dict[str, object]], bool], timeout: float = 60) -> dict[str, object]:
        """Poll /health until `condition` holds, and return the answer."""
        deadline = time.monotonic() + timeout
        last: object = None
        while time.monotonic() < deadline:
            assert self.process.poll() is None, f"the app ended: {self.log_path.read_text()[-2000:]}"
            with suppress(OSError):
                last = self.health()
                if condition(last):
                    return last
            time.sleep(0.1)  # /health has no push
        raise AssertionError(f"not within {timeout} s; last answer: {last}; log: {self.log_path.read_text()[-2000:]}")


@contextmanager
def running_app(log: Path, command: Sequence[str] = ("app.py",), /, **environment: str) -> Iterator[AppProcess]:
    """Run `python app.py` (or another `command`), without a key, until the block ends.

    `PORT` in the environment: its port, instead of a free one.
    """
    port = int(environment.pop("PORT", free_port()))
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, *command],
            cwd=ROOT,
            env={
                **os.environ,
                **NO_SERVER_SETTINGS,
                "HOST": "127.0.0.1",
                "PORT": str(port),
                "UVICORN_PORT": str(port),
                **environment,
            },
            stdout=out,
            stderr=subprocess.STDOUT,
        )
        app = AppProcess(f"http://127.0.0.1:{port}", process, log)
        try:
            yield app
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
