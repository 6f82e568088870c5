"""Speech synthesis: hibari or Kokoro for English, Kokoro for Mandarin with English words in it."""

from __future__ import annotations

import re
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from offline.audio import SAMPLES_PER_MS, FloatAudio, to_pcm16
from offline.chinese_text import HAN_CHARACTER, contains_han
from offline.protocol.voices import DEFAULT_STYLE, HIBARI, SPEAKERS, voice_pair
from offline.protocol.worker_messages import LanguageCode

from .spoken_form import spoken_form
from .styles import Style, VoiceStyles

if TYPE_CHECKING:  # each is imported with its voice, so that a failure leaves the other voice
    from hibari import Hibari
    from hibari.g2p import G2P

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
_HALF_OF_DAY = re.compile(r"\b([AP]) M\b\.?")
SILENCE_AMPLITUDE = 0.01
"""Amplitude (of 1.0) below which audio at the edge of a clause is silence."""


def trim_silence(audio: FloatAudio, lead_ms: int, tail_ms: int) -> FloatAudio:
    """Return `audio` (24 kHz) with at most `lead_ms` of silence before and `tail_ms` after the speech."""
    loud = np.flatnonzero(np.abs(audio) > SILENCE_AMPLITUDE)
    if not len(loud):
        return audio[:0]
    return audio[max(0, loud[0] - lead_ms * SAMPLES_PER_MS) : loud[-1] + tail_ms * SAMPLES_PER_MS]


def words_for_hibari(words: str) -> str:
    """Return spoken words as hibari reads them: it takes the A of "A M" for the article."""
    return _HALF_OF_DAY.sub(r"\1.M.", words).strip()


def load_english_voice() -> Hibari:
    """Return the English voice, whose model is part of its package."""
    from hibari import Hibari

    return Hibari(threads=1)


def load_mandarin_voice(model: Path, threads: int) -> Kokoro:
    """Return Kokoro with its default style. `model` is its file."""
    from . import mandarin_g2p  # noqa: F401  # it fails here rather than in a reply
    from .kokoro import Kokoro

    return Kokoro(model, DATA_DIR / "kokoro_vocab.json", DATA_DIR / f"{DEFAULT_STYLE}.bin", threads)


class Synthesizer:
    """Speech synthesis with the speakers of a voice, one per language. Blocks; call it from one thread at a time."""

    def __init__(self, english: Hibari | None, mandarin: Kokoro | None, styles: VoiceStyles | None = None) -> None:
        """Use these engines. None leaves a language out: its text has no sound. `styles` None leaves the default."""
        self._english = english
        self._mandarin = mandarin
        self._styles = styles or VoiceStyles(lambda _: None)

    @property
    def languages(self) -> tuple[LanguageCode, ...]:
        """Languages with a voice."""
        voices: dict[LanguageCode, object] = {"en": self._english, "zh": self._mandarin}
        return tuple(language for language, voice in voices.items() if voice is not None)

    @property
    def speakers(self) -> tuple[str, ...]:
        """Ids of the speakers that can be used now, in the order of `SPEAKERS`."""
        return tuple(each for each in SPEAKERS if self._has_speaker(each))

    def _has_speaker(self, speaker: str) -> bool:
        if speaker == HIBARI:
            return self._english is not None
        if self._mandarin is None or (SPEAKERS[speaker] == "en" and self._english is None):  # hibari has the phonemes
            return False
        return speaker == DEFAULT_STYLE or self._styles.has(speaker)

    def synthesize(self, text: str, speed: float = 1.0, voice: str = "") -> bytes:
        """Return PCM16 at 24 kHz of one written clause; b"" when nothing of it can be said. `speed` 1.0 is normal.

        `voice` is one of `VOICE_IDS`; "" is the default. A speaker whose style is missing is replaced by the default.
        """
        pair = voice_pair(voice)
        speed = min(MAX_SPEED, max(MIN_SPEED, speed))
        text = words_for_hibari(spoken_form(text))
        if contains_han(text):
            if self._mandarin is None:
                return b""
            style = None if pair.mandarin == DEFAULT_STYLE else self._styles.get(pair.mandarin)
            audio = self._mandarin(self._mandarin_phonemes(text), speed * MANDARIN_SPEED_FACTOR, style)
            tail_ms = UNFINISHED_TAIL_MS if HAN_CHARACTER.match(text[-1]) else CHINESE_TAIL_MS
        elif self._english is None or not any(c.isalnum() for c in text):
            return b""
        elif text[-1].isalnum():  # the sentence continues: a comma keeps the pitch up
            audio, tail_ms = self._say_english(text + ",", speed, pair.english), UNFINISHED_TAIL_MS
        else:
            audio, tail_ms = self._say_english(text, speed, pair.english), ENGLISH_TAIL_MS
        return to_pcm16(trim_silence(audio, LEADING_SILENCE_MS, tail_ms))

    def _say_english(self, text: str, speed: float, speaker: str) -> FloatAudio:
        """Return the samples of one clause. hibari speaks where Kokoro or the style is missing."""
        assert self._english is not None
        style: Style | None = None
        if speaker != HIBARI and self._mandarin is not None:
            style = self._styles.get(speaker)
        if style is None or self._mandarin is None:
            audio: FloatAudio = self._english(text, speed)
            return audio
        return self._mandarin(self._english_phonemes(text, is_british=speaker.startswith("b")), speed, style)

    @cached_property
    def _british_g2p(self) -> G2P:
        from hibari.g2p import G2P

        return G2P(british=True)

    def _english_phonemes(self, text: str, *, is_british: bool) -> str:
        """Return Kokoro's phonemes of English text: hibari's own alphabet is the same."""
        assert self._english is not None
        if not is_british:
            return " ".join(self._english.phonemize(text))
        return " ".join(map(self._british_g2p, self._english.split_sentences(text)))

    def _mandarin_phonemes(self, text: str) -> str:
        from . import mandarin_g2p

        english = self._english
        return mandarin_g2p.to_phonemes(text, (lambda words: " ".join(english.phonemize(words))) if english else None)
