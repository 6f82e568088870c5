"""Smart Turn: a network that hears in the voice whether a turn is over, from its melody, its fillers and its end.

`audio` is float32 mono at 16 kHz in [-1, 1]. The model is Smart Turn v3.2 (BSD-2-Clause), through ONNX Runtime.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from offline.audio import STT_SAMPLE_RATE, FloatAudio
from offline.models.onnx_session import open_onnx_session

from .log_mel import HOP_SAMPLES, log_mel

CONTEXT_S = 8
"""Seconds of audio that the model hears, the newest ones."""
CONTEXT_SAMPLES = CONTEXT_S * STT_SAMPLE_RATE
_VARIANCE_FLOOR = 1e-7
"""Added to the variance, so that silence is not divided by zero. As in the training."""


class TurnEndModel(Protocol):
    """Model of the end of a turn; implemented by `SmartTurn`. Blocks; one thread at a time."""

    def end_probability(self, audio: FloatAudio) -> float:
        """Return the probability (0 to 1) that the turn is over. `audio` is the turn, up to its newest silence."""


def turn_features(audio: FloatAudio) -> npt.NDArray[np.float32]:
    """Return the features of the last 8 s of `audio`: shape (80, 800). A shorter turn has silence in front."""
    newest = audio[-CONTEXT_SAMPLES:].astype(np.float32)
    padded = np.pad(newest, (CONTEXT_SAMPLES - len(newest), 0))
    normalized = (padded - padded.mean()) / np.sqrt(padded.var() + _VARIANCE_FLOOR)
    return log_mel(normalized.astype(np.float32), CONTEXT_SAMPLES // HOP_SAMPLES)


class SmartTurn:
    """Implements `TurnEndModel`. Takes some 40 ms of two processors, whatever the length of the turn."""

    def __init__(self, model: Path, threads: int) -> None:
        self._session = open_onnx_session(model, threads)

    def end_probability(self, audio: FloatAudio) -> float:
        """Return the probability (0 to 1) that the turn is over. `audio` is the turn, up to its newest silence."""
        outputs = self._session.run(None, {"input_features": turn_features(audio)[None]})
        return float(outputs[0].reshape(-1)[0])
