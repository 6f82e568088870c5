"""What a relayed client sees first: the session as it truly is, with the operator's settings in it. Pure.

The server's `session.created` is kept back until the server has confirmed our own `session.update`; then the client
gets one `session.created` with the session that was confirmed. Our update, its confirmation and its refusals stay
between us and the server, also when they come late.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from realtime.dialect import Dialect, server_to_ga
from realtime.fields import string, table
from realtime.opening import Opening
from realtime.refusals import Refused

Event = dict[str, Any]

MOST_EARLY = 100
"""Events before the confirmation. A server that sends more has begun without confirming."""


class Stage(StrEnum):
    """How far the server is with our settings."""

    NEW = "new"
    """It has not been told any: it has still to greet."""
    ASKED = "asked"
    UNCONFIRMED = "unconfirmed"
    """The client waits no longer. The confirmation may still come."""
    CONFIRMED = "confirmed"


class Beginning:
    """Server events in, events for the server out; then `first()` has what the client is to see."""

    def __init__(self, update: Event, refused: Refused, host: str) -> None:
        """`update`: our `session.update`, in GA. `refused`: what this server refused before. `host`: for the log."""
        self.stage = Stage.NEW
        self._opening = Opening(update, refused, host)
        self._created: Event | None = None
        self._updated: Event | None = None
        self._early: list[Event] = []

    @property
    def server(self) -> Dialect:
        """What the server speaks, as far as is known."""
        return self._opening.dialect

    @property
    def under_way(self) -> bool:
        """The client has to wait."""
        return self.stage in (Stage.NEW, Stage.ASKED)

    @property
    def greeted(self) -> bool:
        """The server has told its session."""
        return self._created is not None

    @property
    def transcription_model(self) -> str:
        """The model that writes down what is heard, as the server confirmed it; "" when it did not."""
        sound_in = table(table(_session(self._updated), "audio"), "input")
        return string(table(sound_in, "transcription"), "model")

    def receive(self, event: Event) -> list[Event]:
        """An event of the server, as it came -> events for it, as it takes them.

        Raises ConnectionFailed when it says that the session is of no use.
        """
        known, answers = self._opening.receive(event)
        for one in known:
            if one["type"] == "session.created" and self._created is None:
                self._created = one
            elif one["type"] == "session.updated" and self.stage is Stage.ASKED:
                self._updated, self.stage = one, Stage.CONFIRMED
            else:
                self._early.append(one)
        if self.stage is Stage.NEW:
            return answers + self._ask()
        if len(self._early) >= MOST_EARLY:
            self._go_on()
        return answers

    def silence(self) -> list[Event]:
        """Nothing came for a while: a server may wait for the client to begin, or never confirm."""
        if self.stage is Stage.NEW:
            return self._ask()
        self._go_on()
        return []

    def first(self) -> list[Event]:
        """What the client sees first, in GA: `session.created`, and what the server sent besides."""
        if self._updated is None:
            seen = [*([self._created] if self._created else []), *self._early]
        else:
            created = {**(self._created or self._updated), "type": "session.created"}
            created["session"] = {**_session(self._created), **_session(self._updated)}
            seen = [created, *self._early]
        return [_without_secret(event) for event in seen]

    def later(self, event: Event) -> tuple[list[Event], list[Event]]:
        """A later event of the server, as it came -> (GA events for the client, events for the server).

        Raises ConnectionFailed as `receive()` does.
        """
        known, answers = self._later(event)
        return [_without_secret(one) for one in known], answers

    def _later(self, event: Event) -> tuple[list[Event], list[Event]]:
        if self.stage is Stage.CONFIRMED:
            return [event] if self.server is Dialect.GA else server_to_ga(event), []
        known, answers = self._opening.receive(event)
        if event["type"] == "session.updated":
            if not answers:
                self.stage = Stage.CONFIRMED  # a server answers in order: the next one is about the client's own update
            return [], answers
        return known, answers

    def _ask(self) -> list[Event]:
        self.stage = Stage.ASKED
        return self._opening.begin()

    def _go_on(self) -> None:
        if self.stage is Stage.ASKED:
            self.stage = Stage.UNCONFIRMED
            self._opening.go_on()


def _session(event: Event | None) -> Event:
    session = (event or {}).get("session")
    return session if isinstance(session, dict) else {}


def _without_secret(event: Event) -> Event:
    """The event without the secret for a browser to connect with, which some servers put into a session: it is the
    operator's. The same object where there is none."""
    session = _session(event)
    if "client_secret" not in session:
        return event
    return {**event, "session": {name: value for name, value in session.items() if name != "client_secret"}}
