"""Speed probe: whether a loaded model keeps up with speech on this computer.

A language model has to write as fast as its words are spoken. Speech takes about 6 tokens a second in Mandarin and 4 in
English. The voice is synthesised beside, so nearly three times as many are needed. A short prompt is processed first,
as that of a call is, and then a short reply is measured.

A recognition model has to write down the end of a turn before the reply begins.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from offline.audio import STT_SAMPLE_RATE, FloatAudio
from offline.llm.errors import LlmUsage
from offline.llm.prompt import Prompt
from offline.protocol.worker_messages import LanguageCode

PROBE_LIMIT_S = 2.0
"""Seconds for the prompt, and again for the reply."""
OUTPUT_TOKENS = 24
"""Tokens of the reply."""
MIN_TOKENS_PER_S = 16.0
MAX_FIRST_TOKEN_S = 0.5
"""Seconds to the first token, with the beginning of the prompt processed."""

PROBE_SPEECH_S = 5.0
"""Seconds of speech that a recognition model writes down: a usual turn."""
MAX_REAL_TIME_FACTOR = 0.25
"""Seconds of work per second of speech. A turn of 5 s then delays the reply by 1.25 s."""

_SYSTEM_TEXT = (
    "You talk with people on the phone. Answer in one or two short sentences, in the language of the question. "
    "Be friendly, say what you know, and ask when you did not understand. Your words are spoken aloud."
)
"""About 50 tokens; 64 with the question and the marks of the chat template."""
_QUESTION = "Count from one to forty in words."


class ProbedModel(Protocol):
    """Part of `LanguageModel` that a probe needs. Its methods block."""

    def generate(
        self, prompt: Prompt, slot: int, on_text: Callable[[str, LlmUsage], None], stop: threading.Event
    ) -> LlmUsage: ...

    def prefill(self, prompt: Prompt, slot: int, stop: threading.Event) -> None: ...


@dataclass(frozen=True, slots=True)
class SpeedResult:
    """Measured speed of a language model."""

    tokens_per_s: float
    first_token_s: float

    @property
    def keeps_up(self) -> bool:
        """Whether the model is fast enough for speech."""
        return self.tokens_per_s >= MIN_TOKENS_PER_S and self.first_token_s <= MAX_FIRST_TOKEN_S

    def to_json(self) -> dict[str, float]:
        """Return the figures."""
        return {"tokens_per_s": self.tokens_per_s, "first_token_s": self.first_token_s}


TOO_SLOW_TO_MEASURE = SpeedResult(0.0, PROBE_LIMIT_S)
"""Result of a model that does not produce two pieces of text in time."""


@dataclass(frozen=True, slots=True)
class RecognitionSpeed:
    """Measured speed of a recognition model."""

    real_time_factor: float

    @property
    def keeps_up(self) -> bool:
        """Whether the model is fast enough for speech."""
        return self.real_time_factor <= MAX_REAL_TIME_FACTOR

    def to_json(self) -> dict[str, float]:
        """Return the figures."""
        return {"real_time_factor": self.real_time_factor}


class ProbedRecognition(Protocol):
    """Part of `Whisper` that a probe needs. It blocks."""

    def transcribe(self, audio: FloatAudio, language: LanguageCode) -> str: ...


class DeadlineEvent(threading.Event):
    """Event that is set when `interrupted` is, or after `deadline` of `clock`. It can only be asked, not awaited."""

    def __init__(self, interrupted: threading.Event, deadline: float, clock: Callable[[], float]) -> None:
        super().__init__()
        self._interrupted, self._deadline, self._clock = interrupted, deadline, clock

    def is_set(self) -> bool:
        return self._interrupted.is_set() or self._clock() >= self._deadline


def measure_speed(started_s: float, pieces: Sequence[tuple[float, int]]) -> SpeedResult:
    """Return the speed of a reply. `pieces` holds, for each piece of text, its time and the tokens up to it."""
    if len(pieces) < 2 or pieces[-1][0] <= pieces[0][0]:
        return TOO_SLOW_TO_MEASURE
    (first_s, first_tokens), (last_s, last_tokens) = pieces[0], pieces[-1]
    return SpeedResult((last_tokens - first_tokens) / (last_s - first_s), first_s - started_s)


def probe_speed(
    model: ProbedModel, interrupted: threading.Event, clock: Callable[[], float] = time.monotonic
) -> SpeedResult | None:
    """Return the speed of `model`; None once `interrupted` is set. Blocks for at most twice `PROBE_LIMIT_S`.

    Raises `LlmError`.
    """
    prompt = Prompt(
        ({"role": "system", "content": _SYSTEM_TEXT}, {"role": "user", "content": _QUESTION}),
        {"max_tokens": OUTPUT_TOKENS, "ignore_eos": True},
    )
    beginning = replace(prompt, messages=(prompt.messages[0], {"role": "user", "content": "."}))
    limit = DeadlineEvent(interrupted, clock() + PROBE_LIMIT_S, clock)
    model.prefill(beginning, 0, limit)
    if interrupted.is_set():
        return None
    if limit.is_set():
        return TOO_SLOW_TO_MEASURE
    pieces: list[tuple[float, int]] = []
    started_s = clock()
    limit = DeadlineEvent(interrupted, started_s + PROBE_LIMIT_S, clock)
    model.generate(prompt, 0, lambda _, usage: pieces.append((clock(), usage.output_tokens)), limit)
    return None if interrupted.is_set() else measure_speed(started_s, pieces)


def probe_recognition(
    model: ProbedRecognition,
    sample: FloatAudio,
    interrupted: threading.Event,
    clock: Callable[[], float] = time.monotonic,
) -> RecognitionSpeed | None:
    """Return the speed of `model` with speech at 16 kHz, repeated to `PROBE_SPEECH_S`; None once `interrupted` is set.

    The first run warms the model up and is not measured. The event is looked at after each run.
    """
    speech = np.resize(sample, round(PROBE_SPEECH_S * STT_SAMPLE_RATE))
    started_s = clock()
    for _ in range(2):
        if interrupted.is_set():
            return None
        started_s = clock()
        model.transcribe(speech, "zh")
    return None if interrupted.is_set() else RecognitionSpeed((clock() - started_s) / PROBE_SPEECH_S)
