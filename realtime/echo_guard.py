"""A deafer ear in the first seconds of the first reply: the browser has not learned yet what our voice sounds like.

An echo canceller adapts while there is sound to adapt to. Until it has, what leaks from the loudspeaker into the
microphone is taken for a visitor who interrupts. Pure: the server's settings and times in, settings to tell it out.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any

GUARD_S = 2.5
"""Echo cancellers settle within 1-3 s of sound; agents in the field guard 2-3 s."""
FIELDS = (
    *("type", "threshold", "prefix_padding_ms", "silence_duration_ms"),
    *("create_response", "interrupt_response"),
)
"""Of `turn_detection`, all that we set: a server may take a missing one for its default."""


class State(Enum):
    """How far the guard is."""

    WAITING = "waiting"
    """For the first reply."""
    RAISED = "raised"
    DONE = "done"


class EchoGuard:
    """The guard of one call."""

    def __init__(self, threshold: float) -> None:
        """`threshold` (0-1) of the voice detector meanwhile; 0: no guard."""
        self.state = State.WAITING if threshold else State.DONE
        self._threshold = threshold
        self._usual: dict[str, Any] = {}
        """`turn_detection` as the server has confirmed it, where it has a threshold."""
        self._since = 0.0

    def session(self, turn_detection: Mapping[str, Any]) -> None:
        """The server's settings, as it confirms them."""
        if self.state is State.WAITING:
            threshold = turn_detection.get("threshold")
            known = turn_detection.get("type") == "server_vad" and isinstance(threshold, int | float)
            self._usual = {key: turn_detection[key] for key in FIELDS if key in turn_detection} if known else {}
        elif self.state is State.RAISED and self._usual:  # the visitor's wishes may have changed all but the threshold
            kept = {key: turn_detection[key] for key in FIELDS if key in turn_detection}
            self._usual = {**self._usual, **kept, "threshold": self._usual["threshold"]}

    def beat(self, now: float, sounded: bool, speaking: bool) -> dict[str, Any] | None:
        """The `turn_detection` to tell the server now, if any. `sounded`: a reply has been heard in this call;
        `speaking`: one is being heard or is to go on."""
        if self.state is State.WAITING and sounded:
            self.state, self._since = State.RAISED, now
            if not self._usual or self._usual["threshold"] >= self._threshold:
                self.state = State.DONE
                return None
            return {**self._usual, "threshold": self._threshold}
        if self.state is State.RAISED and (now - self._since >= GUARD_S or not speaking):
            self.state = State.DONE
            return self._usual
        return None

    def line_lost(self) -> None:
        """The next connection begins with the usual settings."""
        if self.state is State.RAISED:
            self.state = State.DONE
