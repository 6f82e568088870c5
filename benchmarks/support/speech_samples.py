"""Speech samples of benchmarks, and the error rate of transcripts."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from .local_machine import ROOT

SPEECH_FOLDER = ROOT / "tests" / "data" / "speech"
RATE = 24_000
QUIET_DB = 30.0
"""Decibels below the loudest 10 ms. The last 10 ms above this level, and clearly above the noise, end an utterance."""

Samples = npt.NDArray[np.float32]

_DIGITS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]


@dataclass(frozen=True, slots=True)
class SpeechSample:
    """One utterance. `samples`: float32 mono at 24 kHz; `end_s`: end of the voice, in seconds."""

    name: str
    language: str
    text: str
    is_human: bool
    samples: Samples
    end_s: float


def acoustic_end_s(samples: Samples) -> float:
    """Return the seconds from the start to the end of the voice."""
    step = RATE // 100
    frames = samples[: len(samples) // step * step].reshape(-1, step)
    level = np.sqrt((frames**2).mean(axis=1))
    floor = 4 * np.percentile(level, 5)
    loud = np.flatnonzero(level >= max(level.max() * 10 ** (-QUIET_DB / 20), min(floor, level.max() / 4)))
    return float(loud[-1] + 1) / 100


def load_speech_samples(language: str, max_count: int | None = None) -> list[SpeechSample]:
    """Return the utterances of a language; with `max_count`, as many, spread over the list."""
    chosen = [e for e in json.loads((SPEECH_FOLDER / "index.json").read_text("utf-8")) if e["language"] == language]
    if max_count is not None and max_count < len(chosen):
        chosen = [chosen[i * len(chosen) // max_count] for i in range(max_count)]
    found = []
    for entry in chosen:
        samples, rate = soundfile.read(SPEECH_FOLDER / entry["file"], dtype="float32")
        samples = soxr.resample(samples, rate, RATE)
        human = entry["speaker"] == "human"
        found.append(SpeechSample(entry["file"], language, entry["text"], human, samples, acoustic_end_s(samples)))
    return found


def error_units(text: str, language: str) -> list[str]:
    """Return words (English) or characters (Chinese) without case and punctuation; small numbers as words."""
    if language == "zh":
        return re.findall(r"[\u3400-\u9fff]|[a-z0-9]+", text.lower())
    text = re.sub(r"\d", lambda m: f" {_DIGITS[int(m[0])]} ", re.sub(r"\b10\b", "ten", text.lower()))
    return re.findall(r"[a-z']+", text.replace("mr.", "mister"))


def edit_distance(said: Sequence[str], heard: Sequence[str]) -> int:
    """Return the number of insertions, deletions and replacements."""
    row = list(range(len(heard) + 1))
    for i, unit in enumerate(said, 1):
        previous, row[0] = row[0], i
        for j, other in enumerate(heard, 1):
            previous, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, previous + (unit != other))
    return row[-1]


def error_rate(pairs: Sequence[tuple[str, str]], language: str) -> float:
    """Return the word (English) or character (Chinese) error rate of (said, heard) pairs."""
    said = [error_units(s, language) for s, _ in pairs]
    wrong = sum(edit_distance(s, error_units(h, language)) for s, (_, h) in zip(said, pairs, strict=True))
    return wrong / max(1, sum(map(len, said)))
