"""Recorded WebSocket sessions; README.md lists their source and licence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

Event = dict[str, Any]

AZURE_SPOKEN = "azure_voice_live_spoken_turn"
OPENAI_SPOKEN = "openai_spoken_turn"
OPENAI_TOOL = "openai_tool_call"


def recorded_client_events(name: str) -> list[Event]:
    """Return the events of the client, in order."""
    return _read(name, "sent")


def recorded_server_events(name: str) -> list[Event]:
    """Return the events of the server, in order."""
    return _read(name, "received")


def _read(name: str, direction: str) -> list[Event]:
    text = (Path(__file__).parent / f"{name}.json").read_text(encoding="utf-8")
    events: list[Event] = json.loads(text)[direction]
    return events
