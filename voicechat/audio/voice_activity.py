"""Duration of the voice in the microphone since its last pause, from the energy of the frames. Pure.

The server reports the start of speech at once, but its end only after a silence. The energy shows sooner whether a
sound continues. It says nothing about the kind of sound.
"""

from __future__ import annotations

from collections import deque

import numpy as np

from voicechat.audio.format import FRAME_S, Samples

HISTORY_FRAMES = 75
"""Frames kept, 1.5 s."""
PREROLL_FRAMES = 15
"""Frames before the reported onset, 0.3 s, that can belong to the voice."""
MAX_GAP_FRAMES = 4
"""Quiet frames inside a voice, 0.08 s: the closure of a "t" takes as long."""
MIN_PEAK_RATIO = 0.15
"""Share of the loudest frame (-16 dB) below which a frame is no voice: the reverberation of a cough."""
MIN_NOISE_RATIO = 2.0
"""Ratio of a voice to the quietest kept frame (6 dB)."""


class EnergyVad:
    """Energy of the microphone's newest frames (root mean square)."""

    def __init__(self) -> None:
        self._rms_levels: deque[float] = deque(maxlen=HISTORY_FRAMES)

    def push(self, samples: Samples) -> None:
        """Add the next 20 ms of the microphone: int16[480]."""
        self._rms_levels.append(float(np.sqrt(np.mean(np.square(samples.astype(np.float32))))) if len(samples) else 0.0)

    def voice_duration_s(self, since_onset_s: float) -> float:
        """Return the seconds of the voice whose onset was `since_onset_s` ago; 0 when it has ended."""
        levels = list(self._rms_levels)
        recent = levels[-(PREROLL_FRAMES + round(since_onset_s / FRAME_S)) :]
        if not recent:
            return 0.0
        least = max(MIN_PEAK_RATIO * max(recent), MIN_NOISE_RATIO * min(levels), 1.0)
        length = quiet = 0
        for count, level in enumerate(reversed(recent), start=1):
            quiet = 0 if level >= least else quiet + 1
            if quiet > MAX_GAP_FRAMES:
                break
            length = count if not quiet else length
        return length * FRAME_S
