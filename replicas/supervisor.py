"""Supervisor: carries out the actions of `Supervision` on real processes, and reports their events to it."""

from __future__ import annotations

import asyncio
import logging
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from .child_process import ChildProcess, PrefixedLog, has_terminal, start_watchdog, write_line
from .launch_plan import ProcessSpec
from .readiness import wait_until_hanging, wait_until_ready
from .supervision import (
    DRAIN_MARGIN_S,
    Action,
    ActionKind,
    ProcessPhase,
    ProcessRole,
    Supervision,
    SupervisionPhase,
    restart_pause,
)
from .watchdog import DONE

log = logging.getLogger(__name__)


class Supervisor:
    """Owner of all processes. For one event loop, in the main thread."""

    def __init__(self, specs: Iterable[ProcessSpec], folder: Path, drain_s: float, lines: PrefixedLog) -> None:
        """`folder`: private folder, which the watchdog removes after a kill. `lines`: log of the processes."""
        self._specs = {spec.name: spec for spec in specs}
        self._supervision = Supervision(((spec.name, spec.role) for spec in self._specs.values()), drain_s)
        self._watchdog_command = [
            *(sys.executable, "-m", "replicas.watchdog", str(folder), str(drain_s + DRAIN_MARGIN_S))
        ]
        self._drain_s = drain_s
        self._lines = lines
        self._children: dict[str, ChildProcess] = {}
        self._checks: dict[str, asyncio.Task[None]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._finished = asyncio.Event()
        self._watchdog: subprocess.Popen[bytes] | None = None
        self._had_terminal = False

    async def run(self) -> int:
        """Run until a signal has ended everything. Return the exit status. Raise OSError without a watchdog."""
        loop = asyncio.get_running_loop()
        self._had_terminal = signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN and has_terminal()
        self._watchdog = start_watchdog(self._watchdog_command)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_stop_signal, number)
        loop.add_signal_handler(signal.SIGHUP, self._on_hangup)
        self._apply(self._supervision.start(time.monotonic()))
        watching = asyncio.create_task(self._stop_without_watchdog(self._watchdog))
        await self._finished.wait()
        write_line(self._watchdog.stdin, DONE)
        await watching
        return self._supervision.exit_status or 0

    async def _stop_without_watchdog(self, watchdog: subprocess.Popen[bytes]) -> None:
        """Stop when the watchdog was killed: a killed supervisor would leave all processes behind."""
        await asyncio.to_thread(watchdog.wait)
        if not self._finished.is_set():
            log.error("replicas: the watchdog ended")
            self._on_stop_signal(signal.SIGTERM)

    # ---------------------------------------------------------------- signals

    def _on_stop_signal(self, number: int) -> None:
        if self._supervision.phase is SupervisionPhase.RUNNING:
            log.info("replicas: draining limit_s=%g; a second signal ends everything at once", self._drain_s)
        self._apply(self._supervision.request_stop(number, time.monotonic()))

    def _on_hangup(self) -> None:
        """Restart the replicas; end when the signal says that the terminal was closed."""
        if self._had_terminal and not has_terminal():
            self._on_stop_signal(signal.SIGHUP)
            return
        log.info("replicas: restarting one after the other")
        self._apply(self._supervision.request_restart(time.monotonic()))

    # ---------------------------------------------------------------- processes

    def _apply(self, actions: Iterable[Action]) -> None:
        """Carry out actions, then wait for the next deadline."""
        for action in actions:
            match action.kind:
                case ActionKind.START:
                    self._start(action.name, action.run)
                case ActionKind.TERMINATE:
                    self._signal(action.name, signal.SIGTERM)
                case ActionKind.KILL:
                    log.warning("replicas: killed process=%s", action.name)
                    self._signal(action.name, signal.SIGKILL)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._supervision.exit_status is not None:
            self._finished.set()
        elif (deadline := self._supervision.next_deadline) is not None:
            delay = max(0.0, deadline - time.monotonic())
            self._timer = asyncio.get_running_loop().call_later(delay, self._on_deadline)

    def _on_deadline(self) -> None:
        self._apply(self._supervision.handle_time(time.monotonic()))

    def _start(self, name: str, run: int) -> None:
        assert self._watchdog is not None
        loop = asyncio.get_running_loop()
        on_end = partial(self._on_end, name, run)
        try:
            child = ChildProcess(
                self._specs[name],
                self._watchdog.pid,
                self._lines,
                lambda status: _call_in(loop, partial(on_end, status)),
            )
        except OSError as error:
            log.error("replicas: not started process=%s reason=%s", name, error.strerror)
            loop.call_soon(on_end, 1)
            return
        write_line(self._watchdog.stdin, str(child.pid).encode())
        self._children[name] = child
        self._checks[name] = asyncio.create_task(self._check(name, run))

    def _signal(self, name: str, number: int) -> None:
        if (child := self._children.get(name)) is not None:
            child.send_signal(number)

    async def _check(self, name: str, run: int) -> None:
        """Report that a process is ready; of a replica then, that it hangs."""
        spec = self._specs[name]
        await wait_until_ready(spec)
        log.info("replicas: ready process=%s", name)
        if spec.role is ProcessRole.PROXY:
            log.info("replicas: serving url=http://%s", spec.address)
        self._apply(self._supervision.handle_ready(name, run, time.monotonic()))
        if spec.role is ProcessRole.REPLICA:
            await wait_until_hanging(spec)
            self._apply(self._supervision.handle_hang(name, run))

    def _on_end(self, name: str, run: int, status: int) -> None:
        self._children.pop(name, None)
        if (check := self._checks.pop(name, None)) is not None:
            check.cancel()
        actions = self._supervision.handle_end(name, run, status, time.monotonic())
        process = self._supervision.processes[name]
        if process.phase is ProcessPhase.PAUSED:
            pause = restart_pause(process.failures)
            log.warning("replicas: ended process=%s status=%d restart_in_s=%.0f", name, status, pause)
        else:
            log.info("replicas: ended process=%s status=%d", name, status)
        self._apply(actions)


def _call_in(loop: asyncio.AbstractEventLoop, callback: partial[None]) -> None:
    """Call a function in an event loop, from another thread. The loop may be closed already."""
    try:
        loop.call_soon_threadsafe(callback)
    except RuntimeError:
        log.debug("replicas: late end of a process")
