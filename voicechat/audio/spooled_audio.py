"""Sound on the disk that grows while it is listened to, without the loop of a call ever waiting for the disk.

The loop hands in pieces; they are written by whoever may wait: a pen, or the thread that reads. In memory while it is
short, then in a temporary file that has no name others could open and is gone with this object.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from tempfile import SpooledTemporaryFile
from threading import Lock

log = logging.getLogger(__name__)

MAX_MEMORY_BYTES = 1 << 18
"""Bytes that are kept in memory: about 5 s of one side of a call. What is longer goes to a temporary file."""
MAX_QUEUED_WRITES = 30
"""Pieces that may wait to be written, half a minute of a call: a disk that is further behind does not keep up."""

DiskExecutor = Callable[[Callable[[], None]], object]
"""Does what may have to wait for the disk: one thing after the other, in a thread of its own."""


def run_inline(job: Callable[[], None]) -> None:
    """A pen for those who may wait themselves."""
    job()


def new_disk_executor() -> DiskExecutor:
    """A pen with a thread, which begins with the first job and is there for all calls of a process."""
    thread = ThreadPoolExecutor(1, "recordings")

    def write(job: Callable[[], None]) -> None:
        thread.submit(job).add_done_callback(_log_failure)

    return write


def _log_failure(job: Future[None]) -> None:
    if error := job.exception():
        log.error("Something of a recording could not be written: %s", type(error).__name__)


class DiskTooSlow(OSError):
    """The disk does not keep up."""


class SpooledAudio:
    """Bytes with places. `hand_in()` is for the loop; all else may wait."""

    def __init__(self) -> None:
        self._queued_writes: deque[tuple[int, bytes]] = deque()
        self._lock = Lock()
        """Held by whoever is at the file."""
        self._file = SpooledTemporaryFile(max_size=MAX_MEMORY_BYTES)  # noqa: SIM115  closed by close()

    def enqueue(self, offset: int, data: bytes) -> None:
        """These bytes belong there. It may be past the end: what lies between is silence. Raises TooSlow when too much
        is waiting."""
        if len(self._queued_writes) >= MAX_QUEUED_WRITES:
            raise DiskTooSlow
        self._queued_writes.append((offset, data))

    def flush(self) -> None:
        """Write what waits. Raises OSError when there is no room for it."""
        with self._lock:
            self._flush_locked()

    def _flush_locked(self) -> None:
        while self._queued_writes and not self._file.closed:
            place, data = self._queued_writes.popleft()
            self._file.seek(place)
            self._file.write(data)

    def read(self, offset: int, count: int) -> bytes:
        """So many bytes from there on, fewer at the end, none of a closed file. Raises OSError when there is no room to
        write first what waits."""
        with self._lock:
            self._flush_locked()
            if self._file.closed:
                return b""
            self._file.seek(offset)
            return self._file.read(count)

    def close(self) -> None:
        """Nothing of it is left. Raises OSError when a full disk refuses the last bytes once more; the file is gone all
        the same."""
        with self._lock:
            self._queued_writes.clear()
            self._file.close()
