"""Graceful shutdown after SIGTERM or Ctrl+C: open conversations may finish, for a limited time.

Under `uvicorn app:app` the server holds the main thread and the signals. Under `python app.py` it runs in a thread of
Gradio's, and this module takes the signals. Both servers stop after the last conversation. By themselves they would cut
all of them off.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from enum import Enum
from types import FrameType
from typing import NoReturn

import uvicorn
from gradio.tunneling import CURRENT_TUNNELS

from voicechat.limits.admission import Admission

log = logging.getLogger(__name__)

SIGNALS = (signal.SIGTERM, signal.SIGINT, *([signal.SIGBREAK] if hasattr(signal, "SIGBREAK") else []))
DRAIN_OVERRUN_S = 2.0
"""Seconds beyond the drain time in which conversations are released. Then the server closes the rest."""
FINAL_NOTICE_S = 1.0
"""Seconds after the last conversation in which the pages receive their last update."""
DUPLICATE_SIGNAL_S = 0.3
"""Seconds in which a second signal counts as the first one: process managers and terminals send it twice."""


class ShutdownPhase(Enum):
    """Phase of the process."""

    SERVING = "serving"
    DRAINING = "draining"
    STOPPED = "over"


class GracefulShutdown:
    """Shutdown of one process."""

    def __init__(
        self,
        admission: Admission,
        drain_s: float,
        announce_drain: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """`drain_s`: seconds that open conversations may still last. `announce_drain`: tells the open pages."""
        self.phase = ShutdownPhase.SERVING
        self._admission = admission
        self._drain_s = drain_s
        self._announce_drain = announce_drain
        self._loop: asyncio.AbstractEventLoop | None = None
        self._server: uvicorn.Server | None = None
        self._drain_task: asyncio.Task[None] | None = None
        self._signalled_at = 0.0
        self._finished = threading.Event()

    @property
    def is_shutting_down(self) -> bool:
        """New conversations are refused."""
        return self.phase is not ShutdownPhase.SERVING

    def attach_server(self, server: uvicorn.Server) -> None:
        """Stop this server, which starts in the running event loop, after the last conversation only."""
        self._loop, self._server = asyncio.get_running_loop(), server
        if threading.current_thread() is threading.main_thread() and _owns_signal_handlers(server):
            self.install_signal_handlers()

    def install_signal_handlers(self) -> None:
        """Handle the signals. Call it in the main thread."""
        for each in SIGNALS:
            signal.signal(each, self.on_signal)

    def wait(self) -> None:
        """Block the main thread until the shutdown is complete. Signals are handled meanwhile."""
        while not self._finished.wait(1.0):  # without a timeout Windows would not deliver signals
            pass

    def on_signal(self, number: int, _: FrameType | None) -> None:
        """Start the drain; end at once on a later second signal."""
        now = time.monotonic()
        if self._loop is None:
            raise SystemExit(0)  # the server has not started
        if self.phase is ShutdownPhase.SERVING:
            self.phase, self._signalled_at = ShutdownPhase.DRAINING, now
            self._loop.call_soon_threadsafe(self._start_drain)
        elif now - self._signalled_at > DUPLICATE_SIGNAL_S:
            exit_immediately(128 + number)

    def _start_drain(self) -> None:
        self._drain_task = asyncio.create_task(self._drain())

    async def _drain(self) -> None:
        """Wait for the last conversation or the end of the drain time, then stop the server."""
        is_idle = self._admission.is_empty
        if not is_idle:
            log.info("shutdown: waiting for open conversations max_s=%.0f; a second signal ends them", self._drain_s)
        emptied = asyncio.Event()
        self._admission.begin_shutdown(self._drain_s, emptied.set)
        if self._announce_drain is not None:
            with suppress(TimeoutError):
                await self._announce_drain()
        with suppress(TimeoutError):
            async with asyncio.timeout(self._drain_s + DRAIN_OVERRUN_S):
                await emptied.wait()
        if not is_idle:
            await asyncio.sleep(FINAL_NOTICE_S)
        self.phase = ShutdownPhase.STOPPED
        if self._server is not None:
            self._server.should_exit = True
        self._finished.set()


def _owns_signal_handlers(server: uvicorn.Server) -> bool:
    """Return whether uvicorn handles the signals for this server. Tests start servers without."""
    return any(getattr(signal.getsignal(each), "__self__", None) is server for each in SIGNALS)


def close_tunnels() -> None:
    """End the tunnel processes of public links, which would outlive this process."""
    for tunnel in CURRENT_TUNNELS:
        tunnel.kill()


def exit_immediately(code: int) -> NoReturn:
    """End the process without waiting. The embedded server notices the closed pipe and ends too."""
    close_tunnels()
    os._exit(code)
