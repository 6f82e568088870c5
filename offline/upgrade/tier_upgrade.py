"""Tier upgrade: better models are fetched, loaded and tried in the background, and take over between sessions.

One candidate after the other, best first, until one keeps up with speech. Nothing runs beside a session: a download or
a probe is interrupted when one opens and continues after it. The swap happens while no session is open.

Only loading cannot be interrupted, and xllamacpp holds the interpreter's lock meanwhile (2 s for 0.5 GB on two
processors): a session that opens just then begins late. Loading therefore waits for a quiet moment, longer for a larger
file, and the files are read from the disk before.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import Any, TypeVar

from offline.models.store import ModelSpec
from offline.pipeline.session_gate import SessionGate
from offline.pipeline.thread_priority import lower_thread_priority

from .tier_files import FetchResult, TierFiles
from .upgrade_news import REASONS, UpgradeKind, UpgradeNews, UpgradeOutcome, UpgradeStage

LOGGER = logging.getLogger(__name__)
Result = TypeVar("Result")

QUIET_S = 5.0
"""Seconds without a session before work begins: a page that was just opened is about to call."""
RETRY_PAUSE_S = 10.0
"""Seconds before a broken download continues, doubled each time that an attempt brings no bytes."""
BUSY_PAUSE_S = 30.0
"""Seconds before looking again at a model that another process downloads."""
QUIET_BYTES = 5 * 10**8
"""Bytes of a model per `QUIET_S` without a session before it is loaded: the longer loading blocks (xllamacpp holds
the interpreter's lock meanwhile), the less likely a call has to be."""
MAX_QUIET_STEPS = 6
"""Most times `QUIET_S`: half a minute."""
MAX_FRUITLESS = 5
"""Attempts without bytes in the middle of a download. At its beginning, one suffices to give up."""


class Verdict(Enum):
    """Result of trying out a loaded model."""

    KEEPS_UP = "keeps up"
    TOO_SLOW = "too slow"
    INTERRUPTED = "interrupted"
    """A session opened. It is tried again after it."""


@dataclass(frozen=True)
class Candidate:
    """A better model and how it is put to use. `load` and `try_out` block and run in a background thread."""

    model: ModelSpec
    known: UpgradeOutcome | None
    """What earlier starts found out; None to try it."""
    load: Callable[[], Any]
    try_out: Callable[[Any, threading.Event], Verdict]
    """Tries the loaded model and warms it up. Returns soon after the event is set."""
    install: Callable[[Any], object]
    """Puts the loaded model in the place of the present one, which it returns. Runs in the event loop's thread."""
    is_worth_fetching: Callable[[threading.Event], bool | None] = lambda interrupted: True
    """Returns whether it may keep up, by an estimate without its files; None soon after the event is set."""
    mark_fetched: Callable[[], None] = lambda: None
    """Called after this process has downloaded it."""
    discard: Callable[[], None] = lambda: None
    """Called after it was too slow and its memory was released."""


def quiet_before_loading(size_bytes: int, quiet_s: float = QUIET_S) -> float:
    """Return the seconds without a session before a model of `size_bytes` is loaded."""
    return quiet_s * min(MAX_QUIET_STEPS, max(1.0, size_bytes / QUIET_BYTES))


def _release(loaded: list[Any]) -> None:
    """Release the memory of models that are used no more, in this thread, and not in that of a later reply."""
    loaded.clear()
    gc.collect()  # a failed job's traceback may refer to a model in a circle


class TierUpgrade:
    """Upgrade of one model of the pipeline. `report` receives its news, None for none, in the loop's thread."""

    def __init__(
        self,
        kind: UpgradeKind,
        candidates: Sequence[Candidate],
        files: TierFiles,
        gate: SessionGate,
        report: Callable[[UpgradeNews | None], None],
        *,
        quiet_s: float = QUIET_S,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._kind = kind
        self._candidates = candidates
        self._files = files
        self._gate = gate
        self._report = report
        self._quiet_s = quiet_s
        self._sleep = sleep
        # One thread: never are two models loaded at a time. A loaded model's threads keep its priority.
        initializer = lower_thread_priority if kind is UpgradeKind.LLM else None
        self._executor = ThreadPoolExecutor(1, "upgrade", initializer=initializer)

    async def run(self) -> list[UpgradeOutcome]:
        """Try the candidates until one is installed. Return the outcomes, in their order."""
        outcomes: list[UpgradeOutcome] = []
        try:
            for candidate in self._candidates:
                outcome = await self._try_candidate(candidate)
                LOGGER.info(
                    "upgrade: kind=%s model=%s outcome=%s", self._kind.value, candidate.model.name, outcome.value
                )
                outcomes.append(outcome)
                if outcome is UpgradeOutcome.INSTALLED:
                    break
        finally:
            self._executor.shutdown(wait=False)
        self._report(self._final_news(outcomes))
        return outcomes

    def _final_news(self, outcomes: Sequence[UpgradeOutcome]) -> UpgradeNews | None:
        """Return why no better model answers; None when the best one does, or when the hub is away."""
        reason = next((outcome for outcome in outcomes if outcome in REASONS), None)
        is_installed = UpgradeOutcome.INSTALLED in outcomes
        return reason and UpgradeNews(
            UpgradeStage.NOT_USED, self._kind, reason=reason, is_smaller_installed=is_installed
        )

    async def _try_candidate(self, candidate: Candidate) -> UpgradeOutcome:
        model = candidate.model
        if candidate.known is not None:
            return candidate.known
        try:
            if not await self._in_background(partial(self._files.fits_in_memory, model)):
                return UpgradeOutcome.NO_MEMORY
            failure = await self._fetch(candidate)
            if failure is not None:
                return failure
            if not await self._in_background(partial(self._files.fits_in_memory, model)):
                return UpgradeOutcome.NO_MEMORY
            return await self._use(candidate)
        except Exception as error:
            # No conversation takes part, so the error's message is safe to log.
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            LOGGER.error("upgrade: failed model=%s reason=%s", model.name, reason)
            return UpgradeOutcome.FAILED

    async def _use(self, candidate: Candidate) -> UpgradeOutcome:
        """Load the candidate, try it, and put it in the place of the present model."""
        quiet_s = quiet_before_loading(candidate.model.size_bytes, self._quiet_s)
        await self._when_idle(partial(self._files.read_ahead, candidate.model), quiet_s)
        await self._gate.wait_until_idle(quiet_s)
        self._report(UpgradeNews(UpgradeStage.LOADING, self._kind))
        loaded = [await self._in_background(candidate.load)]
        if await self._try_out(candidate, loaded[0]) is Verdict.TOO_SLOW:
            await self._in_background(partial(_release, loaded))
            await self._in_background(candidate.discard)
            return UpgradeOutcome.TOO_SLOW
        if not self._gate.is_idle:
            self._report(UpgradeNews(UpgradeStage.AFTER_CALL, self._kind))
        await self._gate.wait_until_idle()
        loaded.append(candidate.install(loaded[0]))
        await self._in_background(partial(_release, loaded))
        return UpgradeOutcome.INSTALLED

    async def _try_out(self, candidate: Candidate, loaded: Any) -> Verdict:
        while True:
            if not self._gate.is_idle:
                self._report(UpgradeNews(UpgradeStage.AFTER_CALL, self._kind))
            await self._gate.wait_until_idle(self._quiet_s)
            with self._gate.interrupted_by_session() as interrupted:
                verdict = await self._in_background(partial(candidate.try_out, loaded, interrupted))
            if verdict is not Verdict.INTERRUPTED:
                return verdict

    # ------------------------------------------------------------------ download

    async def _fetch(self, candidate: Candidate) -> UpgradeOutcome | None:
        """Download what is missing. Return None once the files are complete, else why they are not."""
        model = candidate.model
        if await self._when_idle(lambda _: self._files.is_complete(model)):
            return None
        if self._files.is_hub_away:
            return UpgradeOutcome.HUB_AWAY
        try:
            if not await self._in_background(partial(self._files.fits_on_disk, model)):
                return UpgradeOutcome.NO_DISK
        except OSError as error:
            LOGGER.warning("upgrade: no folder for the models reason=%s", error.strerror)
            return UpgradeOutcome.NOT_FETCHED
        if not await self._when_idle(candidate.is_worth_fetching):
            return UpgradeOutcome.TOO_SLOW
        return await self._fetch_until_complete(candidate)

    async def _fetch_until_complete(self, candidate: Candidate) -> UpgradeOutcome | None:
        model, was_busy = candidate.model, False
        fruitless, most_received = 0, await self._in_background(partial(self._files.received_bytes, model))
        while True:
            await self._gate.wait_until_idle(self._quiet_s)
            result = await self._fetch_once(model)
            if result is FetchResult.COMPLETE:
                if not was_busy:
                    await self._in_background(candidate.mark_fetched)
                return None
            if result is FetchResult.STOPPED:
                continue
            if result is FetchResult.BUSY:
                was_busy = True
                await self._sleep(BUSY_PAUSE_S)
                continue
            received = await self._in_background(partial(self._files.received_bytes, model))
            fruitless = 0 if received > most_received else fruitless + 1
            most_received = max(received, most_received)
            if result is FetchResult.IMPOSSIBLE or not received or fruitless > MAX_FRUITLESS:
                self._files.is_hub_away = result is FetchResult.HUB_AWAY
                return UpgradeOutcome.HUB_AWAY if self._files.is_hub_away else UpgradeOutcome.NOT_FETCHED
            await self._sleep(RETRY_PAUSE_S * 2**fruitless)

    async def _fetch_once(self, model: ModelSpec) -> FetchResult:
        """Download until the end, a failure, or until a session opens."""
        loop = asyncio.get_running_loop()

        def report(percent: int) -> None:
            megabytes = round(max(file.size_bytes for file in model.files) / 1e6)
            news = UpgradeNews(UpgradeStage.FETCHING, self._kind, percent=percent, megabytes=megabytes)
            loop.call_soon_threadsafe(self._report, news)

        with self._gate.interrupted_by_session() as interrupted:
            return await self._in_background(partial(self._files.fetch, model, interrupted, report))

    async def _in_background(self, function: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._executor, function)

    async def _when_idle(
        self, function: Callable[[threading.Event], Result | None], quiet_s: float | None = None
    ) -> Result:
        """Return what `function` returns in the background, begun beside no session, after `quiet_s` without one.

        Its event is set when a session opens; while it returns None it is repeated after the session.
        """
        while True:
            await self._gate.wait_until_idle(self._quiet_s if quiet_s is None else quiet_s)
            with self._gate.interrupted_by_session() as interrupted:
                result = await self._in_background(partial(function, interrupted))
            if result is not None:
                return result
