"""Speech synthesis: hibari for English, Kokoro for Mandarin with English words in it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from offline.audio import SAMPLES_PER_MS, FloatAudio, to_pcm16
from offline.chinese_text import HAN_CHARACTER, contains_han
from offline.protocol.worker_messages import LanguageCode

if TYPE_CHECKING:  # each is imported with its voice, so that a failure leaves the other voice
    from hibari import Hibari

    from .kokoro import Kokoro

DATA_DIR = Path(__file__).with_name("data")
MIN_SPEED, MAX_SPEED = 0.25, 1.5
"""Range of `speed` in the Realtime protocol."""
MANDARIN_SPEED_FACTOR = 1.1
"""Factor on the speed of Kokoro's Mandarin voice, which is slow at 1.0."""
LEADING_SILENCE_MS = 30
"""Milliseconds of silence kept before a clause. More would delay the reply."""
UNFINISHED_TAIL_MS, CHINESE_TAIL_MS, ENGLISH_TAIL_MS = 40, 120, 180
"""Milliseconds of silence kept after a clause: cut within a sentence, Chinese, English."""
SILENCE_AMPLITUDE = 0.01
"""Amplitude (of 1.0) below which audio at the edge of a clause is silence."""


def trim_silence(audio: FloatAudio, lead_ms: int, tail_ms: int) -> FloatAudio:
    """Return `audio` (24 kHz) with at most `lead_ms` of silence before and `tail_ms` after the speech."""
    loud = np.flatnonzero(np.abs(audio) > SILENCE_AMPLITUDE)
    if not len(loud):
        return audio[:0]
    return audio[max(0, loud[0] - lead_ms * SAMPLES_PER_MS) : loud[-1] + tail_ms * SAMPLES_PER_MS]


def load_english_voice() -> Hibari:
    """Return the English voice, whose model is part of its package."""
    from hibari import Hibari

    return Hibari(threads=1)


def load_mandarin_voice(model: Path, threads: int) -> Kokoro:
    """Return the Mandarin voice. `model` is Kokoro's file."""
    from . import mandarin_g2p  # noqa: F401  # it fails here rather than in a reply
    from .kokoro import Kokoro

    return Kokoro(model, DATA_DIR / "kokoro_vocab.json", DATA_DIR / "zf_xiaoxiao.bin", threads)


class Synthesizer:
    """Speech synthesis with one voice per language. Blocks; call it from one thread at a time."""

    def __init__(self, english: Hibari | None, mandarin: Kokoro | None) -> None:
        """Use these voices. None leaves a language out: its text has no sound."""
        self._english = english
        self._mandarin = mandarin

    @property
    def languages(self) -> tuple[LanguageCode, ...]:
        """Languages with a voice."""
        voices: dict[LanguageCode, object] = {"en": self._english, "zh": self._mandarin}
        return tuple(language for language, voice in voices.items() if voice is not None)

    def synthesize(self, text: str, speed: float = 1.0) -> bytes:
        """Return PCM16 at 24 kHz of one clause; b"" without speakable text. `speed` 1.0 is normal."""
        speed = min(MAX_SPEED, max(MIN_SPEED, speed))
        text = text.rstrip()
        if contains_han(text):
            if self._mandarin is None:
                return b""
            audio = self._mandarin(self._mandarin_phonemes(text), speed * MANDARIN_SPEED_FACTOR)
            tail_ms = UNFINISHED_TAIL_MS if HAN_CHARACTER.match(text[-1]) else CHINESE_TAIL_MS
        elif self._english is None or not any(c.isalnum() for c in text):
            return b""
        elif text[-1].isalnum():  # the sentence continues: a comma keeps the pitch up
            audio, tail_ms = self._english(text + ",", speed), UNFINISHED_TAIL_MS
        else:
            audio, tail_ms = self._english(text, speed), ENGLISH_TAIL_MS
        return to_pcm16(trim_silence(audio, LEADING_SILENCE_MS, tail_ms))

    def _mandarin_phonemes(self, text: str) -> str:
        from . import mandarin_g2p

        english = self._english
        return mandarin_g2p.to_phonemes(text, (lambda words: " ".join(english.phonemize(words))) if english else None)
