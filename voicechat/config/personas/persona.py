"""Persona: a name, a short note and instructions to the model. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

ICONS = ("spark", "book", "tea", "briefcase", "headset", "moon", "person", "wave")
"""Names of the icons that a persona may have (ui/static/styles/icons.css)."""

Wording = tuple[str, str]
"""English, Traditional Chinese."""


@dataclass(frozen=True, slots=True)
class Persona:
    """One persona. `key`: identifies it in events and stored choices. "" as instructions: the operator's own."""

    key: str
    icon: str
    name: Wording
    note: Wording
    instructions: str = field(default="", repr=False)
