"""What a call's server has been told of its session, and what it is still to be told of the visitor's wishes. Pure.

The owner of that truth: it is right after a lost connection, after wishes that came while there was none, and after a
server has refused some of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from voicechat.config.call_preferences import LIVE_UPDATE_EVENT_ID, build_live_update
from voicechat.protocol.endpoint import Endpoint
from voicechat.protocol.event_dispatcher import EventHandlers
from voicechat.protocol.server_events import ServerError

Event = dict[str, Any]


class SessionConfigSync:
    """Of one call; also an observer of its line."""

    def __init__(self) -> None:
        self._sent_update: Event | None = None
        """The `session.update` that says all that this connection's server has been told; None: there is none."""
        self._previous_update: Event | None = None
        """The same before the newest wishes, which may yet be refused."""
        self._has_rejection = False
        """The server did not take the newest wishes, and nobody has been told yet."""

    def start_connection(self, update: Event) -> Event:
        """A connection is being opened with this `session.update`."""
        self._sent_update = self._previous_update = update
        return update

    def on_connected(self, endpoint: Endpoint, now: float) -> None:
        """Nothing is to be learned from it."""

    def event_handlers(self) -> EventHandlers:
        """Return the handlers for `EventDispatcher`."""
        return {ServerError: self._on_error}

    def _on_error(self, event: ServerError, now: float) -> None:
        if event.event_id == LIVE_UPDATE_EVENT_ID:
            self._sent_update, self._has_rejection = self._previous_update, True

    def take_rejection(self) -> bool:
        """Whether wishes were refused since this was last asked."""
        refused, self._has_rejection = self._has_rejection, False
        return refused

    def build_updates(self, target: Event, filter_unsupported: Callable[[Event], Event]) -> list[Event]:
        """The events that tell a server which is connected what is `wanted` otherwise than it was told. `filter_unsupported`: a
        `session.update` as this server takes it."""
        before = self._sent_update
        if before is None:
            return []
        self._previous_update, self._sent_update = before, target
        update = build_live_update(filter_unsupported(before), filter_unsupported(target))
        return [update] if update is not None else []
