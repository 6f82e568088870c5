"""Speech recognition rules without a model: voice checks, hallucination filters, language votes, caption limits."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from offline.audio import STT_SAMPLE_RATE, FloatAudio, to_pcm16
from offline.protocol.worker_messages import LanguageCode

from .hallucinations import repeats_a_phrase
from .turn_detection import VAD_WINDOW_SAMPLES, VadModel

MIN_SPEECH_S = 0.1
"""Seconds of audio below which no word fits in."""
MIN_AUDIBLE_RMS = 0.001
"""Root mean square (of 1.0) of 20 ms below which audio is silent. An engine may find words in it."""
MIN_VOICE_PROBABILITY = 0.5
"""Probability from which on a window may be a voice. Speech reaches 0.9; music touches 0.65 and barks stay below."""
MIN_VOICED_WINDOWS = 5
"""Windows of 32 ms from which on audio contains a voice. Knocks on wood have four."""
MAX_CHARS_PER_S = 35.0
"""Characters per second above which an engine is repeating itself."""

UNRECOGNIZED_TEXT: dict[LanguageCode, str] = {"en": "[English]", "zh": "［中文］"}
"""Transcript of speech in a language whose engine could not be loaded."""

LANGUAGE_VOTE_MIN_S = 0.6
"""Seconds of a turn, with its padding, needed for the first language vote."""
CONFIDENT_PROBABILITY = 0.9
"""Probability of a language from which on the next vote waits for a much longer turn."""
REVOTE_GROWTH_FACTOR = 2.5
"""Growth of the turn before the vote after a confident one."""
UNSURE_REVOTE_GROWTH_FACTOR = 1.3
"""Growth of the turn before the vote after another one."""
FINAL_REVOTE_GROWTH_FACTOR = 2.0
"""Growth of the turn since its only confident vote from which on the language is voted on again at its end."""
UNDECIDED_PROBABILITIES = (0.35, 0.65)
"""Mandarin probabilities between which the language of the previous turn is kept."""
LANGUAGE_VOTE_MAX_S = 12.0
"""Seconds of the newest audio that a language vote covers."""

CHINESE_CAPTION_INTERVAL_S = 1.2
"""Seconds of new speech before a Mandarin caption. One takes about 0.3 s of two cores."""
CAPTION_INTERVAL_RATIO = 0.12
"""Seconds of new speech before a caption, per second of audio that it transcribes again."""
CAPTION_WINDOW_MAX_S = 10.0
"""Seconds of a turn that a caption may transcribe again. Earlier audio is finalized in segments."""
FINALIZED_SEGMENT_MIN_S = 6.0
"""Seconds of the shortest finalized segment. It ends at the quietest point up to `CAPTION_WINDOW_MAX_S`."""

_NON_SPEECH_TEXT = re.compile(r"^\W*$|^\s*♪|^\s*[\[(♪].*[\])♪]\W*$")


@dataclass(frozen=True, slots=True)
class RecognitionResult:
    """Recognised text; "" without speech."""

    text: str
    language: LanguageCode
    endpoint_fault: str = ""
    """Why this computer's words replace the transcription endpoint's: the value of an `EndpointFault`; else ""."""


class SttEngine(Protocol):
    """Speech recognition model."""

    def transcribe(self, audio: FloatAudio, language: LanguageCode, context: str = "") -> str:
        """Return the words in `audio` (16 kHz); "" without any. `context`: words that are likely in it."""


class Recognizer(Protocol):
    """Recognition in all languages; implemented by `recognizers.BilingualRecognizer`. Blocks; one thread at a time."""

    @property
    def languages(self) -> Sequence[LanguageCode]:
        """Languages that are recognised. With Mandarin among them, the language can be detected."""

    def mandarin_probability(self, audio: FloatAudio) -> float:
        """Return the probability (0 to 1) that `audio` (16 kHz) is Mandarin."""

    def transcribe(self, audio: FloatAudio, language: LanguageCode, context: str = "") -> RecognitionResult: ...


def is_audible(audio: FloatAudio) -> bool:
    """Return whether any 20 ms of `audio` (16 kHz) are loud enough for speech."""
    step = STT_SAMPLE_RATE // 50
    frames = audio[: len(audio) // step * step].reshape(-1, step)
    return len(frames) > 0 and float((frames**2).mean(axis=1).max()) > MIN_AUDIBLE_RMS**2


def contains_voice(audio: FloatAudio, vad: VadModel) -> bool:
    """Return whether a new `vad` finds a voice in `audio` (16 kHz). Engines find words in loud noise, too."""
    voiced, window_bytes = 0, 2 * VAD_WINDOW_SAMPLES
    pcm = to_pcm16(audio)
    for start in range(0, len(pcm) - window_bytes + 1, window_bytes):
        voiced += vad(pcm[start : start + window_bytes]) >= MIN_VOICE_PROBABILITY
        if voiced == MIN_VOICED_WINDOWS:
            return True
    return False


def find_quietest_sample(audio: FloatAudio, start: int, end: int) -> int:
    """Return the sample in the middle of the quietest 100 ms of `audio[start:end]` (16 kHz), likely between words."""
    step = STT_SAMPLE_RATE // 100
    part = audio[start:end]
    levels = (part[: len(part) // step * step].reshape(-1, step) ** 2).mean(axis=1)
    if len(levels) < 10:
        return end
    return start + (int(np.convolve(levels, np.ones(10), "valid").argmin()) + 5) * step


def is_plausible(text: str, audio_s: float) -> bool:
    """Return False for a text without words, with too many for `audio_s` seconds, or with endless repetition."""
    if _NON_SPEECH_TEXT.match(text) or len(text) > MAX_CHARS_PER_S * audio_s + 20:
        return False
    return not (re.search(r"(.{2,40}?)\1{5,}", text) or repeats_a_phrase(text))


@dataclass(frozen=True, slots=True)
class LanguageVote:
    """Language estimate after `turn_s` seconds of a turn."""

    turn_s: float
    mandarin_probability: float
    """Probability (0 to 1) of Mandarin rather than English."""

    @property
    def is_confident(self) -> bool:
        return not 1 - CONFIDENT_PROBABILITY < self.mandarin_probability < CONFIDENT_PROBABILITY


def needs_language_vote(votes: Sequence[LanguageVote], turn_s: float) -> bool:
    """Return whether another vote is due after `turn_s` seconds of the turn."""
    if not votes:
        return turn_s >= LANGUAGE_VOTE_MIN_S
    last = votes[-1]
    if len(votes) > 1 and last.is_confident and votes[-2].is_confident:
        return False
    return turn_s > last.turn_s * (REVOTE_GROWTH_FACTOR if last.is_confident else UNSURE_REVOTE_GROWTH_FACTOR)


def needs_final_vote(votes: Sequence[LanguageVote], turn_s: float) -> bool:
    """Return whether another vote is due at the end of a turn of `turn_s` seconds. It delays the reply.

    A confident vote stands for a turn of at most twice its length: one second of a sentence can mislead.
    """
    if not votes or not votes[-1].is_confident:
        return True
    earlier, last = votes[-2:] if len(votes) > 1 else (None, votes[-1])
    if earlier is not None and earlier.is_confident:
        return (earlier.mandarin_probability > 0.5) != (last.mandarin_probability > 0.5)
    return turn_s > FINAL_REVOTE_GROWTH_FACTOR * last.turn_s


def choose_language(votes: Sequence[LanguageVote], previous: LanguageCode) -> LanguageCode:
    """Return the language of the last vote; `previous` (of the turn before) without a clear one."""
    low, high = UNDECIDED_PROBABILITIES
    if not votes or low < votes[-1].mandarin_probability < high:
        return previous
    return "zh" if votes[-1].mandarin_probability >= 0.5 else "en"
