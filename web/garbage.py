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

from realtime.places import Places

YOUNG, MIDDLE = gc.get_threshold()[:2]
NEVER = 2**31 - 1
"""Collections of the middle generation after which Python itself would look through everything."""
QUIET, BUSY = 10, 60
"""The same, for us: when nobody is in a conversation, and otherwise. 10 is Python's own. 48 calls make one in 10 s."""
MOST_ENDED = 50
"""Conversations that are over: 10 MB."""
LOOK_S = 5.0
"""Between two looks."""
WATCH = "garbage"
"""The name of the task."""


def begin() -> None:
    """What there is now stays, and is not looked through again but in a quiet moment."""
    gc.set_threshold(YOUNG, MIDDLE, NEVER)
    _look_through()


def _look_through() -> None:
    gc.unfreeze()
    gc.collect()
    gc.freeze()


class Garbage:
    """Of one process with these places."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._ended = places.ended

    def look(self) -> bool:
        """Collect, if it is worth it in this moment. Returns whether it was done."""
        ended, since = self._places.ended - self._ended, gc.get_count()[2]
        if self._places.empty and (ended or since >= QUIET):
            _look_through()
        elif ended >= MOST_ENDED or since >= BUSY:
            gc.collect()
        else:
            return False
        self._ended += ended
        return True

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """In the loop of the conversations: looks now and then. Only so long does Python leave it to us."""
        thresholds = gc.get_threshold()
        begin()
        watching = asyncio.create_task(self._watch(), name=WATCH)
        try:
            yield
        finally:
            watching.cancel()
            await asyncio.wait([watching])
            gc.set_threshold(*thresholds)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            self.look()
