"""Schedule of Python's full garbage collections: in moments without a conversation.

A full collection stops the whole process, 110 ms with 48 calls (measured): a stutter in all of them. Python by itself
did so every two minutes. Each ended call leaves 0.17 MB (measured) that only a full collection frees. So collections
run when the app is idle. In an app that is never idle they run after many ended calls, or six times less often than by
default.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from voicechat.limits.admission import Admission

GEN0_THRESHOLD, GEN1_THRESHOLD = gc.get_threshold()[:2]
GEN2_DISABLED = 2**31 - 1
"""Collections of the middle generation before Python starts a full one: practically never."""
IDLE_GEN1_COLLECTIONS, BUSY_GEN1_COLLECTIONS = 10, 60
"""The same for this scheduler: without conversations, and with. Python's default is 10. 48 calls cause one in 10 s."""
MAX_ENDED_CONVERSATIONS = 50
"""Ended conversations, 10 MB, after which a full collection runs in spite of open ones."""
CHECK_INTERVAL_S = 5.0
"""Seconds between two checks."""
TASK_NAME = "garbage"


def disable_automatic_full_gc() -> None:
    """Collect once, exempt all current objects from collections, and disable automatic full ones."""
    gc.set_threshold(GEN0_THRESHOLD, GEN1_THRESHOLD, GEN2_DISABLED)
    _collect_and_freeze()


def _collect_and_freeze() -> None:
    gc.unfreeze()
    gc.collect()
    gc.freeze()


class GcScheduler:
    """Scheduler of one process with this admission controller."""

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self._ended_at_last_collection = admission.finished_count

    def collect_if_due(self) -> bool:
        """Run a full collection if it is due. Return whether it ran."""
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
        """Check regularly in this event loop. On exit, restore Python's own thresholds."""
        thresholds = gc.get_threshold()
        disable_automatic_full_gc()
        task = asyncio.create_task(self._run(), name=TASK_NAME)
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])
            gc.set_threshold(*thresholds)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(CHECK_INTERVAL_S)
            self.collect_if_due()
