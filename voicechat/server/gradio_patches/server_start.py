"""Start of Gradio's server on a slow computer: Gradio waits 5 s, and takes a later start for a port that is taken."""

from __future__ import annotations

import threading
import time

from gradio.exceptions import ServerFailedToStartError
from gradio.http_server import Server

from voicechat.dependency_checks import require_function

RUN_IN_THREAD = "gradio.http_server:Server.run_in_thread"
START_TIMEOUT_S = 120.0
"""Seconds for the server to listen, while its thread runs."""
POLL_S = 0.01
"""Seconds between two looks at the server."""


def _run_in_thread(self: Server) -> None:
    """Run the server in a thread, and return once it listens.

    Raises ServerFailedToStartError as soon as its thread has ended, or after `START_TIMEOUT_S`.
    """
    self.thread = threading.Thread(target=self.run, daemon=True)
    self.thread.start()
    deadline = time.monotonic() + START_TIMEOUT_S
    while not self.started:
        if not self.thread.is_alive() or time.monotonic() > deadline:
            raise ServerFailedToStartError("The server does not listen.")
        time.sleep(POLL_S)


def install() -> None:
    """Let Gradio wait for its server until it listens or has failed. A second call changes nothing.

    Raise DependencyChanged, with nothing replaced, when Gradio is not as expected.
    """
    if require_function(RUN_IN_THREAD, ["self"]) is not _run_in_thread:
        Server.run_in_thread = _run_in_thread
