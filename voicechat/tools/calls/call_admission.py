"""Call admission: which calls may run at all, by name, arguments and caps. Pure."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from voicechat.tools.calls.schema import find_misfit
from voicechat.tools.definition import DEFAULT_TIMEOUT_S, ToolDefinition

from .result_text import REASONS

MAX_ARGUMENTS_CHARS = 20_000
"""Characters of the arguments of one call, as JSON."""
MINUTE_S = 60.0
"""Seconds of the window of `calls_per_minute`."""


@dataclass(frozen=True, slots=True)
class ToolLimits:
    """Bounds of the calls of one conversation."""

    tool_seconds: float = DEFAULT_TIMEOUT_S
    """Seconds that any call may run; a shorter timeout of its definition wins."""
    answer_seconds: float = 6.0
    """Seconds after which a running call is answered "still running"."""
    approval_seconds: float = 30.0
    """Seconds that the visitor has to agree."""
    transcript_seconds: float = 1.5
    """Seconds that `approve` waits for the transcript of the turn."""
    result_chars: int = 4000
    """Characters of a result for the model."""
    shown_chars: int = 2000
    """Characters of a result for the page."""
    max_running: int = 8
    """Calls that run at the same time."""
    max_rounds: int = 5
    """Rounds in answer to one turn of the visitor."""
    max_calls: int = 50
    """Calls of one conversation."""
    calls_per_minute: int = 10
    """Calls of any 60 seconds."""


def parse_arguments(text: str) -> dict[str, Any] | None:
    """Return the arguments of a call; None if they are not one JSON object."""
    if len(text) > MAX_ARGUMENTS_CHARS:
        return None
    try:
        arguments = json.loads(text or "{}", parse_constant=_refuse_constant)
        json.dumps(arguments)  # what cannot be written again is too deep, or a number too long
    except (ValueError, RecursionError):
        return None
    return arguments if isinstance(arguments, dict) else None


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


CountRecent = Callable[[float, int], bool]
"""Counts one call of a visitor, by time and limit. Returns whether it is within the limit."""


class RecentCalls:
    """Calls and announcements of the last minute, by visitor: a further session or page does not reset them."""

    def __init__(self) -> None:
        self._times: dict[str, deque[float]] = {}

    def count(self, visitor_key: str, now: float, limit: int) -> bool:
        """Count one more. Return whether it is within the limit; otherwise it is not counted."""
        for key, times in tuple(self._times.items()):
            while times and times[0] <= now - MINUTE_S:
                times.popleft()
            if not times:
                del self._times[key]
        times = self._times.setdefault(visitor_key, deque())
        if len(times) >= limit:
            return False
        times.append(now)
        return True


class CallAdmission:
    """Counts the calls of one conversation and checks each."""

    def __init__(self, limits: ToolLimits, count_recent: CountRecent | None = None) -> None:
        """`count_recent`: counts the visitor's last minute, over all their sessions."""
        self._limits = limits
        self._count = 0
        self._count_recent = count_recent or partial(RecentCalls().count, "")

    def reset(self) -> None:
        """Begin another conversation; the minute goes on."""
        self._count = 0

    def find_objection(self, definition: ToolDefinition | None, arguments: dict[str, Any] | None, rounds: int) -> str:
        """Return why a call may not run, as a sentence for the model; "" if it may. `rounds`: since the last turn."""
        if definition is None:
            return REASONS["unknown"]
        if arguments is None:
            return REASONS["json"]
        if rounds >= self._limits.max_rounds:
            return REASONS["rounds"]
        return find_misfit(arguments, definition.parameters)

    def count(self, now: float) -> str:
        """Count one call. Return why it may not run; "" if it may."""
        if self._count >= self._limits.max_calls:
            return REASONS["calls"]
        if not self.count_recent(now):
            return REASONS["minute"]
        self._count += 1
        return ""

    def count_recent(self, now: float) -> bool:
        """Count one call, or one announcement, in the last minute. Return whether it is within the cap."""
        return self._count_recent(now, self._limits.calls_per_minute)
