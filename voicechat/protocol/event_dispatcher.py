"""Dispatch of server events, by their class, to the observers that registered for it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .server_events import ServerEvent

EventHandler = Callable[[Any, float], None]
"""Takes an event of the class it is registered for, and the time in seconds on the observers' clock."""
EventHandlers = Mapping[type[ServerEvent], EventHandler]
"""An observer's handlers by class. `ServerEvent` stands for every event without a handler of its own."""


class EventDispatcher:
    """Calls, for each event, one handler of each observer that has one."""

    def __init__(self, *tables: EventHandlers) -> None:
        """`tables`: one for each observer, in the order in which they are called."""
        self._tables = tables
        self._handlers: dict[type[ServerEvent], tuple[EventHandler, ...]] = {}
        """By class of event, found when the first one comes."""

    def dispatch(self, event: ServerEvent, now: float) -> None:
        handlers = self._handlers.get(type(event))
        if handlers is None:
            handlers = self._handlers[type(event)] = self._find_handlers(type(event))
        for handle in handlers:
            handle(event, now)

    def _find_handlers(self, event_class: type[ServerEvent]) -> tuple[EventHandler, ...]:
        """Return the most special handler of each observer."""
        return tuple(
            next(table[base] for base in event_class.__mro__ if base in table)
            for table in self._tables
            if any(base in table for base in event_class.__mro__)
        )
