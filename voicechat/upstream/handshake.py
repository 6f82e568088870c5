"""Handshake: begins a session, and learns the server's dialect and the settings that it rejects. Pure.

Server events go in as received. Events for the caller come out in GA, and events to send in the server's own dialect.
Time and the socket belong to the owner of this object:

    OPENED ── send_settings() ──▶ SETTINGS_SENT ── session.updated, or proceed_unconfirmed() ──▶ IN_USE
                                   │  ▲                └─ no event so far ──▶ IN_USE_SILENT ── any event ──▶ IN_USE
                                   └──┘ rejected: sent again without the field, with the essentials only, or in beta
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, Flag, auto
from typing import Any

from voicechat.config.transcription import DEFAULT_TRANSCRIPTION_MODEL
from voicechat.protocol.beta_dialect import Dialect, client_to_beta, server_to_ga, speaks_beta
from voicechat.protocol.event_fields import RawEvent
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

_TRANSCRIPTION: FieldPath = ("audio", "input", "transcription")
MAX_REJECTED_FIELDS = 6
"""Fields left out for one connection. A server that rejects more cannot be used."""


class HandshakePhase(Enum):
    """Progress of the handshake."""

    OPENED = 1
    """The socket is open, nothing has been sent."""
    SETTINGS_SENT = 2
    """The settings have been sent, and nothing else."""
    IN_USE_SILENT = 3
    """In use, though the server has not sent any event."""
    IN_USE = 4


class Profile(Flag):
    """Differences of this server from one that takes all settings in GA. The differences combine."""

    FULL_GA = 0
    BETA = auto()
    """The server speaks the beta dialect."""
    ESSENTIALS_ONLY = auto()
    """The server takes the essential settings only."""
    KEEPS_SERVER_MODEL = auto()
    """The server has a transcription model of its own, and keeps it."""


class RejectionAction(Enum):
    """Next step after a rejection of the settings."""

    IGNORE = 1
    """It is about something that is sent no longer."""
    IGNORE_EXPECTED = 2
    """It repeats one that was handled, for an update sent before that."""
    SWITCH_TO_BETA = 3
    KEEP_ESSENTIALS = 4
    REMOVE_FIELD = 5
    GIVE_UP = 6


@dataclass(frozen=True, slots=True)
class Rejection:
    """A server's error about the settings."""

    update_id: str
    """Id of the update that was rejected; "" when the server does not name it."""
    path: FieldPath | None
    """The field of the settings to blame; None when the error names none."""
    rejects_ga: bool
    """The server rejects the GA dialect as such."""


class Handshake:
    """The beginning of one connection."""

    def __init__(self, update: RawEvent, unsupported_fields: UnsupportedFields, host: str = "the server") -> None:
        """`update`: the GA `session.update`. `unsupported_fields`: fields that this server rejected before; new ones
        are added. `host`: for the log."""
        self.phase = HandshakePhase.OPENED
        self._profile = Profile.FULL_GA
        self._event_id_prefix = str(update.get("event_id") or "session_update")
        self._update: RawEvent = {**unsupported_fields.filter_update(update), "event_id": self._event_id_prefix}
        self._requested_update = self._update
        """The settings before this server rejected any of them."""
        self._unsupported_fields = unsupported_fields
        self._removed_fields: dict[FieldPath, int] = {}
        """Removed fields -> how many more rejections of each may follow, of updates sent before its removal."""
        self._updates_sent = 1
        """Number of updates sent."""
        self._has_received_event = False
        self._host = host

    @property
    def dialect(self) -> Dialect:
        """The server's dialect, as far as is known."""
        return Dialect.BETA if Profile.BETA in self._profile else Dialect.GA

    # ---------------------------------------------------------------- what is sent

    def send_settings(self) -> list[RawEvent]:
        """Return the settings to send, once the server has greeted or is not going to."""
        self.phase = HandshakePhase.SETTINGS_SENT
        return self.to_wire(self._update)

    def proceed_unconfirmed(self) -> None:
        """Go on without a confirmation. Several servers never confirm, and can be used all the same."""
        if self.phase is HandshakePhase.SETTINGS_SENT:
            self.phase = HandshakePhase.IN_USE if self._has_received_event else HandshakePhase.IN_USE_SILENT

    def filter_unsupported(self, update: RawEvent) -> RawEvent:
        """Return another GA `session.update` without fields that this server is known to reject."""
        update = self._unsupported_fields.filter_update(update)
        update = _without_transcription_model(update) if Profile.KEEPS_SERVER_MODEL in self._profile else update
        return keep_essential_fields(update) if Profile.ESSENTIALS_ONLY in self._profile else update

    def to_wire(self, event: RawEvent) -> list[RawEvent]:
        """Return a GA client event in the server's dialect."""
        return [event] if self.dialect is Dialect.GA else client_to_beta(event)

    # ---------------------------------------------------------------- what is received

    def handle_event(self, event: RawEvent) -> tuple[list[RawEvent], list[RawEvent]]:
        """Handle a server event, which has a `type`. Return (GA events for the caller, events to send at once).

        Raises `ConnectionFailed` when the session cannot be used.
        """
        kind: str = event["type"]
        self._has_received_event = True
        if kind == "error":
            answers = self._handle_error(event.get("error"))
            return (self._to_ga(event), []) if answers is None else ([], answers)
        if kind == "session.update" and self.phase is not HandshakePhase.IN_USE:
            log.info("upstream: own event came back host=%s", self._host)
            raise ConnectionFailed(Failure.WRONG_ADDRESS)  # an echo service, which would seem to be connected
        if self.phase is HandshakePhase.IN_USE_SILENT:
            self.phase = HandshakePhase.IN_USE
        if kind in ("session.created", "session.updated") and self.dialect is Dialect.GA and speaks_beta(event):
            answers = self._switch_to_beta()
            self._keep_server_model(event)
            # The confirmation of an update in the wrong dialect confirms nothing.
            return (self._to_ga(event) if kind == "session.created" else []), answers
        if self.phase is HandshakePhase.OPENED:
            self._keep_server_model(event)
        elif kind == "session.updated":
            self._unsupported_fields.confirms_updates = True
            self.phase = HandshakePhase.IN_USE
        if Profile.BETA not in self._profile:  # the way of most events
            return [event], []
        return server_to_ga(event), []

    def _to_ga(self, event: RawEvent) -> list[RawEvent]:
        return [event] if self.dialect is Dialect.GA else server_to_ga(event)

    def _keep_server_model(self, created: RawEvent) -> None:
        """Keep the transcription model that the server has, where ours is only the default."""
        if self.phase is not HandshakePhase.OPENED or created["type"] != "session.created":
            return
        theirs = [look_up(event.get("session"), (*_TRANSCRIPTION, "model"))[1] for event in self._to_ga(created)]
        ours: RawEvent = look_up(self._update["session"], _TRANSCRIPTION)[1] or {}
        if any(theirs) and ours.get("model") == DEFAULT_TRANSCRIPTION_MODEL:
            self._profile |= Profile.KEEPS_SERVER_MODEL
            self._requested_update = self._update = _without_transcription_model(self._update)

    def _handle_error(self, error: object) -> list[RawEvent] | None:
        """Return the events to send after an error about the settings; None for any other error."""
        failure = failure_of_error(error)
        if failure is not None and (failure in FATAL or self.phase is not HandshakePhase.IN_USE):
            log.info(
                "upstream: session refused host=%s failure=%s code=%s", self._host, failure.value, _error_code(error)
            )
            raise ConnectionFailed(failure)
        if failure is not None or not isinstance(error, Mapping) or self.phase is HandshakePhase.OPENED:
            return None
        rejection = self._match_rejection(error)
        if rejection is None:
            return None
        action = self._choose_action(rejection)
        if action in (RejectionAction.KEEP_ESSENTIALS, RejectionAction.REMOVE_FIELD, RejectionAction.GIVE_UP):
            name = ".".join(rejection.path or ["unnamed"])
            log.warning("upstream: setting rejected host=%s field=%s code=%s", self._host, name, _error_code(error))
        return self._apply(action, rejection)

    # ---------------------------------------------------------------- settings that the server rejects

    def _match_rejection(self, error: Mapping[str, Any]) -> Rejection | None:
        """Return the error as a rejection of the settings; None when it is about another event."""
        update_id = str(error.get("event_id") or "")
        fields = (find_rejected_field(self._ga_name(name), self._requested_update) for name in named_fields(error))
        path = next((path for path in fields if path), None)
        if update_id:
            is_about_settings = update_id.startswith(self._event_id_prefix)
        else:  # either nothing else was sent, or nothing else has this field
            is_about_settings = self.phase is HandshakePhase.SETTINGS_SENT or self._is_expected_again(path)
        return Rejection(update_id, path, rejects_ga(error)) if is_about_settings else None

    def _choose_action(self, rejection: Rejection) -> RejectionAction:
        """Decide about a rejection, without changing anything."""
        path = rejection.path
        if rejection.rejects_ga:
            return RejectionAction.SWITCH_TO_BETA if self.dialect is Dialect.GA else RejectionAction.IGNORE
        if self._is_repeated(rejection):
            return RejectionAction.IGNORE_EXPECTED
        if path is None:
            bare = keep_essential_fields(self._update) == self._update
            return RejectionAction.GIVE_UP if bare else RejectionAction.KEEP_ESSENTIALS
        if not look_up(self._update["session"], path)[0]:
            # A field that was removed alone and is rejected again cannot be helped; one within a removed object can.
            return RejectionAction.GIVE_UP if path in self._removed_fields else RejectionAction.IGNORE
        if is_required(path, self._update) or len(self._removed_fields) >= MAX_REJECTED_FIELDS:
            return RejectionAction.GIVE_UP
        return RejectionAction.REMOVE_FIELD

    def _is_repeated(self, rejection: Rejection) -> bool:
        """Return whether an earlier update was rejected for something that the newest no longer has."""
        if not rejection.update_id:
            return self._is_expected_again(rejection.path)
        is_late = rejection.update_id != self._update["event_id"]
        return is_late and (rejection.path is None or rejection.path in self._removed_fields)

    def _is_expected_again(self, path: FieldPath | None) -> bool:
        """Return whether updates sent before the field's removal may still be rejected for it."""
        return path is not None and self._removed_fields.get(path, 0) > 0

    def _apply(self, action: RejectionAction, rejection: Rejection) -> list[RawEvent]:
        """Carry out the action. Return the events to send."""
        path = rejection.path
        match action:
            case RejectionAction.SWITCH_TO_BETA:
                return self._switch_to_beta()
            case RejectionAction.KEEP_ESSENTIALS:
                self._profile |= Profile.ESSENTIALS_ONLY
                return self._resend_settings(keep_essential_fields(self._update))
            case RejectionAction.REMOVE_FIELD if path is not None:
                self._unsupported_fields.add(path, look_up(self._update["session"], path)[1])
                self._removed_fields[path] = self._updates_sent - 1
                return self._resend_settings(without_field(self._update, path))
            case RejectionAction.GIVE_UP:
                raise ConnectionFailed(Failure.REFUSED_SETTINGS)
            case RejectionAction.IGNORE_EXPECTED if path is not None and not rejection.update_id:
                self._removed_fields[path] -= 1
        return []

    def _ga_name(self, name: str) -> str:
        """Return the GA name of a field that a server of the other dialect named."""
        full = name if name.startswith("session.") else f"session.{name}"
        for event in self._to_ga({"type": "error", "error": {"param": full}}):
            renamed = event.get("error", {}).get("param")
            return renamed if isinstance(renamed, str) and renamed != full else name
        return name

    def _switch_to_beta(self) -> list[RawEvent]:
        """Translate everything from now on. Return the events to send."""
        log.info("upstream: dialect detected host=%s dialect=beta", self._host)
        self._profile |= Profile.BETA
        return [] if self.phase is HandshakePhase.OPENED else self._resend_settings(self._update)

    def _resend_settings(self, update: RawEvent) -> list[RawEvent]:
        """Return the settings under a new id, which tells their rejections from those of earlier updates."""
        self._updates_sent += 1
        self._update = {**update, "event_id": f"{self._event_id_prefix}_{self._updates_sent}"}
        return self.to_wire(self._update)


def _without_transcription_model(update: RawEvent) -> RawEvent:
    """Return the `session.update` without our default transcription model and the prompt made for it."""
    ours = look_up(update["session"], _TRANSCRIPTION)[1] or {}
    has_language = "language" in ours
    for path in [(*_TRANSCRIPTION, "model"), (*_TRANSCRIPTION, "prompt")] if has_language else [_TRANSCRIPTION]:
        update = without_field(update, path)
    return update


def _error_code(error: object) -> str:
    """Return the code of an error as the log may show it."""
    return loggable_code(error.get("code")) if isinstance(error, Mapping) and error.get("code") else "none"
