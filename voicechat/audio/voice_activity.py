"""How long a voice has been in the microphone without a pause. Pure.

The server says when speech begins at once, but when it ends only after a silence. How long somebody has been speaking
is known sooner from the sound itself: this tells nothing about what a sound is, only whether it goes on.
"""

from __future__ import annotations

from collections import deque

import numpy as np

from voicechat.audio.format import FRAME_S, Samples

HISTORY_FRAMES = 75
"""Frames remembered: 1.5 s."""
PREROLL_FRAMES = 15
"""Frames from before the voice was noticed that may belong to it: 0.3 s."""
MAX_GAP_FRAMES = 4
"""Frames of quiet inside a voice: the closure of a "t" takes up to 0.08 s."""
MIN_PEAK_RATIO = 0.15
"""Share of the loudest frame (-16 dB) below which there is no voice: the echo of a cough in a room."""
MIN_NOISE_RATIO = 2.0
"""A voice is so many times as loud as the quietest frame remembered (6 dB)."""


class EnergyVad:
    """The microphone's last frames, as loudness (root mean square)."""

    def __init__(self) -> None:
        self._rms_levels: deque[float] = deque(maxlen=HISTORY_FRAMES)

    def push(self, samples: Samples) -> None:
        """The next 20 ms of the microphone: int16[480]."""
        self._rms_levels.append(float(np.sqrt(np.mean(np.square(samples.astype(np.float32))))) if len(samples) else 0.0)

    def voice_duration_s(self, since_onset_s: float) -> float:
        """Seconds that the voice has lasted which was noticed `since_onset_s` ago; 0 when it is not heard any more."""
        levels = list(self._rms_levels)
        recent = levels[-(PREROLL_FRAMES + round(since_onset_s / FRAME_S)) :]
        if not recent:
            return 0.0
        least = max(MIN_PEAK_RATIO * max(recent), MIN_NOISE_RATIO * min(levels), 1.0)
        length = quiet = 0
        for place, level in enumerate(reversed(recent), start=1):
            quiet = 0 if level >= least else quiet + 1
            if quiet > MAX_GAP_FRAMES:
                break
            length = place if not quiet else length
        return length * FRAME_S
