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

from offline.chinese import HAN
from offline.turn_detection import VAD_SAMPLES, Probability
from offline.work import SAMPLE_RATE, Language

Audio = npt.NDArray[np.float32]

RATE = 16_000
SHORTEST_S = 0.1
"""Seconds of audio below which nothing can have been said."""
AUDIBLE = 0.001
"""Root mean square of 20 ms (of 1.0) below which it is silence, whatever an engine makes of it."""
PERHAPS_A_VOICE = 0.3
"""Probability from which on a window of sound may be a voice: far above noise (0.16), far below speech (0.9)."""
VOICED_WINDOWS = 2
"""Such windows (of 32 ms) from which on it is one."""
CHARS_PER_S = 35.0
"""More characters a second than anyone speaks: the engine is repeating itself."""

VOTE_FROM_S = 0.6
"""Seconds of a turn (with what came just before it) from which its language can be told."""
SURE = 0.9
"""Probability of a language from which on it is not asked again until the turn is much longer."""
LONGER = 2.5
"""How much longer that is."""
CHINESE_CAPTIONS_S = 1.2
"""Seconds of new speech for which a Mandarin caption is worth its cost (about 0.3 s of both cores)."""

CAPTION_MOST_S = 10.0
"""Seconds of a turn that are transcribed again for each caption; what is longer is settled piece by piece."""
SETTLE_FROM_S = 6.0
"""Least length of such a piece in seconds: between this and `CAPTION_MOST_S` it ends where it is quietest."""
CAPTION_SHARE = 0.12
"""Seconds of new speech for which a caption is worth making, for each second that is transcribed again for it."""
VOTE_MOST_S = 12.0
"""Seconds of a turn, the newest, that its language is told by."""

# What Whisper writes when it hears music, noise or nothing: lines of the subtitles it learned from.
_SUBTITLES = re.compile(
    r"^\W*(you|thank you( (so|very) much)?( for watching)?|thanks for watching.*|字幕.*"
    r"|.*(訂閱|订阅).*(點贊|点赞|轉發|转发).*|.*(點贊|点赞).*(訂閱|订阅).*|[謝谢][謝谢](大家)?([觀观]看|收看)|[請请]不吝.*)\W*$",
    re.IGNORECASE,
)
SUBTITLES_PER_S = 14.0
"""Letters a second (a Chinese character counts as three) up to which such a line may well have been said."""
_NOISE = re.compile(r"^\W*$|^\s*♪|^\s*[\[(♪].*[\])♪]\W*$")


@dataclass(frozen=True, slots=True)
class Heard:
    """What was said; "" when there was no speech in it."""

    text: str
    language: Language


class Engine(Protocol):
    """One speech recogniser."""

    def transcribe(self, audio: Audio, language: Language) -> str:
        """The words in `audio`; "" when none."""


class Hearer(Protocol):
    """Hears all languages; see `recognition.Recognizer`. Blocks; called from one thread at a time."""

    def language(self, audio: Audio) -> float:
        """Probability in 0..1 that Mandarin is spoken."""

    def transcribe(self, audio: Audio, language: Language) -> Heard: ...


def to_16k(pcm: bytes) -> Audio:
    """PCM16 mono at 24 kHz -> float32 at 16 kHz."""
    samples = np.frombuffer(pcm[: len(pcm) // 2 * 2], "<i2").astype(np.float32) / 32768
    resampled: Audio = soxr.resample(samples, SAMPLE_RATE, RATE, quality="HQ")
    return resampled


def audible(audio: Audio) -> bool:
    """Whether anything in `audio` is loud enough to be speech."""
    step = RATE // 50
    frames = audio[: len(audio) // step * step].reshape(-1, step)
    return len(frames) > 0 and float((frames**2).mean(axis=1).max()) > AUDIBLE**2


def voiced(audio: Audio, probability: Probability) -> bool:
    """Whether a voice is in `audio`, as a fresh speech detector judges it; engines make words of loud noise, too."""
    found = 0
    pcm = (np.clip(audio, -1, 1) * 32767).astype("<i2").tobytes()
    for at in range(0, len(pcm) - 2 * VAD_SAMPLES + 1, 2 * VAD_SAMPLES):
        found += probability(pcm[at : at + 2 * VAD_SAMPLES]) >= PERHAPS_A_VOICE
        if found == VOICED_WINDOWS:
            return True
    return False


def quietest(audio: Audio, start: int, end: int) -> int:
    """The sample of `audio[start:end]` in the middle of its quietest 100 ms: most likely between two words."""
    step = RATE // 100
    part = audio[start:end]
    levels = (part[: len(part) // step * step].reshape(-1, step) ** 2).mean(axis=1)
    if len(levels) < 10:
        return end
    return start + (int(np.convolve(levels, np.ones(10), "valid").argmin()) + 5) * step


def plausible(text: str, seconds: float) -> bool:
    """False for texts that nobody can have said in `seconds`: no words at all, too many, or endless repetition."""
    if _NOISE.match(text) or len(text) > CHARS_PER_S * seconds + 20:
        return False
    return not re.search(r"(.{2,40}?)\1{5,}", text)


def from_subtitles(text: str, seconds: float) -> bool:
    """Whether `text` is a line Whisper makes up, and was hardly said in `seconds` of sound.

    "Thank you." and "You." are said often enough: other engines, which were not trained on subtitles, are believed.
    """
    letters = len(text) + 2 * len(HAN.findall(text))
    return _SUBTITLES.match(text) is not None and letters > SUBTITLES_PER_S * seconds


@dataclass(frozen=True, slots=True)
class Vote:
    """What the language sounded like after `seconds` of a turn."""

    seconds: float
    chinese: float
    """Probability in 0..1 of Mandarin rather than English."""

    @property
    def sure(self) -> bool:
        return not 1 - SURE < self.chinese < SURE


def vote_wanted(votes: Sequence[Vote], seconds: float) -> bool:
    """Whether the language should be listened for (again) with `seconds` of the turn at hand."""
    if not votes:
        return seconds >= VOTE_FROM_S
    last = votes[-1]
    if len(votes) > 1 and last.sure and votes[-2].sure:
        return False
    return seconds > last.seconds * (LONGER if last.sure else 1.3)


def choose(votes: Sequence[Vote], before: Language) -> Language:
    """The language of a turn: what its last vote says, or as in the turn `before` when that says little."""
    if not votes:
        return before
    last = votes[-1]
    if 0.35 < last.chinese < 0.65:
        return before
    return "zh" if last.chinese >= 0.5 else "en"
