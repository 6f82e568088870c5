"""Opus codec for frames of 20 ms: mono PCM16 at 24 kHz in and out.

libopus itself decodes to 24 kHz and encodes from it. PyAV uses it through FFmpeg, which always decodes to 48 kHz;
resampling then costs as much as decoding. So the libopus in PyAV's wheel is called directly. PyAV is the fallback, with
the same sound.
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
"""Hz of Opus's timestamps, at any sample rate."""
BIT_RATE_BPS = 96_000
"""Bits per second, as in aiortc."""
ENCODER_COMPLEXITY = 5
"""Level of 10, as WebRTC uses on phones. A higher one is not audible at this bit rate, and costs half as much again."""
SILENCE_SETTLE_FRAMES = 10
"""Silent frames, 200 ms, after which the encoder's packets no longer depend on earlier audio."""
MAX_SILENT_PACKET_BYTES = 3
"""Bytes of a packet that encodes silence only."""
MAX_PACKET_BYTES = 1275
MAX_PACKET_SAMPLES = RATE * 120 // 1000
"""Samples in the longest packet, 120 ms."""

_VOIP, _SET_BITRATE, _SET_COMPLEXITY = 2048, 4002, 4010  # opus_defines.h


class OpusDecoder(Protocol):
    """Decoder of one stream from a browser."""

    def decode(self, packet: bytes) -> bytes:
        """Return the PCM16 of one packet. Raise ValueError when it is not Opus."""


class OpusEncoder(Protocol):
    """Encoder of one stream to a browser."""

    def encode(self, pcm: bytes) -> bytes:
        """Return one packet with `FRAME` samples of PCM16; b"" while the encoder buffers."""


# -------------------------------------------------------------------- libopus


@cache
def load_libopus() -> Any | None:
    """Return the libopus in PyAV's wheel, or None."""
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
                log.info("opus: library not usable file=%s error=%s", path.name, type(error).__name__)
    return None


def _create_coder(library: Any, kind: str, owner: object, *arguments: int) -> Any:
    """Return a coder of libopus that is freed with its owner. Raise OSError when libopus creates none."""
    failed = ctypes.c_int()
    made = getattr(library, f"opus_{kind}_create")(*arguments, ctypes.byref(failed))
    if not made or failed.value:
        raise OSError(f"libopus created no {kind}: {failed.value}")
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
            raise ValueError(f"not Opus: {count}")
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
            raise ValueError("not Opus") from error
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
    """Return int16 samples, mono at 24 kHz, as an `av.AudioFrame`."""
    frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="mono")
    frame.sample_rate = RATE
    return frame


# -------------------------------------------------------------------- for the calls


class _SilenceCachingEncoder:
    """Encoder that repeats its last packet during longer silence."""

    def __init__(self, encoder: OpusEncoder) -> None:
        self._encoder = encoder
        self._silent_frames = 0
        """Consecutive silent frames."""
        self._last_packet = b""

    def encode(self, pcm: bytes) -> bytes:
        if pcm.count(0) == len(pcm):
            self._silent_frames += 1
            if self._silent_frames > SILENCE_SETTLE_FRAMES and 0 < len(self._last_packet) <= MAX_SILENT_PACKET_BYTES:
                return self._last_packet  # the encoder would return the same
        else:
            self._silent_frames = 0
        self._last_packet = self._encoder.encode(pcm)
        return self._last_packet


def create_decoder() -> OpusDecoder:
    """Return a decoder for one stream."""
    library = load_libopus()
    return _LibopusDecoder(library) if library is not None else _PyAvDecoder()


def create_encoder() -> OpusEncoder:
    """Return an encoder for one stream."""
    library = load_libopus()
    return _SilenceCachingEncoder(_LibopusEncoder(library) if library is not None else _PyAvEncoder())
