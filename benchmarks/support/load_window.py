"""What some seconds under load show, and what calls added until the sound broke do. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

MAX_FRAME_LATENESS_MS, MAX_LOOP_LAG_MS = 60.0, 40.0
"""The sound is broken: a frame so late, a 99th percentile of the loop's lag so large."""
MAX_CALLER_LATENESS_MS = 15.0
"""A window in which our own frames leave so late (95th percentile) says nothing of the app."""


class WindowVerdict(Enum):
    """What a window shows."""

    INTACT = "whole"
    BROKEN = "broken"
    CALLERS_TOO_SLOW = "generator"
    """The callers could not keep up: nothing is known of the app."""


@dataclass
class LoadWindow:
    """Some seconds with so many calls."""

    calls: int
    cpu_cores: float
    """That the app's process kept busy."""
    lag_p99_ms: float
    late_p99_ms: float
    late_max_ms: float
    lost_words: int
    dropped: int
    """Calls of which nothing came any more, at one end or the other."""
    own_late_ms: float
    """95th percentile of how late the callers were."""

    @property
    def verdict(self) -> WindowVerdict:
        if self.lag_p99_ms > MAX_LOOP_LAG_MS:
            return WindowVerdict.BROKEN
        if self.own_late_ms > MAX_CALLER_LATENESS_MS:
            return WindowVerdict.CALLERS_TOO_SLOW
        whole = self.late_max_ms <= MAX_FRAME_LATENESS_MS and not self.lost_words and not self.dropped
        return WindowVerdict.INTACT if whole else WindowVerdict.BROKEN


@dataclass
class LoadRamp:
    """Calls added until the sound broke."""

    max_calls: int = 0
    windows: list[LoadWindow] = field(default_factory=list)
    limited_by: str = ""

    @property
    def best_window(self) -> LoadWindow | None:
        """The window with the most calls that was whole."""
        whole = [one for one in self.windows if one.verdict is WindowVerdict.INTACT]
        return max(whole, key=lambda one: one.calls, default=None)
