"""Text to speech: hibari for English, Kokoro for Mandarin (with English words in it)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from hibari import Hibari

from offline.protocol.worker_messages import SAMPLE_RATE

from . import mandarin_g2p
from .chinese_text import HAN_CHARACTER, contains_han
from .kokoro import Kokoro

Audio = npt.NDArray[np.float32]

DATA_DIR = Path(__file__).with_name("data")
MIN_SPEED, MAX_SPEED = 0.25, 1.5
"""Bounds of `speed` in the Realtime protocol."""
MANDARIN_SPEED_FACTOR = 1.1
"""Kokoro's Mandarin voice is slow at 1.0 beside natural talk."""
LEADING_SILENCE_MS = 30
"""Silence left before a clause: more would only delay the reply."""
SILENCE_AMPLITUDE = 0.01
"""Amplitude below which sound at a clause's edge is silence."""


def to_pcm16(audio: Audio) -> bytes:
    """float32 in [-1, 1] -> PCM16 little-endian."""
    return (np.clip(audio, -1.0, 1.0) * 32767.0).astype("<i2").tobytes()


def trim_silence(audio: Audio, lead_ms: int, tail_ms: int) -> Audio:
    """Takes off the silence around speech but for `lead_ms` before and `tail_ms` after it."""
    loud = np.flatnonzero(np.abs(audio) > SILENCE_AMPLITUDE)
    if not len(loud):
        return audio[:0]
    per_ms = SAMPLE_RATE // 1000
    return audio[max(0, loud[0] - lead_ms * per_ms) : loud[-1] + tail_ms * per_ms]


class Synthesizer:
    """One voice for each language. Blocks while it works; called from one thread at a time."""

    def __init__(self, kokoro: Path | None, threads: int) -> None:
        self._english = Hibari(threads=1)
        self._mandarin = (
            Kokoro(kokoro, DATA_DIR / "kokoro_vocab.json", DATA_DIR / "zf_xiaoxiao.bin", threads)
            if kokoro is not None
            else None
        )

    def synthesize(self, text: str, speed: float = 1.0) -> bytes:
        """PCM16 at 24 kHz of one clause; b"" when there is nothing in it to say. `speed` 1.0 is the normal pace."""
        speed = min(MAX_SPEED, max(MIN_SPEED, speed))
        if contains_han(text):
            if self._mandarin is None:
                return b""
            # A clause cut between two words goes on: no pause belongs there.
            tail_ms = 40 if HAN_CHARACTER.match(text.rstrip()[-1]) else 120
            return to_pcm16(
                trim_silence(
                    self._mandarin(self._mandarin_phonemes(text), speed * MANDARIN_SPEED_FACTOR),
                    LEADING_SILENCE_MS,
                    tail_ms,
                )
            )
        if not any(c.isalnum() for c in text):
            return b""
        if text.rstrip()[-1].isalnum():  # a phrase: the voice must not fall, and no pause belongs after it
            return to_pcm16(trim_silence(self._english(text.rstrip() + ",", speed), LEADING_SILENCE_MS, 40))
        return to_pcm16(trim_silence(self._english(text, speed), LEADING_SILENCE_MS, 180))

    def _mandarin_phonemes(self, text: str) -> str:
        return mandarin_g2p.to_phonemes(text, lambda words: " ".join(self._english.phonemize(words)))
