"""Audio formats of the protocol: PCM16 at 24 kHz, and G.711 (mu-law, A-law) at 8 kHz. Sessions hold PCM16 at 24 kHz."""

from __future__ import annotations

import base64
import binascii
from functools import cache

import numpy as np
import soxr
from numpy.typing import NDArray

from offline.audio import BYTES_PER_MS, SAMPLE_RATE

from .outputs import invalid_type, invalid_value

G711_SAMPLE_RATE = 8000
"""Samples per second of both G.711 formats; one byte per sample."""


def from_base64(value: object, path: str) -> bytes:
    """Decode base64. Raises `ProtocolError` for anything else; `path` names the field in its message."""
    if not isinstance(value, str):
        raise invalid_type(path, "a base64 string")
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise invalid_value(path, "It is not valid base64.") from None


def to_base64(data: bytes) -> str:
    """Encode `data` as base64 text."""
    return base64.b64encode(data).decode("ascii")


@cache
def g711_decode_table(audio_format: str) -> NDArray[np.int16]:
    """Return the int16 sample of each of the 256 codes of "audio/pcmu" or "audio/pcma" (ITU-T G.711)."""
    code = np.arange(256)
    if audio_format == "audio/pcmu":
        code = ~code & 0xFF
        exponent, mantissa = (code >> 4) & 7, code & 15
        magnitude = (((mantissa << 3) + 0x84) << exponent) - 0x84
        return np.where(code & 0x80, -magnitude, magnitude).astype(np.int16)
    code = code ^ 0x55
    exponent, mantissa = (code >> 4) & 7, code & 15
    magnitude = np.where(exponent == 0, (mantissa << 4) + 8, ((mantissa << 4) + 0x108) << np.maximum(exponent - 1, 0))
    return np.where(code & 0x80, magnitude, -magnitude).astype(np.int16)


@cache
def _g711_encode_table(audio_format: str) -> NDArray[np.uint8]:
    """Return the nearest code for each int16 sample, indexed by the sample plus 32768."""
    meaning = g711_decode_table(audio_format).astype(np.int32)
    order = np.argsort(meaning, kind="stable")
    levels = meaning[order]
    borders = (levels[1:] + levels[:-1]) / 2
    return order[np.searchsorted(borders, np.arange(-32768, 32768))].astype(np.uint8)


class InputAudioDecoder:
    """Converts appended audio to PCM16 at 24 kHz. Keeps the resampler's state between pieces."""

    def __init__(self, audio_format: str) -> None:
        self.audio_format = audio_format
        self._resampler = (
            None
            if audio_format == "audio/pcm"
            else soxr.ResampleStream(G711_SAMPLE_RATE, SAMPLE_RATE, 1, dtype="int16")
        )

    @property
    def bytes_per_ms(self) -> int:
        """Bytes of encoded audio per millisecond."""
        return BYTES_PER_MS if self._resampler is None else G711_SAMPLE_RATE // 1000

    def validate_length(self, data: bytes, path: str) -> None:
        """Raise `ProtocolError` for half a sample."""
        if self._resampler is None and len(data) % 2:
            raise invalid_value(path, "PCM16 audio has an even number of bytes.")

    def decode(self, data: bytes, path: str) -> bytes:
        """Return one piece as PCM16 at 24 kHz. Raises `ProtocolError` for half a sample."""
        self.validate_length(data, path)
        if self._resampler is None:
            return data
        samples = g711_decode_table(self.audio_format)[np.frombuffer(data, np.uint8)]
        return bytes(self._resampler.resample_chunk(samples).tobytes())


def decode_recording(audio_format: str, data: bytes, path: str) -> bytes:
    """Return a complete recording as PCM16 at 24 kHz. Raises `ProtocolError` for half a sample."""
    if audio_format == "audio/pcm":
        return InputAudioDecoder(audio_format).decode(data, path)
    samples = g711_decode_table(audio_format)[np.frombuffer(data, np.uint8)]
    return bytes(soxr.resample(samples, G711_SAMPLE_RATE, SAMPLE_RATE).astype(np.int16).tobytes()) if data else b""


def encode_audio(audio_format: str, pcm: bytes) -> bytes:
    """Return a recording or clause of PCM16 at 24 kHz in `audio_format`."""
    if audio_format == "audio/pcm" or not pcm:
        return pcm
    samples = soxr.resample(np.frombuffer(pcm, np.int16), SAMPLE_RATE, G711_SAMPLE_RATE).astype(np.int32)
    return bytes(_g711_encode_table(audio_format)[samples + 32768].tobytes())
