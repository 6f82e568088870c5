"""User turn: the visitor's newest spoken turn, as far as its reply is still to be announced. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum


class UserTurnStatus(Enum):
    """Status of the newest spoken turn."""

    NONE = "none"
    """No reply to a turn is awaited."""
    OPEN = "open"
    """Begun, and not committed."""
    COMMITTED = "committed"
    COLLIDED = "collided"
    """Committed during a reply that the server was not to interrupt. Some servers answer it after that reply, some send
    an error, some send nothing."""
    DISMISSED = "dismissed"
    """No turn: a cough. An unrequested reply answers it, and is rejected."""
    CLEARED = "cleared"
    """Cleared while it was open. It is deleted once it is committed, and its reply is rejected."""


class UserTurnTransition(Enum):
    """Everything that changes the status of the turn."""

    START = "start"
    """`speech_started`."""
    COMMIT = "commit"
    """`committed`, while no reply was being made that the server must not interrupt."""
    COLLIDE = "collide"
    """`committed`, while such a reply was being made."""
    ANSWER = "answer"
    """A reply begins while the visitor is silent."""
    ANSWER_WHILE_SPEAKING = "answer_while_speaking"
    """A reply begins while the visitor speaks: it answers a turn that was committed before."""
    REJECT_ANSWER = "reject_answer"
    """The reply to a cleared or dismissed turn is rejected."""
    DISMISS = "dismiss"
    """The sound was no turn."""
    CLEAR = "clear"
    """The conversation is cleared."""
    DISCARD_ANSWER = "discard_answer"
    """The reply is not wanted any more, or none comes."""
    FORGET = "forget"
    """The server will not answer it by itself, or the connection is lost."""


_S, _T = UserTurnStatus, UserTurnTransition
COMPLETED = frozenset({UserTurnStatus.COMMITTED, UserTurnStatus.COLLIDED})
_ANSWERED = dict.fromkeys(COMPLETED, _S.NONE)
USER_TURN_TRANSITIONS: Mapping[UserTurnTransition, Mapping[UserTurnStatus, UserTurnStatus]] = {
    _T.START: dict.fromkeys(_S, _S.OPEN),
    _T.COMMIT: {**dict.fromkeys(_S, _S.COMMITTED), _S.CLEARED: _S.NONE},
    _T.COLLIDE: {**dict.fromkeys(_S, _S.COLLIDED), _S.CLEARED: _S.NONE},
    _T.ANSWER: dict.fromkeys(_S, _S.NONE),
    _T.ANSWER_WHILE_SPEAKING: _ANSWERED,
    _T.REJECT_ANSWER: {_S.CLEARED: _S.NONE, _S.DISMISSED: _S.NONE},
    _T.DISMISS: {**dict.fromkeys(_S, _S.DISMISSED), _S.NONE: _S.NONE},
    _T.CLEAR: {_S.OPEN: _S.CLEARED},
    _T.DISCARD_ANSWER: _ANSWERED,
    _T.FORGET: dict.fromkeys(_S, _S.NONE),
}
"""Next status by transition and status. A status that is not listed stays as it is."""


class UserTurn:
    """The newest spoken turn of a call."""

    def __init__(self) -> None:
        self.status = UserTurnStatus.NONE

    @property
    def is_completed(self) -> bool:
        """Return whether the turn is committed and its reply is awaited."""
        return self.status in COMPLETED

    @property
    def awaits_reply(self) -> bool:
        """Return whether the server will announce a reply to it, or might. That reply may be rejected then."""
        return self.status not in (UserTurnStatus.NONE, UserTurnStatus.DISMISSED)

    def apply(self, transition: UserTurnTransition) -> None:
        """Change the status by the table."""
        self.status = USER_TURN_TRANSITIONS[transition].get(self.status, self.status)
