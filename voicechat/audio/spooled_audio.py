"""Audio file that grows while it is read. The event loop of a call never waits for the disk.

The loop queues writes; a disk executor or the reading thread performs them. Short audio stays in memory. Longer audio
is in a temporary file without a name, which is deleted with this object.
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
"""Bytes kept in memory, about 5 s of one channel. Longer audio goes to a temporary file."""
MAX_QUEUED_WRITES = 30
"""Queued writes, half a minute of a call, after which the disk counts as too slow."""

DiskExecutor = Callable[[Callable[[], None]], object]
"""Run jobs that may wait for the disk: one after the other, in a thread of its own."""


def run_inline(job: Callable[[], None]) -> None:
    """Run a job at once: an executor for callers that may wait."""
    job()


def new_disk_executor() -> DiskExecutor:
    """Return an executor with one thread for all calls of a process. The thread starts with the first job."""
    thread = ThreadPoolExecutor(1, "recordings")

    def write(job: Callable[[], None]) -> None:
        thread.submit(job).add_done_callback(_log_failure)

    return write


def _log_failure(job: Future[None]) -> None:
    if error := job.exception():
        log.error("recording: write failed error=%s", type(error).__name__)


class DiskTooSlow(OSError):
    """Raised when too many writes are queued."""


class SpooledAudio:
    """Bytes addressed by offset. The event loop may call `enqueue` only; everything else may wait for the disk."""

    def __init__(self) -> None:
        self._queued_writes: deque[tuple[int, bytes]] = deque()
        self._lock = Lock()
        """Held while the file is used."""
        self._file = SpooledTemporaryFile(max_size=MAX_MEMORY_BYTES)  # noqa: SIM115  closed by close()

    def enqueue(self, offset: int, data: bytes) -> None:
        """Queue a write. An offset past the end leaves silence between. Raise DiskTooSlow when the queue is full."""
        if len(self._queued_writes) >= MAX_QUEUED_WRITES:
            raise DiskTooSlow
        self._queued_writes.append((offset, data))

    def flush(self) -> None:
        """Perform the queued writes. Raise OSError when the disk is full."""
        with self._lock:
            self._flush_locked()

    def _flush_locked(self) -> None:
        while self._queued_writes and not self._file.closed:
            offset, data = self._queued_writes.popleft()
            self._file.seek(offset)
            self._file.write(data)

    def read(self, offset: int, count: int) -> bytes:
        """Return `count` bytes from `offset`: fewer at the end, none of a closed file.

        Queued writes are performed first. Raise OSError when the disk is full.
        """
        with self._lock:
            self._flush_locked()
            if self._file.closed:
                return b""
            self._file.seek(offset)
            return self._file.read(count)

    def close(self) -> None:
        """Delete the audio. Raise OSError when a full disk refuses the last bytes; the file is deleted all the same."""
        with self._lock:
            self._queued_writes.clear()
            self._file.close()
