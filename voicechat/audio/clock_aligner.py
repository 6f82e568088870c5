"""Alignment of one side of a recording with the call clock. Pure; counts in samples.

Frames follow one another without gaps, although they arrive late, early and in bunches. Only what the clock cannot
explain is corrected: a stall by silence, drift by silence or by samples left out.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from voicechat.audio.format import RATE

DRIFT_WINDOW_FRAMES = 50
"""Frames, one second, over which drift is judged: one of them arrives as early as it can."""
MAX_DRIFT_SAMPLES = RATE * 60 // 1000
"""Samples, 60 ms, that a side may differ from the clock. Lost packets and other computers' clocks add up over time."""
MAX_LEAD_SAMPLES = RATE
"""Samples, 1 s. A frame that is further ahead of the clock comes from a burst after a stall, and is left out."""


class Alignment(NamedTuple):
    """Correction before one frame is appended."""

    skip: int
    """Samples to leave out at the beginning of the frame."""
    pad: int
    """Samples of silence to insert before it."""


class ClockAligner:
    """Drift and stalls of one side."""

    def __init__(self, stall_samples: int) -> None:
        """`stall_samples`: lateness of a frame that counts as a stall, not as jitter."""
        self._stall_samples = stall_samples
        self._lateness_samples: deque[int] = deque(maxlen=DRIFT_WINDOW_FRAMES)
        self._surplus_samples = 0
        """Samples still to leave out: the side is ahead of the clock."""

    def align(self, clock_sample: int, end_sample: int, frame_samples: int) -> Alignment:
        """Return the correction for a frame of `frame_samples` that arrives at `clock_sample` of the clock.

        `end_sample`: length of the side so far.
        """
        lateness = clock_sample - end_sample
        if lateness < -MAX_LEAD_SAMPLES:
            return Alignment(frame_samples, 0)
        pad = self._silence_before(lateness, is_first=not end_sample)
        skip = min(self._surplus_samples, frame_samples)
        self._surplus_samples -= skip
        return Alignment(skip, pad)

    def _silence_before(self, lateness: int, *, is_first: bool) -> int:
        if is_first or lateness > self._stall_samples:
            self._reset()
            return max(0, lateness)
        self._lateness_samples.append(lateness)
        if len(self._lateness_samples) < DRIFT_WINDOW_FRAMES:
            return 0
        least, most = min(self._lateness_samples), max(self._lateness_samples)
        if least > MAX_DRIFT_SAMPLES:
            self._reset()
            return least
        if most < -MAX_DRIFT_SAMPLES:
            self._reset()
            self._surplus_samples = -most
        return 0

    def _reset(self) -> None:
        self._lateness_samples.clear()
        self._surplus_samples = 0
