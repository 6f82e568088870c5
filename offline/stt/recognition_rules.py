"""What it takes to hear a turn while it is still being spoken: pure rules, no model.

Audio for the engines is float32 mono at 16 kHz in [-1, 1].
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import soxr

from offline.protocol.worker_messages import SAMPLE_RATE, LanguageCode
from offline.tts.chinese_text import HAN_CHARACTER

from .turn_detection import VAD_WINDOW_SAMPLES, VadModel

Audio = npt.NDArray[np.float32]

STT_SAMPLE_RATE = 16_000
MIN_SPEECH_S = 0.1
"""Seconds of audio below which nothing can have been said."""
MIN_AUDIBLE_RMS = 0.001
"""Root mean square of 20 ms (of 1.0) below which it is silence, whatever an engine makes of it."""
MIN_VOICE_PROBABILITY = 0.3
"""Probability from which on a window of sound may be a voice: far above noise (0.16), far below speech (0.9)."""
MIN_VOICED_WINDOWS = 2
"""Such windows (of 32 ms) from which on it is one."""
MAX_CHARS_PER_S = 35.0
"""More characters a second than anyone speaks: the engine is repeating itself."""

LANGUAGE_VOTE_MIN_S = 0.6
"""Seconds of a turn (with what came just before it) from which its language can be told."""
CONFIDENT_PROBABILITY = 0.9
"""Probability of a language from which on it is not asked again until the turn is much longer."""
REVOTE_GROWTH_FACTOR = 2.5
"""How much longer that is."""
CHINESE_CAPTION_INTERVAL_S = 1.2
"""Seconds of new speech for which a Mandarin caption is worth its cost (about 0.3 s of both cores)."""

CAPTION_WINDOW_MAX_S = 10.0
"""Seconds of a turn that are transcribed again for each caption; what is longer is settled piece by piece."""
FINALIZED_SEGMENT_MIN_S = 6.0
"""Least length of such a piece in seconds: between this and `CAPTION_WINDOW_MAX_S` it ends where it is quietest."""
CAPTION_INTERVAL_RATIO = 0.12
"""Seconds of new speech for which a caption is worth making, for each second that is transcribed again for it."""
LANGUAGE_VOTE_MAX_S = 12.0
"""Seconds of a turn, the newest, that its language is told by."""

# What Whisper writes when it hears music, noise or nothing: lines of the subtitles it learned from.
_SUBTITLE_HALLUCINATION = re.compile(
    r"^\W*(you|thank you( (so|very) much)?( for watching)?|thanks for watching.*|字幕.*"
    r"|.*(訂閱|订阅).*(點贊|点赞|轉發|转发).*|.*(點贊|点赞).*(訂閱|订阅).*|[謝谢][謝谢](大家)?([觀观]看|收看)|[請请]不吝.*)\W*$",
    re.IGNORECASE,
)
SUBTITLE_MAX_LETTERS_PER_S = 14.0
"""Letters a second (a Chinese character counts as three) up to which such a line may well have been said."""
_NON_SPEECH_TEXT = re.compile(r"^\W*$|^\s*♪|^\s*[\[(♪].*[\])♪]\W*$")


@dataclass(frozen=True, slots=True)
class RecognitionResult:
    """What was said; "" when there was no speech in it."""

    text: str
    language: LanguageCode


class SttEngine(Protocol):
    """One speech recogniser."""

    def transcribe(self, audio: Audio, language: LanguageCode) -> str:
        """The words in `audio`; "" when none."""


class Recognizer(Protocol):
    """Hears all languages; see `recognition.Recognizer`. Blocks; called from one thread at a time."""

    def mandarin_probability(self, audio: Audio) -> float:
        """Probability in 0..1 that Mandarin is spoken."""

    def transcribe(self, audio: Audio, language: LanguageCode) -> RecognitionResult: ...


def resample_to_16k(pcm: bytes) -> Audio:
    """PCM16 mono at 24 kHz -> float32 at 16 kHz."""
    samples = np.frombuffer(pcm[: len(pcm) // 2 * 2], "<i2").astype(np.float32) / 32768
    resampled: Audio = soxr.resample(samples, SAMPLE_RATE, STT_SAMPLE_RATE, quality="HQ")
    return resampled


def is_audible(audio: Audio) -> bool:
    """Whether anything in `audio` is loud enough to be speech."""
    step = STT_SAMPLE_RATE // 50
    frames = audio[: len(audio) // step * step].reshape(-1, step)
    return len(frames) > 0 and float((frames**2).mean(axis=1).max()) > MIN_AUDIBLE_RMS**2


def contains_voice(audio: Audio, vad: VadModel) -> bool:
    """Whether a voice is in `audio`, as a fresh speech detector judges it; engines make words of loud noise, too."""
    found = 0
    pcm = (np.clip(audio, -1, 1) * 32767).astype("<i2").tobytes()
    for at in range(0, len(pcm) - 2 * VAD_WINDOW_SAMPLES + 1, 2 * VAD_WINDOW_SAMPLES):
        found += vad(pcm[at : at + 2 * VAD_WINDOW_SAMPLES]) >= MIN_VOICE_PROBABILITY
        if found == MIN_VOICED_WINDOWS:
            return True
    return False


def find_quietest_sample(audio: Audio, start: int, end: int) -> int:
    """The sample of `audio[start:end]` in the middle of its quietest 100 ms: most likely between two words."""
    step = STT_SAMPLE_RATE // 100
    part = audio[start:end]
    levels = (part[: len(part) // step * step].reshape(-1, step) ** 2).mean(axis=1)
    if len(levels) < 10:
        return end
    return start + (int(np.convolve(levels, np.ones(10), "valid").argmin()) + 5) * step


def is_plausible(text: str, seconds: float) -> bool:
    """False for texts that nobody can have said in `seconds`: no words at all, too many, or endless repetition."""
    if _NON_SPEECH_TEXT.match(text) or len(text) > MAX_CHARS_PER_S * seconds + 20:
        return False
    return not re.search(r"(.{2,40}?)\1{5,}", text)


def is_subtitle_hallucination(text: str, seconds: float) -> bool:
    """Whether `text` is a line Whisper makes up, and was hardly said in `seconds` of sound.

    "Thank you." and "You." are said often enough: other engines, which were not trained on subtitles, are believed.
    """
    letters = len(text) + 2 * len(HAN_CHARACTER.findall(text))
    return _SUBTITLE_HALLUCINATION.match(text) is not None and letters > SUBTITLE_MAX_LETTERS_PER_S * seconds


@dataclass(frozen=True, slots=True)
class LanguageVote:
    """What the language sounded like after `seconds` of a turn."""

    turn_s: float
    mandarin_probability: float
    """Probability in 0..1 of Mandarin rather than English."""

    @property
    def is_confident(self) -> bool:
        return not 1 - CONFIDENT_PROBABILITY < self.mandarin_probability < CONFIDENT_PROBABILITY


def needs_language_vote(votes: Sequence[LanguageVote], seconds: float) -> bool:
    """Whether the language should be listened for (again) with `seconds` of the turn at hand."""
    if not votes:
        return seconds >= LANGUAGE_VOTE_MIN_S
    last = votes[-1]
    if len(votes) > 1 and last.is_confident and votes[-2].is_confident:
        return False
    return seconds > last.turn_s * (REVOTE_GROWTH_FACTOR if last.is_confident else 1.3)


def choose_language(votes: Sequence[LanguageVote], previous: LanguageCode) -> LanguageCode:
    """The language of a turn: what its last vote says, or as in the turn `before` when that says little."""
    if not votes:
        return previous
    last = votes[-1]
    if 0.35 < last.mandarin_probability < 0.65:
        return previous
    return "zh" if last.mandarin_probability >= 0.5 else "en"
