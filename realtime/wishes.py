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

WISH_EVENT_ID = "update_wishes"
"""`event_id` of an update in the middle of a call, so that a refusal is told from any other error."""
MOST_INSTRUCTIONS = 4000
"""Characters of a visitor's instructions."""


class Pace(StrEnum):
    """How soon a silence ends a turn."""

    QUICK = "quick"
    BALANCED = "balanced"
    """As the operator set it."""
    PATIENT = "patient"


SILENCE_MS = {Pace.QUICK: 200, Pace.PATIENT: 800}
"""The service's own shortest; and long enough to look for a word."""
EAGERNESS = {Pace.QUICK: Eagerness.HIGH, Pace.PATIENT: Eagerness.LOW}


@dataclass(frozen=True, slots=True)
class Wishes:
    """Whatever is not None, and not "", goes before the operator's setting."""

    model: str = ""
    """Counts from the next call; see `Endpoint.choosing`."""
    voice: str = ""
    """Counts from the next call: no server changes the voice of a session that has spoken."""
    language: Language | None = None
    instructions: str = ""
    pace: Pace = Pace.BALANCED
    noise: NoiseReduction | None = None
    speed: float | None = None
    """0.25-1.5."""
    call_cost: float = 0.0
    """USD of one call; 0: as the operator set it."""

    def over(self, settings: Settings) -> Settings:
        """The settings of this visitor's calls."""
        caps = [cap for cap in (settings.max_call_cost, self.call_cost) if cap > 0]
        return replace(
            settings,
            voice=self.voice or settings.voice,
            language=self.language or settings.language,
            instructions=self.instructions[:MOST_INSTRUCTIONS] or settings.instructions,
            vad_silence_ms=SILENCE_MS.get(self.pace, settings.vad_silence_ms),
            eagerness=EAGERNESS.get(self.pace, settings.eagerness),
            noise_reduction=self.noise or settings.noise_reduction,
            speed=settings.speed if self.speed is None else min(1.5, max(0.25, self.speed)),
            max_call_cost=min(caps, default=0.0),
        )


class When(StrEnum):
    """From when on a change counts. Values are codes for the page."""

    NOTHING = "nothing"
    NOW = "now"
    NEXT_TURN = "next_turn"
    NEXT_CALL = "next_call"


def when(before: Wishes, after: Wishes, in_call: bool) -> When:
    """When what has changed counts; where several things have, the latest of them."""
    changed = {item.name for item in fields(Wishes) if getattr(before, item.name) != getattr(after, item.name)}
    if not changed:
        return When.NOTHING
    if not in_call or changed & {"model", "voice"}:
        return When.NEXT_CALL
    return When.NEXT_TURN if changed & {"instructions", "speed"} else When.NOW


def difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> Event:
    """What of a session is to be told to a server that has `before`, so that it has `after`; {} when nothing is.

    Objects that a server replaces as a whole (turn detection, transcription, noise reduction) are told as a whole.
    """
    changed: Event = {}
    for key, value in after.items():
        old = before.get(key)
        if old == value:
            continue
        if isinstance(old, Mapping) and isinstance(value, Mapping) and key in ("audio", "input", "output"):
            changed[key] = difference(old, value)
        else:
            changed[key] = value
    return changed


def live_update(before: Event, after: Event) -> Event | None:
    """The `session.update` in the middle of a call, from the one that opened it and the one that would open it now.

    The voice stays. None when nothing is to be told.
    """
    session = difference(before["session"], after["session"])
    session.get("audio", {}).get("output", {}).pop("voice", None)
    for name in ("output", "input"):
        if session.get("audio", {}).get(name) == {}:
            del session["audio"][name]
    if session.get("audio") == {}:
        del session["audio"]
    if not session:
        return None
    return {"type": "session.update", "event_id": WISH_EVENT_ID, "session": {"type": "realtime", **session}}
