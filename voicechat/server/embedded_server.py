"""Process of the embedded Realtime server: started without a key, restarted when it ends, stopped with the app.

A process of its own keeps inference from making calls stutter. Calls connect to it over a WebSocket, as to every other
Realtime server.

The child holds the reading end of a pipe whose writing end is in this process. However this process ends, the pipe
closes, and the child ends too. Through the pipe the child also gets the key that all its clients must send: other
programs and web pages of this computer find its port, but not the key.
"""

from __future__ import annotations

import asyncio
import atexit
import json
import logging
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from voicechat.protocol.endpoint import ConnectionObserver
from voicechat.protocol.event_fields import to_count
from voicechat.upstream.model_news import EmbeddedPart, ModelNews, parse_fallbacks, parse_model_news

log = logging.getLogger(__name__)

PROJECT_DIR = Path(__file__).resolve().parents[2]
COMMAND = (
    *(sys.executable, "-m", "offline"),
    *("--host", "127.0.0.1", "--port", "0", "--exit-with-parent", "--key-from-stdin"),
)
COMMAND_WITH_DOWNLOAD = (*COMMAND, "--fetch")
"""The same, with a download of missing model files first."""

INITIAL_BACKOFF_S = 0.5
"""Seconds before the first restart, doubled for each further one up to `MAX_BACKOFF_S`."""
MAX_BACKOFF_S = 30.0
HEALTHY_UPTIME_S = 60.0
"""Seconds after which a child counts as healthy: the next backoff starts from the beginning."""
STOP_TIMEOUT_S = 3.0
ILLEGAL_INSTRUCTION_CODES = (-4, 0xC000001D)
"""Exit codes of a process that ran an instruction its processor does not have: SIGILL on POSIX, and on Windows."""
UNSUPPORTED_PROCESSOR = "The embedded server does not run on this computer: its processor lacks instructions it needs."


class EmbeddedServerPhase(StrEnum):
    """Phase of the embedded server."""

    STOPPED = "stopped"
    DOWNLOADING = "fetching"
    """Model files are downloaded: minutes, the first time."""
    LOADING = "loading"
    READY = "ready"
    RESTARTING = "restarting"
    FAILED = "failed"
    """It cannot load its models. It is restarted now and then, in case they have been downloaded."""
    UNAVAILABLE = "unavailable"
    """This computer lacks its engines. It is not restarted."""
    UNREACHABLE = "unreachable"
    """Of the servers at OFFLINE_URL none answers."""


@dataclass(frozen=True, slots=True)
class EmbeddedAddress:
    """Where a session connects, with the bearer token of its requests; "" for none."""

    url: str
    key: str = field(repr=False)
    observer: ConnectionObserver | None = field(default=None, repr=False, compare=False)


class EmbeddedServer:
    """Owner of the child process. Thread-safe: one thread supervises the child and alone writes its state."""

    def __init__(
        self,
        command: Sequence[str] = COMMAND,
        *,
        cwd: Path = PROJECT_DIR,
        sleep: Callable[[float], object] | None = None,
    ) -> None:
        self.key = secrets.token_urlsafe(32)
        """Bearer token of all requests to the child. Only the two processes know it."""
        self._command = list(command)
        self._cwd = cwd
        self._stopping = threading.Event()
        self._sleep = sleep or self._stopping.wait
        self._phase_lock = threading.Lock()
        self._phase = EmbeddedServerPhase.STOPPED
        self._url: str | None = None
        self._detail = ""
        self._languages: tuple[str, ...] = ()
        self._voices: tuple[str, ...] = ()
        self._model = ""
        self._capacity: int | None = None
        self._on_capacity: Callable[[], None] = lambda: None
        self._upgrade = ""
        self._news: tuple[ModelNews, ...] = ()
        self._fallbacks: frozenset[EmbeddedPart] = frozenset()
        self._child: subprocess.Popen[str] | None = None
        self._thread: threading.Thread | None = None

    # ---------------------------------------------------------------- state

    @property
    def phase(self) -> EmbeddedServerPhase:
        return self._phase

    @property
    def url(self) -> str | None:
        """`ws://…/v1/realtime` while the server is ready, else None."""
        return self._url if self._phase is EmbeddedServerPhase.READY else None

    @property
    def detail(self) -> str:
        """One sentence for the operator: current step of the start, reason of the last end, or what failed to load."""
        return self._detail

    @property
    def capacity(self) -> int | None:
        """Sessions at a time; None before a child has told it."""
        return self._capacity

    @property
    def languages(self) -> tuple[str, ...]:
        return self._languages

    @property
    def voices(self) -> tuple[str, ...]:
        """Ids of the voices to choose from; () before the models are loaded. More may be fetched after that."""
        return self._voices

    @property
    def model(self) -> str:
        """Name of the language model; "" before it is loaded. A better one may replace it between calls."""
        return self._model

    @property
    def upgrade(self) -> str:
        """One sentence for the operator on better models, which are fetched and tried in the background; "" without
        news."""
        return self._upgrade

    @property
    def news(self) -> tuple[ModelNews, ...]:
        """The same as values; () without news."""
        return self._news

    @property
    def fallbacks(self) -> frozenset[EmbeddedPart]:
        """Parts that the server does itself at present, because their endpoints fail."""
        return self._fallbacks

    @property
    def pid(self) -> int | None:
        return self._child.pid if self._child and self._child.poll() is None else None

    def find_address(self) -> EmbeddedAddress | None:
        """Return where a session that starts now connects; None unless the server is ready."""
        url = self.url
        return None if url is None else EmbeddedAddress(url, self.key)

    # ---------------------------------------------------------------- life

    @asynccontextmanager
    async def run_in_background(self, on_capacity: Callable[[], None]) -> AsyncIterator[None]:
        """Call `on_capacity` in this event loop after each change of `capacity`, while the context lasts."""
        loop = asyncio.get_running_loop()

        def notify() -> None:
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(on_capacity)

        self._on_capacity = notify
        on_capacity()
        try:
            yield
        finally:
            self._on_capacity = lambda: None

    def start(self) -> None:
        """Start the child and its supervisor. A second call does nothing."""
        if self._thread is not None:
            return
        self._set_phase(EmbeddedServerPhase.LOADING, "The embedded server is starting.")
        self._thread = threading.Thread(target=self._supervise, name="embedded-server", daemon=True)
        self._thread.start()
        atexit.register(self.stop)

    def stop(self) -> None:
        """Stop the child and wait for its end."""
        self._stopping.set()
        child = self._child
        if child is not None and child.poll() is None:
            child.terminate()
            try:
                child.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(STOP_TIMEOUT_S)
        atexit.unregister(self.stop)
        self._set_phase(EmbeddedServerPhase.STOPPED, "")

    def _set_phase(self, phase: EmbeddedServerPhase, detail: str, url: str | None = None) -> None:
        with self._phase_lock:
            self._phase, self._detail, self._url = phase, detail, url

    def _set_capacity(self, capacity: int) -> None:
        if capacity and capacity != self._capacity:
            self._capacity = capacity
            self._on_capacity()

    def _supervise(self) -> None:
        pause = INITIAL_BACKOFF_S
        while not self._stopping.is_set():
            began = time.monotonic()
            phase, reason = self._run_child()
            if self._stopping.is_set():
                return
            if phase is EmbeddedServerPhase.UNAVAILABLE:
                log.error("embedded server: not available reason=%s", reason)
                self._set_phase(phase, reason)
                return
            if phase is EmbeddedServerPhase.FAILED:
                pause = MAX_BACKOFF_S
            elif time.monotonic() - began > HEALTHY_UPTIME_S:
                pause = INITIAL_BACKOFF_S
            log.warning("embedded server: restarting in_s=%.1f reason=%s", pause, reason)
            self._set_phase(phase, reason)
            self._sleep(pause)
            pause = min(pause * 2, MAX_BACKOFF_S)

    def _run_child(self) -> tuple[EmbeddedServerPhase, str]:
        """Run one child to its end. Return the next phase, and the reason as one sentence for the operator."""
        try:
            child = subprocess.Popen(
                self._command,
                cwd=self._cwd,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                encoding="utf-8",
                # Ctrl+C in a terminal reaches the whole process group. The child has to outlive the last call.
                start_new_session=True,
            )
        except OSError as error:
            return EmbeddedServerPhase.RESTARTING, f"The embedded server could not be started: {error.strerror}."
        self._child = child
        if self._stopping.is_set():  # stop() ran during the start of the child
            child.terminate()
        assert child.stdin is not None and child.stdout is not None
        with suppress(OSError):  # the child has ended already
            child.stdin.write(f"{self.key}\n")
            child.stdin.flush()
        self._upgrade, self._news, self._fallbacks, self._voices = "", (), frozenset(), ()
        url: str | None = None
        failure, failed_phase, was_ready = "", EmbeddedServerPhase.FAILED, False
        for line in child.stdout:
            try:
                status = json.loads(line)
            except ValueError:
                continue  # output of a library
            if not isinstance(status, dict):
                continue
            if "listening" in status:
                url = str(status["listening"])
            if "fetching" in status:
                self._set_phase(EmbeddedServerPhase.DOWNLOADING, str(status["fetching"]))
            if "progress" in status and self._phase is not EmbeddedServerPhase.FAILED:
                self._set_phase(EmbeddedServerPhase.LOADING, str(status["progress"]))
            if status.get("ready") is False:
                failure = str(status.get("detail", ""))
                if status.get("reason") == "engines":
                    failed_phase = EmbeddedServerPhase.UNAVAILABLE
                child.terminate()  # it would keep running without models
            if "voices" in status:
                self._voices = tuple(str(each) for each in status["voices"])
            if status.get("ready") is True:
                was_ready = True
                self._languages = tuple(str(x) for x in status.get("languages", ()))
                self._model = str(status.get("model", ""))
                log.info("embedded server: ready model=%s languages=%s", self._model, ",".join(self._languages))
                self._set_capacity(to_count(status.get("capacity")))
                self._set_phase(EmbeddedServerPhase.READY, str(status.get("detail", "")), url)
            if "upgrade" in status:
                self._upgrade, self._news = str(status["upgrade"]), parse_model_news(status)
                self._model = str(status.get("model", self._model))
                log.info("embedded server: upgrade model=%s detail=%s", self._model, self._upgrade)
            if "endpoint_faults" in status:
                self._fallbacks = parse_fallbacks(status)
                log.info("embedded server: fall-backs parts=%s", ",".join(sorted(self._fallbacks)) or "none")
        code = child.wait()
        with suppress(OSError):
            child.stdin.close()
        if failure:
            return failed_phase, failure
        if code in ILLEGAL_INSTRUCTION_CODES and not was_ready:  # it ran before: a crash, as any other
            return EmbeddedServerPhase.UNAVAILABLE, UNSUPPORTED_PROCESSOR
        return EmbeddedServerPhase.RESTARTING, f"The embedded server ended with exit code {code}."
