"""Waiting for the embedded server's process, and an app whose embedded server is a script of the test."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from tests.support.offline.offline_process import child_command
from voicechat.server.embedded_server import EmbeddedServer, EmbeddedServerPhase

TIMEOUT_S = 20.0


def wait_for_phase(server: EmbeddedServer, phase: EmbeddedServerPhase, *, pid_before: int | None = None) -> None:
    """Block until `phase` is reached, by another process than `pid_before`."""
    deadline = time.monotonic() + TIMEOUT_S
    while server.phase is not phase or (pid_before is not None and server.pid in (None, pid_before)):
        assert time.monotonic() < deadline, f"{server.phase} instead of {phase}: {server.detail}"
        time.sleep(0.005)


def wait_for(condition: Callable[[], bool]) -> None:
    """Block until the supervisor's thread has made `condition` true."""
    deadline = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


SCRIPTED_CHILD = """
import os, sys, threading
threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
print('{{"listening": "ws://127.0.0.1:9/v1/realtime", "port": 9}}', flush=True)
print('{{"ready": true, "model": "small", "languages": ["en", "zh"]}}', flush=True)
with open({fifo!r}) as lines:
    for line in lines:
        print(line, end="", flush=True)
"""
"""Child that is ready at once and then reports the status lines of a named pipe. No call reaches it."""


def app_command_with_fake_server(fifo: Path) -> tuple[str, str]:
    """Return the command of an app whose embedded server reports the lines that are written to the named pipe."""
    command = child_command(SCRIPTED_CHILD.format(fifo=str(fifo)))
    source = (
        "import runpy\n"
        "from voicechat.server import embedded_server\n"
        f"embedded_server.COMMAND = {command!r}\n"
        "runpy.run_path('app.py', run_name='__main__')"
    )
    return "-c", source
