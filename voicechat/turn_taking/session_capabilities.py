"""Session capabilities: what the connected server lets the client decide, by the settings that it confirmed. Pure.

Barge-in depends on `interrupt_response` and AEC warm-up on `threshold`. Servers echo these fields, echo others than
were sent, strip them, or confirm nothing. So a capability is used where the server confirmed its field, whatever server
it is, and from the moment of that confirmation.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from voicechat.config.settings import DuckingMode, Settings, TurnDetection

THRESHOLD_TOLERANCE = 0.005
"""Difference of a confirmed threshold from the one that was sent: servers keep it in fewer bits."""


class InterruptionPolicy(Enum):
    """Action at the first sound over a reply."""

    SERVER = "server"
    """The server stops its reply. The client stops the audio."""
    CLASSIFY = "classify"
    """The server goes on. The client ducks the reply, and decides."""
    FIRST_SOUND = "first_sound"
    """The client stops the audio, and cancels the reply at a server that may do so itself or not."""


@dataclass(frozen=True, slots=True)
class SessionCapabilities:
    """Capabilities of one session. The defaults are those of a server that has confirmed nothing."""

    interruption: InterruptionPolicy = InterruptionPolicy.FIRST_SOUND
    has_threshold: bool = False
    """The threshold of the server's voice detector can be changed in mid-call."""


def read_capabilities(turn_detection: Mapping[str, Any], settings: Settings) -> SessionCapabilities:
    """Return the capabilities of a session with this confirmed `turn_detection`; {} for none."""
    kind, interrupts = turn_detection.get("type"), turn_detection.get("interrupt_response")
    if kind not in list(TurnDetection):
        return SessionCapabilities()
    answers_turns = turn_detection.get("create_response") is not False
    if interrupts is True:
        interruption = InterruptionPolicy.SERVER
    elif interrupts is False and answers_turns and settings.ducking is not DuckingMode.OFF:
        interruption = InterruptionPolicy.CLASSIFY
    else:
        interruption = InterruptionPolicy.FIRST_SOUND
    return SessionCapabilities(interruption, _has_threshold(turn_detection, settings))


def _has_threshold(turn_detection: Mapping[str, Any], settings: Settings) -> bool:
    """Return whether the server took the threshold that it was sent: the usual one, or that of AEC warm-up."""
    threshold = turn_detection.get("threshold")
    if turn_detection.get("type") != TurnDetection.SERVER or isinstance(threshold, bool):
        return False
    return isinstance(threshold, int | float) and any(
        math.isclose(threshold, sent, abs_tol=THRESHOLD_TOLERANCE)
        for sent in (settings.vad_threshold, settings.echo_guard_threshold)
    )


class ConfirmedTurnDetection:
    """`turn_detection` that the connected server has confirmed so far, in one or several events."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.fields: dict[str, Any] = {}
        self.capabilities = SessionCapabilities()

    def handle_connected(self) -> None:
        """Forget all of it: the next server may be another one."""
        self.fields, self.capabilities = {}, SessionCapabilities()

    def confirm(self, turn_detection: Mapping[str, Any]) -> None:
        """Take over the confirmed fields. An event without any says nothing of them: it confirms other settings."""
        same_kind = turn_detection.get("type") in (None, self.fields.get("type"))
        self.fields = {**self.fields, **turn_detection} if same_kind else dict(turn_detection)
        self.capabilities = read_capabilities(self.fields, self._settings)
