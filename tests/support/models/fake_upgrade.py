"""Fake candidates of an upgrade, which check that nothing runs beside a session and no two models load at a time."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from offline.models.machine import Machine
from offline.models.store import ModelSpec
from offline.pipeline.session_gate import SessionGate
from offline.upgrade.tier_files import TierFiles
from offline.upgrade.tier_upgrade import Candidate, TierUpgrade, Verdict
from offline.upgrade.upgrade_news import UpgradeKind, UpgradeNews, UpgradeOutcome

STEP_TIMEOUT_S = 20.0


@dataclass
class FakeModels:
    """What the fake candidates do and did. `verdicts` is by model name; a model without one keeps up."""

    gate: SessionGate
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    events: list[str] = field(default_factory=list)
    installed: str = "carried"
    loading: int = 0
    most_loading: int = 0
    swapped_beside_session: bool = False
    hopeless: set[str] = field(default_factory=set)
    """Names of models that are not worth their download."""
    fetched: list[str] = field(default_factory=list)
    discarded: list[str] = field(default_factory=list)
    failing: set[str] = field(default_factory=set)
    """Names of models that cannot be loaded."""
    probe_permits: threading.Semaphore | None = None
    """Permits, one per probe; without one a probe lasts until it is interrupted."""
    probe_started: threading.Event = field(default_factory=threading.Event)
    load_permits: threading.Semaphore | None = None
    load_started: threading.Event = field(default_factory=threading.Event)
    load_niceness: int | None = None
    """Niceness of the thread that loaded last, on Linux."""

    def candidate(self, model: ModelSpec, known: UpgradeOutcome | None = None) -> Candidate:
        """Return the candidate of `model`; the loaded model is its name."""

        def load() -> str:
            self.loading += 1
            self.most_loading = max(self.most_loading, self.loading)
            self.events.append(f"load {model.name}")
            self.load_started.set()
            if sys.platform == "linux":
                self.load_niceness = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
            if self.load_permits is not None:
                assert self.load_permits.acquire(timeout=STEP_TIMEOUT_S)
            self.loading -= 1
            if model.name in self.failing:
                raise RuntimeError("it is damaged")
            return model.name

        def try_out(loaded: str, interrupted: threading.Event) -> Verdict:
            self.events.append(f"probe {loaded}")
            self.probe_started.set()
            while self.probe_permits is not None and not self.probe_permits.acquire(timeout=0.01):
                if interrupted.is_set():
                    self.events.append(f"interrupted {loaded}")
                    return Verdict.INTERRUPTED
            if interrupted.is_set():
                return Verdict.INTERRUPTED
            return self.verdicts.get(loaded, Verdict.KEEPS_UP)

        def install(loaded: str) -> str:
            self.swapped_beside_session = self.swapped_beside_session or not self.gate.is_idle
            former, self.installed = self.installed, loaded
            self.events.append(f"install {loaded}")
            return former

        def is_worth_fetching(interrupted: threading.Event) -> bool | None:
            return None if interrupted.is_set() else model.name not in self.hopeless

        return Candidate(
            model,
            known,
            load,
            try_out,
            install,
            is_worth_fetching,
            lambda: self.fetched.append(model.name),
            lambda: self.discarded.append(model.name),
        )


def make_machine(free_bytes: int = 10**12, processors: int = 8) -> Machine:
    """Return a machine with plenty of memory."""
    return Machine(processors, 10**12, free_bytes, "a processor")


@dataclass
class UpgradeRig:
    """Upgrade of fake models, with files from a hub or the folder."""

    upgrade: TierUpgrade
    models: FakeModels
    gate: SessionGate
    files: TierFiles
    news: list[UpgradeNews | None]
    pauses: list[float]
    on_pause: Callable[[float], object] = lambda seconds: None
    """Called in place of each pause."""

    @property
    def sentences(self) -> list[str]:
        """Sentences of the news; "" for none."""
        return [each.sentence if each else "" for each in self.news]


def make_rig(
    root: Path,
    specs: list[ModelSpec],
    *,
    free_bytes: int = 10**12,
    known: Mapping[str, UpgradeOutcome] | None = None,
    files: TierFiles | None = None,
    kind: UpgradeKind = UpgradeKind.LLM,
) -> UpgradeRig:
    """Return an upgrade through `specs` that waits for nothing but sessions."""
    gate, news = SessionGate(), list[UpgradeNews | None]()
    models = FakeModels(gate)
    files = files or TierFiles(root, lambda: make_machine(free_bytes))
    candidates = [models.candidate(each, (known or {}).get(each.name)) for each in specs]

    async def sleep(seconds: float) -> None:
        rig.pauses.append(seconds)
        rig.on_pause(seconds)

    upgrade = TierUpgrade(kind, candidates, files, gate, news.append, quiet_s=0, sleep=sleep)
    rig = UpgradeRig(upgrade, models, gate, files, news, [])
    return rig
