"""Waiting for the embedded server's process."""

from __future__ import annotations

import time

from voicechat.server.embedded_server import EmbeddedServer, EmbeddedServerPhase

TIMEOUT_S = 20.0


def wait_for_phase(server: EmbeddedServer, phase: EmbeddedServerPhase, *, pid_before: int | None = None) -> None:
    """Block until `phase` is reached, by another process than `pid_before`."""
    deadline = time.monotonic() + TIMEOUT_S
    while server.phase is not phase or (pid_before is not None and server.pid in (None, pid_before)):
        assert time.monotonic() < deadline, f"{server.phase} instead of {phase}: {server.detail}"
        time.sleep(0.005)
