"""Turn-end judge: its answer is there with the words, and never delays them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offline.audio import FloatAudio
from offline.pipeline.model_runtime import ModelRuntime
from offline.pipeline.priority_executor import Priority, PriorityExecutor
from offline.pipeline.session_worker import LoadedModels, PipelineSessionWorker
from offline.pipeline.turn_end import MAX_RUN_S, START_DEADLINE_S, RunTimeLimit, TurnEndJudge
from offline.protocol.worker_messages import ProvisionalTranscript, SpeechPaused, SpeechResumed, WorkResult
from tests.support.manual_clock import ManualClock
from tests.support.offline.fake_models import (
    RESULT_TIMEOUT_S,
    FakeLanguageModel,
    FakeRecognizer,
    FakeSynthesizer,
    wait_until,
)

SECOND = bytes(48_000)


@dataclass
class FakeTurnEnd:
    """Hears a probability; each run takes `seconds` of `clock`."""

    clock: ManualClock
    probability: float | None = 0.8
    """None: the model fails."""
    seconds: float = 0.04
    audio_lengths: list[int] = field(default_factory=list)

    def end_probability(self, audio: FloatAudio) -> float:
        self.audio_lengths.append(len(audio))
        self.clock.now += self.seconds
        if self.probability is None:
            raise RuntimeError("a secret")
        return self.probability


class Rig:
    """Judge with its executors, and a session worker that uses it."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.model = FakeTurnEnd(self.clock)
        self.stt, self.llm, self.tts = PriorityExecutor("stt"), PriorityExecutor("llm"), PriorityExecutor("tts")
        self.voice = PriorityExecutor("turn-end")
        self.judge = TurnEndJudge(self.model, self.voice, self.tts, self.clock)
        self.recognizer = FakeRecognizer()
        self.results: list[WorkResult] = []
        runtime = ModelRuntime(FakeLanguageModel(), FakeSynthesizer(), self.llm, self.tts, ("en", "zh"), 4096)
        models = LoadedModels(self.recognizer, self.stt, runtime, turn_end_judge=self.judge)
        self.worker = PipelineSessionWorker(models, 0, self.results.append, lambda: None)

    async def pause(self, *, judges_voice: bool = True) -> float | None:
        """Submit a pause and return the probability that comes with its words."""
        self.results.clear()
        self.worker.submit(SpeechPaused("i", SECOND, "en", None, judges_voice))
        await wait_until(lambda: self.results)
        (result,) = self.results
        assert isinstance(result, ProvisionalTranscript) and result.text == "Hello there."
        return result.turn_end_probability

    def close(self) -> None:
        for executor in (self.stt, self.llm, self.tts):
            executor.close()
        self.judge.close()


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    made = Rig()
    yield made
    await made.worker.close()
    made.close()


async def test_pause_delivers_the_words_with_the_probability(rig: Rig) -> None:
    assert await rig.pause() == 0.8
    assert rig.model.audio_lengths == [16_000], "the turn at 16 kHz"


async def test_pause_of_server_vad_is_not_judged(rig: Rig) -> None:
    assert await rig.pause(judges_voice=False) is None
    assert rig.model.audio_lengths == []


async def test_pause_with_a_failing_model_delivers_the_words(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    rig.model.probability = None
    assert await rig.pause() is None
    (record,) = caplog.records
    assert "RuntimeError" in record.getMessage() and "secret" not in record.getMessage()


async def test_pause_during_synthesis_is_judged_by_the_words_alone(rig: Rig) -> None:
    release, started = threading.Event(), threading.Event()

    def synthesize() -> None:
        started.set()
        release.wait(RESULT_TIMEOUT_S)

    speaking = asyncio.create_task(rig.tts.run(Priority.INTERACTIVE, synthesize))
    await wait_until(started.is_set)
    assert await rig.pause() is None and rig.model.audio_lengths == []
    release.set()
    await speaking
    await wait_until(lambda: not rig.tts.is_busy)
    assert await rig.pause() == 0.8


async def test_judgement_that_would_begin_late_is_left_out(rig: Rig) -> None:
    release, started = threading.Event(), threading.Event()

    def judge_another_session() -> None:
        started.set()
        release.wait(RESULT_TIMEOUT_S)
        rig.clock.now += START_DEADLINE_S + 0.01

    other = asyncio.create_task(rig.voice.run(Priority.INTERACTIVE, judge_another_session))
    await wait_until(started.is_set)
    pause = asyncio.create_task(rig.pause())
    await rig.clock.wait_for_reads(1)
    release.set()
    assert await pause is None and rig.model.audio_lengths == []
    await other


async def test_words_wait_for_a_running_judgement(rig: Rig) -> None:
    release, started = threading.Event(), threading.Event()

    def judge_another_session() -> None:
        started.set()
        release.wait(RESULT_TIMEOUT_S)

    other = asyncio.create_task(rig.voice.run(Priority.INTERACTIVE, judge_another_session))
    await wait_until(started.is_set)
    pause = asyncio.create_task(rig.pause())
    await rig.stt.run(Priority.BACKGROUND, lambda: None)  # the words are there
    assert not rig.results
    release.set()
    assert await pause == 0.8
    await other


async def test_pause_that_speech_follows_delivers_nothing(rig: Rig) -> None:
    release, started = threading.Event(), threading.Event()

    def judge_another_session() -> None:
        started.set()
        release.wait(RESULT_TIMEOUT_S)

    other = asyncio.create_task(rig.voice.run(Priority.INTERACTIVE, judge_another_session))
    await wait_until(started.is_set)
    rig.worker.submit(SpeechPaused("i", SECOND, "en", None, True))
    await rig.stt.run(Priority.BACKGROUND, lambda: None)
    rig.worker.submit(SpeechResumed("i"))
    release.set()
    await other
    await rig.voice.run(Priority.BACKGROUND, lambda: None)
    assert not rig.results and rig.model.audio_lengths == []


async def test_slow_model_is_left_out_and_tried_again(rig: Rig) -> None:
    rig.model.seconds = 4 * MAX_RUN_S
    assert await rig.pause() == 0.8
    answers = [await rig.pause() for _ in range(12)]
    assert answers[:8] == [None] * 8 and 0.8 in answers
    rig.model.seconds = 0.02
    answers = [await rig.pause() for _ in range(30)]
    assert answers[-5:] == [0.8] * 5, "the computer is idle"


@given(st.lists(st.floats(0, 5), min_size=1, max_size=40))
def test_run_time_limit_always_tries_again(runs: list[float]) -> None:
    limit = RunTimeLimit()
    for seconds in runs:
        limit.note_run(seconds)
    assert 0 <= limit.usual_s <= max(runs)
    assert any(limit.may_run() for _ in range(30))
    assert limit.usual_s <= MAX_RUN_S
