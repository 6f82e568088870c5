"""Spoken requests to tools, synthetic: Kokoro-82M v1.0, voices am_michael and zm_yunyang; 16 kHz mono FLAC.

Made for this project (model: Apache-2.0). `index.json` has the text of each file.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

REQUESTS_FOLDER = Path(__file__).parent
RATE = 24_000


def load_request(language: str, name: str) -> NDArray[np.float32]:
    """Return the samples of a request: float32 mono at 24 kHz. `language` is "en" or "zh"."""
    samples, rate = soundfile.read(REQUESTS_FOLDER / language / f"{name}.flac", dtype="float32")
    return soxr.resample(samples, rate, RATE).astype(np.float32)
