"""Session configuration sync: the settings a server has been sent, and updates for changed call preferences. Pure.

Stays right after a lost connection, after preferences changed without a connection, and after rejected ones.
"""

from __future__ import annotations

from collections.abc import Callable

from voicechat.config.call_preferences import LIVE_UPDATE_EVENT_ID, build_live_update
from voicechat.protocol.endpoint import Endpoint
from voicechat.protocol.event_dispatcher import EventHandlers
from voicechat.protocol.event_fields import RawEvent
from voicechat.protocol.server_events import ServerError


class SessionConfigSync:
    """Tracks the session configuration of a call, as an observer of its connection."""

    def __init__(self) -> None:
        self._sent_update: RawEvent | None = None
        """`session.update` with all settings that this connection's server has been sent; None without a connection."""
        self._previous_update: RawEvent | None = None
        """The same before the newest preferences, which the server may still reject."""
        self._has_rejection = False
        """The server rejected the newest preferences, and the rejection has not been taken."""

    def start_connection(self, update: RawEvent) -> RawEvent:
        """Record that a connection is being opened with this `session.update`, and return it."""
        self._sent_update = self._previous_update = update
        return update

    def on_connected(self, endpoint: Endpoint, now: float) -> None:
        """Ignore the event."""

    def event_handlers(self) -> EventHandlers:
        """Return the handlers for `EventDispatcher`."""
        return {ServerError: self._on_error}

    def _on_error(self, event: ServerError, now: float) -> None:
        """Restore the former settings after a rejection."""
        if event.event_id == LIVE_UPDATE_EVENT_ID:
            self._sent_update, self._has_rejection = self._previous_update, True

    def take_rejection(self) -> bool:
        """Return whether preferences were rejected since the last call of this method."""
        refused, self._has_rejection = self._has_rejection, False
        return refused

    def build_updates(self, target: RawEvent, filter_unsupported: Callable[[RawEvent], RawEvent]) -> list[RawEvent]:
        """Return the events that change the connected server's settings to those of `target`.

        `filter_unsupported`: returns a `session.update` without fields that this server rejects.
        """
        before = self._sent_update
        if before is None:
            return []
        self._previous_update, self._sent_update = before, target
        update = build_live_update(filter_unsupported(before), filter_unsupported(target))
        return [update] if update is not None else []
