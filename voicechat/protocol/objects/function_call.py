"""Function calls of the model, as any of three events names them. Pure.

The arguments come in `response.function_call_arguments.done`, in the item and in `response.done`. Servers leave out one
or two of these events, so each of them is enough.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from voicechat.protocol.event_fields import Event, get_string

MAX_CALL_ID_CHARS = 128
"""Characters of a call's id. A longer one is refused, because ids are kept."""
MAX_NAME_CHARS = 128
"""Characters of a function's name. A longer one is cut, which makes it unknown."""


@dataclass(frozen=True, slots=True)
class FunctionCall:
    """One call of a function, complete or not. Its arguments are left out of `repr`, so that they reach no log."""

    call_id: str
    name: str
    """Name of the function; "" when the event does not name it."""
    arguments: str = field(repr=False)
    """JSON text; "" when it is not known yet."""
    is_complete: bool
    """All arguments have come."""


def parse_function_call(source: Event, *, is_complete: bool) -> FunctionCall | None:
    """Return the call in an item or an event; None without a usable id."""
    call_id = get_string(source, "call_id")
    if not call_id or len(call_id) > MAX_CALL_ID_CHARS:
        return None
    name = get_string(source, "name")[:MAX_NAME_CHARS]
    return FunctionCall(call_id, name, get_string(source, "arguments"), is_complete)
