"""How a session begins, and what is learned of its server thereby: its dialect, and which settings it refuses. Pure.

Server events go in as they came; events for the caller come out in GA, and events to send come out in the server's own
dialect. Time, and the socket, belong to whoever holds this object:

    OPENED ── begin() ──▶ ASKED ── session.updated, or go_on() when that never comes ──▶ IN_USE
                           │  ▲                                └─ not a word so far ──▶ SILENT ── any event ──▶ IN_USE
                           └──┘ refused: the field is left out, or all of it is said again in beta
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from enum import Enum
from typing import Any

from .dialect import Dialect, client_to_beta, server_to_ga, speaks_beta
from .failures import FINAL, ConnectionFailed, Failure, failure_of_error, safe_word
from .refusals import Path, Refused, is_required, look_up, names, refused_field, refuses_ga, without

log = logging.getLogger(__name__)

Event = dict[str, Any]

MAX_REFUSALS = 6
"""Fields left out for one connection. A server that refuses more is no server for us."""


class Phase(Enum):
    """How far the server has come."""

    OPENED = 1
    """The socket is open, nothing has been sent."""
    ASKED = 2
    """The settings have been sent, and nothing else."""
    SILENT = 3
    """In use, though the server has not said a word."""
    IN_USE = 4


class Opening:
    """One connection's beginning."""

    def __init__(self, update: Event, refused: Refused, host: str = "the server") -> None:
        """`update`: the GA `session.update`. `refused`: what this server refused before; what it
        refuses now is added. `host`: for the log."""
        self.phase = Phase.OPENED
        self.dialect = Dialect.GA
        """Of the server."""
        self._name = str(update.get("event_id") or "session_update")
        self._update: Event = {**refused.leave_out(update), "event_id": self._name}
        self._refused = refused
        self._left_out: list[Path] = []
        self._said = 1
        """How often the settings were told."""
        self._heard = False
        """The server has said something."""
        self._host = host

    # ---------------------------------------------------------------- what is sent

    def begin(self) -> list[Event]:
        """Tell the settings: once the server has greeted, or is not going to."""
        self.phase = Phase.ASKED
        return self.spoken(self._update)

    def go_on(self) -> None:
        """The server does not confirm. Several never do, and can be used all the same."""
        if self.phase is Phase.ASKED:
            self.phase = Phase.IN_USE if self._heard else Phase.SILENT

    def spoken(self, event: Event) -> list[Event]:
        """A GA client event as this server is told it."""
        return [event] if self.dialect is Dialect.GA else client_to_beta(event)

    # ---------------------------------------------------------------- what is received

    def receive(self, event: Event) -> tuple[list[Event], list[Event]]:
        """A server event, which has a `type` -> (GA events for the caller, events to send at once).

        Raises ConnectionFailed when it says that the session is of no use.
        """
        kind: str = event["type"]
        self._heard = True
        if kind == "error":
            answers = self._error(event.get("error"))
            return (self._in_ga(event), []) if answers is None else ([], answers)
        if self.phase is Phase.SILENT:
            self.phase = Phase.IN_USE
        if kind in ("session.created", "session.updated") and self.dialect is Dialect.GA and speaks_beta(event):
            answers = self._switch()
            # An update that was told in the wrong dialect, and confirmed, is nobody's confirmation.
            return (self._in_ga(event) if kind == "session.created" else []), answers
        if kind == "session.updated" and self.phase is Phase.ASKED:
            self.phase = Phase.IN_USE
        return self._in_ga(event), []

    def _in_ga(self, event: Event) -> list[Event]:
        return [event] if self.dialect is Dialect.GA else server_to_ga(event)

    def _error(self, error: object) -> list[Event] | None:
        """What to send after an error about the settings; None when it is about anything else."""
        failure = failure_of_error(error)
        if failure is not None and (failure in FINAL or self.phase is not Phase.IN_USE):
            log.info("%s cannot serve us: %s (%s)", self._host, failure.value, _code(error))
            raise ConnectionFailed(failure)
        if failure is not None or not isinstance(error, Mapping) or self.phase is Phase.OPENED:
            return None
        about = error.get("event_id") or ""
        # Before anything else was sent, an error that says nothing about its cause can only be about the settings.
        if str(about).startswith(self._name) or (self.phase is Phase.ASKED and not about):
            return self._refusal(error, late=about not in ("", self._update["event_id"]))
        return None

    # ---------------------------------------------------------------- what the server does not take

    def _refusal(self, error: Mapping[str, Any], late: bool) -> list[Event]:
        """The settings were refused: say them again in beta, or without the field it was about.

        `late`: it is about settings that have been said anew since.
        """
        if refuses_ga(error):
            return self._switch() if self.dialect is Dialect.GA else []
        path = next((path for name in names(error) if (path := refused_field(self._ga_name(name), self._update))), None)
        if late and (path is None or path in self._left_out):
            return []
        field = ".".join(path) if path else "no field that was sent"
        log.warning("%s refused a session setting: %s (%s)", self._host, field, _code(error))
        if path is None or path in self._left_out or is_required(path, self._update):
            raise ConnectionFailed(Failure.REFUSED_SETTINGS)
        if len(self._left_out) >= MAX_REFUSALS:
            raise ConnectionFailed(Failure.REFUSED_SETTINGS)
        self._refused.remember(path, look_up(self._update["session"], path)[1])
        self._left_out.append(path)
        self._update = without(self._update, path)
        return self._again()

    def _ga_name(self, name: str) -> str:
        """The GA name of a field that a server of the other dialect named."""
        full = name if name.startswith("session.") else f"session.{name}"
        for event in self._in_ga({"type": "error", "error": {"param": full}}):
            renamed = event.get("error", {}).get("param")
            return renamed if isinstance(renamed, str) and renamed != full else name
        return name

    def _switch(self) -> list[Event]:
        """From now on everything goes through the dialect's tables."""
        log.info("%s speaks the beta dialect of the protocol.", self._host)
        self.dialect = Dialect.BETA
        return [] if self.phase is Phase.OPENED else self._again()

    def _again(self) -> list[Event]:
        """The settings under another id, so that refusals of the ones before can be told apart."""
        self._said += 1
        self._update = {**self._update, "event_id": f"{self._name}_{self._said}"}
        return self.spoken(self._update)


def _code(error: object) -> str:
    """The code of an error, as far as it is one."""
    return safe_word(error.get("code")) if isinstance(error, Mapping) and error.get("code") else "no code"
