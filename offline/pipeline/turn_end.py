"""Turn-end judge: runs Smart Turn at a pause, beside the recogniser in a thread of its own.

Words and answer are delivered together. Where the answer would come noticeably later, the model is left out, and the
words alone end the turn.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from offline.audio import resample_to_16k
from offline.stt.smart_turn import TurnEndModel

from .priority_executor import Priority, PriorityExecutor

LOGGER = logging.getLogger(__name__)

START_DEADLINE_S = 0.3
"""Seconds after the pause from which on the model is not begun. Default 0.3: the thread was busy with another session,
and the words alone would end a finished sentence at 0.4 s."""
MAX_RUN_S = 0.15
"""Seconds of a usual run above which the model is left out. Default 0.15, three times an idle computer's: it takes as
long as it saves from there on."""
RUN_SMOOTHING = 0.3
"""Weight of the newest run in the usual one: a single slow run leaves the model in use."""
SKIP_DECAY = 0.85
"""Factor of the usual run at each pause without the model, so that it is tried again when the computer is idle."""


class TurnEndJudgement:
    """Answer for one pause, which may still come."""

    def __init__(self) -> None:
        self.probability: float | None = None
        """Probability (0 to 1) that the turn is over; None while, or where, it is not known."""
        self._task: asyncio.Task[None] | None = None
        self._on_settled: Callable[[], None] | None = None

    def watch(self, task: asyncio.Task[None]) -> None:
        """Keep the task that brings the answer."""
        self._task = task
        task.add_done_callback(self._settle)

    def call_when_settled(self, on_settled: Callable[[], None]) -> None:
        """Call `on_settled` once: now, or when the answer comes or fails. Never after `cancel`."""
        if self._task is None or self._task.done():
            on_settled()
        else:
            self._on_settled = on_settled

    def _settle(self, task: asyncio.Task[None]) -> None:
        if self._on_settled is not None and not task.cancelled():
            self._on_settled()

    def cancel(self) -> None:
        """Drop a run that has not begun."""
        if self._task is not None:
            self._task.cancel()


class RunTimeLimit:
    """Usual duration of the model on this computer at present. Pure."""

    def __init__(self) -> None:
        self.usual_s = 0.0

    def may_run(self) -> bool:
        """Return whether the model is fast enough. Call it once per pause."""
        if self.usual_s <= MAX_RUN_S:
            return True
        self.usual_s *= SKIP_DECAY
        return False

    def note_run(self, seconds: float) -> None:
        """Count a run. The first one counts in full."""
        self.usual_s = seconds if not self.usual_s else self.usual_s + RUN_SMOOTHING * (seconds - self.usual_s)


class TurnEndJudge:
    """Smart Turn of the process. `judge` belongs to the event loop's thread."""

    def __init__(
        self,
        model: TurnEndModel,
        executor: PriorityExecutor,
        tts_executor: PriorityExecutor,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`executor` runs the model and nothing else, in one thread."""
        self._model = model
        self._executor = executor
        self._tts_executor = tts_executor
        self._clock = clock
        self._limit = RunTimeLimit()

    def close(self) -> None:
        """Let the model's thread end."""
        self._executor.close()

    def judge(self, pcm: bytes) -> TurnEndJudgement:
        """Return the judgement of the turn `pcm` (PCM16 at 24 kHz) up to its pause.

        It stays unknown while a reply is synthesised: a voice that stutters is worse than a later end of a turn.
        """
        judgement = TurnEndJudgement()
        if not self._tts_executor.is_busy and self._limit.may_run():
            judgement.watch(asyncio.get_running_loop().create_task(self._run(judgement, pcm)))
        return judgement

    async def _run(self, judgement: TurnEndJudgement, pcm: bytes) -> None:
        paused_at = self._clock()

        def run() -> None:
            begun_at = self._clock()
            if begun_at - paused_at > START_DEADLINE_S:
                return
            judgement.probability = self._model.end_probability(resample_to_16k(pcm))
            self._limit.note_run(self._clock() - begun_at)

        try:
            await self._executor.run(Priority.SPECULATIVE, run)
        except Exception as error:
            LOGGER.error("recognition: end of turn is not judged error=%s", type(error).__name__)
