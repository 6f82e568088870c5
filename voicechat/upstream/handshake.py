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

from voicechat.config.transcription import DEFAULT_TRANSCRIPTION_MODEL
from voicechat.protocol.beta_dialect import Dialect, client_to_beta, server_to_ga, speaks_beta
from voicechat.protocol.failures import FATAL, ConnectionFailed, Failure, failure_of_error, loggable_code
from voicechat.protocol.unsupported_fields import (
    FieldPath,
    UnsupportedFields,
    find_rejected_field,
    is_required,
    keep_essential_fields,
    look_up,
    named_fields,
    rejects_ga,
    without_field,
)

log = logging.getLogger(__name__)

Event = dict[str, Any]

_TRANSCRIPTION: FieldPath = ("audio", "input", "transcription")
MAX_REJECTED_FIELDS = 6
"""Fields left out for one connection. A server that refuses more is no server for us."""


class HandshakePhase(Enum):
    """How far the server has come."""

    OPENED = 1
    """The socket is open, nothing has been sent."""
    SETTINGS_SENT = 2
    """The settings have been sent, and nothing else."""
    IN_USE_SILENT = 3
    """In use, though the server has not said a word."""
    IN_USE = 4


class Handshake:
    """One connection's beginning."""

    def __init__(self, update: Event, unsupported_fields: UnsupportedFields, host: str = "the server") -> None:
        """`update`: the GA `session.update`. `refused`: what this server refused before; what it
        refuses now is added. `host`: for the log."""
        self.phase = HandshakePhase.OPENED
        self.dialect = Dialect.GA
        """Of the server."""
        self._event_id_prefix = str(update.get("event_id") or "session_update")
        self._update: Event = {**unsupported_fields.filter_update(update), "event_id": self._event_id_prefix}
        self._requested_update = self._update
        """The settings as they were before this server refused anything of them."""
        self._unsupported_fields = unsupported_fields
        self._removed_fields: dict[FieldPath, int] = {}
        """Fields refused -> how many more refusals of it may come, of updates that were on their way already."""
        self._keeps_server_model = False
        """The server has a model for transcription, and keeps it."""
        self._essentials_only = False
        """It takes the essentials only."""
        self._updates_sent = 1
        """How often the settings were told."""
        self._has_received_event = False
        """The server has said something."""
        self._host = host

    # ---------------------------------------------------------------- what is sent

    def send_settings(self) -> list[Event]:
        """Tell the settings: once the server has greeted, or is not going to."""
        self.phase = HandshakePhase.SETTINGS_SENT
        return self.to_wire(self._update)

    def proceed_unconfirmed(self) -> None:
        """The server does not confirm. Several never do, and can be used all the same."""
        if self.phase is HandshakePhase.SETTINGS_SENT:
            self.phase = HandshakePhase.IN_USE if self._has_received_event else HandshakePhase.IN_USE_SILENT

    def filter_unsupported(self, update: Event) -> Event:
        """Another GA `session.update` without what this server is known not to take."""
        update = self._unsupported_fields.filter_update(update)
        update = _without_transcription_model(update) if self._keeps_server_model else update
        return keep_essential_fields(update) if self._essentials_only else update

    def to_wire(self, event: Event) -> list[Event]:
        """A GA client event as this server is told it."""
        return [event] if self.dialect is Dialect.GA else client_to_beta(event)

    # ---------------------------------------------------------------- what is received

    def handle_event(self, event: Event) -> tuple[list[Event], list[Event]]:
        """A server event, which has a `type` -> (GA events for the caller, events to send at once).

        Raises ConnectionFailed when it says that the session is of no use.
        """
        kind: str = event["type"]
        self._has_received_event = True
        if kind == "error":
            answers = self._handle_error(event.get("error"))
            return (self._to_ga(event), []) if answers is None else ([], answers)
        if self.phase is HandshakePhase.IN_USE_SILENT:
            self.phase = HandshakePhase.IN_USE
        if kind in ("session.created", "session.updated") and self.dialect is Dialect.GA and speaks_beta(event):
            answers = self._switch_to_beta()
            self._keep_server_model(event)
            # An update that was told in the wrong dialect, and confirmed, is nobody's confirmation.
            return (self._to_ga(event) if kind == "session.created" else []), answers
        if self.phase is HandshakePhase.OPENED:
            self._keep_server_model(event)
        elif kind == "session.updated":
            self._unsupported_fields.confirms_updates = True
            self.phase = HandshakePhase.IN_USE
        return self._to_ga(event), []

    def _to_ga(self, event: Event) -> list[Event]:
        return [event] if self.dialect is Dialect.GA else server_to_ga(event)

    def _keep_server_model(self, created: Event) -> None:
        """A server that has a model for transcription keeps it, where ours is but a guess."""
        if self.phase is not HandshakePhase.OPENED or created["type"] != "session.created":
            return
        theirs = [look_up(event.get("session"), (*_TRANSCRIPTION, "model"))[1] for event in self._to_ga(created)]
        ours: Event = look_up(self._update["session"], _TRANSCRIPTION)[1] or {}
        if any(theirs) and ours.get("model") == DEFAULT_TRANSCRIPTION_MODEL:
            self._keeps_server_model = True
            self._requested_update = self._update = _without_transcription_model(self._update)

    def _handle_error(self, error: object) -> list[Event] | None:
        """What to send after an error about the settings; None when it is about anything else."""
        failure = failure_of_error(error)
        if failure is not None and (failure in FATAL or self.phase is not HandshakePhase.IN_USE):
            log.info("%s cannot serve us: %s (%s)", self._host, failure.value, _error_code(error))
            raise ConnectionFailed(failure)
        if failure is not None or not isinstance(error, Mapping) or self.phase is HandshakePhase.OPENED:
            return None
        about = str(error.get("event_id") or "")
        if about.startswith(self._event_id_prefix):
            return self._handle_rejection(error, about)
        if not about and (
            self.phase is HandshakePhase.SETTINGS_SENT or self._removed_fields.get(self._rejected_field(error) or (), 0)
        ):
            # Nothing else was sent that it could be about, or nothing else has this field.
            return self._handle_rejection(error, about)
        return None

    # ---------------------------------------------------------------- what the server does not take

    def _handle_rejection(self, error: Mapping[str, Any], about: str) -> list[Event]:
        """The settings were refused: say them again in beta, or without the field it was about.

        `about`: the id of the update that was refused; "" when the server does not say.
        """
        if rejects_ga(error):
            return self._switch_to_beta() if self.dialect is Dialect.GA else []
        path, late = self._rejected_field(error), about not in ("", self._update["event_id"])
        if late and (path is None or path in self._removed_fields):
            return []
        if not about and self._removed_fields.get(path or (), 0):
            self._removed_fields[path or ()] -= 1
            return []
        log.warning(
            "%s refused a session setting: %s (%s)", self._host, ".".join(path or ["not named"]), _error_code(error)
        )
        found, value = look_up(self._update["session"], path) if path else (False, None)
        if path is None:
            update = keep_essential_fields(self._update)
            self._essentials_only = True
        elif not found and path not in self._removed_fields:
            return []  # what it was in has been left out since
        elif not found or is_required(path, self._update) or len(self._removed_fields) >= MAX_REJECTED_FIELDS:
            raise ConnectionFailed(Failure.REFUSED_SETTINGS)
        else:
            self._unsupported_fields.add(path, value)
            self._removed_fields[path] = self._updates_sent - 1
            update = without_field(self._update, path)
        if update == self._update:
            raise ConnectionFailed(Failure.REFUSED_SETTINGS)
        self._update = update
        return self._resend_settings()

    def _rejected_field(self, error: Mapping[str, Any]) -> FieldPath | None:
        """The field of our settings that an error names."""
        fields = (find_rejected_field(self._ga_name(name), self._requested_update) for name in named_fields(error))
        return next((path for path in fields if path), None)

    def _ga_name(self, name: str) -> str:
        """The GA name of a field that a server of the other dialect named."""
        full = name if name.startswith("session.") else f"session.{name}"
        for event in self._to_ga({"type": "error", "error": {"param": full}}):
            renamed = event.get("error", {}).get("param")
            return renamed if isinstance(renamed, str) and renamed != full else name
        return name

    def _switch_to_beta(self) -> list[Event]:
        """From now on everything goes through the dialect's tables."""
        log.info("%s speaks the beta dialect of the protocol.", self._host)
        self.dialect = Dialect.BETA
        return [] if self.phase is HandshakePhase.OPENED else self._resend_settings()

    def _resend_settings(self) -> list[Event]:
        """The settings under another id, so that refusals of the ones before can be told apart."""
        self._updates_sent += 1
        self._update = {**self._update, "event_id": f"{self._event_id_prefix}_{self._updates_sent}"}
        return self.to_wire(self._update)


def _without_transcription_model(update: Event) -> Event:
    """The `session.update` without our guess at a transcription model, and the prompt that is made for that one."""
    ours = look_up(update["session"], _TRANSCRIPTION)[1] or {}
    told = "language" in ours
    for path in [(*_TRANSCRIPTION, "model"), (*_TRANSCRIPTION, "prompt")] if told else [_TRANSCRIPTION]:
        update = without_field(update, path)
    return update


def _error_code(error: object) -> str:
    """The code of an error, as far as it is one."""
    return loggable_code(error.get("code")) if isinstance(error, Mapping) and error.get("code") else "no code"
