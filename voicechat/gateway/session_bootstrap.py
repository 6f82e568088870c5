"""Session bootstrap: makes the first events of a gateway client, with the operator's settings confirmed in them. Pure.

The server's `session.created` is held until the server has confirmed the gateway's own `session.update`. Then the
client gets one `session.created` with the confirmed session. The gateway's update, its confirmation and its rejections
never reach the client, also when they come late.
"""

from __future__ import annotations

from enum import StrEnum

from voicechat.protocol.beta_dialect import Dialect, server_to_ga
from voicechat.protocol.event_fields import RawEvent, get_object, get_string
from voicechat.protocol.unsupported_fields import UnsupportedFields
from voicechat.upstream.handshake import Handshake

MAX_EARLY_EVENTS = 100
"""Events before the confirmation. A server that sends more goes on without confirming."""


class BootstrapStage(StrEnum):
    """Progress of the operator's settings at the server."""

    AWAITING_GREETING = "new"
    """No settings have been sent; the server has still to greet."""
    UPDATE_SENT = "asked"
    UNCONFIRMED = "unconfirmed"
    """The client no longer waits. The confirmation may still come."""
    CONFIRMED = "confirmed"


class SessionBootstrap:
    """Server events in, events for the server out; then `initial_events()` has the client's first events."""

    def __init__(self, update: RawEvent, unsupported: UnsupportedFields, host: str) -> None:
        """`update`: the operator's `session.update`, in GA. `unsupported`: fields that this server rejected before.
        `host`: for the log."""
        self.stage = BootstrapStage.AWAITING_GREETING
        self._handshake = Handshake(update, unsupported, host)
        self._created_event: RawEvent | None = None
        self._updated_event: RawEvent | None = None
        self._early_events: list[RawEvent] = []

    @property
    def server_dialect(self) -> Dialect:
        """Return the server's dialect, as far as is known."""
        return self._handshake.dialect

    @property
    def is_pending(self) -> bool:
        """Return whether the client has to wait."""
        return self.stage in (BootstrapStage.AWAITING_GREETING, BootstrapStage.UPDATE_SENT)

    @property
    def has_greeted(self) -> bool:
        """Return whether the server has sent `session.created`."""
        return self._created_event is not None

    @property
    def transcription_model(self) -> str:
        """Return the transcription model that the server confirmed; "" when it confirmed none."""
        sound_in = get_object(get_object(_get_session(self._updated_event), "audio"), "input")
        return get_string(get_object(sound_in, "transcription"), "model")

    def handle_event(self, event: RawEvent) -> list[RawEvent]:
        """Handle a server event as received. Return the events to send to the server, in its dialect.

        Raises `ConnectionFailed` when the session cannot be used.
        """
        events, answers = self._handshake.handle_event(event)
        for one in events:
            if one["type"] == "session.created" and self._created_event is None:
                self._created_event = one
            elif one["type"] == "session.updated" and self.stage is BootstrapStage.UPDATE_SENT:
                self._updated_event, self.stage = one, BootstrapStage.CONFIRMED
            else:
                self._early_events.append(one)
        if self.stage is BootstrapStage.AWAITING_GREETING:
            return answers + self._send_update()
        if len(self._early_events) >= MAX_EARLY_EVENTS:
            self._proceed_unconfirmed()
        return answers

    def handle_timeout(self) -> list[RawEvent]:
        """Handle a time without events: a server may wait for the client to begin, or never confirm."""
        if self.stage is BootstrapStage.AWAITING_GREETING:
            return self._send_update()
        self._proceed_unconfirmed()
        return []

    def initial_events(self) -> list[RawEvent]:
        """Return the client's first events, in GA: `session.created`, and other early events of the server."""
        if self._updated_event is None:
            seen = [*([self._created_event] if self._created_event else []), *self._early_events]
        else:
            created = {**(self._created_event or self._updated_event), "type": "session.created"}
            created["session"] = {**_get_session(self._created_event), **_get_session(self._updated_event)}
            seen = [created, *self._early_events]
        return [_without_client_secret(event) for event in seen]

    def handle_late_event(self, event: RawEvent) -> tuple[list[RawEvent], list[RawEvent]]:
        """Handle a later server event as received. Return (GA events for the client, events for the server).

        Raises `ConnectionFailed` as `handle_event()` does.
        """
        events, answers = self._translate_late_event(event)
        return [_without_client_secret(one) for one in events], answers

    def _translate_late_event(self, event: RawEvent) -> tuple[list[RawEvent], list[RawEvent]]:
        if self.stage is BootstrapStage.CONFIRMED:
            return [event] if self.server_dialect is Dialect.GA else server_to_ga(event), []
        events, answers = self._handshake.handle_event(event)
        if event["type"] == "session.updated":
            if not answers:
                # A server answers in order, so the next one is about the client's own update.
                self.stage = BootstrapStage.CONFIRMED
            return [], answers
        return events, answers

    def _send_update(self) -> list[RawEvent]:
        self.stage = BootstrapStage.UPDATE_SENT
        return self._handshake.send_settings()

    def _proceed_unconfirmed(self) -> None:
        if self.stage is BootstrapStage.UPDATE_SENT:
            self.stage = BootstrapStage.UNCONFIRMED
            self._handshake.proceed_unconfirmed()


def _get_session(event: RawEvent | None) -> RawEvent:
    session = (event or {}).get("session")
    return session if isinstance(session, dict) else {}


def _without_client_secret(event: RawEvent) -> RawEvent:
    """Return the event without the operator's secret for browsers, which some servers put into a session.

    Return the same object when the event holds none.
    """
    session = _get_session(event)
    if "client_secret" not in session:
        return event
    return {**event, "session": {name: value for name, value in session.items() if name != "client_secret"}}
