"""The app, or the plain fastrtc demo, as always, and beside it a probe that tells how its loop does.

python -m benchmarks.support.probed_app ours PORT REALTIME_URL [CORE]
python -m benchmarks.support.probed_app plain PORT REALTIME_URL [CORE]
"""

from __future__ import annotations

import os
import runpy
import socket
import sys

from .probed_process import ProcessProbe, pin_to_core

MAX_CALLS = 400
"""More than any machine here carries: the limits of the app are not what is measured."""


def _install_probe() -> None:
    """From now on the loop of every uvicorn server has a probe."""
    import uvicorn

    startup = uvicorn.Server.startup

    async def with_probe(server: uvicorn.Server, sockets: list[socket.socket] | None = None) -> None:
        await startup(server, sockets)
        ProcessProbe()

    uvicorn.Server.startup = with_probe  # type: ignore[method-assign]


def main() -> None:
    what, port, url = sys.argv[1:4]
    pin_to_core(int(sys.argv[4]) if len(sys.argv) > 4 else None)
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    _install_probe()
    if what == "plain":
        sys.argv = ["_plain_fastrtc", port, url, str(MAX_CALLS)]
        runpy.run_module("benchmarks.support.plain_fastrtc", run_name="__main__")
        return
    for name in ("OPENAI_API_KEY", "REALTIME_API_KEY", "REALTIME_MODEL", "INSTRUCTIONS"):
        os.environ[name] = ""
    limits = dict.fromkeys(("MAX_CALLS", "MAX_SOCKETS", "MAX_CALLS_PER_VISITOR"), str(MAX_CALLS))
    os.environ.update(
        limits, HOST="127.0.0.1", PORT=port, REALTIME_URL=url, IDLE_SECONDS="86400", MAX_CALL_SECONDS="86400"
    )
    import app

    app.main()


if __name__ == "__main__":
    main()
