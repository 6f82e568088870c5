"""Response tracker: which reply the call wants, requests, awaits and rejects. Pure.

It moves the response (`ResponseRegistry`), the user turn and the pending response together; `call.py` decides what that
means for the loudspeaker. Its state is changed by its methods alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from voicechat.conversation.responses import ResponseRegistry

from .user_turn import UserTurn, UserTurnStatus, UserTurnTransition


class PendingResponse(Enum):
    """Purpose of the wanted reply."""

    NONE = "none"
    FOR_MESSAGE = "for_message"
    """A typed message."""
    WITH_TURN = "with_turn"
    """A message typed while the visitor spoke: the reply to the spoken turn answers it too."""
    FOR_TURN = "for_turn"
    """A spoken turn that the server does not answer by itself, or anything that it answered with nothing."""
    FOR_TOOLS = "for_tools"
    """The outputs of function calls, or what a tool announces."""


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
    """The request for a spoken turn, or for results of tools, is refused: the reply that is being made knows them."""
    LOSE = "lose"
    """The connection is lost, and the requested reply with it."""
    WANT_TOOLS = "want_tools"
    """Tools have results while the visitor is silent."""
    CARRY = "carry"
    """A reply begins that knows the results of the tools."""
    RETRY = "retry"
    """The reply was empty, and another attempt can help."""
    ABANDON_TURN = "abandon_turn"
    """No reply to the turn comes: a message typed in it needs its own."""
    DISCARD = "discard"
    """The visitor stops or clears."""


_P, _T = PendingResponse, PendingTransition
ASKABLE = frozenset({PendingResponse.FOR_MESSAGE, PendingResponse.FOR_TURN, PendingResponse.FOR_TOOLS})
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
    _T.WANT_TOOLS: {_P.NONE: _P.FOR_TOOLS},
    _T.CARRY: {_P.FOR_TOOLS: _P.NONE},
    _T.RETRY: {_P.NONE: _P.FOR_TURN},
    _T.ABANDON_TURN: {_P.FOR_TURN: _P.NONE, _P.WITH_TURN: _P.FOR_MESSAGE},
    _T.DISCARD: dict.fromkeys(_P, _P.NONE),
}
"""Next value by transition and value. A value that is not listed stays as it is."""


def next_pending(pending: PendingResponse, transition: PendingTransition) -> PendingResponse:
    """Return the wanted reply after a transition, by the table."""
    return PENDING_TRANSITIONS[transition].get(pending, pending)


class ResponseTracker:
    """Replies of a call: the one at the server is `registry`'s current one."""

    def __init__(self, registry: ResponseRegistry) -> None:
        self.registry = registry
        self._turn = UserTurn()
        self._pending = PendingResponse.NONE
        self._request_event_id = ""
        self._requested_for = PendingResponse.NONE
        """Purpose of the last request."""
        self._expected_rejections = 0
        """Replies to what was cleared that the server has yet to announce: they are rejected then."""
        self._retried_after_reconnect = False
        """The pending message was requested again over a second connection; over a third it is not."""
        self._retried_empty = False
        """An empty reply to the newest message or turn was requested again."""
        self._awaits_outputs = False
        """The server refused a request because the output of a function call is missing."""

    # ---------------------------------------------------------------- reading

    @property
    def user_turn(self) -> UserTurnStatus:
        return self._turn.status

    @property
    def pending(self) -> PendingResponse:
        return self._pending

    @property
    def is_response_askable(self) -> bool:
        """A reply is to be requested as soon as the server is free."""
        return self._pending in ASKABLE

    @property
    def request_event_id(self) -> str:
        """`event_id` of the last request; "" once its reply is not wanted any more."""
        return self._request_event_id

    @property
    def is_response_expected(self) -> bool:
        """A reply is being made, or is to come."""
        return self._turn.awaits_reply or not self.registry.is_free or self._pending is not PendingResponse.NONE

    @property
    def is_repeated(self) -> bool:
        """The reply to the newest message or turn was lost once, and wanted again."""
        return self._retried_after_reconnect

    @property
    def is_turn_completed(self) -> bool:
        """A spoken turn has ended, and its reply is not announced."""
        return self._turn.is_completed

    @property
    def has_unanswered_turn(self) -> bool:
        """The server may have been kept from answering a turn, by a reply that is over."""
        return self._turn.status is UserTurnStatus.COLLIDED and self.registry.is_free

    def can_request(self) -> bool:
        """Return whether a reply may be requested: one is wanted, none is being made, none is to be rejected first."""
        awaits_rejected = self._expected_rejections > 0 or self._turn.status is UserTurnStatus.CLEARED
        # The reply to a turn may know the results: it is requested only if that reply does not.
        awaits_turn = self._pending is PendingResponse.FOR_TOOLS and self._turn.awaits_reply
        blocked = awaits_rejected or awaits_turn or self._awaits_outputs
        return self.is_response_askable and self.registry.is_free and not blocked

    # ---------------------------------------------------------------- connection

    def clear_in_flight(self) -> None:
        """Forget the reply at the server and the turn."""
        self.registry.release()
        self._request_event_id, self._expected_rejections = "", 0
        self._awaits_outputs = False
        self._turn.apply(UserTurnTransition.FORGET)

    def handle_disconnected(self, *, response_lost: bool) -> bool:
        """Forget the connection. A reply of which nothing was shown (`response_lost`) is wanted from the next one.

        That holds for one loss of the same reply. Return whether any reply is wanted from the next connection.
        """
        self.clear_in_flight()
        if response_lost and not self._retried_after_reconnect:
            self._move(PendingTransition.LOSE)
            self._retried_after_reconnect = True
        return self.is_response_askable

    # ---------------------------------------------------------------- the visitor

    def add_message(self, *, user_speaking: bool) -> None:
        """Want a reply to a typed message."""
        self._move(PendingTransition.TYPE_WHILE_SPEAKING if user_speaking else PendingTransition.TYPE)
        self._retried_after_reconnect = self._retried_empty = False

    def start_turn(self) -> None:
        """Begin a spoken turn."""
        self._turn.apply(UserTurnTransition.START)
        self._retried_after_reconnect = self._retried_empty = False

    def commit_turn(self, *, can_collide: bool) -> None:
        """End a spoken turn: it is an item now. `can_collide`: the server does not interrupt its own replies."""
        if self._turn.status is UserTurnStatus.CLEARED:
            self._expected_rejections += 1
        else:
            # Replies come in the order of what they answer: none to anything before this turn is still to come.
            self._expected_rejections = 0
        collides = can_collide and self.registry.is_busy
        self._turn.apply(UserTurnTransition.COLLIDE if collides else UserTurnTransition.COMMIT)

    def dismiss_turn(self) -> None:
        """Take the sound for no turn."""
        self._turn.apply(UserTurnTransition.DISMISS)

    def queue_turn_response(self) -> None:
        """Want a reply to a turn that the server does not answer by itself."""
        self._turn.apply(UserTurnTransition.FORGET)
        self._move(PendingTransition.LEAVE_TURN)

    def abandon_turn(self) -> None:
        """Await no reply to the turn; a message typed in it needs its own."""
        self._turn.apply(UserTurnTransition.DISCARD_ANSWER)
        self._move(PendingTransition.ABANDON_TURN)

    def discard_expected(self) -> None:
        """Reject the reply that is to come, and want none."""
        if self.registry.is_requested:
            self.registry.release()
            self._expected_rejections += 1
        if self._turn.is_completed:
            self._turn.apply(UserTurnTransition.DISCARD_ANSWER)
            self._expected_rejections += 1
        self._move(PendingTransition.DISCARD)
        self._request_event_id = ""

    def clear(self) -> None:
        """Clear the conversation: reject the reply that is to come and the turn that is being spoken."""
        self._turn.apply(UserTurnTransition.CLEAR)
        self.discard_expected()

    # ---------------------------------------------------------------- requests

    def mark_requested(self, event_id: str) -> None:
        """Note that this event requests the wanted reply."""
        self._requested_for = self._pending
        self._move(PendingTransition.REQUEST)
        self.registry.request()
        self._request_event_id = event_id

    def defer_request(self) -> None:
        """Note that the request was refused because another reply is being made."""
        if not self.registry.is_busy:
            self.registry.announce("")
        knows_all = self._requested_for in (PendingResponse.FOR_TURN, PendingResponse.FOR_TOOLS)
        self._move(PendingTransition.DEFER_TURN if knows_all else PendingTransition.DEFER)

    def hold_request(self) -> None:
        """Note that the request was refused because the output of a function call is missing."""
        self.registry.release()
        self._move(PendingTransition.DEFER)
        self._awaits_outputs, self._request_event_id = True, ""

    def release_held_request(self) -> None:
        """Note that the server has all outputs."""
        self._awaits_outputs = False

    def want_tools(self, *, user_speaking: bool) -> None:
        """Want a reply to results of tools. While the visitor speaks, the reply to the turn knows them."""
        self._move(PendingTransition.TYPE_WHILE_SPEAKING if user_speaking else PendingTransition.WANT_TOOLS)

    def carry_results(self) -> None:
        """Note that the reply which begins knows the results of the tools."""
        self._move(PendingTransition.CARRY)

    def drop_stale_request(self) -> None:
        """Note that a request for an unwanted reply was refused: that reply does not come."""
        self._expected_rejections = max(0, self._expected_rejections - 1)

    # ---------------------------------------------------------------- replies

    def mark_active(self, response_id: str, *, user_speaking: bool) -> None:
        """Note that a reply is being made. It answers the turn, unless the visitor is still speaking."""
        self.registry.announce(response_id)
        self._turn.apply(UserTurnTransition.ANSWER_WHILE_SPEAKING if user_speaking else UserTurnTransition.ANSWER)
        self._move(PendingTransition.ANSWER)

    def retry_empty(self) -> None:
        """Want another reply in place of an empty one, once, unless the reply to a newer turn is awaited."""
        if not self._retried_empty and not self._turn.awaits_reply:
            self._retried_empty = True
            self._move(PendingTransition.RETRY)

    def fold_into_turn(self) -> None:
        """Want no reply of its own for a message: the reply to the turn being spoken answers it."""
        self._move(PendingTransition.FOLD)

    def mark_turn_answered(self) -> None:
        """Note that the announced reply answers the turn and the message typed in it."""
        self._move(PendingTransition.ANSWER_TURN)

    def reject_if_stale(self, response_id: str, *, user_speaking: bool) -> bool:
        """Reject a new reply that answers what was cleared or dismissed. Return whether it was rejected."""
        # A server that sends no "committed" answers a cleared turn only once the visitor is silent.
        cleared = self._turn.status is UserTurnStatus.CLEARED and not user_speaking
        dismissed = self._turn.status is UserTurnStatus.DISMISSED and not self.registry.is_requested
        if self._expected_rejections:
            self._expected_rejections -= 1
        elif cleared or dismissed:
            self._turn.apply(UserTurnTransition.REJECT_ANSWER)
        else:
            return False
        self.registry.reject(response_id)
        return True

    def reject_unclassified(self, response_id: str) -> None:
        """Reject a reply to a sound that is still being classified."""
        self.registry.reject(response_id)
        self._turn.apply(UserTurnTransition.DISCARD_ANSWER)

    def _move(self, transition: PendingTransition) -> None:
        self._pending = next_pending(self._pending, transition)
