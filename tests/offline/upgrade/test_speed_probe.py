"""Speed probes of a language model and of a recognition model with scripted speed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from offline.audio import STT_SAMPLE_RATE, FloatAudio
from offline.llm.errors import LlmUsage
from offline.llm.prompt import Prompt
from offline.upgrade.speed_probe import (
    MAX_FIRST_TOKEN_S,
    MAX_REAL_TIME_FACTOR,
    MIN_TOKENS_PER_S,
    OUTPUT_TOKENS,
    PROBE_LIMIT_S,
    PROBE_SPEECH_S,
    TOO_SLOW_TO_MEASURE,
    measure_speed,
    probe_recognition,
    probe_speed,
)


@dataclass
class TimedModel:
    """Language model that takes scripted times of a clock of its own."""

    prefill_s: float = 0.1
    first_token_s: float = 0.2
    token_s: float = 0.03
    now: float = 100.0
    prompts: list[Prompt] = field(default_factory=list)
    before_token: Callable[[int], None] = lambda number: None

    def clock(self) -> float:
        return self.now

    def prefill(self, prompt: Prompt, slot: int, stop: threading.Event) -> None:
        self.prompts.append(prompt)
        self.now += self.prefill_s

    def generate(
        self, prompt: Prompt, slot: int, on_text: Callable[[str, LlmUsage], None], stop: threading.Event
    ) -> LlmUsage:
        self.prompts.append(prompt)
        self.now += self.first_token_s
        for number in range(1, prompt.body["max_tokens"] + 1):
            self.before_token(number)
            if stop.is_set():
                break
            on_text("word ", LlmUsage(64, 50, number))
            self.now += self.token_s
        return LlmUsage(64, 50, prompt.body["max_tokens"])


def test_probe_measures_tokens_and_the_first_one() -> None:
    model = TimedModel(first_token_s=0.25, token_s=0.04)
    result = probe_speed(model, threading.Event(), model.clock)
    assert result is not None and result.keeps_up
    assert (round(result.tokens_per_s, 3), round(result.first_token_s, 3)) == (25.0, 0.25)
    beginning, question = model.prompts
    assert beginning.messages[0] == question.messages[0], "the beginning of the prompt is cached"
    assert question.body["max_tokens"] == OUTPUT_TOKENS


@pytest.mark.parametrize(
    "model",
    [TimedModel(token_s=0.07), TimedModel(first_token_s=0.6), TimedModel(prefill_s=3.0), TimedModel(first_token_s=5.0)],
    ids=["slow tokens", "late first token", "slow prompt", "no token in time"],
)
def test_slow_model_does_not_keep_up(model: TimedModel) -> None:
    started = model.now
    result = probe_speed(model, threading.Event(), model.clock)
    assert result is not None and not result.keeps_up
    assert model.now - started <= 2 * PROBE_LIMIT_S + model.prefill_s + model.first_token_s


def test_probe_ends_after_its_limit() -> None:
    model = TimedModel(token_s=0.5)
    result = probe_speed(model, threading.Event(), model.clock)
    assert result is not None and result.tokens_per_s == pytest.approx(2.0)
    assert model.now - 100.0 < PROBE_LIMIT_S + 1.0


@pytest.mark.parametrize("at_token", [1, 7])
def test_interrupted_probe_has_no_result(at_token: int) -> None:
    interrupted = threading.Event()
    model = TimedModel(before_token=lambda number: interrupted.set() if number == at_token else None)
    assert probe_speed(model, interrupted, model.clock) is None


def test_probe_interrupted_before_its_start_generates_nothing() -> None:
    interrupted = threading.Event()
    interrupted.set()
    model = TimedModel()
    assert probe_speed(model, interrupted, model.clock) is None
    assert len(model.prompts) == 1


@given(
    first=st.floats(0.01, 2.0), steps=st.lists(st.floats(0.001, 0.5), min_size=1, max_size=24), start=st.floats(0, 1e6)
)
def test_verdict_follows_the_two_limits(first: float, steps: list[float], start: float) -> None:
    now, pieces = start + first, [(start + first, 1)]
    for number, step in enumerate(steps, 2):
        now += step
        pieces.append((now, number))
    result = measure_speed(start, pieces)
    span = pieces[-1][0] - pieces[0][0]
    assert result.keeps_up == (len(steps) / span >= MIN_TOKENS_PER_S and pieces[0][0] - start <= MAX_FIRST_TOKEN_S)


def test_fewer_than_two_pieces_are_too_slow() -> None:
    for pieces in ([], [(1.0, 1)], [(1.0, 1), (1.0, 2)]):
        assert measure_speed(0.0, pieces) == TOO_SLOW_TO_MEASURE
    assert not TOO_SLOW_TO_MEASURE.keeps_up


# ------------------------------------------------------------------ recognition


@dataclass
class TimedRecognition:
    """Recognition model that takes scripted times of a clock of its own."""

    run_s: list[float]
    now: float = 100.0
    lengths: list[int] = field(default_factory=list)
    after_run: Callable[[], None] = lambda: None

    def clock(self) -> float:
        return self.now

    def transcribe(self, audio: FloatAudio, language: str) -> str:
        self.lengths.append(len(audio))
        self.now += self.run_s.pop(0)
        self.after_run()
        return ""


@pytest.mark.parametrize(
    ("second_s", "keeps_up"), [(MAX_REAL_TIME_FACTOR * PROBE_SPEECH_S, True), (2 * PROBE_SPEECH_S, False)]
)
def test_recognition_is_measured_after_a_first_run(second_s: float, keeps_up: bool) -> None:
    model = TimedRecognition([30.0, second_s])
    result = probe_recognition(model, np.zeros(1000, np.float32), threading.Event(), model.clock)
    assert result is not None and result.keeps_up is keeps_up
    assert result.real_time_factor == pytest.approx(second_s / PROBE_SPEECH_S)
    assert model.lengths == [round(PROBE_SPEECH_S * STT_SAMPLE_RATE)] * 2


def test_interrupted_recognition_runs_no_further() -> None:
    interrupted = threading.Event()
    model = TimedRecognition([1.0, 1.0], after_run=interrupted.set)
    assert probe_recognition(model, np.zeros(1000, np.float32), interrupted, model.clock) is None
    assert len(model.lengths) == 1
