"""Items inside server events. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from voicechat.protocol.event_fields import Event, get_objects, get_string

from .function_call import FunctionCall, parse_function_call


@dataclass(frozen=True, slots=True)
class ServerItem:
    """An item object inside an event."""

    id: str
    type: str
    """Type of the item: "message" when it is missing, "" when it is not a string."""
    role: str
    is_completed: bool
    texts: tuple[str, ...]
    """Text or transcript of each content part."""
    typed_text: str
    """`text` of the first content part: an item that we created comes back with it."""
    call: FunctionCall | None = None
    """Call of a function; None for any other item, and for a call without an id."""


def parse_item(item: Event) -> ServerItem:
    """Return the item. Never raises."""
    parts = get_objects(item, "content")
    kind = item.get("type", "message")
    is_completed = item.get("status") == "completed"
    return ServerItem(
        get_string(item, "id"),
        kind if isinstance(kind, str) else "",
        get_string(item, "role"),
        is_completed,
        tuple(get_string(part, "text") or get_string(part, "transcript") for part in parts),
        get_string(parts[0], "text") if parts else "",
        parse_function_call(item, is_complete=is_completed) if kind == "function_call" else None,
    )
