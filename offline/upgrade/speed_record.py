"""Speed record: what earlier starts learnt about the models on this computer, so that a start need not try again.

A small JSON file in the folder of the models. Results belong to a model file, by its sha256, and to a processor. On
another processor, or with another number of them, all are measured again. Deleting the file does the same.

A model that ends the process while it is tried (no memory, an invalid instruction) leaves its sum under "trying". It
is not tried again with the same engines: every start would end there.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol, TypeVar

RECORD_NAME = "speed.json"
SLOW_STARTS = 2
"""Starts that find a model too slow before later ones believe it: a computer is often busy at one of them."""
SLOW_LIFETIME_S = 7 * 86400.0
"""Seconds after which a model that was too slow is measured again: the computer may have had other work for days."""


class Speed(Protocol):
    """Measured speed of a model. Its constructor takes the fields of `to_json`."""

    @property
    def keeps_up(self) -> bool:
        """Whether the model is fast enough for speech."""

    def to_json(self) -> dict[str, float]:
        """Return the figures."""


SpeedT = TypeVar("SpeedT", bound=Speed)


class SpeedRecord:
    """Results in the file `path`, of the processor `cpu_name` with `processors` of them in use. One object per start.

    `engines` names the versions of the engines; `clock` returns the Unix time in seconds. May be used by any thread.
    In a read-only folder nothing is kept, and every start measures.
    """

    def __init__(
        self,
        path: Path,
        cpu_name: str,
        processors: int,
        *,
        engines: str = "",
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._path = path
        self._machine = {"cpu": cpu_name, "processors": processors}
        self._engines = engines
        self._clock = clock
        self._lock = threading.Lock()
        self._found_trying = self._read("trying")
        self._trying: set[str] = set()

    def find(self, sha256: str, kind: Callable[..., SpeedT], *, is_there: bool = True) -> SpeedT | None:
        """Return the result of the model file, which is of the class `kind`; None without one that may be believed.

        A slow one is believed after `SLOW_STARTS`, and for `SLOW_LIFETIME_S`. Without the file (`is_there`) it is
        believed for good: to measure again would take a download.
        """
        try:
            entry = self._read("results")[sha256]
            speed = kind(**{name: float(value) for name, value in entry["speed"].items()})
            if speed.keeps_up:
                return speed
            is_believed = entry["slow_starts"] >= SLOW_STARTS and (not is_there or self._is_recent(entry))
        except (AttributeError, KeyError, TypeError, ValueError):
            return None
        return speed if is_believed else None

    def store(self, sha256: str, speed: Speed) -> None:
        """Store the result of the model file in this start."""

        def change(results: dict[str, Any]) -> None:
            slow_starts = 0
            with suppress(AttributeError, KeyError, TypeError):
                slow_starts = int(results[sha256]["slow_starts"]) if self._is_recent(results[sha256]) else 0
            results[sha256] = {
                "speed": {name: round(value, 3) for name, value in speed.to_json().items()},
                "slow_starts": 0 if speed.keeps_up else slow_starts + 1,
                "unix_time": int(self._clock()),
            }

        self._change("results", change)

    def _is_recent(self, entry: dict[str, Any]) -> bool:
        return bool(0 <= self._clock() - entry["unix_time"] <= SLOW_LIFETIME_S)

    # ------------------------------------------------------------------ models that end the process

    def has_ended_process(self, sha256: str) -> bool:
        """Return whether an earlier process ended while it tried the model file, with these engines."""
        return self._found_trying.get(sha256) == self._engines

    @contextmanager
    def trying(self, sha256: str) -> Iterator[None]:
        """Record, while the context lasts, that the model file is tried."""
        self._trying.add(sha256)
        self._change("trying", lambda trying: trying.update({sha256: self._engines}))
        try:
            yield
        finally:
            self.forget_trial(sha256)

    def forget_trial(self, *sha256: str) -> None:
        """End the trials of these model files, or all of this start's: the process ends for another reason."""
        ended = set(sha256) or set(self._trying)
        self._trying -= ended
        if ended:
            self._change("trying", lambda trying: [trying.pop(each, None) for each in ended])

    # ------------------------------------------------------------------ downloads

    def was_fetched(self, sha256: str) -> bool:
        """Return whether an upgrade downloaded the model file, and no person asked for it."""
        return bool(self._read("fetched").get(sha256))

    def mark_fetched(self, sha256: str, *, is_there: bool = True) -> None:
        """Record that an upgrade downloaded the model file, or, without `is_there`, that it was deleted."""
        self._change("fetched", lambda fetched: fetched.update({sha256: is_there}))

    # ------------------------------------------------------------------ file

    def _change(self, part: str, change: Callable[[dict[str, Any]], object]) -> None:
        with self._lock, suppress(OSError):
            raw = {**self._read_all(), **self._machine}
            raw[part] = self._read(part)
            change(raw[part])
            temporary = self._path.with_name(f"{self._path.name}.new")
            temporary.write_text(json.dumps(raw, indent=1), encoding="utf-8")
            temporary.replace(self._path)

    def _read(self, part: str) -> dict[str, Any]:
        found = self._read_all().get(part)
        return found if isinstance(found, dict) else {}

    def _read_all(self) -> dict[str, Any]:
        """Return the record of this processor; {} without a usable one."""
        try:
            raw = json.loads(self._path.read_text(encoding="utf-8"))
            is_ours = {key: raw[key] for key in self._machine} == self._machine
        except (OSError, ValueError, KeyError, TypeError):
            return {}
        return dict(raw) if is_ours else {}
