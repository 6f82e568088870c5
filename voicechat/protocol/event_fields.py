"""Reading events of a server that may leave out or misshape any field. Pure; nothing here raises."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

Event = Mapping[str, Any]
RawEvent = dict[str, Any]
"""An event as JSON, as it is read from a socket or written to one."""


def get_string(event: Event, key: str) -> str:
    """A string; "" for anything else."""
    value = event.get(key)
    return value if isinstance(value, str) else ""


def get_object(event: Event, key: str) -> Event:
    """An object; an empty one for anything else."""
    value = event.get(key)
    return value if isinstance(value, Mapping) else {}


def get_objects(event: Event, key: str) -> list[Event]:
    """The objects in a list."""
    value = event.get(key)
    return [entry for entry in value if isinstance(entry, Mapping)] if isinstance(value, list) else []


def to_count(value: object) -> int:
    """A count from 0 up; 0 for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 2**31:
        return 0
    return int(value)


def decode_audio_delta(event: Event) -> bytes | None:
    """The sound in an audio delta; None when it is not base64."""
    try:
        return base64.b64decode(get_string(event, "delta"), validate=True)
    except (binascii.Error, ValueError):
        return None


def get_content_index(event: Event) -> int:
    """Which part of an item an event is about."""
    return to_count(event.get("content_index"))


def get_response_id(event: Event) -> str:
    """The response an event belongs to; "" when it says none."""
    return get_string(event, "response_id") or get_string(get_object(event, "response"), "id")


def get_item_ids(event: Event) -> list[str]:
    """All items an event names."""
    named = [get_string(event, "item_id"), get_string(get_object(event, "item"), "id")]
    named += [get_string(item, "id") for item in get_objects(get_object(event, "response"), "output")]
    return [name for name in named if name]
