"""Tool calls: one call of a function by the model, from its arguments to its answer. Pure."""

from __future__ import annotations

import enum
import json
from dataclasses import dataclass, field
from typing import Any


class ToolCallState(enum.Enum):
    """State of one call."""

    REQUESTED = "requested"
    """An acting call whose response is not finished."""
    AWAITING_APPROVAL = "awaiting_approval"
    """The visitor is asked."""
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    """Unknown name, unfit arguments, a cap, or an error of the tool."""
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"
    """Interrupted reply, Stop, Clear, cancel button, or the end of the call."""
    REFUSED = "refused"
    """The visitor said no, or nothing in time."""

    @property
    def is_final(self) -> bool:
        return self not in _OPEN


_OPEN = frozenset({ToolCallState.REQUESTED, ToolCallState.AWAITING_APPROVAL, ToolCallState.RUNNING})


HEARD_TO_END = 0.97
"""Heard fraction of a reply that counts as heard to its end: the last word fades out."""


class HeardPart(enum.Enum):
    """Part of the answer to a result that the visitor heard. In a chat: that was shown."""

    NONE = "none"
    PART = "part"
    ALL = "all"

    @classmethod
    def of(cls, fraction: float) -> HeardPart:
        """Return the part for a heard fraction, 0 to 1."""
        if fraction <= 0:
            return cls.NONE
        return cls.ALL if fraction >= HEARD_TO_END else cls.PART


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One call, as it is now. An immutable copy: the tracker replaces it."""

    call_id: str
    response_id: str
    name: str
    arguments_json: str = field(default="{}", repr=False)
    """Arguments as one JSON object; "{}" where the model sent none that can be read."""
    state: ToolCallState = ToolCallState.REQUESTED
    requested_at: float = 0.0
    """Seconds of the caller's clock."""
    started_at: float | None = None
    """Seconds of the caller's clock; None for a call that never ran."""
    ended_at: float | None = None
    """Seconds of the caller's clock; None for an open call."""
    result_text: str = field(default="", repr=False)
    """Bounded result or reason, for the page and the export."""
    output_text: str = field(default="", repr=False)
    """Text that the server last got about this call, as output or in a system message; "" before the output."""
    heard: HeardPart = HeardPart.NONE
    decides: str = ""
    """`call_id` of the acting call, for a call of `approve`. The page shows no chip for it."""

    @property
    def arguments(self) -> dict[str, Any]:
        """A copy of the arguments: changing it changes neither what is shown nor what runs."""
        loaded: dict[str, Any] = json.loads(self.arguments_json)
        return loaded

    @property
    def is_answered(self) -> bool:
        """The server has the output of this call."""
        return bool(self.output_text)
