"""AEC warm-up: a higher threshold of the server's voice detector in the first seconds of the first reply. Pure.

The browser's echo canceller adapts while it plays audio. Until it has adapted, the microphone picks up the reply, and
the server would take that for an interruption. Confirmed settings and times go in, settings for the server come out.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any

WARMUP_S = 2.5
"""Seconds of the higher threshold: echo cancellers adapt within 1-3 s of audio."""
TURN_DETECTION_FIELDS = (
    *("type", "threshold", "prefix_padding_ms", "silence_duration_ms", "adaptive_silence"),
    *("create_response", "interrupt_response"),
)
"""Fields of `turn_detection` that are sent: a server may set a missing one to its default."""


class AecWarmupState(Enum):
    """Progress of the warm-up."""

    WAITING = "waiting"
    """The first reply has not been played."""
    RAISED = "raised"
    DONE = "done"


class AecWarmup:
    """AEC warm-up of a call."""

    def __init__(self, threshold: float) -> None:
        """`threshold`: of the voice detector (0-1) during the warm-up; 0 for no warm-up."""
        self.state = AecWarmupState.WAITING if threshold else AecWarmupState.DONE
        self._threshold = threshold
        self._normal_turn_detection: dict[str, Any] = {}
        """`turn_detection` that the server confirmed, if it has a threshold."""
        self._raised_at = 0.0

    def apply_turn_detection(self, turn_detection: Mapping[str, Any]) -> None:
        """Take over the settings that the server confirms."""
        if self.state is AecWarmupState.WAITING:
            threshold = turn_detection.get("threshold")
            known = turn_detection.get("type") == "server_vad" and isinstance(threshold, int | float)
            self._normal_turn_detection = (
                {key: turn_detection[key] for key in TURN_DETECTION_FIELDS if key in turn_detection} if known else {}
            )
        elif self.state is AecWarmupState.RAISED and self._normal_turn_detection:
            # The visitor's preferences may have changed all but the threshold.
            kept = {key: turn_detection[key] for key in TURN_DETECTION_FIELDS if key in turn_detection}
            self._normal_turn_detection = {
                **self._normal_turn_detection,
                **kept,
                "threshold": self._normal_turn_detection["threshold"],
            }

    def tick_20ms(self, now: float, reply_started: bool, reply_in_progress: bool) -> dict[str, Any] | None:
        """Return the `turn_detection` to send now, or None.

        `reply_started`: a reply has been played in this call. `reply_in_progress`: one is being played or made.
        """
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
        """End the warm-up: the next connection starts with the usual settings."""
        if self.state is AecWarmupState.RAISED:
            self.state = AecWarmupState.DONE
