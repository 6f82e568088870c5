"""What some seconds under load show, and what calls added until the sound broke do. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

LATE_MS, LAG_MS = 60.0, 40.0
"""The sound is broken: a frame so late, a 99th percentile of the loop's lag so large."""
OWN_LATE_MS = 15.0
"""A window in which our own frames leave so late (95th percentile) says nothing of the app."""


class Verdict(Enum):
    """What a window shows."""

    WHOLE = "whole"
    BROKEN = "broken"
    GENERATOR = "generator"
    """The callers could not keep up: nothing is known of the app."""


@dataclass
class Window:
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
    def verdict(self) -> Verdict:
        if self.lag_p99_ms > LAG_MS:
            return Verdict.BROKEN
        if self.own_late_ms > OWN_LATE_MS:
            return Verdict.GENERATOR
        whole = self.late_max_ms <= LATE_MS and not self.lost_words and not self.dropped
        return Verdict.WHOLE if whole else Verdict.BROKEN


@dataclass
class Ramp:
    """Calls added until the sound broke."""

    most: int = 0
    windows: list[Window] = field(default_factory=list)
    limited_by: str = ""

    @property
    def at_most(self) -> Window | None:
        """The window with the most calls that was whole."""
        whole = [one for one in self.windows if one.verdict is Verdict.WHOLE]
        return max(whole, key=lambda one: one.calls, default=None)
