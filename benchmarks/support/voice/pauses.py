"""Pauses of recorded and synthetic speech, as the embedded server meets them: its words and its voice at 128 ms."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import cast

import numpy as np

from benchmarks.support.speech_samples import RATE, SpeechSample
from offline.audio import resample_to_16k, to_pcm16
from offline.protocol.worker_messages import LanguageCode
from offline.stt.recognition_rules import Recognizer
from offline.stt.smart_turn import TurnEndModel
from offline.stt.turn_detection import (
    MIN_PAUSE_WINDOWS,
    WINDOW_MS,
    TurnSegmenter,
    TurnSignalKind,
    create_silero_vad,
)

NOISE_AMPLITUDE = 3e-4
"""Amplitude (of 1.0) of the background noise."""
AFTER_S = 1.5
"""Seconds of silence after the speech."""
SILENCE_MS = 1300
"""Milliseconds of silence that end a turn here: more than any pause inside a recording."""
THOUGHTFUL_PAUSES_MS = (400, 700, 1000)
"""Milliseconds of the pauses that a speaker makes where speech is interrupted. Pauses inside turns of conversations
last half a second at the median."""
CUT_FROM, CUT_TO = 0.35, 0.75
"""Part of a recording in which its quietest point interrupts it."""


class PauseKind(StrEnum):
    """What a pause is."""

    END = "end"
    """The speaker has finished."""
    INSIDE = "inside"
    """The speaker goes on, as recorded."""
    INTERRUPTED = "interrupted"
    """The recording stops between two words, and would go on."""
    UNFINISHED = "unfinished"
    """A synthetic voice says the beginning of a sentence, and would go on."""


@dataclass(frozen=True, slots=True)
class Pause:
    """Pause with its judges' answers."""

    clip: str
    language: str
    is_human: bool
    kind: PauseKind
    lengths_ms: tuple[int, ...]
    """Lengths at which it is counted; () at an end."""
    words: str
    probability: float
    """Smart Turn's, that the turn is over."""
    judging_ms: float
    """Milliseconds that Smart Turn took."""


class PauseFinder:
    """Finds pauses with the server's own detector and models."""

    def __init__(self, recognizer: Recognizer, turn_end: TurnEndModel) -> None:
        self._recognizer = recognizer
        self._turn_end = turn_end

    def in_recording(self, sample: SpeechSample) -> list[Pause]:
        """Return the pauses inside a recording, and its end."""
        kinds = ((PauseKind.END if ms is None else PauseKind.INSIDE, ms, audio) for ms, audio in _silences(sample))
        return [self._judge(sample, kind, () if ms is None else (ms,), audio) for kind, ms, audio in kinds]

    def interrupted(self, sample: SpeechSample) -> Pause | None:
        """Return the pause after the recording's beginning; None where the detector hears no speech."""
        start, end = (int(len(sample.samples) * part) for part in (CUT_FROM, CUT_TO))
        step = RATE // 100
        part = sample.samples[start:end]
        levels = (part[: len(part) // step * step].reshape(-1, step) ** 2).mean(axis=1)
        cut = start + (int(np.convolve(levels, np.ones(5), "valid").argmin()) + 2) * step
        return self._last(sample, sample.samples[:cut], PauseKind.INTERRUPTED)

    def unfinished(self, sample: SpeechSample) -> Pause | None:
        """Return the pause after the beginning of a sentence."""
        return self._last(sample, sample.samples, PauseKind.UNFINISHED)

    def _last(self, sample: SpeechSample, samples: np.ndarray, kind: PauseKind) -> Pause | None:  # type: ignore[type-arg]
        beginning = SpeechSample(sample.name, sample.language, sample.text, sample.is_human, samples, 0.0)
        found = list(_silences(beginning))
        return self._judge(sample, kind, THOUGHTFUL_PAUSES_MS, found[-1][1]) if found else None

    def _judge(self, sample: SpeechSample, kind: PauseKind, lengths_ms: tuple[int, ...], pcm: bytes) -> Pause:
        audio = resample_to_16k(pcm)
        words = self._recognizer.transcribe(audio, cast(LanguageCode, sample.language)).text
        begun = time.monotonic()
        probability = self._turn_end.end_probability(audio)
        judging_ms = (time.monotonic() - begun) * 1000
        return Pause(
            sample.name, sample.language, sample.is_human, kind, lengths_ms, words, round(probability, 3), judging_ms
        )


def _silences(sample: SpeechSample) -> Iterator[tuple[int | None, bytes]]:
    """Yield the length of each pause in milliseconds (None at the end), and the turn up to its first 128 ms."""
    noise = np.random.default_rng(0)
    sound = np.concatenate([sample.samples, np.zeros(int(AFTER_S * RATE), np.float32)])
    sound += noise.standard_normal(len(sound)).astype(np.float32) * NOISE_AMPLITUDE
    pcm = to_pcm16(sound)
    detection = {"type": "server_vad", "threshold": 0.5, "prefix_padding_ms": 300, "silence_duration_ms": SILENCE_MS}
    started = paused = 0
    for signal in TurnSegmenter(detection, create_silero_vad(), 0).feed(pcm):
        match signal.kind:
            case TurnSignalKind.STARTED:
                started = signal.sample
            case TurnSignalKind.PAUSED:
                paused = signal.sample
            case TurnSignalKind.RESUMED:
                length_ms = (signal.sample - paused) * 1000 // RATE + MIN_PAUSE_WINDOWS * WINDOW_MS
                yield length_ms, pcm[started * 2 : paused * 2]
            case TurnSignalKind.STOPPED:
                yield None, pcm[started * 2 : paused * 2]
