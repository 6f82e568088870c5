"""The audio formats of the wire: PCM16 at 24 kHz, and G.711 (mu-law, A-law) at 8 kHz.

Inside the server all sound is PCM16 at 24 kHz.
"""

from __future__ import annotations

import base64
import binascii
from functools import cache

import numpy as np
import soxr
from numpy.typing import NDArray

from .outputs import invalid_type, invalid_value
from .worker_messages import SAMPLE_RATE

G711_SAMPLE_RATE = 8000
BYTES_PER_MS = SAMPLE_RATE * 2 // 1000
SAMPLES_PER_MS = SAMPLE_RATE // 1000


def from_base64(value: object, path: str) -> bytes:
    """The bytes of a base64 text. Raises `ProtocolError` when it is none."""
    if not isinstance(value, str):
        raise invalid_type(path, "a base64 string")
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise invalid_value(path, "It is not valid base64.") from None


def to_base64(data: bytes) -> str:
    """Base64 text of `data`."""
    return base64.b64encode(data).decode("ascii")


@cache
def g711_decode_table(audio_format: str) -> NDArray[np.int16]:
    """What each of the 256 codes of "audio/pcmu" or "audio/pcma" means, as int16 (ITU-T G.711)."""
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
    """For each int16 (shifted up by 32768) the code whose meaning is nearest."""
    meaning = g711_decode_table(audio_format).astype(np.int32)
    order = np.argsort(meaning, kind="stable")
    levels = meaning[order]
    borders = (levels[1:] + levels[:-1]) / 2
    return order[np.searchsorted(borders, np.arange(-32768, 32768))].astype(np.uint8)


class InputAudioDecoder:
    """Turns the audio a client appends into PCM16 at 24 kHz, keeping the resampler's state between pieces."""

    def __init__(self, audio_format: str) -> None:
        self.audio_format = audio_format
        self._resampler = (
            None
            if audio_format == "audio/pcm"
            else soxr.ResampleStream(G711_SAMPLE_RATE, SAMPLE_RATE, 1, dtype="int16")
        )

    @property
    def bytes_per_ms(self) -> int:
        """Of what is decoded."""
        return BYTES_PER_MS if self._resampler is None else G711_SAMPLE_RATE // 1000

    def validate_length(self, data: bytes, path: str) -> None:
        """Raises `ProtocolError` for half a sample."""
        if self._resampler is None and len(data) % 2:
            raise invalid_value(path, "PCM16 audio has an even number of bytes.")

    def decode(self, data: bytes, path: str) -> bytes:
        """PCM16 of one piece. Raises `ProtocolError` for half a sample."""
        self.validate_length(data, path)
        if self._resampler is None:
            return data
        samples = g711_decode_table(self.audio_format)[np.frombuffer(data, np.uint8)]
        return bytes(self._resampler.resample_chunk(samples).tobytes())


def decode_recording(audio_format: str, data: bytes, path: str) -> bytes:
    """PCM16 at 24 kHz of a whole recording in the wire format `kind`."""
    if audio_format == "audio/pcm":
        return InputAudioDecoder(audio_format).decode(data, path)
    samples = g711_decode_table(audio_format)[np.frombuffer(data, np.uint8)]
    return bytes(soxr.resample(samples, G711_SAMPLE_RATE, SAMPLE_RATE).astype(np.int16).tobytes()) if data else b""


def encode_audio(audio_format: str, pcm: bytes) -> bytes:
    """A whole recording, or one clause, of PCM16 at 24 kHz in the wire format `kind`."""
    if audio_format == "audio/pcm" or not pcm:
        return pcm
    samples = soxr.resample(np.frombuffer(pcm, np.int16), SAMPLE_RATE, G711_SAMPLE_RATE).astype(np.int32)
    return bytes(_g711_encode_table(audio_format)[samples + 32768].tobytes())
