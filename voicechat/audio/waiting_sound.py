"""Waiting sound: a soft tick in the silence while a tool runs. Pure: time goes in.

It is made here and mixed into the loudspeaker's frames after the playback buffer, so it never counts as heard speech.
"""

from __future__ import annotations

import numpy as np

from .format import FRAME, RATE, Samples

DELAY_S = 1.2
"""Seconds of silence before the first tick."""
INTERVAL_S = 2.0
"""Seconds between two ticks."""
TICK_S = 0.06
PITCH_HZ = 660.0
LOUDNESS = 900
"""Peak of a tick, as a sample value: about -31 dB."""


def _make_tick() -> Samples:
    time = np.arange(round(TICK_S * RATE)) / RATE
    envelope = np.minimum(time / 0.004, 1.0) * np.exp(-time / 0.014)
    tick = LOUDNESS * envelope * np.sin(2 * np.pi * PITCH_HZ * time)
    tick *= np.minimum(1.0, (TICK_S - time) / 0.01)
    samples: Samples = np.rint(np.pad(tick, (0, -len(tick) % FRAME))).astype(np.int16)
    return samples


TICK = _make_tick()
"""Whole frames of one tick."""


class WaitingSound:
    """Ticks of one call."""

    def __init__(self) -> None:
        self._silent_since: float | None = None
        self._next_at = 0.0
        self._position = len(TICK)
        """Next sample of the tick; its length while none sounds."""

    def mix(self, samples: Samples, now: float, *, is_waiting: bool) -> Samples:
        """Return a frame with what is due of a tick. `is_waiting`: a tool runs, and neither side speaks."""
        if not is_waiting:
            self._silent_since, self._position = None, len(TICK)
            return samples
        if self._silent_since is None:
            self._silent_since, self._next_at = now, now + DELAY_S
        if self._position >= len(TICK):
            if now < self._next_at:
                return samples
            self._position, self._next_at = 0, now + INTERVAL_S
        tick = TICK[self._position : self._position + FRAME]
        self._position += FRAME
        mixed: Samples = np.clip(samples.astype(np.int32) + tick, -32768, 32767).astype(np.int16)
        return mixed
