"""Speech of the load benchmark, and the search for missing pieces in received audio. Pure.

A conversation repeats a cycle of `CYCLE_S`: a user turn, the reply at once, a pause. Both are recordings of people.
The received audio is searched for each piece of voice that was sent.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from functools import cache

import av
import numpy as np
import soxr
from numpy.typing import NDArray
from scipy.fft import irfft, next_fast_len, rfft

from .speech_samples import RATE, load_speech_samples

USER_TURN_S, REPLY_S, CYCLE_S = 2.0, 3.0, 5.5
"""Seconds of one user turn, of one reply, and of the whole cycle."""
SILENCE_S = 0.2
"""Seconds of silence at the end of a reply."""
WINDOW_S = CYCLE_S + 0.7
"""Seconds of a window: it contains each word once, wherever it begins."""
FRAME_S = 0.02
FRAME_SAMPLES = RATE // 50
OPUS_RATE = 48_000
SEARCH_RATE = 8_000
"""Samples a second of the search: enough to recognise a piece."""
PIECE_SAMPLES = SEARCH_RATE // 5
"""Samples of a piece: 200 ms."""
MIN_MATCH_CORRELATION = 0.5
"""Correlation with the sent audio from which a piece counts as received. After the codec it is 0.8 or more."""

Pcm = NDArray[np.int16]


def _voice_samples(first: int, seconds: float) -> Pcm:
    """Return human voices from the recordings, beginning with number `first`."""
    voices = [one.samples[: int(one.end_s * RATE)] for one in load_speech_samples("en") if one.is_human]
    whole = np.concatenate(voices[first:])[: int(seconds * RATE)]
    return (whole / np.abs(whole).max() * 0.6 * 32767).astype(np.int16)


@cache
def user_turn_audio() -> Pcm:
    """Return the turn of each caller: int16 at 24 kHz."""
    return _voice_samples(0, USER_TURN_S)


@cache
def reply_audio() -> Pcm:
    """Return the server's reply: int16 at 24 kHz.

    It ends in silence because the plain demo sends the last 30 ms of a reply with the next one.
    """
    return np.concatenate([_voice_samples(3, REPLY_S - SILENCE_S), np.zeros(int(SILENCE_S * RATE), np.int16)])


@cache
def microphone_audio(speaking: bool = True) -> Pcm:
    """Return one cycle of a caller's microphone: the turn, then the faint noise of a room."""
    noise = np.random.default_rng(1).normal(0, 6, int(CYCLE_S * RATE)).astype(np.int16)
    if speaking:
        noise[: len(user_turn_audio())] = user_turn_audio()
    return noise


@cache
def opus_packets(speaking: bool = True) -> list[bytes]:
    """Return the same in Opus packets of 20 ms, as a browser sends it: mono, 48 kHz, 32 kbit/s."""
    codec = av.CodecContext.create("libopus", "w")
    codec.sample_rate, codec.layout, codec.format, codec.bit_rate = OPUS_RATE, "mono", "s16", 32_000
    codec.options = {"application": "voip"}
    codec.time_base = Fraction(1, OPUS_RATE)
    sound = soxr.resample(microphone_audio(speaking), RATE, OPUS_RATE).astype(np.int16)
    found = []
    for at in range(0, len(sound) - 959, 960):
        frame = av.AudioFrame.from_ndarray(sound[at : at + 960].reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate, frame.pts = OPUS_RATE, at
        found += [bytes(packet) for packet in codec.encode(frame)]
    return found


def decode_opus(packets: Iterable[bytes]) -> Pcm:
    """Return the audio of Opus packets, int16 at 24 kHz."""
    codec = av.CodecContext.create("libopus", "r")
    codec.sample_rate, codec.layout, codec.format = OPUS_RATE, "mono", "s16"
    frames = [frame.to_ndarray()[0] for data in packets for frame in codec.decode(av.Packet(data))]
    if not frames:
        return np.zeros(0, np.int16)
    sound: Pcm = soxr.resample(np.concatenate(frames), OPUS_RATE, RATE).astype(np.int16)
    return sound


@cache
def _voiced_pieces(of_reply: bool) -> list[NDArray[np.float32]]:
    """Return the pieces of the reply or turn that contain voice."""
    sound = soxr.resample((reply_audio() if of_reply else user_turn_audio()).astype(np.float32), RATE, SEARCH_RATE)
    pieces = sound[: len(sound) // PIECE_SAMPLES * PIECE_SAMPLES].reshape(-1, PIECE_SAMPLES)
    level = np.sqrt((pieces**2).mean(axis=1))
    return [piece for piece, loud in zip(pieces, level, strict=True) if loud > np.median(level) / 2]


def count_lost_pieces(heard: Pcm, *, of_reply: bool) -> int:
    """Return how many voiced pieces of the reply (or the user turn) are missing in `heard` (int16, 24 kHz)."""
    pieces = _voiced_pieces(of_reply)
    if len(heard) < RATE:
        return len(pieces)
    sound = soxr.resample(heard.astype(np.float32), RATE, SEARCH_RATE)
    size = next_fast_len(len(sound) + PIECE_SAMPLES)
    spectrum = rfft(sound, size)
    sums = np.concatenate([[0.0], np.cumsum(sound.astype(np.float64) ** 2)])
    level = np.sqrt(np.maximum(sums[PIECE_SAMPLES:] - sums[:-PIECE_SAMPLES], 1.0))
    lost = 0
    for piece in pieces:
        found = irfft(spectrum * np.conj(rfft(piece, size)), size)[: len(level)]
        lost += bool((found / level).max() / np.sqrt((piece**2).sum()) < MIN_MATCH_CORRELATION)
    return lost
