"""Audio format of the whole application: PCM16 mono at 24 kHz in frames of 20 ms, as the Realtime protocol has it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

RATE = 24_000
"""Samples per second."""
FRAME = RATE // 50
"""Samples in one 20 ms frame."""
FRAME_S = FRAME / RATE
"""Seconds in one frame."""
Samples = NDArray[np.int16]
