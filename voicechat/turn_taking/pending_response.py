"""Pending response: a reply that the call wants and has not requested yet. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum


class PendingResponse(Enum):
    """Purpose of the wanted reply."""

    NONE = "none"
    FOR_MESSAGE = "for_message"
    """A typed message."""
    WITH_TURN = "with_turn"
    """A message typed while the visitor spoke: the reply to the spoken turn answers it too."""
    FOR_TURN = "for_turn"
    """A spoken turn that the server does not answer by itself, or anything that it answered with nothing."""


class PendingTransition(Enum):
    """Everything that changes which reply is wanted."""

    TYPE = "type"
    """A message is typed."""
    TYPE_WHILE_SPEAKING = "type_while_speaking"
    LEAVE_TURN = "leave_turn"
    """The server does not answer a spoken turn."""
    ANSWER = "answer"
    """A reply begins: it is newer than the turn."""
    ANSWER_TURN = "answer_turn"
    """The server announces a reply while the visitor is silent: it answers the turn and the message typed in it."""
    FOLD = "fold"
    """A reply is cancelled because the visitor speaks: the reply to the turn answers both."""
    REQUEST = "request"
    """`response.create` is sent."""
    DEFER = "defer"
    """The request for a typed message is refused: another reply is being made."""
    DEFER_TURN = "defer_turn"
    """The request for a spoken turn is refused: the reply that is being made knows of the turn."""
    LOSE = "lose"
    """The connection is lost, and the requested reply with it."""
    RETRY = "retry"
    """The reply was empty, and another attempt can help."""
    ABANDON_TURN = "abandon_turn"
    """No reply to the turn comes: a message typed in it needs its own."""
    DISCARD = "discard"
    """The visitor stops or clears."""


_P, _T = PendingResponse, PendingTransition
ASKABLE = frozenset({PendingResponse.FOR_MESSAGE, PendingResponse.FOR_TURN})
"""Replies that are requested as soon as the server is free."""
PENDING_TRANSITIONS: Mapping[PendingTransition, Mapping[PendingResponse, PendingResponse]] = {
    _T.TYPE: dict.fromkeys(_P, _P.FOR_MESSAGE),
    _T.TYPE_WHILE_SPEAKING: dict.fromkeys(_P, _P.WITH_TURN),
    _T.LEAVE_TURN: {**dict.fromkeys(_P, _P.FOR_MESSAGE), _P.NONE: _P.FOR_TURN},
    _T.ANSWER: {_P.FOR_TURN: _P.NONE},
    _T.ANSWER_TURN: {_P.WITH_TURN: _P.NONE},
    _T.FOLD: dict.fromkeys(_P, _P.WITH_TURN),
    _T.REQUEST: dict.fromkeys(_P, _P.NONE),
    _T.DEFER: dict.fromkeys(_P, _P.FOR_MESSAGE),
    _T.DEFER_TURN: dict.fromkeys(_P, _P.NONE),
    _T.LOSE: dict.fromkeys(_P, _P.FOR_MESSAGE),
    _T.RETRY: {_P.NONE: _P.FOR_TURN},
    _T.ABANDON_TURN: {_P.FOR_TURN: _P.NONE, _P.WITH_TURN: _P.FOR_MESSAGE},
    _T.DISCARD: dict.fromkeys(_P, _P.NONE),
}
"""Next value by transition and value. A value that is not listed stays as it is."""


def next_pending(pending: PendingResponse, transition: PendingTransition) -> PendingResponse:
    """Return the wanted reply after a transition, by the table."""
    return PENDING_TRANSITIONS[transition].get(pending, pending)
