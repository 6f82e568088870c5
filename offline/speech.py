"""Text to speech: hibari for English, Kokoro for Mandarin (with English words in it)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from hibari import Hibari

from offline import mandarin
from offline.chinese import HAN, is_chinese
from offline.kokoro import Kokoro
from offline.work import SAMPLE_RATE

Audio = npt.NDArray[np.float32]

DATA = Path(__file__).with_name("data")
SLOWEST, FASTEST = 0.25, 1.5
"""Bounds of `speed` in the Realtime protocol."""
MANDARIN_PACE = 1.1
"""Kokoro's Mandarin voice is slow at 1.0 beside natural talk."""
LEAD_MS = 30
"""Silence left before a clause: more would only delay the reply."""
SILENCE = 0.01
"""Amplitude below which sound at a clause's edge is silence."""


def to_pcm(audio: Audio) -> bytes:
    """float32 in [-1, 1] -> PCM16 little-endian."""
    return (np.clip(audio, -1.0, 1.0) * 32767.0).astype("<i2").tobytes()


def trim(audio: Audio, lead_ms: int, tail_ms: int) -> Audio:
    """Takes off the silence around speech but for `lead_ms` before and `tail_ms` after it."""
    loud = np.flatnonzero(np.abs(audio) > SILENCE)
    if not len(loud):
        return audio[:0]
    per_ms = SAMPLE_RATE // 1000
    return audio[max(0, loud[0] - lead_ms * per_ms) : loud[-1] + tail_ms * per_ms]


class Speaker:
    """One voice for each language. Blocks while it works; called from one thread at a time."""

    def __init__(self, kokoro: Path | None, threads: int) -> None:
        self._english = Hibari(threads=1)
        self._mandarin = (
            Kokoro(kokoro, DATA / "kokoro_vocab.json", DATA / "zf_xiaoxiao.bin", threads)
            if kokoro is not None
            else None
        )

    def say(self, text: str, speed: float = 1.0) -> bytes:
        """PCM16 at 24 kHz of one clause; b"" when there is nothing in it to say. `speed` 1.0 is the normal pace."""
        speed = min(FASTEST, max(SLOWEST, speed))
        if is_chinese(text):
            if self._mandarin is None:
                return b""
            # A clause cut between two words goes on: no pause belongs there.
            tail_ms = 40 if HAN.match(text.rstrip()[-1]) else 120
            return to_pcm(trim(self._mandarin(self._phonemes(text), speed * MANDARIN_PACE), LEAD_MS, tail_ms))
        if not any(c.isalnum() for c in text):
            return b""
        if text.rstrip()[-1].isalnum():  # a phrase: the voice must not fall, and no pause belongs after it
            return to_pcm(trim(self._english(text.rstrip() + ",", speed), LEAD_MS, 40))
        return to_pcm(trim(self._english(text, speed), LEAD_MS, 180))

    def _phonemes(self, text: str) -> str:
        return mandarin.phonemes(text, lambda words: " ".join(self._english.phonemize(words)))
