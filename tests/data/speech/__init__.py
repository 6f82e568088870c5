"""Speech clips in this folder; README.md lists their sources and licences."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

SPEECH_FOLDER = Path(__file__).parent
RATE = 24_000


@dataclass(frozen=True)
class SpeechClip:
    """One clip: its text, and its audio as float32 mono at 24 kHz."""

    text: str
    samples: NDArray[np.float32]


def load_clip(language: str, speaker: str, number: int) -> SpeechClip:
    """Return clip `number` of a language ("en", "zh") and kind of speaker ("human", "synthetic")."""
    index = json.loads((SPEECH_FOLDER / "index.json").read_text("utf-8"))
    entry = [e for e in index if e["language"] == language and e["speaker"] == speaker][number]
    samples, rate = soundfile.read(SPEECH_FOLDER / entry["file"], dtype="float32", always_2d=True)
    return SpeechClip(entry["text"], soxr.resample(samples.mean(axis=1), rate, RATE).astype(np.float32))
