"""WAV files: samples of any common form as PCM16 mono at 24 kHz, and PCM16 as a file.

Source of the layout: the Microsoft Multimedia Programming Interface 1.0 and its extensible format.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import Enum

import numpy as np
import soxr

from .audio import SAMPLE_RATE, FloatAudio, to_pcm16

MIN_RATE, MAX_RATE = 4_000, 384_000
"""Samples per second of audio that is read."""
MAX_CHANNELS = 8
"""Channels of audio that is read; more is a damaged header."""
_INTEGER, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
"""Format tags."""


class SampleKind(Enum):
    """Form of one sample, little-endian."""

    UNSIGNED_8 = "unsigned_8"
    INT_16 = "int_16"
    INT_24 = "int_24"
    INT_32 = "int_32"
    FLOAT_32 = "float_32"
    FLOAT_64 = "float_64"


_KINDS = {
    (_INTEGER, 8): SampleKind.UNSIGNED_8,
    (_INTEGER, 16): SampleKind.INT_16,
    (_INTEGER, 24): SampleKind.INT_24,
    (_INTEGER, 32): SampleKind.INT_32,
    (_FLOAT, 32): SampleKind.FLOAT_32,
    (_FLOAT, 64): SampleKind.FLOAT_64,
}
_WIDTHS = {kind: bits // 8 for (_, bits), kind in _KINDS.items()}


@dataclass(frozen=True, slots=True)
class SampleFormat:
    """Form of interleaved samples. Raises `ValueError` for a rate or a number of channels out of range."""

    rate: int = SAMPLE_RATE
    """Samples per second and channel."""
    channels: int = 1
    kind: SampleKind = SampleKind.INT_16

    def __post_init__(self) -> None:
        if not (MIN_RATE <= self.rate <= MAX_RATE and 1 <= self.channels <= MAX_CHANNELS):
            raise ValueError("the sample rate or the number of channels is out of range")


def parse_wav(body: bytes) -> tuple[SampleFormat, bytes]:
    """Return the form and the samples of a WAV file. Raises `ValueError` for another file or an unknown form.

    A file that was streamed has no true sizes: data of size 0 or beyond the end reaches to the end.
    """
    if body[:4] not in (b"RIFF", b"RF64") or body[8:12] != b"WAVE":
        raise ValueError("this is no WAV file")
    sample_format, at = None, 12
    while at + 8 <= len(body):
        name, size = struct.unpack_from("<4sI", body, at)
        at += 8
        if name == b"fmt ":
            sample_format = _parse_format(body[at : at + size])
        elif name == b"data":
            if sample_format is None:
                raise ValueError("the samples precede their format")
            return sample_format, body[at : at + size] if size else body[at:]
        at += size + size % 2
    raise ValueError("the file has no samples")


def _parse_format(chunk: bytes) -> SampleFormat:
    if len(chunk) < 16:
        raise ValueError("the format is incomplete")
    tag, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", chunk)
    if tag == _EXTENSIBLE and len(chunk) >= 26:
        (tag,) = struct.unpack_from("<H", chunk, 24)  # the first two bytes of the sub-format
    kind = _KINDS.get((tag, bits))
    if kind is None:
        raise ValueError(f"samples of format {tag} with {bits} bits are not known")
    return SampleFormat(rate, channels, kind)


def to_session_pcm(sample_format: SampleFormat, data: bytes) -> bytes:
    """Return PCM16 mono at 24 kHz. Several channels are averaged; an incomplete last sample is dropped."""
    frame_bytes = sample_format.channels * _WIDTHS[sample_format.kind]
    data = data[: len(data) // frame_bytes * frame_bytes]
    if sample_format == SampleFormat() or not data:
        return data
    audio = _to_float(sample_format.kind, data)
    if sample_format.channels > 1:
        audio = audio.reshape(-1, sample_format.channels).mean(axis=1)
    if sample_format.rate != SAMPLE_RATE:
        audio = soxr.resample(audio, sample_format.rate, SAMPLE_RATE, quality="HQ")
    return to_pcm16(audio)


def _to_float(kind: SampleKind, data: bytes) -> FloatAudio:
    match kind:
        case SampleKind.UNSIGNED_8:
            return np.frombuffer(data, "u1").astype(np.float32) * np.float32(2**-7) - np.float32(1)
        case SampleKind.INT_16:
            return np.frombuffer(data, "<i2").astype(np.float32) * np.float32(2**-15)
        case SampleKind.INT_24:
            widened = np.zeros((len(data) // 3, 4), np.uint8)
            widened[:, 1:] = np.frombuffer(data, np.uint8).reshape(-1, 3)
            return widened.view("<i4")[:, 0].astype(np.float32) * np.float32(2**-31)
        case SampleKind.INT_32:
            return np.frombuffer(data, "<i4").astype(np.float32) * np.float32(2**-31)
        case SampleKind.FLOAT_32 | SampleKind.FLOAT_64:
            samples = np.frombuffer(data, "<f4" if kind is SampleKind.FLOAT_32 else "<f8")
            clipped: FloatAudio = np.clip(np.nan_to_num(samples), -1.0, 1.0).astype(np.float32)
            return clipped


def wav_file(pcm: bytes, rate: int) -> bytes:
    """Return PCM16 mono as a WAV file."""
    head = struct.pack("<4sI4s4sIHHIIHH", b"RIFF", 36 + len(pcm), b"WAVE", b"fmt ", 16, 1, 1, rate, 2 * rate, 2, 16)
    return head + struct.pack("<4sI", b"data", len(pcm)) + pcm
