"""Upgrade plan: which better models this computer may try, and how each is loaded, tried and put to use."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from typing import Generic, TypeVar

from offline.audio import FloatAudio
from offline.models.catalogue import (
    MEDIUM_MIN_PROCESSORS,
    Automatic,
    LlmTier,
    candidate_llm_tiers,
    candidate_stt_tiers,
    needs_examples,
    parse_llm_choice,
    parse_stt_choice,
)
from offline.models.machine import Machine, read_machine
from offline.models.store import ModelSpec, llm_file, models_dir, read_manifest
from offline.pipeline.loader import MAX_THREADS, Pipeline, create_llm, warm_up_llm
from offline.pipeline.model_runtime import ModelRuntime
from offline.settings import upgrades_enabled
from offline.stt.recognizers import Whisper

from .speed_probe import MIN_TOKENS_PER_S, RecognitionSpeed, SpeedResult, probe_recognition, probe_speed
from .speed_record import RECORD_NAME, SpeedRecord, SpeedT
from .tier_files import TierFiles
from .tier_upgrade import QUIET_S, Candidate, TierUpgrade, Verdict
from .upgrade_news import UpgradeKind, UpgradeNews, UpgradeOutcome, UpgradeStage

LOGGER = logging.getLogger(__name__)
LoadedT = TypeVar("LoadedT")

MAX_LARGE_MODEL_THREADS = 8
"""Threads of a model above the small one: half the processors, which leaves the others to the voice."""
ENGINES = ("xllamacpp", "ctranslate2")
"""Packages that load the models that have tiers."""
MIN_ESTIMATE = 0.75
"""Part of `MIN_TOKENS_PER_S` below which an estimate rules a model out before its download."""
PROBES = 2
"""Probes before a model is too slow: another program may have been busy during the first."""


def threads_for(tier: LlmTier, processors: int) -> int:
    """Return the threads of a language model."""
    least = min(MAX_THREADS, processors)
    return least if tier is LlmTier.SMALL else max(least, min(MAX_LARGE_MODEL_THREADS, processors // 2))


async def upgrade_models(
    pipeline: Pipeline,
    report: Callable[[tuple[UpgradeNews, ...]], None],
    environ: Mapping[str, str] = os.environ,
    *,
    inspect: Callable[[], Machine] = read_machine,
    quiet_s: float = QUIET_S,
) -> None:
    """Bring the models of the pipeline to the best tiers of this computer, as far as the settings leave the choice.

    `report` receives the news of all models, each time that one changes. Raises `ValueError` for a wrong setting.
    """
    present: dict[str | UpgradeKind, UpgradeNews | None] = {}

    def report_as(key: str | UpgradeKind, default: UpgradeNews | None, news: UpgradeNews | None) -> None:
        present[key] = news or default
        report(tuple(filter(None, present.values())))

    for name in pipeline.store.missing_tiers:
        report_as(name, None, UpgradeNews(UpgradeStage.CHOSEN_MISSING, model=name))
    if not upgrades_enabled(environ):
        return
    machine = await asyncio.to_thread(inspect)  # macOS tells it through commands
    files = TierFiles(models_dir(environ), inspect)
    record = SpeedRecord(
        files.root / RECORD_NAME, machine.cpu_name, machine.processors, engines=", ".join(engine_versions())
    )
    try:
        # An endpoint's failures are few and short: the model here is only its fallback.
        if parse_llm_choice(environ) is Automatic.AUTO and pipeline.runtime.endpoint is None:
            report_llm = partial(report_as, UpgradeKind.LLM, few_processors_news(machine.processors))
            report_llm(None)
            candidates = tuple(llm_candidates(pipeline, files, machine, record, environ))
            await TierUpgrade(UpgradeKind.LLM, candidates, files, pipeline.gate, report_llm, quiet_s=quiet_s).run()
        if parse_stt_choice(environ) is Automatic.AUTO and pipeline.whisper is not None:
            candidates = tuple(stt_candidates(pipeline, files, machine, record, environ))
            report_stt = partial(report_as, UpgradeKind.STT, None)
            await TierUpgrade(UpgradeKind.STT, candidates, files, pipeline.gate, report_stt, quiet_s=quiet_s).run()
    finally:  # the process ends as it should, and perhaps while a model loads
        record.forget_trial()


def engine_versions() -> Iterator[str]:
    """Yield the engines that load models, with their versions."""
    for name in ENGINES:
        with suppress(PackageNotFoundError):
            yield f"{name} {version(name)}"


def few_processors_news(processors: int) -> UpgradeNews | None:
    """Return why no language model above the small one is tried, and log it; None when one is."""
    if processors >= MEDIUM_MIN_PROCESSORS:
        return None
    LOGGER.info("upgrade: the small language model answers processors=%d needed=%d", processors, MEDIUM_MIN_PROCESSORS)
    return UpgradeNews(
        UpgradeStage.FEW_PROCESSORS,
        UpgradeKind.LLM,
        processors=processors,
        needed_processors=MEDIUM_MIN_PROCESSORS,
    )


def llm_candidates(
    pipeline: Pipeline, files: TierFiles, machine: Machine, record: SpeedRecord, environ: Mapping[str, str]
) -> Iterator[Candidate]:
    """Yield the language models above the loaded one, best first."""
    carried = CarriedModel(pipeline, machine.processors)
    by_tier = {model.tier: model for model in read_manifest(environ=environ)}
    for tier in candidate_llm_tiers(machine.processors, machine.memory_bytes):
        if tier is pipeline.store.llm_tier:
            return
        if tier in by_tier:
            trial = ModelTrial(by_tier[tier], files, record, SpeedResult)
            yield LlmUpgrade(pipeline, trial, tier, machine.processors, carried).candidate()


def stt_candidates(
    pipeline: Pipeline, files: TierFiles, machine: Machine, record: SpeedRecord, environ: Mapping[str, str]
) -> Iterator[Candidate]:
    """Yield the Whisper models above the base, best first."""
    by_tier = {model.tier: model for model in read_manifest(environ=environ)}
    for tier in candidate_stt_tiers(machine.processors):
        if tier in by_tier and pipeline.speech_sample is not None:
            trial = ModelTrial(by_tier[tier], files, record, RecognitionSpeed)
            yield SttUpgrade(pipeline, trial, machine.processors, pipeline.speech_sample).candidate()


class ModelTrial(Generic[SpeedT]):
    """What is known and learnt about one model; its speed is of the class `kind`."""

    def __init__(self, model: ModelSpec, files: TierFiles, record: SpeedRecord, kind: type[SpeedT]) -> None:
        self.model = model
        self.folder = files.root / model.name
        self._files = files
        self._record = record
        self._kind = kind
        largest = max(model.files, key=lambda file: file.size_bytes)
        self._path = self.folder / largest.name
        self._sha256 = largest.sha256

    @property
    def outcome(self) -> UpgradeOutcome | None:
        """What earlier starts found out."""
        if self._record.has_ended_process(self._sha256):
            return UpgradeOutcome.FAILED
        speed = self._record.find(self._sha256, self._kind, is_there=self._path.exists())
        return UpgradeOutcome.TOO_SLOW if speed is not None and not speed.keeps_up else None

    def running(self) -> AbstractContextManager[None]:
        """Return a context in which the model may end the process; see `SpeedRecord.trying`."""
        return self._record.trying(self._sha256)

    def find_or_measure(self, probe: Callable[[], SpeedT | None]) -> SpeedT | None:
        """Return the speed of an earlier start, or measure it and keep it; None when `probe` was interrupted."""
        speed = self._record.find(self._sha256, self._kind)
        if speed is not None:
            return speed
        for _ in range(PROBES):
            speed = probe()
            if speed is None or speed.keeps_up:
                break
        if speed is not None:
            figures = " ".join(f"{name}={value:.2f}" for name, value in speed.to_json().items())
            LOGGER.info("upgrade: probed model=%s %s", self.model.name, figures)
            self._record.store(self._sha256, speed)
        return speed

    def candidate(
        self,
        load: Callable[[], LoadedT],
        try_out: Callable[[LoadedT, threading.Event], Verdict],
        install: Callable[[LoadedT], object],
    ) -> Candidate:
        """Return the candidate of this model, which is fetched whatever its estimate."""
        return Candidate(
            self.model,
            self.outcome,
            load,
            try_out,
            install,
            mark_fetched=self.mark_fetched,
            discard=self.discard,
        )

    def mark_fetched(self) -> None:
        """Record that an upgrade has downloaded the model."""
        self._record.mark_fetched(self._sha256)

    def discard(self) -> None:
        """Delete the model if it is too slow for good and an upgrade downloaded it. Raises `OSError`."""
        if self.outcome is UpgradeOutcome.TOO_SLOW and self._record.was_fetched(self._sha256):
            self._files.delete(self.model)
            self._record.mark_fetched(self._sha256, is_there=False)
            LOGGER.info("upgrade: deleted model=%s reason='too slow'", self.model.name)


class CarriedModel:
    """The loaded language model, whose speed tells that of larger ones: each token reads all weights from memory."""

    def __init__(self, pipeline: Pipeline, processors: int) -> None:
        self._pipeline = pipeline
        self._threads = threads_for(LlmTier.SMALL, processors)
        self._tokens_per_s: float | None = None

    def estimate(self, size_bytes: int, threads: int, interrupted: threading.Event) -> float | None:
        """Return about how many tokens a second a model of `size_bytes` writes; None when interrupted.

        Raises `LlmError`, and `OSError` without the file of the loaded model.
        """
        path = self._pipeline.store.llm
        assert path is not None
        carried_bytes = path.stat().st_size
        tokens_per_s = self._measure(interrupted)
        # Reading from memory gains less than all of the threads: the estimate is rather too high.
        return None if tokens_per_s is None else tokens_per_s * carried_bytes / size_bytes * threads / self._threads

    def _measure(self, interrupted: threading.Event) -> float | None:
        """Measure once per start, in this quiet moment: a lasting record would keep what another program caused."""
        if self._tokens_per_s is None:
            runtime = self._pipeline.runtime
            results = [probe_speed(runtime.llm, interrupted) for _ in range(PROBES)]
            warm_up_llm(runtime, self._pipeline.slots, interrupted)  # the probe has taken the place of its prompt
            if None in results or interrupted.is_set():
                return None
            self._tokens_per_s = max(result.tokens_per_s for result in results if result is not None)
        return self._tokens_per_s


class LlmUpgrade:
    """Loading, probing and installing one language model. The smallest needs no probe: no other is below it."""

    def __init__(
        self, pipeline: Pipeline, trial: ModelTrial[SpeedResult], tier: LlmTier, processors: int, carried: CarriedModel
    ) -> None:
        self._pipeline = pipeline
        self._trial = trial
        self._tier = tier
        self._path = llm_file(trial.folder.parent, trial.model)
        self._threads = threads_for(tier, processors)
        self._carried = carried

    def candidate(self) -> Candidate:
        """Return the candidate of this model."""
        untried = self._trial.candidate(self.load, self.try_out, self.install)
        return replace(untried, is_worth_fetching=self.is_worth_fetching)

    def is_worth_fetching(self, interrupted: threading.Event) -> bool | None:
        """Return whether the model is not clearly too slow, by the speed of the loaded one; None when interrupted."""
        if self._tier is LlmTier.SMALL:
            return True
        try:
            tokens_per_s = self._carried.estimate(self._path_bytes, self._threads, interrupted)
        except OSError:
            return True
        if tokens_per_s is None:
            return None
        LOGGER.info("upgrade: estimated model=%s tokens_per_s=%.1f", self._trial.model.name, tokens_per_s)
        return tokens_per_s >= MIN_ESTIMATE * MIN_TOKENS_PER_S

    @property
    def _path_bytes(self) -> int:
        return next(file.size_bytes for file in self._trial.model.files if file.name == self._path.name)

    def load(self) -> ModelRuntime:
        """Return the present voices with this language model."""
        with self._trial.running():
            llm, _ = create_llm(self._path, self._pipeline.slots, self._threads)
        return self._pipeline.runtime.with_language_model(llm, few_shot=needs_examples(self._tier))

    def try_out(self, runtime: ModelRuntime, interrupted: threading.Event) -> Verdict:
        """Measure the speed, unless it is known, and process the default prompt."""
        with self._trial.running():
            if self._tier is not LlmTier.SMALL:
                speed = self._trial.find_or_measure(lambda: probe_speed(runtime.llm, interrupted))
                if speed is None:
                    return Verdict.INTERRUPTED
                if not speed.keeps_up:
                    return Verdict.TOO_SLOW
            warm_up_llm(runtime, self._pipeline.slots, interrupted)
        return Verdict.INTERRUPTED if interrupted.is_set() else Verdict.KEEPS_UP

    def install(self, runtime: ModelRuntime) -> ModelRuntime:
        """Use this language model from the next session on. Return the former runtime."""
        return self._pipeline.replace_runtime(runtime, self._path.stem)


class SttUpgrade:
    """Loading, probing and installing one Whisper model. `sample` is speech at 16 kHz."""

    def __init__(
        self, pipeline: Pipeline, trial: ModelTrial[RecognitionSpeed], processors: int, sample: FloatAudio
    ) -> None:
        self._pipeline = pipeline
        self._trial = trial
        self._threads = min(MAX_THREADS, processors)
        self._sample = sample

    def candidate(self) -> Candidate:
        """Return the candidate of this model."""
        return self._trial.candidate(self.load, self.try_out, self._pipeline.replace_whisper)

    def load(self) -> Whisper:
        """Return the model."""
        with self._trial.running():
            return Whisper(self._trial.folder, self._threads)

    def try_out(self, whisper: Whisper, interrupted: threading.Event) -> Verdict:
        """Warm the model up and measure its speed, also where that is known: a first run is slow."""
        with self._trial.running():
            measured = probe_recognition(whisper, self._sample, interrupted)
            if measured is None:
                return Verdict.INTERRUPTED
            speed = self._trial.find_or_measure(
                lambda: measured if measured.keeps_up else probe_recognition(whisper, self._sample, interrupted)
            )
        if speed is None:
            return Verdict.INTERRUPTED
        return Verdict.KEEPS_UP if speed.keeps_up else Verdict.TOO_SLOW
