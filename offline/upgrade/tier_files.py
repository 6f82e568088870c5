"""Files of the tiers: room for them on disk and in memory, and their download from the hub. All methods block."""

from __future__ import annotations

import logging
import shutil
import threading
from collections.abc import Callable
from enum import Enum
from pathlib import Path

from filelock import Timeout

from offline.models.catalogue import fits_in_memory
from offline.models.downloader import DownloadStopped, ModelDownloader, ProgressReporter
from offline.models.machine import Machine, read_machine
from offline.models.store import ModelSpec, is_complete

LOGGER = logging.getLogger(__name__)

DISK_MARGIN_BYTES = 10**9
"""Bytes of the disk that stay free after a download."""
READ_BYTES = 1 << 20
"""Bytes read at a time."""
PERCENT_STEP = 5
"""Percent between two reports of progress."""


class FetchResult(Enum):
    """Result of one attempt to download a model."""

    COMPLETE = "complete"
    STOPPED = "stopped"
    HUB_AWAY = "hub away"
    INCOMPLETE = "incomplete"
    """The hub answered, and some file is missing. What was received is kept if it may be right."""
    BUSY = "busy"
    """Another process downloads the same model."""
    IMPOSSIBLE = "impossible"
    """The hub has other data, or the folder cannot be written."""


class TierProgress(ProgressReporter):
    """Progress of the largest file, to `report` as a percentage, every `PERCENT_STEP`."""

    def __init__(self, model: ModelSpec, report: Callable[[int], None]) -> None:
        self._largest_bytes = max(file.size_bytes for file in model.files)
        self._report = report
        self._last_percent = -1

    def update(self, label: str, done: int, total: int) -> None:
        percent = min(100, done * 100 // total) // PERCENT_STEP * PERCENT_STEP
        if total == self._largest_bytes and percent != self._last_percent:
            self._last_percent = percent
            self._report(percent)

    def finish(self, label: str, outcome: str) -> None:
        """Report nothing: the upgrade continues."""


class TierFiles:
    """Files in the folder `root` of the models."""

    def __init__(self, root: Path, machine: Callable[[], Machine] = read_machine) -> None:
        self.root = root
        self._machine = machine
        self.is_hub_away = False
        """Whether the hub was given up. It is not asked again until the next start."""

    def is_complete(self, model: ModelSpec) -> bool:
        """Return whether all files are there and intact."""
        return is_complete(self.root, model)

    def fits_in_memory(self, model: ModelSpec) -> bool:
        """Return whether the model may be loaded beside the present one."""
        return fits_in_memory(model.size_bytes, self._machine().free_bytes)

    def fits_on_disk(self, model: ModelSpec) -> bool:
        """Return whether the disk has room for what is missing of the model."""
        self.root.mkdir(parents=True, exist_ok=True)
        missing = model.size_bytes - self.received_bytes(model)
        return shutil.disk_usage(self.root).free >= missing + DISK_MARGIN_BYTES

    def received_bytes(self, model: ModelSpec) -> int:
        """Return the bytes of the model's files, complete or not."""
        folder = self.root / model.name
        paths = (path for file in model.files for path in (folder / file.name, *folder.glob(f"{file.name}.*.partial")))
        return sum(path.stat().st_size for path in paths if path.is_file())

    def read_ahead(self, model: ModelSpec, interrupted: threading.Event) -> int | None:
        """Read the model's files, so that loading need not wait for the disk. Return their bytes.

        Returns None soon after `interrupted` is set. Raises `OSError`.
        """
        buffer, total = memoryview(bytearray(READ_BYTES)), 0
        for file in model.files:
            with (self.root / model.name / file.name).open("rb", buffering=0) as stream:
                while count := stream.readinto(buffer):
                    if interrupted.is_set():
                        return None
                    total += count
        return total

    def delete(self, model: ModelSpec) -> None:
        """Delete the model's files, to free the disk. Raises `OSError`."""
        shutil.rmtree(self.root / model.name)

    def fetch(self, model: ModelSpec, stop: threading.Event, report: Callable[[int], None]) -> FetchResult:
        """Download what is missing, until `stop` is set. `report` receives the percentage, in this thread."""
        if self.is_hub_away:
            return FetchResult.HUB_AWAY
        downloader = ModelDownloader(self.root, progress=TierProgress(model, report), stop=stop, lock_timeout_s=0)
        try:
            failures = downloader.fetch([model])
        except DownloadStopped:
            return FetchResult.STOPPED
        except Timeout:  # an OSError too
            return FetchResult.BUSY
        except OSError as error:
            LOGGER.warning("upgrade: download impossible model=%s reason=%s", model.name, error)
            return FetchResult.IMPOSSIBLE
        if not failures:
            return FetchResult.COMPLETE
        if downloader.unreachable_hosts:
            LOGGER.info("upgrade: the model hub does not answer model=%s", model.name)
            return FetchResult.HUB_AWAY
        LOGGER.warning("upgrade: download incomplete model=%s reason=%s", model.name, failures[0])
        return FetchResult.IMPOSSIBLE if downloader.has_wrong_data else FetchResult.INCOMPLETE
