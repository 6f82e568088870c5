"""How a relayed connection begins: the operator's settings are applied before the client's first event. Pure.

The server's `session.created` is kept back until the server has confirmed our own `session.update`; what the client
then sees first is one `session.created` that tells the session as it truly is. Our update, its confirmation and its
refusals stay between us and the server.

    NEW ── session.created, or silence ──▶ UPDATING ── session.updated ──▶ OPEN
                                            │  ├─ refused: the field is left out, tried again
                                            │  └─ silence ──▶ UNCONFIRMED: open, the confirmation may come late
                                            └── fatal error ──▶ FAILED
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, TypeGuard

from realtime.dialect import Dialect, client_to_beta, server_to_ga, speaks_beta
from realtime.failures import Failure, failure_of_error
from realtime.refusals import Refused, is_required, look_up, names, refused_field, refuses_ga, without

Event = dict[str, Any]

MOST_TRIES = 8
"""Updates sent to one server, each with one field less."""
MOST_EARLY = 100
"""Events before the confirmation. A server that sends more has begun without confirming."""


class Stage(StrEnum):
    """How far the beginning is."""

    NEW = "new"
    UPDATING = "updating"
    OPEN = "open"
    UNCONFIRMED = "unconfirmed"
    FAILED = "failed"


class Opening:
    """Server events in, events for the server out; at the end `first()` has what the client is to see."""

    def __init__(self, update: Event, refused: Refused) -> None:
        """`update`: our `session.update`, in GA. `refused`: what this server refused before."""
        self.stage = Stage.NEW
        self.server = Dialect.GA
        self.failure: Failure | None = None
        """Why it failed."""
        self.left_out: list[str] = []
        """Fields that the server refused now, for the operator."""
        self._base_id: str = update["event_id"]
        self._update = refused.leave_out(update)
        self._refused = refused
        self._tries = 0
        self._created: Event | None = None
        self._updated: Event | None = None
        self._early: list[Event] = []

    @property
    def greeted(self) -> bool:
        """The server has told its session."""
        return self._created is not None

    @property
    def under_way(self) -> bool:
        """The client has to wait."""
        return self.stage in (Stage.NEW, Stage.UPDATING)

    def receive(self, event: Event) -> list[Event]:
        """An event of the server, as it came -> events for it, in its dialect."""
        answers: list[Event] = []
        if self.server is Dialect.GA and speaks_beta(event):
            self.server = Dialect.BETA
            if self.stage is Stage.UPDATING:
                answers = self._send()  # what it was told before was in the wrong dialect
                if event.get("type") == "session.updated":
                    return answers
        for known in server_to_ga(event) if self.server is Dialect.BETA else [event]:
            answers += self._receive(known)
        return answers

    def silence(self) -> list[Event]:
        """Nothing came for a while: a server may wait for the client to begin, or never confirm."""
        if self.stage is Stage.NEW:
            return self._send()
        if self.stage is Stage.UPDATING:
            self.stage = Stage.UNCONFIRMED
        return []

    def is_late(self, event: Event) -> bool:
        """Whether this event of the server, in GA, answers our update after all: not for the client's eyes."""
        if self.stage is not Stage.UNCONFIRMED:
            return False
        if self._is_ours(event.get("error")) or event.get("type") == "session.updated":
            self.stage = Stage.OPEN  # a server answers in order: the next one is the client's own
            return True
        return False

    def first(self) -> list[Event]:
        """What the client sees first, in GA: `session.created`, and what the server sent besides."""
        if self._updated is None:
            return [*([self._created] if self._created else []), *self._early]
        base = self._created or self._updated
        session = {**_session(self._created), **_session(self._updated)}
        return [{**base, "type": "session.created", "session": session}, *self._early]

    def _receive(self, event: Event) -> list[Event]:
        kind = event.get("type")
        if kind == "error":
            return self._error(event)
        if kind == "session.created" and self._created is None:
            self._created = event
            return self._send() if self.stage is Stage.NEW else []
        if kind == "session.updated" and self.stage is Stage.UPDATING:
            self._updated = event
            self.stage = Stage.OPEN
            return []
        self._early.append(event)
        if self.stage is Stage.UPDATING and len(self._early) >= MOST_EARLY:
            self.stage = Stage.UNCONFIRMED
        return self._send() if self.stage is Stage.NEW else []

    def _error(self, event: Event) -> list[Event]:
        error = event.get("error")
        failure = failure_of_error(error)
        if failure is not None or not isinstance(error, Mapping):
            return self._fail(failure or Failure.SERVER_ERROR)
        if self._is_ours(error) and error["event_id"] != self._id:
            return []  # about an update that has been sent anew since
        if self.stage is not Stage.UPDATING or not (self._is_ours(error) or error.get("event_id") is None):
            self._early.append(event)
            return []
        if self._tries >= MOST_TRIES:
            return self._fail(Failure.REFUSED_SETTINGS)
        if self.server is Dialect.GA and refuses_ga(error):
            self.server = Dialect.BETA
            return self._send()
        for name in names(error):
            path = refused_field(name, self._update)
            if path is not None and not is_required(path, self._update):
                self._refused.remember(path, look_up(self._update["session"], path)[1])
                self._update = without(self._update, path)
                self.left_out.append(".".join(path))
                return self._send()
        return self._fail(Failure.REFUSED_SETTINGS)

    def _send(self) -> list[Event]:
        self.stage = Stage.UPDATING
        self._tries += 1
        update = {**self._update, "event_id": self._id}
        return client_to_beta(update) if self.server is Dialect.BETA else [update]

    @property
    def _id(self) -> str:
        """Of the update that was sent last, so that a refusal of one before it is told apart."""
        return f"{self._base_id}_{self._tries}"

    def _is_ours(self, error: object) -> TypeGuard[Mapping[str, Any]]:
        return isinstance(error, Mapping) and str(error.get("event_id")).startswith(f"{self._base_id}_")

    def _fail(self, failure: Failure) -> list[Event]:
        self.stage, self.failure = Stage.FAILED, failure
        return []


def _session(event: Event | None) -> Event:
    session = (event or {}).get("session")
    # A secret for a browser to connect with, which some servers put here, is the operator's.
    return {k: v for k, v in session.items() if k != "client_secret"} if isinstance(session, dict) else {}
