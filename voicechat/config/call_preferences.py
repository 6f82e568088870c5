"""A visitor's preferences for their own calls, which override the operator's settings. Pure.

The operator's limits stay: no preference makes a call longer or more expensive than they allow.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from typing import Any

from .settings import Eagerness, Language, NoiseReduction, Settings

Event = dict[str, Any]

LIVE_UPDATE_EVENT_ID = "update_preferences"
"""`event_id` of a `session.update` during a call. It identifies the refusal of the update among other errors."""
MAX_INSTRUCTIONS_CHARS = 4000
"""Characters of a visitor's instructions. Longer ones are cut."""
MAX_JSON_NAME_CHARS = 200
"""Characters of a name in JSON."""
MAX_JSON_NAMES = 1000
"""Names of switched-off tools in JSON."""


class EndpointingSpeed(StrEnum):
    """Speed at which silence ends a turn."""

    QUICK = "quick"
    BALANCED = "balanced"
    """The operator's settings."""
    PATIENT = "patient"


SILENCE_MS = {EndpointingSpeed.QUICK: 200, EndpointingSpeed.PATIENT: 800}
"""Milliseconds of silence that end a turn: the shortest of OpenAI, or enough to search for a word."""
EAGERNESS = {EndpointingSpeed.QUICK: Eagerness.HIGH, EndpointingSpeed.PATIENT: Eagerness.LOW}


@dataclass(frozen=True, slots=True)
class CallPreferences:
    """Preferences of a visitor. None and "" keep the operator's setting."""

    model: str = ""
    """Model from the next call on; see `Endpoint.with_visitor_model`."""
    voice: str = ""
    """Voice from the next call on: no server changes the voice of a session that has spoken."""
    language: Language | None = None
    instructions: str = ""
    endpointing_speed: EndpointingSpeed = EndpointingSpeed.BALANCED
    noise_reduction: NoiseReduction | None = None
    speed: float | None = None
    """Speaking speed, limited to 0.25-1.5."""
    max_cost_usd: float = 0.0
    """US dollars of one call; 0: the operator's limit."""
    persona: str = ""
    """Key of the persona chosen last; "": the first one, as long as nothing was chosen. The page shows it. The
    instructions count, which the visitor may have changed."""
    switched_off_tools: frozenset[str] = frozenset()
    """Names of tools that this visitor's model may not call. The operator alone adds tools."""

    def apply_to(self, settings: Settings) -> Settings:
        """Return the settings of this visitor's calls."""
        persona_instructions = settings.personas[0].instructions if not self.persona else ""  # chosen at first
        caps = [cap for cap in (settings.max_call_cost, self.max_cost_usd) if cap > 0]
        return settings.with_changes(
            voice=self.voice or settings.voice,
            language=self.language or settings.language,
            instructions=self.instructions[:MAX_INSTRUCTIONS_CHARS] or persona_instructions or settings.instructions,
            vad_silence_ms=SILENCE_MS.get(self.endpointing_speed, settings.vad_silence_ms),
            eagerness=EAGERNESS.get(self.endpointing_speed, settings.eagerness),
            noise_reduction=self.noise_reduction or settings.noise_reduction,
            speed=settings.speed if self.speed is None else min(1.5, max(0.25, self.speed)),
            max_call_cost=min(caps, default=0.0),
        )

    def to_json(self) -> dict[str, Any]:
        """Return the preferences as values of JSON."""
        return {**asdict(self), "switched_off_tools": sorted(self.switched_off_tools)}

    @classmethod
    def from_json(cls, value: object) -> CallPreferences:
        """Return the preferences of `to_json`. Raises ValueError, which quotes nothing, for any other value."""
        names = {item.name for item in fields(cls)}
        if not isinstance(value, dict) or value.keys() != names:
            raise ValueError("not the fields of preferences")
        tools, texts = value["switched_off_tools"], [value[key] for key in ("model", "voice", "persona")]
        if not isinstance(tools, list) or len(tools) > MAX_JSON_NAMES:
            raise ValueError("not a list of tools")
        if not all(isinstance(text, str) and len(text) <= MAX_JSON_NAME_CHARS for text in [*texts, *tools]):
            raise ValueError("not a name of preferences")
        instructions, speed, cost = value["instructions"], value["speed"], value["max_cost_usd"]
        if not isinstance(instructions, str) or len(instructions) > MAX_INSTRUCTIONS_CHARS:
            raise ValueError("not instructions of preferences")
        if not (speed is None or _is_finite(speed)) or not _is_finite(cost):
            raise ValueError("not a number of preferences")
        try:
            return cls(
                value["model"],
                value["voice"],
                None if value["language"] is None else Language(value["language"]),
                instructions,
                EndpointingSpeed(value["endpointing_speed"]),
                None if value["noise_reduction"] is None else NoiseReduction(value["noise_reduction"]),
                speed,
                cost,
                value["persona"],
                frozenset(tools),
            )
        except ValueError:
            raise ValueError("not a choice of preferences") from None


def _is_finite(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


class EffectiveFrom(StrEnum):
    """Time at which a change takes effect. The values are codes for the page."""

    NOTHING = "nothing"
    NOW = "now"
    NEXT_TURN = "next_turn"
    NEXT_CALL = "next_call"


def effective_from(before: CallPreferences, after: CallPreferences, in_call: bool) -> EffectiveFrom:
    """Return when the changed preferences take effect; the latest time where several have changed."""
    changed = {item.name for item in fields(CallPreferences) if getattr(before, item.name) != getattr(after, item.name)}
    if not changed:
        return EffectiveFrom.NOTHING
    if not in_call or changed & {"model", "voice"}:
        return EffectiveFrom.NEXT_CALL
    return EffectiveFrom.NEXT_TURN if changed & {"instructions", "speed", "switched_off_tools"} else EffectiveFrom.NOW


def diff_session(before: Mapping[str, Any], after: Mapping[str, Any]) -> Event:
    """Return the session fields that turn `before` into `after`; {} without a difference.

    Objects that a server replaces as a whole (turn detection, transcription, noise reduction) are kept whole.
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
    """Return the `session.update` during a call, or None without a difference.

    `before` is the update that opened the call, and `after` is the one that would open it now. The voice stays.
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
