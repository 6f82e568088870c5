"""Pace record: what replies measured in one start is the beginning of the next."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from offline.models.store import ModelStore
from offline.pipeline.loader import Pipeline
from offline.pipeline.model_runtime import ModelRuntime
from offline.pipeline.priority_executor import PriorityExecutor
from offline.pipeline.session_worker import LoadedModels
from offline.pipeline.speech_models import SpeechModels
from offline.tts.speech_pace import SAFE_FACTOR, SpeechPace
from offline.upgrade.pace_record import MIN_CHANGE, PaceResult, keep_pace, pace_key
from offline.upgrade.speed_record import RECORD_NAME, SLOW_STARTS, SpeedRecord
from tests.support.offline.fake_models import (
    RESULT_TIMEOUT_S,
    FakeLanguageModel,
    FakeRecognizer,
    FakeSynthesizer,
    wait_until,
)

LOADED_FACTOR = 0.6
STORE = ModelStore(Path("llm"), Path("moonshine"), Path("whisper"), Path("kokoro"))


@dataclass
class Start:
    """Pipeline of one start, whose pace is kept in a record."""

    pipeline: Pipeline
    record: SpeedRecord

    @property
    def pace(self) -> SpeechPace:
        return self.pipeline.runtime.paces["zh"]

    def recorded(self) -> float | None:
        found = self.record.find(pace_key(self.pipeline.model), PaceResult)
        return found.factor if found is not None else None

    async def hold_session(self, factor: float) -> None:
        """Open a session in which the pace becomes `factor`, and close it."""
        self.pipeline.gate.enter()
        await asyncio.sleep(0)
        self.pace.restore(factor)
        self.pipeline.gate.leave()


@asynccontextmanager
async def started(path: Path) -> AsyncIterator[Start]:
    executors = llm, tts, stt = PriorityExecutor("llm"), PriorityExecutor("tts"), PriorityExecutor("stt")
    runtime = ModelRuntime(FakeLanguageModel(), FakeSynthesizer(), llm, tts, ("en", "zh"), 4096)
    models = LoadedModels(FakeRecognizer(), stt, runtime)
    start = Start(Pipeline(models, SpeechModels(), STORE, "a model", 1), SpeedRecord(path, "a processor", 2))
    start.pace.restore(LOADED_FACTOR)
    keeping = asyncio.create_task(keep_pace(start.pipeline, start.record))
    try:
        yield start
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
        for executor in executors:
            executor.close()


async def keep_sessions(start: Start, factor: float) -> None:
    """Hold sessions until the record has the factor: one that ends while the record is read or written is missed."""
    async with asyncio.timeout(RESULT_TIMEOUT_S):
        while start.recorded() != factor:
            await start.hold_session(factor)
            await asyncio.get_running_loop().run_in_executor(None, lambda: None)


async def test_pace_of_a_session_is_the_beginning_of_the_next_start(tmp_path: Path) -> None:
    path = tmp_path / RECORD_NAME
    async with started(path) as first:
        await keep_sessions(first, 0.5)
    async with started(path) as second:
        assert second.pace.factor == LOADED_FACTOR
        await wait_until(lambda: second.pace.factor == 0.5)


async def test_pace_is_recorded_when_it_has_changed(tmp_path: Path) -> None:
    async with started(tmp_path / RECORD_NAME) as start:
        await keep_sessions(start, 0.5)
        await start.hold_session(0.5 + MIN_CHANGE / 2)
        assert start.recorded() == 0.5
        await keep_sessions(start, 0.8)


async def test_pace_beside_another_language_model_is_another(tmp_path: Path) -> None:
    async with started(tmp_path / RECORD_NAME) as start:
        await keep_sessions(start, 0.5)
        start.pipeline.model = "another model"
        await keep_sessions(start, 0.7)
        start.pipeline.model = "a model"
        assert start.recorded() == 0.5


def test_pace_that_is_too_slow_is_believed_after_two_starts(tmp_path: Path) -> None:
    record = SpeedRecord(tmp_path / RECORD_NAME, "a processor", 2)
    for count in range(1, SLOW_STARTS + 1):
        record.store(pace_key("a model"), PaceResult(SAFE_FACTOR + 0.1))
        assert (record.find(pace_key("a model"), PaceResult) is not None) is (count == SLOW_STARTS)
