"""How long a voice has been in the microphone without a pause. Pure.

The server says when speech begins at once, but when it ends only after a silence. How long somebody has been speaking
is known sooner from the sound itself: this tells nothing about what a sound is, only whether it goes on.
"""

from __future__ import annotations

from collections import deque

import numpy as np

from .playback import FRAME_S, Samples

KEPT = 75
"""Frames remembered: 1.5 s."""
EARLIER = 15
"""Frames from before the voice was noticed that may belong to it: 0.3 s."""
GAP = 4
"""Frames of quiet inside a voice: the closure of a "t" takes up to 0.08 s."""
WEAK = 0.15
"""Share of the loudest frame (-16 dB) below which there is no voice: the echo of a cough in a room."""
OVER_NOISE = 2.0
"""A voice is so many times as loud as the quietest frame remembered (6 dB)."""


class Loudness:
    """The microphone's last frames, as loudness (root mean square)."""

    def __init__(self) -> None:
        self._levels: deque[float] = deque(maxlen=KEPT)

    def hear(self, samples: Samples) -> None:
        """The next 20 ms of the microphone: int16[480]."""
        self._levels.append(float(np.sqrt(np.mean(np.square(samples.astype(np.float32))))) if len(samples) else 0.0)

    def voice_s(self, noticed_s: float) -> float:
        """Seconds that the voice has lasted which was noticed `noticed_s` ago; 0 when it is not heard any more."""
        levels = list(self._levels)
        recent = levels[-(EARLIER + round(noticed_s / FRAME_S)) :]
        if not recent:
            return 0.0
        least = max(WEAK * max(recent), OVER_NOISE * min(levels), 1.0)
        length = quiet = 0
        for place, level in enumerate(reversed(recent), start=1):
            quiet = 0 if level >= least else quiet + 1
            if quiet > GAP:
                break
            length = place if not quiet else length
        return length * FRAME_S
