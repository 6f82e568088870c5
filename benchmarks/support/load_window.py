"""Results of the load benchmark: one window of a few seconds, and one ramp of windows. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

MAX_FRAME_LATENESS_MS, MAX_LOOP_LAG_MS = 60.0, 40.0
"""Milliseconds above which audio counts as broken: lateness of a frame, event loop lag (99th percentile)."""
MAX_CALLER_LATENESS_MS = 15.0
"""Milliseconds of the callers' own lateness (95th percentile) above which a window is not valid."""


class WindowVerdict(Enum):
    """Result of a window."""

    INTACT = "intact"
    BROKEN = "broken"
    CALLERS_TOO_SLOW = "generator"
    """The callers were too slow, so the window is not valid."""


@dataclass
class LoadWindow:
    """Measurements of a few seconds with a number of calls."""

    calls: int
    cpu_cores: float
    """Cores kept busy by the app's process."""
    lag_p99_ms: float
    late_p99_ms: float
    late_max_ms: float
    lost_words: int
    dropped: int
    """Calls without audio at one of their ends."""
    own_late_ms: float
    """Lateness of the callers' own frames, 95th percentile."""

    @property
    def verdict(self) -> WindowVerdict:
        if self.lag_p99_ms > MAX_LOOP_LAG_MS:
            return WindowVerdict.BROKEN
        if self.own_late_ms > MAX_CALLER_LATENESS_MS:
            return WindowVerdict.CALLERS_TOO_SLOW
        is_intact = self.late_max_ms <= MAX_FRAME_LATENESS_MS and not self.lost_words and not self.dropped
        return WindowVerdict.INTACT if is_intact else WindowVerdict.BROKEN


@dataclass
class LoadRamp:
    """Windows with more and more calls, until the audio broke."""

    max_calls: int = 0
    windows: list[LoadWindow] = field(default_factory=list)
    limited_by: str = ""

    @property
    def best_window(self) -> LoadWindow | None:
        """The intact window with the most calls."""
        intact = [one for one in self.windows if one.verdict is WindowVerdict.INTACT]
        return max(intact, key=lambda one: one.calls, default=None)
