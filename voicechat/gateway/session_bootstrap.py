"""What a relayed client sees first: the session as it truly is, with the operator's settings in it. Pure.

The server's `session.created` is kept back until the server has confirmed our own `session.update`; then the client
gets one `session.created` with the session that was confirmed. Our update, its confirmation and its refusals stay
between us and the server, also when they come late.
"""

from __future__ import annotations

from enum import StrEnum

from voicechat.protocol.beta_dialect import Dialect, server_to_ga
from voicechat.protocol.event_fields import RawEvent, get_object, get_string
from voicechat.protocol.unsupported_fields import UnsupportedFields
from voicechat.upstream.handshake import Handshake

MAX_EARLY_EVENTS = 100
"""Events before the confirmation. A server that sends more has begun without confirming."""


class BootstrapStage(StrEnum):
    """How far the server is with our settings."""

    AWAITING_GREETING = "new"
    """It has not been told any: it has still to greet."""
    UPDATE_SENT = "asked"
    UNCONFIRMED = "unconfirmed"
    """The client waits no longer. The confirmation may still come."""
    CONFIRMED = "confirmed"


class SessionBootstrap:
    """Server events in, events for the server out; then `first()` has what the client is to see."""

    def __init__(self, update: RawEvent, unsupported: UnsupportedFields, host: str) -> None:
        """`update`: our `session.update`, in GA. `refused`: what this server refused before. `host`: for the log."""
        self.stage = BootstrapStage.AWAITING_GREETING
        self._handshake = Handshake(update, unsupported, host)
        self._created_event: RawEvent | None = None
        self._updated_event: RawEvent | None = None
        self._early_events: list[RawEvent] = []

    @property
    def server_dialect(self) -> Dialect:
        """What the server speaks, as far as is known."""
        return self._handshake.dialect

    @property
    def is_pending(self) -> bool:
        """The client has to wait."""
        return self.stage in (BootstrapStage.AWAITING_GREETING, BootstrapStage.UPDATE_SENT)

    @property
    def has_greeted(self) -> bool:
        """The server has told its session."""
        return self._created_event is not None

    @property
    def transcription_model(self) -> str:
        """The model that writes down what is heard, as the server confirmed it; "" when it did not."""
        sound_in = get_object(get_object(_get_session(self._updated_event), "audio"), "input")
        return get_string(get_object(sound_in, "transcription"), "model")

    def handle_event(self, event: RawEvent) -> list[RawEvent]:
        """An event of the server, as it came -> events for it, as it takes them.

        Raises ConnectionFailed when it says that the session is of no use.
        """
        known, answers = self._handshake.handle_event(event)
        for one in known:
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
        """Nothing came for a while: a server may wait for the client to begin, or never confirm."""
        if self.stage is BootstrapStage.AWAITING_GREETING:
            return self._send_update()
        self._proceed_unconfirmed()
        return []

    def initial_events(self) -> list[RawEvent]:
        """What the client sees first, in GA: `session.created`, and what the server sent besides."""
        if self._updated_event is None:
            seen = [*([self._created_event] if self._created_event else []), *self._early_events]
        else:
            created = {**(self._created_event or self._updated_event), "type": "session.created"}
            created["session"] = {**_get_session(self._created_event), **_get_session(self._updated_event)}
            seen = [created, *self._early_events]
        return [_without_client_secret(event) for event in seen]

    def handle_late_event(self, event: RawEvent) -> tuple[list[RawEvent], list[RawEvent]]:
        """A later event of the server, as it came -> (GA events for the client, events for the server).

        Raises ConnectionFailed as `receive()` does.
        """
        known, answers = self._translate_late_event(event)
        return [_without_client_secret(one) for one in known], answers

    def _translate_late_event(self, event: RawEvent) -> tuple[list[RawEvent], list[RawEvent]]:
        if self.stage is BootstrapStage.CONFIRMED:
            return [event] if self.server_dialect is Dialect.GA else server_to_ga(event), []
        known, answers = self._handshake.handle_event(event)
        if event["type"] == "session.updated":
            if not answers:
                self.stage = (
                    BootstrapStage.CONFIRMED
                )  # a server answers in order: the next one is about the client's own update
            return [], answers
        return known, answers

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
    """The event without the secret for a browser to connect with, which some servers put into a session: it is the
    operator's. The same object where there is none."""
    session = _get_session(event)
    if "client_secret" not in session:
        return event
    return {**event, "session": {name: value for name, value in session.items() if name != "client_secret"}}
