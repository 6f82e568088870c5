"""How the process ends when it is told to (SIGTERM, Ctrl+C): whoever is talking may finish, for a while.

Two ways to start the app have two ways to end. Under `uvicorn app:app` the server holds the main thread and the
signals; under `python app.py` it runs in a thread of Gradio's, and the signals are ours. Both servers are told to end
only when the last conversation is over; what they do by themselves would cut everybody off.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
import time
from contextlib import suppress
from enum import Enum
from types import FrameType
from typing import NoReturn

import uvicorn
from gradio.tunneling import CURRENT_TUNNELS

from voicechat.limits.waiting_queue import AdmissionController

log = logging.getLogger(__name__)

SIGNALS = (signal.SIGTERM, signal.SIGINT, *([signal.SIGBREAK] if hasattr(signal, "SIGBREAK") else []))
DRAIN_OVERRUN_S = 2.0
"""Beyond the time that was given, for conversations to be put away. Then the server closes what is left."""
FINAL_NOTICE_S = 1.0
"""After the last conversation, for the pages to be told that it is over."""
DUPLICATE_SIGNAL_S = 0.3
"""A second signal so soon is the first one: process managers and terminals send it twice."""


class ShutdownPhase(Enum):
    """Where the process is in its life."""

    SERVING = "serving"
    DRAINING = "draining"
    STOPPED = "over"


class GracefulShutdown:
    """The end of one process."""

    def __init__(self, admission: AdmissionController, drain_s: float) -> None:
        """`seconds`: that conversations may still last."""
        self.phase = ShutdownPhase.SERVING
        self._admission = admission
        self._drain_s = drain_s
        self._loop: asyncio.AbstractEventLoop | None = None
        self._server: uvicorn.Server | None = None
        self._drain_task: asyncio.Task[None] | None = None
        self._signalled_at = 0.0
        self._finished = threading.Event()

    @property
    def is_shutting_down(self) -> bool:
        """Nobody is let in any more."""
        return self.phase is not ShutdownPhase.SERVING

    def attach_server(self, server: uvicorn.Server) -> None:
        """A server starts, in the running event loop: from now on conversations may finish first."""
        self._loop, self._server = asyncio.get_running_loop(), server
        if threading.current_thread() is threading.main_thread() and _owns_signal_handlers(server):
            self.install_signal_handlers()

    def install_signal_handlers(self) -> None:
        """Take the signals. In the main thread."""
        for each in SIGNALS:
            signal.signal(each, self.on_signal)

    def wait(self) -> None:
        """Block the main thread until all is over; signals are taken meanwhile."""
        while not self._finished.wait(1.0):  # without a limit Windows would not let a signal through
            pass

    def on_signal(self, number: int, _: FrameType | None) -> None:
        now = time.monotonic()
        if self._loop is None:
            raise SystemExit(0)  # nobody is served yet
        if self.phase is ShutdownPhase.SERVING:
            self.phase, self._signalled_at = ShutdownPhase.DRAINING, now
            self._loop.call_soon_threadsafe(self._start_drain)
        elif now - self._signalled_at > DUPLICATE_SIGNAL_S:
            exit_immediately(128 + number)

    def _start_drain(self) -> None:
        self._drain_task = asyncio.create_task(self._drain())

    async def _drain(self) -> None:
        """Until nobody talks any more, or the time is up."""
        alone = self._admission.is_empty
        if not alone:
            log.info("The app ends when all conversations are over, in %.0f s at the latest.", self._drain_s)
        emptied = asyncio.Event()
        self._admission.begin_shutdown(self._drain_s, emptied.set)
        with suppress(TimeoutError):
            async with asyncio.timeout(self._drain_s + DRAIN_OVERRUN_S):
                await emptied.wait()
        if not alone:
            await asyncio.sleep(FINAL_NOTICE_S)
        self.phase = ShutdownPhase.STOPPED
        if self._server is not None:
            self._server.should_exit = True
        self._finished.set()


def _owns_signal_handlers(server: uvicorn.Server) -> bool:
    """uvicorn has taken the signals for this server: not in tests, which start one without."""
    return any(getattr(signal.getsignal(each), "__self__", None) is server for each in SIGNALS)


def close_tunnels() -> None:
    """Of public links: processes that would outlive this one."""
    for tunnel in CURRENT_TUNNELS:
        tunnel.kill()


def exit_immediately(code: int) -> NoReturn:
    """Without waiting for anybody. The embedded server sees by itself that we are gone."""
    close_tunnels()
    os._exit(code)
