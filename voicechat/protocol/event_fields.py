"""Readers of raw events whose server may leave out or misshape any field. Pure; none of them raises."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Event = Mapping[str, Any]
RawEvent = dict[str, Any]
"""An event as JSON, as it is read from a socket or written to one."""

MAX_ID_CHARS = 512
"""Characters of an id. Longer ones are refused, because ids are kept."""


def get_string(event: Event, key: str) -> str:
    """Return a string; "" for anything else."""
    value = event.get(key)
    return value if isinstance(value, str) else ""


def get_object(event: Event, key: str) -> Event:
    """Return an object; an empty one for anything else."""
    value = event.get(key)
    return value if isinstance(value, Mapping) else {}


def get_objects(event: Event, key: str) -> list[Event]:
    """Return the objects in a list; an empty list for anything else."""
    value = event.get(key)
    return [entry for entry in value if isinstance(entry, Mapping)] if isinstance(value, list) else []


def to_count(value: object) -> int:
    """Return a count from 0 up; 0 for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 2**31:
        return 0
    return int(value)


def get_content_index(event: Event) -> int:
    """Return the index of the content part that an event is about."""
    return to_count(event.get("content_index"))


def get_response_id(event: Event) -> str:
    """Return the id of the response an event belongs to; "" when it names none."""
    return get_string(event, "response_id") or get_string(get_object(event, "response"), "id")


def get_item_ids(event: Event) -> list[str]:
    """Return the ids of all items an event names."""
    named = [get_string(event, "item_id"), get_string(get_object(event, "item"), "id")]
    named += [get_string(item, "id") for item in get_objects(get_object(event, "response"), "output")]
    return [name for name in named if name]


def has_valid_ids(event: Event) -> bool:
    """Return whether all ids in an event are short enough to be kept. One function, as it runs for every event."""
    named = [event]
    for key in ("item", "response"):
        if isinstance(nested := event.get(key), Mapping):
            named += [nested, *get_objects(nested, "output")]
    for source in named:
        for key in ("response_id", "item_id", "previous_item_id", "id"):
            if isinstance(name := source.get(key), str) and len(name) > MAX_ID_CHARS:
                return False
    return True
