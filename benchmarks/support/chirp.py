"""Test signal whose pitch gives the position in it: a tone that rises at a constant rate. Pure."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

RATE = 24_000
CHIRP_S = 8.0
LOW_HZ, HIGH_HZ = 400.0, 2800.0
"""Hz at the beginning and at the end: 300 Hz for each second."""
CHIRP_AMPLITUDE = 0.3
TONE_MIN_RMS = 0.02
"""Root mean square that separates a tone from the codec's silence."""
WINDOW_SAMPLES = RATE // 200
"""Samples of one window in the search for the end of the tone: 5 ms."""

Audio = npt.NDArray[np.float32]


def chirp(seconds: float = CHIRP_S) -> Audio:
    """Return the first `seconds` of the signal, float32 at 24 kHz."""
    t = np.arange(int(seconds * RATE)) / RATE
    slope = (HIGH_HZ - LOW_HZ) / CHIRP_S
    return (CHIRP_AMPLITUDE * np.sin(2 * np.pi * (LOW_HZ * t + slope / 2 * t * t))).astype(np.float32)


def has_tone(heard: Audio) -> npt.NDArray[np.bool_]:
    """Return for each complete window of `WINDOW_SAMPLES` whether it has a tone."""
    parts = heard[: len(heard) // WINDOW_SAMPLES * WINDOW_SAMPLES].reshape(-1, WINDOW_SAMPLES)
    return np.sqrt((parts**2).mean(1)) > TONE_MIN_RMS


def position_ms(heard: Audio) -> float:
    """Return the position of the middle of these samples (at least 20 ms), by their strongest pitch."""
    size = 1 << 16
    spectrum = np.abs(np.fft.rfft(heard * np.hanning(len(heard)), size))
    spectrum[: int((LOW_HZ - 100) * size / RATE)] = 0
    pitch = float(spectrum.argmax()) * RATE / size
    return (pitch - LOW_HZ) / (HIGH_HZ - LOW_HZ) * CHIRP_S * 1000
