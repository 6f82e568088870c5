"""Audio inside the server: sample rates, array type and conversions.

Sessions hold PCM16 little-endian mono at 24 kHz as `bytes`. Models take and return float32 mono arrays in [-1, 1].
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import soxr

FloatAudio = npt.NDArray[np.float32]
"""Samples of shape (n,) in [-1, 1], mono."""

SAMPLE_RATE = 24_000
"""Samples per second of the protocol, the sessions and the synthesised speech."""
STT_SAMPLE_RATE = 16_000
"""Samples per second that the speech recognisers and the voice activity detector take."""
SAMPLES_PER_MS = SAMPLE_RATE // 1000
BYTES_PER_MS = 2 * SAMPLES_PER_MS


def duration_s(pcm: bytes) -> float:
    """Return the length in seconds of PCM16 at 24 kHz."""
    return len(pcm) / 2 / SAMPLE_RATE


def duration_ms(pcm: bytes | bytearray) -> float:
    """Return the length in milliseconds of PCM16 at 24 kHz."""
    return len(pcm) / BYTES_PER_MS


def to_pcm16(audio: FloatAudio) -> bytes:
    """Convert float32 samples to PCM16, clipped to [-1, 1], at the same rate."""
    return (np.clip(audio, -1.0, 1.0) * 32767.0).astype("<i2").tobytes()


def resample_to_16k(pcm: bytes) -> FloatAudio:
    """Convert PCM16 at 24 kHz to float32 at 16 kHz. An odd last byte is ignored."""
    samples = np.frombuffer(pcm[: len(pcm) // 2 * 2], "<i2").astype(np.float32) / 32768
    resampled: FloatAudio = soxr.resample(samples, SAMPLE_RATE, STT_SAMPLE_RATE, quality="HQ")
    return resampled


def rms(pcm: bytes) -> float:
    """Return the root mean square of PCM16, in units of one step (0 to 32768)."""
    return float(np.sqrt(np.mean(np.frombuffer(pcm, np.int16).astype(np.float32) ** 2)))
