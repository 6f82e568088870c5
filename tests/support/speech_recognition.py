"""Speech recognition for tests: words in audio, and the error rate of a transcript."""

from __future__ import annotations

import re
from functools import cache
from typing import Literal

import jiwer
import numpy as np
import soxr
from numpy.typing import NDArray

from offline.models.store import find_models
from offline.pipeline.loader import limit_openmp_spinning
from offline.stt.recognizers import Whisper


@cache
def _whisper() -> Whisper:
    limit_openmp_spinning()
    folder = find_models().whisper
    assert folder is not None, "The models are missing: run ./test.sh, or python -m offline.models fetch."
    return Whisper(folder, 2)


def transcribe(samples: NDArray[np.float32], language: Literal["en", "zh"] = "en") -> str:
    """Return the words in float32 audio at 24 kHz. Silence at both ends is cut off first."""
    loud = np.flatnonzero(np.abs(samples) > 0.01)
    if not len(loud):
        return ""
    spoken = samples[max(0, loud[0] - 4800) : loud[-1] + 4800]
    return _whisper().transcribe(soxr.resample(spoken, 24_000, 16_000).astype(np.float32), language)


def error_rate(expected: str, actual: str, by: Literal["word", "character"] = "word") -> float:
    """Return the word error rate, or for Chinese the character error rate, without case and punctuation."""
    if by == "character":
        return float(jiwer.cer(*("".join(re.findall(r"\w", text)) for text in (expected, actual))))
    return float(jiwer.wer(*(" ".join(re.findall(r"[\w']+", text.lower())) for text in (expected, actual))))
