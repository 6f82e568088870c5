"""The app or the plain fastrtc demo, unchanged, with a probe of its event loop.

python -m benchmarks.support.probed_app ours|plain PORT REALTIME_URL [CORE]
"""

from __future__ import annotations

import functools
import os
import runpy
import socket
import sys

from .local_machine import NO_SERVER_SETTINGS
from .probed_process import ProcessProbe, pin_to_core

MAX_CALLS = 400
"""Calls: more than one core carries. The app's own limits are not measured."""


def _install_probe() -> None:
    """Start a probe in the event loop of each uvicorn server."""
    import uvicorn

    startup = uvicorn.Server.startup

    @functools.wraps(startup)
    async def start_with_probe(self: uvicorn.Server, sockets: list[socket.socket] | None = None) -> None:
        await startup(self, sockets)
        ProcessProbe()

    uvicorn.Server.startup = start_with_probe  # type: ignore[method-assign]


def main() -> None:
    """Run the program of the command line until the process ends."""
    program, port, url = sys.argv[1:4]
    pin_to_core(int(sys.argv[4]) if len(sys.argv) > 4 else None)
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    _install_probe()
    if program == "plain":
        sys.argv = ["plain_fastrtc", port, url, str(MAX_CALLS)]
        runpy.run_module("benchmarks.support.plain_fastrtc", run_name="__main__")
        return
    limits = dict.fromkeys(("MAX_CALLS", "MAX_SOCKETS", "MAX_CALLS_PER_VISITOR"), str(MAX_CALLS))
    os.environ.update(NO_SERVER_SETTINGS | limits)
    os.environ.update(HOST="127.0.0.1", PORT=port, REALTIME_URL=url, IDLE_SECONDS="86400", MAX_CALL_SECONDS="86400")
    import app

    app.main()


if __name__ == "__main__":
    main()
