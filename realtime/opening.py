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
from .refusals import (
    Path,
    Refused,
    essentials,
    is_required,
    look_up,
    names,
    refused_field,
    refuses_ga,
    without,
)
from .transcription import DEFAULT_MODEL

log = logging.getLogger(__name__)

Event = dict[str, Any]

_TRANSCRIPTION: Path = ("audio", "input", "transcription")
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
        self._wanted = self._update
        """The settings as they were before this server refused anything of them."""
        self._refused = refused
        self._left_out: dict[Path, int] = {}
        """Fields refused -> how many more refusals of it may come, of updates that were on their way already."""
        self._own_model = False
        """The server has a model for transcription, and keeps it."""
        self._bare = False
        """It takes the essentials only."""
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

    def fitted(self, update: Event) -> Event:
        """Another GA `session.update` without what this server is known not to take."""
        update = self._refused.leave_out(update)
        update = _without_model(update) if self._own_model else update
        return essentials(update) if self._bare else update

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
            self._respect(event)
            # An update that was told in the wrong dialect, and confirmed, is nobody's confirmation.
            return (self._in_ga(event) if kind == "session.created" else []), answers
        if self.phase is Phase.OPENED:
            self._respect(event)
        elif kind == "session.updated":
            self._refused.confirms = True
            self.phase = Phase.IN_USE
        return self._in_ga(event), []

    def _in_ga(self, event: Event) -> list[Event]:
        return [event] if self.dialect is Dialect.GA else server_to_ga(event)

    def _respect(self, created: Event) -> None:
        """A server that has a model for transcription keeps it, where ours is but a guess."""
        if self.phase is not Phase.OPENED or created["type"] != "session.created":
            return
        theirs = [look_up(event.get("session"), (*_TRANSCRIPTION, "model"))[1] for event in self._in_ga(created)]
        ours: Event = look_up(self._update["session"], _TRANSCRIPTION)[1] or {}
        if any(theirs) and ours.get("model") == DEFAULT_MODEL:
            self._own_model = True
            self._wanted = self._update = _without_model(self._update)

    def _error(self, error: object) -> list[Event] | None:
        """What to send after an error about the settings; None when it is about anything else."""
        failure = failure_of_error(error)
        if failure is not None and (failure in FINAL or self.phase is not Phase.IN_USE):
            log.info("%s cannot serve us: %s (%s)", self._host, failure.value, _code(error))
            raise ConnectionFailed(failure)
        if failure is not None or not isinstance(error, Mapping) or self.phase is Phase.OPENED:
            return None
        about = str(error.get("event_id") or "")
        if about.startswith(self._name):
            return self._refusal(error, about)
        if not about and (self.phase is Phase.ASKED or self._left_out.get(self._field(error) or (), 0)):
            # Nothing else was sent that it could be about, or nothing else has this field.
            return self._refusal(error, about)
        return None

    # ---------------------------------------------------------------- what the server does not take

    def _refusal(self, error: Mapping[str, Any], about: str) -> list[Event]:
        """The settings were refused: say them again in beta, or without the field it was about.

        `about`: the id of the update that was refused; "" when the server does not say.
        """
        if refuses_ga(error):
            return self._switch() if self.dialect is Dialect.GA else []
        path, late = self._field(error), about not in ("", self._update["event_id"])
        if late and (path is None or path in self._left_out):
            return []
        if not about and self._left_out.get(path or (), 0):
            self._left_out[path or ()] -= 1
            return []
        log.warning("%s refused a session setting: %s (%s)", self._host, ".".join(path or ["not named"]), _code(error))
        found, value = look_up(self._update["session"], path) if path else (False, None)
        if path is None:
            update = essentials(self._update)
            self._bare = True
        elif not found and path not in self._left_out:
            return []  # what it was in has been left out since
        elif not found or is_required(path, self._update) or len(self._left_out) >= MAX_REFUSALS:
            raise ConnectionFailed(Failure.REFUSED_SETTINGS)
        else:
            self._refused.remember(path, value)
            self._left_out[path] = self._said - 1
            update = without(self._update, path)
        if update == self._update:
            raise ConnectionFailed(Failure.REFUSED_SETTINGS)
        self._update = update
        return self._again()

    def _field(self, error: Mapping[str, Any]) -> Path | None:
        """The field of our settings that an error names."""
        fields = (refused_field(self._ga_name(name), self._wanted) for name in names(error))
        return next((path for path in fields if path), None)

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


def _without_model(update: Event) -> Event:
    """The `session.update` without our guess at a transcription model, and the prompt that is made for that one."""
    ours = look_up(update["session"], _TRANSCRIPTION)[1] or {}
    told = "language" in ours
    for path in [(*_TRANSCRIPTION, "model"), (*_TRANSCRIPTION, "prompt")] if told else [_TRANSCRIPTION]:
        update = without(update, path)
    return update


def _code(error: object) -> str:
    """The code of an error, as far as it is one."""
    return safe_word(error.get("code")) if isinstance(error, Mapping) and error.get("code") else "no code"
