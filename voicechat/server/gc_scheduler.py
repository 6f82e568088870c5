"""When Python looks for garbage: through everything in moments in which nobody is in a conversation.

A full collection stops the whole process: 110 ms with 48 calls (measured), a stutter in all of them. Left to itself
Python did so every two minutes. It cannot wait for ever, though: a call that is over leaves 0.17 MB (measured) which
only a full collection finds. So it is done when all is quiet; in a house that is never quiet, once there is so much of
it, and else six times as rarely as by itself.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from voicechat.limits.waiting_queue import AdmissionController

GEN0_THRESHOLD, GEN1_THRESHOLD = gc.get_threshold()[:2]
GEN2_DISABLED = 2**31 - 1
"""Collections of the middle generation after which Python itself would look through everything."""
IDLE_GEN1_COLLECTIONS, BUSY_GEN1_COLLECTIONS = 10, 60
"""The same, for us: when nobody is in a conversation, and otherwise. 10 is Python's own. 48 calls make one in 10 s."""
MAX_ENDED_CONVERSATIONS = 50
"""Conversations that are over: 10 MB."""
CHECK_INTERVAL_S = 5.0
"""Between two looks."""
TASK_NAME = "garbage"
"""The name of the task."""


def disable_automatic_full_gc() -> None:
    """What there is now stays, and is not looked through again but in a quiet moment."""
    gc.set_threshold(GEN0_THRESHOLD, GEN1_THRESHOLD, GEN2_DISABLED)
    _collect_and_freeze()


def _collect_and_freeze() -> None:
    gc.unfreeze()
    gc.collect()
    gc.freeze()


class GcScheduler:
    """Of one process with these places."""

    def __init__(self, admission: AdmissionController) -> None:
        self._admission = admission
        self._ended_at_last_collection = admission.finished_count

    def collect_if_due(self) -> bool:
        """Collect, if it is worth it in this moment. Returns whether it was done."""
        ended, since = self._admission.finished_count - self._ended_at_last_collection, gc.get_count()[2]
        if self._admission.is_empty and (ended or since >= IDLE_GEN1_COLLECTIONS):
            _collect_and_freeze()
        elif ended >= MAX_ENDED_CONVERSATIONS or since >= BUSY_GEN1_COLLECTIONS:
            gc.collect()
        else:
            return False
        self._ended_at_last_collection += ended
        return True

    @asynccontextmanager
    async def run_in_background(self) -> AsyncIterator[None]:
        """In the loop of the conversations: looks now and then. Only so long does Python leave it to us."""
        thresholds = gc.get_threshold()
        disable_automatic_full_gc()
        watching = asyncio.create_task(self._run(), name=TASK_NAME)
        try:
            yield
        finally:
            watching.cancel()
            await asyncio.wait([watching])
            gc.set_threshold(*thresholds)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(CHECK_INTERVAL_S)
            self.collect_if_due()
