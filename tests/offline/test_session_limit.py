"""Sessions of `OFFLINE_SESSIONS=auto`, by processors, memory and pace."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offline.__main__ import measured_capacity
from offline.models.machine import read_machine
from offline.pipeline.loader import Pipeline
from offline.pipeline.model_runtime import ModelRuntime
from offline.pipeline.priority_executor import PriorityExecutor
from offline.pipeline.session_worker import LoadedModels
from offline.pipeline.speech_models import SpeechModels
from offline.session_limit import (
    BYTES_PER_SESSION,
    MAX_AUTO_SESSIONS,
    SPEECH_SHARE,
    TARGET_LOAD,
    most_sessions,
    sessions_at_pace,
)
from offline.settings import DEFAULT_SESSIONS, max_sessions
from offline.tts.speech_pace import DEFAULT_FACTOR, MAX_FACTOR, MIN_FACTOR
from offline.upgrade.pace_record import PaceResult, pace_key
from offline.upgrade.speed_record import RECORD_NAME, SpeedRecord
from tests.support.offline.endpoint_server import STORE
from tests.support.offline.fake_models import FakeLanguageModel, FakeRecognizer, FakeSynthesizer

GIB = 2**30
FACTORS = st.floats(MIN_FACTOR, MAX_FACTOR)


@pytest.mark.parametrize(
    ("value", "sessions"), [("", DEFAULT_SESSIONS), (" 3 ", 3), ("auto", None), (" AUTO", None), ("1", 1)]
)
def test_setting_is_a_number_or_auto(value: str, sessions: int | None) -> None:
    assert max_sessions({"OFFLINE_SESSIONS": value}) == sessions


@pytest.mark.parametrize("value", ["0", "-1", "two", "1.5", "automatic"])
def test_setting_that_is_neither_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match=r"OFFLINE_SESSIONS|invalid literal"):
        max_sessions({"OFFLINE_SESSIONS": value})


def test_auto_on_two_processors_is_the_default_before_anything_is_measured() -> None:
    assert sessions_at_pace(DEFAULT_FACTOR, most_sessions(2, 8 * GIB)) == DEFAULT_SESSIONS


@pytest.mark.parametrize(
    ("processors", "memory_bytes", "factor", "sessions"),
    [
        (2, 8 * GIB, 1.2, 1),  # the voice has no time for a second speaker
        (2, 8 * GIB, 0.3, 2),  # one for each processor
        (4, 16 * GIB, 0.5, 3),
        (16, 64 * GIB, 0.1, MAX_AUTO_SESSIONS),
        (16, 7 * GIB, 0.1, 3),
        (16, 0, 0.2, 7),  # a system that does not tell its memory
        (1, GIB, 3.0, 1),
    ],
)
def test_auto_follows_processors_memory_and_pace(
    processors: int, memory_bytes: int, factor: float, sessions: int
) -> None:
    assert sessions_at_pace(factor, most_sessions(processors, memory_bytes)) == sessions


@given(st.integers(1, 256), st.integers(0, 2**42), FACTORS)
def test_auto_keeps_the_voice_within_its_load_and_admits_one_session_at_least(
    processors: int, memory_bytes: int, factor: float
) -> None:
    most = most_sessions(processors, memory_bytes)
    sessions = sessions_at_pace(factor, most)
    assert 1 <= sessions <= most <= min(processors, MAX_AUTO_SESSIONS)
    assert sessions == 1 or sessions * SPEECH_SHARE * factor <= TARGET_LOAD
    assert sessions == 1 or not memory_bytes or sessions * BYTES_PER_SESSION <= memory_bytes
    assert sessions == most or (sessions + 1) * SPEECH_SHARE * factor > TARGET_LOAD * 0.999999, "and no fewer than fit"


@given(FACTORS, FACTORS, st.integers(1, MAX_AUTO_SESSIONS))
def test_faster_speech_never_means_fewer_sessions(one: float, other: float, most: int) -> None:
    fast, slow = sorted((one, other))
    assert sessions_at_pace(fast, most) >= sessions_at_pace(slow, most)


async def capacity_of(folder: Path, monkeypatch: pytest.MonkeyPatch, *, voice_factor: float) -> int:
    """Return the capacity of a pipeline with eight contexts whose warm-up measured this speed of the voice."""
    monkeypatch.setenv("OFFLINE_MODELS", str(folder))
    executors = llm, tts, stt = PriorityExecutor("llm"), PriorityExecutor("tts"), PriorityExecutor("stt")
    runtime = ModelRuntime(
        FakeLanguageModel(), FakeSynthesizer(), llm, tts, ("en", "zh"), 4096, voice_factor=voice_factor
    )
    pipeline = Pipeline(LoadedModels(FakeRecognizer(), stt, runtime), SpeechModels(), STORE, "a model", 8)
    try:
        return await measured_capacity(pipeline)
    finally:
        for executor in executors:
            executor.close()


async def test_capacity_without_a_record_follows_the_warm_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert await capacity_of(tmp_path, monkeypatch, voice_factor=0.2) == 2
    assert await capacity_of(tmp_path, monkeypatch, voice_factor=0.9) == 1


async def test_capacity_follows_what_earlier_conversations_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = read_machine()
    record = SpeedRecord(tmp_path / RECORD_NAME, machine.cpu_name, machine.processors)
    record.store(pace_key("a model"), PaceResult(0.3))
    assert await capacity_of(tmp_path, monkeypatch, voice_factor=0.9) == 5


async def test_capacity_survives_an_unreadable_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / RECORD_NAME).write_text("{ not JSON")
    assert await capacity_of(tmp_path, monkeypatch, voice_factor=0.2) == 2
