"""Ports of this computer: whether a process can listen on one, and why not."""

from __future__ import annotations

import os
import socket

MAX_PORT = 65_535


def probe_port(host: str, port: int) -> int:
    """Return the port when a process can listen on it; a free one for port 0. Raise OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, port), family=family) as probe:
        return int(probe.getsockname()[1])


def listen_reason(error: OSError) -> str:
    """Return why a process cannot listen, in the system's words, without a full stop."""
    number = error.errno or 0  # below 0: unknown host, which has its own message
    if number > 0:
        return os.strerror(number)
    return (error.strerror or type(error).__name__).partition(" (while attempting")[0]
