"""Opus, 20 ms at a time: mono PCM16 at 24 kHz in and out, as the calls have it.

libopus decodes to 24 kHz and encodes from it by itself. FFmpeg, by which PyAV reaches it, always decodes to 48 kHz, and
resampling that costs as much as decoding. So the libopus that PyAV brings along is called directly; where it is not
found, PyAV is used, which sounds the same.
"""

from __future__ import annotations

import ctypes
import logging
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any, Protocol
from weakref import finalize

import av
import numpy as np
from numpy.typing import NDArray

from voicechat.audio.format import FRAME, RATE

log = logging.getLogger(__name__)

RTP_CLOCK_RATE = 48_000
"""Of Opus's timestamps, whatever the sound's rate."""
BIT_RATE_BPS = 96_000
"""bit/s, as aiortc has it."""
ENCODER_COMPLEXITY = 5
"""Of 10, as WebRTC has it on phones. At this bit rate more is not heard, and costs half as much again."""
SILENCE_SETTLE_FRAMES = 10
"""Frames of silence, 200 ms, after which the encoder has nothing of the sound before it left to say."""
MAX_SILENT_PACKET_BYTES = 3
"""Bytes of a packet that says only that there is silence."""
MAX_PACKET_BYTES = 1275
MAX_PACKET_SAMPLES = RATE * 120 // 1000
"""A packet holds 120 ms at most."""

_VOIP, _SET_BITRATE, _SET_COMPLEXITY = 2048, 4002, 4010  # opus_defines.h


class OpusDecoder(Protocol):
    """One stream from a browser."""

    def decode(self, packet: bytes) -> bytes:
        """The sound of one packet: PCM16. Raises ValueError for what is no Opus."""


class OpusEncoder(Protocol):
    """One stream to a browser."""

    def encode(self, pcm: bytes) -> bytes:
        """One packet of `FRAME` samples of PCM16; b"" where there is none."""


# -------------------------------------------------------------------- libopus


@cache
def load_libopus() -> Any | None:
    """The libopus that is in PyAV's wheel, or None."""
    package = Path(av.__file__).parent
    for folder in (package.with_name("av.libs"), package / ".dylibs"):
        for path in sorted(folder.glob("*opus*")):
            try:
                library = ctypes.CDLL(str(path))
                for name in ("opus_encoder_create", "opus_decoder_create"):
                    getattr(library, name).restype = ctypes.c_void_p
                for name in ("opus_encoder_destroy", "opus_decoder_destroy"):
                    getattr(library, name).restype = None
                return library
            except (OSError, AttributeError) as error:
                log.info("%s is no libopus that can be used: %s", path.name, type(error).__name__)
    return None


def _create_coder(library: Any, kind: str, owner: object, *arguments: int) -> Any:
    """A coder of libopus's that is freed with its owner. Raises OSError when there is none to be had."""
    failed = ctypes.c_int()
    made = getattr(library, f"opus_{kind}_create")(*arguments, ctypes.byref(failed))
    if not made or failed.value:
        raise OSError(f"libopus makes no {kind}: {failed.value}")
    handle = ctypes.c_void_p(made)
    finalize(owner, getattr(library, f"opus_{kind}_destroy"), handle)
    return handle


class _LibopusDecoder:
    def __init__(self, library: Any) -> None:
        self._decode = library.opus_decode
        self._state = _create_coder(library, "decoder", self, RATE, 1)
        self._out = ctypes.create_string_buffer(MAX_PACKET_SAMPLES * 2)
        self._view = memoryview(self._out)

    def decode(self, packet: bytes) -> bytes:
        count = self._decode(self._state, packet, len(packet), self._out, MAX_PACKET_SAMPLES, 0)
        if count < 0:
            raise ValueError(f"no Opus: {count}")
        return bytes(self._view[: count * 2])


class _LibopusEncoder:
    def __init__(self, library: Any) -> None:
        self._encode = library.opus_encode
        self._state = _create_coder(library, "encoder", self, RATE, 1, _VOIP)
        self._out = ctypes.create_string_buffer(MAX_PACKET_BYTES)
        self._view = memoryview(self._out)
        for what, value in ((_SET_BITRATE, BIT_RATE_BPS), (_SET_COMPLEXITY, ENCODER_COMPLEXITY)):
            library.opus_encoder_ctl(self._state, what, ctypes.c_int(value))

    def encode(self, pcm: bytes) -> bytes:
        count = self._encode(self._state, pcm, FRAME, self._out, MAX_PACKET_BYTES)
        return bytes(self._view[: max(0, count)])


# -------------------------------------------------------------------- PyAV


class _PyAvDecoder:
    def __init__(self) -> None:
        self._codec: Any = av.CodecContext.create("libopus", "r")
        self._codec.format, self._codec.layout, self._codec.sample_rate = "s16", "mono", RTP_CLOCK_RATE
        self._resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE)

    def decode(self, packet: bytes) -> bytes:
        try:
            found = [
                part for frame in self._codec.decode(av.Packet(packet)) for part in self._resampler.resample(frame)
            ]
        except av.FFmpegError as error:
            raise ValueError("no Opus") from error
        return b"".join(bytes(part.planes[0])[: part.samples * 2] for part in found)


class _PyAvEncoder:
    def __init__(self) -> None:
        codec: Any = av.CodecContext.create("libopus", "w")
        codec.format, codec.layout, codec.sample_rate, codec.bit_rate = "s16", "mono", RATE, BIT_RATE_BPS
        codec.options = {"application": "voip", "compression_level": str(ENCODER_COMPLEXITY)}
        codec.time_base = Fraction(1, RATE)
        self._codec = codec

    def encode(self, pcm: bytes) -> bytes:
        return b"".join(bytes(packet) for packet in self._codec.encode(to_av_frame(np.frombuffer(pcm, "<i2"))))


def to_av_frame(samples: NDArray[np.int16]) -> Any:
    """int16 samples, mono at 24 kHz, as an `av.AudioFrame`."""
    frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="mono")
    frame.sample_rate = RATE
    return frame


# -------------------------------------------------------------------- for the calls


class _SilenceCachingEncoder:
    """An encoder that is not asked again and again for silence."""

    def __init__(self, encoder: OpusEncoder) -> None:
        self._encoder = encoder
        self._silent_frames = 0
        """Frames of silence in a row."""
        self._last_packet = b""

    def encode(self, pcm: bytes) -> bytes:
        if pcm.count(0) == len(pcm):
            self._silent_frames += 1
            if self._silent_frames > SILENCE_SETTLE_FRAMES and 0 < len(self._last_packet) <= MAX_SILENT_PACKET_BYTES:
                return self._last_packet  # what the encoder would say again
        else:
            self._silent_frames = 0
        self._last_packet = self._encoder.encode(pcm)
        return self._last_packet


def create_decoder() -> OpusDecoder:
    """For one stream."""
    library = load_libopus()
    return _LibopusDecoder(library) if library is not None else _PyAvDecoder()


def create_encoder() -> OpusEncoder:
    """For one stream."""
    library = load_libopus()
    return _SilenceCachingEncoder(_LibopusEncoder(library) if library is not None else _PyAvEncoder())
