"""What a visitor wants otherwise than the operator set it, for their own calls. Pure.

Bounds are the operator's: a wish never makes a call cost more than theirs, nor last longer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import Any

from .settings import Eagerness, Language, NoiseReduction, Settings

Event = dict[str, Any]

LIVE_UPDATE_EVENT_ID = "update_wishes"
"""`event_id` of an update in the middle of a call, so that a refusal is told from any other error."""
MAX_INSTRUCTIONS_CHARS = 4000
"""Characters of a visitor's instructions."""


class EndpointingSpeed(StrEnum):
    """How soon a silence ends a turn."""

    QUICK = "quick"
    BALANCED = "balanced"
    """As the operator set it."""
    PATIENT = "patient"


SILENCE_MS = {EndpointingSpeed.QUICK: 200, EndpointingSpeed.PATIENT: 800}
"""The service's own shortest; and long enough to look for a word."""
EAGERNESS = {EndpointingSpeed.QUICK: Eagerness.HIGH, EndpointingSpeed.PATIENT: Eagerness.LOW}


@dataclass(frozen=True, slots=True)
class CallPreferences:
    """Whatever is not None, and not "", goes before the operator's setting."""

    model: str = ""
    """Counts from the next call; see `Endpoint.with_visitor_model`."""
    voice: str = ""
    """Counts from the next call: no server changes the voice of a session that has spoken."""
    language: Language | None = None
    instructions: str = ""
    endpointing_speed: EndpointingSpeed = EndpointingSpeed.BALANCED
    noise_reduction: NoiseReduction | None = None
    speed: float | None = None
    """0.25-1.5."""
    max_cost_usd: float = 0.0
    """USD of one call; 0: as the operator set it."""

    def apply_to(self, settings: Settings) -> Settings:
        """The settings of this visitor's calls."""
        caps = [cap for cap in (settings.max_call_cost, self.max_cost_usd) if cap > 0]
        return replace(
            settings,
            voice=self.voice or settings.voice,
            language=self.language or settings.language,
            instructions=self.instructions[:MAX_INSTRUCTIONS_CHARS] or settings.instructions,
            vad_silence_ms=SILENCE_MS.get(self.endpointing_speed, settings.vad_silence_ms),
            eagerness=EAGERNESS.get(self.endpointing_speed, settings.eagerness),
            noise_reduction=self.noise_reduction or settings.noise_reduction,
            speed=settings.speed if self.speed is None else min(1.5, max(0.25, self.speed)),
            max_call_cost=min(caps, default=0.0),
        )


class EffectiveFrom(StrEnum):
    """From when on a change counts. Values are codes for the page."""

    NOTHING = "nothing"
    NOW = "now"
    NEXT_TURN = "next_turn"
    NEXT_CALL = "next_call"


def effective_from(before: CallPreferences, after: CallPreferences, in_call: bool) -> EffectiveFrom:
    """When what has changed counts; where several things have, the latest of them."""
    changed = {item.name for item in fields(CallPreferences) if getattr(before, item.name) != getattr(after, item.name)}
    if not changed:
        return EffectiveFrom.NOTHING
    if not in_call or changed & {"model", "voice"}:
        return EffectiveFrom.NEXT_CALL
    return EffectiveFrom.NEXT_TURN if changed & {"instructions", "speed"} else EffectiveFrom.NOW


def diff_session(before: Mapping[str, Any], after: Mapping[str, Any]) -> Event:
    """What of a session is to be told to a server that has `before`, so that it has `after`; {} when nothing is.

    Objects that a server replaces as a whole (turn detection, transcription, noise reduction) are told as a whole.
    """
    changed: Event = {}
    for key, value in after.items():
        old = before.get(key)
        if old == value:
            continue
        if isinstance(old, Mapping) and isinstance(value, Mapping) and key in ("audio", "input", "output"):
            changed[key] = diff_session(old, value)
        else:
            changed[key] = value
    return changed


def build_live_update(before: Event, after: Event) -> Event | None:
    """The `session.update` in the middle of a call, from the one that opened it and the one that would open it now.

    The voice stays. None when nothing is to be told.
    """
    session = diff_session(before["session"], after["session"])
    session.get("audio", {}).get("output", {}).pop("voice", None)
    for name in ("output", "input"):
        if session.get("audio", {}).get(name) == {}:
            del session["audio"][name]
    if session.get("audio") == {}:
        del session["audio"]
    if not session:
        return None
    return {"type": "session.update", "event_id": LIVE_UPDATE_EVENT_ID, "session": {"type": "realtime", **session}}
