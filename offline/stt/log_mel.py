"""Log-mel features of audio, as Whisper was trained on. Pure.

`audio` is float32 mono at 16 kHz.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import numpy.typing as npt

from offline.audio import STT_SAMPLE_RATE, FloatAudio

HOP_SAMPLES = 160
"""Samples between two frames (10 ms)."""
_HANN_WINDOW = np.hanning(401)[:-1].astype(np.float32)


@cache
def _mel_filters(bins: int, size: int = 400) -> npt.NDArray[np.float32]:
    """Return Slaney's mel filter bank, which Whisper was trained with: shape (bins, size // 2 + 1)."""
    frequencies = np.fft.rfftfreq(size, 1 / STT_SAMPLE_RATE)
    mels = np.linspace(0.0, 15.0 + 27.0 * math.log(8000 / 1000) / math.log(6.4), bins + 2)
    edges = np.where(mels >= 15.0, 1000.0 * np.exp(math.log(6.4) / 27.0 * (mels - 15.0)), 200.0 / 3.0 * mels)
    rise = (frequencies[None] - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    fall = (edges[2:, None] - frequencies[None]) / (edges[2:] - edges[1:-1])[:, None]
    weights = np.maximum(0, np.minimum(rise, fall)) * (2.0 / (edges[2:] - edges[:-2]))[:, None]
    filters: npt.NDArray[np.float32] = weights.astype(np.float32)
    return filters


def log_mel(audio: FloatAudio, frames: int, bins: int = 80) -> npt.NDArray[np.float32]:
    """Return Whisper's features: shape (bins, frames), one frame per 10 ms. `audio` is cut or padded with silence."""
    samples = frames * HOP_SAMPLES
    audio = np.pad(audio[:samples], (0, max(0, samples - len(audio))))
    audio = np.pad(audio, (200, 200), mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(audio, 400)[::HOP_SAMPLES][:frames]
    power = np.abs(np.fft.rfft(windows * _HANN_WINDOW, axis=1)).astype(np.float32) ** 2
    mel = np.log10(np.maximum(_mel_filters(bins) @ power.T, 1e-10))
    mel = np.maximum(mel, mel.max() - 8.0)
    features: npt.NDArray[np.float32] = ((mel + 4.0) / 4.0).astype(np.float32)
    return features
