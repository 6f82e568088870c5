"""A deafer ear in the first seconds of the first reply: the browser has not learned yet what our voice sounds like.

An echo canceller adapts while there is sound to adapt to. Until it has, what leaks from the loudspeaker into the
microphone is taken for a visitor who interrupts. Pure: the server's settings and times in, settings to tell it out.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any

WARMUP_S = 2.5
"""Echo cancellers settle within 1-3 s of sound; agents in the field guard 2-3 s."""
TURN_DETECTION_FIELDS = (
    *("type", "threshold", "prefix_padding_ms", "silence_duration_ms"),
    *("create_response", "interrupt_response"),
)
"""Of `turn_detection`, all that we set: a server may take a missing one for its default."""


class AecWarmupState(Enum):
    """How far the guard is."""

    WAITING = "waiting"
    """For the first reply."""
    RAISED = "raised"
    DONE = "done"


class AecWarmup:
    """The guard of one call."""

    def __init__(self, threshold: float) -> None:
        """`threshold` (0-1) of the voice detector meanwhile; 0: no guard."""
        self.state = AecWarmupState.WAITING if threshold else AecWarmupState.DONE
        self._threshold = threshold
        self._normal_turn_detection: dict[str, Any] = {}
        """`turn_detection` as the server has confirmed it, where it has a threshold."""
        self._raised_at = 0.0

    def apply_turn_detection(self, turn_detection: Mapping[str, Any]) -> None:
        """The server's settings, as it confirms them."""
        if self.state is AecWarmupState.WAITING:
            threshold = turn_detection.get("threshold")
            known = turn_detection.get("type") == "server_vad" and isinstance(threshold, int | float)
            self._normal_turn_detection = (
                {key: turn_detection[key] for key in TURN_DETECTION_FIELDS if key in turn_detection} if known else {}
            )
        elif (
            self.state is AecWarmupState.RAISED and self._normal_turn_detection
        ):  # the visitor's wishes may have changed all but the threshold
            kept = {key: turn_detection[key] for key in TURN_DETECTION_FIELDS if key in turn_detection}
            self._normal_turn_detection = {
                **self._normal_turn_detection,
                **kept,
                "threshold": self._normal_turn_detection["threshold"],
            }

    def tick_20ms(self, now: float, reply_started: bool, reply_in_progress: bool) -> dict[str, Any] | None:
        """The `turn_detection` to tell the server now, if any. `sounded`: a reply has been heard in this call;
        `speaking`: one is being heard or is to go on."""
        if self.state is AecWarmupState.WAITING and reply_started:
            self.state, self._raised_at = AecWarmupState.RAISED, now
            if not self._normal_turn_detection or self._normal_turn_detection["threshold"] >= self._threshold:
                self.state = AecWarmupState.DONE
                return None
            return {**self._normal_turn_detection, "threshold": self._threshold}
        if self.state is AecWarmupState.RAISED and (now - self._raised_at >= WARMUP_S or not reply_in_progress):
            self.state = AecWarmupState.DONE
            return self._normal_turn_detection
        return None

    def handle_disconnected(self) -> None:
        """The next connection begins with the usual settings."""
        if self.state is AecWarmupState.RAISED:
            self.state = AecWarmupState.DONE
