"""Pace record: the Mandarin voice's pace of earlier starts, beside the speeds of the models in the speed record."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass

from offline.models.machine import read_machine
from offline.models.store import models_dir
from offline.pipeline.loader import Pipeline
from offline.tts.speech_pace import SAFE_FACTOR

from .speed_record import RECORD_NAME, SpeedRecord

MIN_CHANGE = 0.05
"""Change of a factor that is worth a write."""


@dataclass(frozen=True, slots=True)
class PaceResult:
    """Measured pace: seconds of work of a reply per second of its speech."""

    factor: float

    @property
    def keeps_up(self) -> bool:
        """Whether a reply may start with its first clause."""
        return self.factor <= SAFE_FACTOR

    def to_json(self) -> dict[str, float]:
        """Return the figures."""
        return {"factor": self.factor}


def pace_key(model: str) -> str:
    """Return the key of the pace beside the language model `model`. The keys of models are sums of their files."""
    return f"Mandarin speech beside {model}"


async def recorded_pace(pipeline: Pipeline, environ: Mapping[str, str] = os.environ) -> float | None:
    """Return the pace of earlier starts beside the present language model; None without one that may be believed."""
    record = await asyncio.to_thread(_record_of_machine, environ)
    found = await asyncio.to_thread(record.find, pace_key(pipeline.model), PaceResult)
    return found.factor if found is not None else None


async def keep_pace(pipeline: Pipeline, record: SpeedRecord) -> None:
    """Begin with the recorded pace, and record it each time that no session is left. Runs until it is cancelled."""
    recorded: dict[str, float] = {}
    model, pace = pipeline.model, pipeline.runtime.paces["zh"]
    if found := await asyncio.to_thread(record.find, pace_key(model), PaceResult):
        pace.restore(found.factor)
        recorded[model] = found.factor
    while True:
        await pipeline.gate.wait_for_end_of_sessions()
        model, factor = pipeline.model, pipeline.runtime.paces["zh"].factor
        if model not in recorded or abs(factor - recorded[model]) >= MIN_CHANGE:
            await asyncio.to_thread(record.store, pace_key(model), PaceResult(factor))
            recorded[model] = factor


async def keep_pace_of_machine(pipeline: Pipeline, environ: Mapping[str, str] = os.environ) -> None:
    """Keep the pace in the record of this computer, where Mandarin is spoken here. See `keep_pace`."""
    if "zh" not in pipeline.languages or pipeline.runtime.remote_speech is not None:
        return
    await keep_pace(pipeline, await asyncio.to_thread(_record_of_machine, environ))


def _record_of_machine(environ: Mapping[str, str]) -> SpeedRecord:
    """Return the record of this computer. Blocks: macOS tells its processor through commands."""
    machine = read_machine()
    return SpeedRecord(models_dir(environ) / RECORD_NAME, machine.cpu_name, machine.processors)
