"""What a call's server has been told of its session, and what it is still to be told of the visitor's wishes. Pure.

The owner of that truth: it is right after a lost connection, after wishes that came while there was none, and after a
server has refused some of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .endpoint import Endpoint
from .fields import string, table
from .wishes import WISH_EVENT_ID, live_update

Event = dict[str, Any]


class SessionTold:
    """Of one call; also an observer of its line."""

    def __init__(self) -> None:
        self._told: Event | None = None
        """The `session.update` that says all that this connection's server has been told; None: there is none."""
        self._before: Event | None = None
        """The same before the newest wishes, which may yet be refused."""
        self._refused = False
        """The server did not take the newest wishes, and nobody has been told yet."""

    def opened(self, update: Event) -> Event:
        """A connection is being opened with this `session.update`."""
        self._told = self._before = update
        return update

    def connected(self, endpoint: Endpoint, now: float) -> None:
        """Nothing is to be learned from it."""

    def receive(self, event: Mapping[str, Any], now: float) -> None:
        """A server event."""
        error = table(event, "error")
        if event.get("type") == "error" and string(error, "event_id") == WISH_EVENT_ID:
            self._told, self._refused = self._before, True

    def take_refusal(self) -> bool:
        """Whether wishes were refused since this was last asked."""
        refused, self._refused = self._refused, False
        return refused

    def update(self, wanted: Event, fitted: Callable[[Event], Event]) -> list[Event]:
        """The events that tell a server which is connected what is `wanted` otherwise than it was told. `fitted`: a
        `session.update` as this server takes it."""
        before = self._told
        if before is None:
            return []
        self._before, self._told = before, wanted
        update = live_update(fitted(before), fitted(wanted))
        return [update] if update is not None else []
