"""Which reply is wanted, on its way, or being made. Pure; `call.py` decides what that means for the loudspeaker."""

from __future__ import annotations

from enum import Enum


class ResponseStatus(Enum):
    """The reply at the server."""

    NONE = "none"
    REQUESTED = "asked"
    """`response.create` was sent, `response.created` has not come."""
    ACTIVE = "active"


class UserTurnStatus(Enum):
    """What the visitor said last, as far as an answer to it is still to be announced."""

    NONE = "none"
    OPEN = "open"
    """Begun, and not committed yet."""
    COMMITTED = "committed"
    COLLIDED = "collided"
    """Committed while a reply was being made that the server was not to interrupt. Some servers answer it after that
    reply, some say that they cannot, some say nothing."""
    DISMISSED = "dismissed"
    """It was none: a cough. An answer that nobody asked for is one to it, and is refused."""
    CLEARED = "forgotten"
    """Cleared while it was open. It is deleted once it is committed, and its answer is refused."""


class PendingResponse(Enum):
    """An answer to a typed message that has not been asked for yet."""

    NONE = "nothing"
    FOR_MESSAGE = "answer"
    WITH_TURN = "with_turn"
    """Typed while speaking: the answer to the spoken turn will answer it too."""
    FOR_TURN = "turn"
    """One to a spoken turn, which the server does not give by itself."""


COMPLETED = frozenset({UserTurnStatus.COMMITTED, UserTurnStatus.COLLIDED})
ASKABLE = frozenset({PendingResponse.FOR_MESSAGE, PendingResponse.FOR_TURN})


class ResponseTracker:
    """The states of the reply, the turn and the typed message, and what moves them together."""

    def __init__(self) -> None:
        self.status = ResponseStatus.NONE
        self.response_id = ""
        self.user_turn = UserTurnStatus.NONE
        self.pending = PendingResponse.NONE
        self.request_event_id = ""
        """`event_id` of the last request for a reply; "" once what it was about was cleared."""
        self._requested_for = PendingResponse.NONE
        """What the last request for a reply was about."""
        self._expected_rejections = 0
        """Replies to what was cleared that the server has yet to announce: they are refused then."""
        self._retried_after_reconnect = False
        """The typed message has been asked about on a second connection already; there is no third."""

    def add_message(self, user_speaking: bool) -> None:
        """A message was typed, while the visitor was speaking (`hearing`) or not: it wants an answer."""
        self.pending = PendingResponse.WITH_TURN if user_speaking else PendingResponse.FOR_MESSAGE
        self._retried_after_reconnect = False

    def handle_disconnected(self, response_lost: bool) -> None:
        """The connection is gone. An answer of which nothing has come (`unanswered`) is wanted from the next one."""
        self.clear_in_flight()
        if response_lost and not self._retried_after_reconnect:
            self.pending, self._retried_after_reconnect = PendingResponse.FOR_MESSAGE, True

    @property
    def is_response_expected(self) -> bool:
        """An answer is being made, or is to come."""
        awaited = self.user_turn not in (UserTurnStatus.NONE, UserTurnStatus.DISMISSED)
        return awaited or self.status is not ResponseStatus.NONE or self.pending is not PendingResponse.NONE

    def clear_in_flight(self) -> None:
        """No reply is being made or on its way."""
        self.status, self.response_id, self.request_event_id = ResponseStatus.NONE, "", ""
        self.user_turn, self._expected_rejections = UserTurnStatus.NONE, 0

    def mark_active(self, response_id: str, user_speaking: bool) -> None:
        """A reply is being made. It answers the turn unless the visitor is still speaking (`hearing`)."""
        self.status, self.response_id = ResponseStatus.ACTIVE, response_id
        if self.user_turn in COMPLETED or not user_speaking:
            self.user_turn = UserTurnStatus.NONE
        if self.pending is PendingResponse.FOR_TURN:  # it is newer than that turn
            self.pending = PendingResponse.NONE

    def reject_if_stale(self, response_id: str, user_speaking: bool) -> bool:
        """Whether the reply that is announced now answers what was cleared. It is being made until it is cancelled."""
        if self._expected_rejections:
            self._expected_rejections -= 1
        elif self.user_turn is UserTurnStatus.CLEARED and not user_speaking:  # a server that does not say "committed"
            self.user_turn = UserTurnStatus.NONE
        elif self.user_turn is UserTurnStatus.DISMISSED:
            if self.status is ResponseStatus.REQUESTED:
                return False
            self.user_turn = UserTurnStatus.NONE
        else:
            return False
        self._track_rejected(response_id)
        return True

    def _track_rejected(self, response_id: str) -> None:
        if self.status is not ResponseStatus.ACTIVE:
            self.status, self.response_id = ResponseStatus.ACTIVE, response_id

    def reject_unclassified(self, response_id: str) -> None:
        """A reply is announced to a sound of which is not known yet whether it is a turn: it is refused."""
        self._track_rejected(response_id)
        if self.user_turn in COMPLETED:
            self.user_turn = UserTurnStatus.NONE

    def dismiss_turn(self) -> None:
        """The sound was no turn."""
        self.user_turn = UserTurnStatus.NONE if self.user_turn is UserTurnStatus.NONE else UserTurnStatus.DISMISSED

    def queue_turn_response(self) -> None:
        """The server does not answer the turn by itself."""
        self.user_turn = UserTurnStatus.NONE
        self.pending = PendingResponse.FOR_TURN if self.pending is PendingResponse.NONE else PendingResponse.FOR_MESSAGE

    @property
    def has_unanswered_turn(self) -> bool:
        """The server may have been kept from answering a turn, by a reply that is over now."""
        return self.user_turn is UserTurnStatus.COLLIDED and self.status is ResponseStatus.NONE

    def defer_request(self) -> None:
        """What was asked for is refused: a reply is being made. Whatever that is, it knows of a spoken turn."""
        self.status = ResponseStatus.ACTIVE
        self.pending = (
            PendingResponse.NONE if self._requested_for is PendingResponse.FOR_TURN else PendingResponse.FOR_MESSAGE
        )

    def drop_stale_request(self) -> None:
        """A request for a reply to what was cleared was turned down: that reply will not come."""
        self._expected_rejections = max(0, self._expected_rejections - 1)

    def commit_turn(self, can_collide: bool = False) -> None:
        """The turn is an item of the conversation now. `can_collide`: the server has been told not to interrupt."""
        if self.user_turn is UserTurnStatus.CLEARED:
            self.user_turn = UserTurnStatus.NONE
            self._expected_rejections += 1
        else:
            # Answers come in the order of what they answer: of what was before this turn none is on its way any more.
            self.user_turn = (
                UserTurnStatus.COLLIDED
                if can_collide and self.status is ResponseStatus.ACTIVE
                else UserTurnStatus.COMMITTED
            )
            self._expected_rejections = 0

    def discard_expected(self) -> None:
        """The reply that is on its way is not wanted any more."""
        if self.status is ResponseStatus.REQUESTED:
            self.status = ResponseStatus.NONE
            self._expected_rejections += 1
        if self.user_turn in COMPLETED:
            self.user_turn = UserTurnStatus.NONE
            self._expected_rejections += 1
        self.pending, self.request_event_id = PendingResponse.NONE, ""

    def clear(self) -> None:
        """The conversation is cleared: neither what is on its way is wanted any more, nor what is being said."""
        if self.user_turn is UserTurnStatus.OPEN:
            self.user_turn = UserTurnStatus.CLEARED
        self.discard_expected()

    def can_request(self) -> bool:
        """Whether a typed message waits for its answer, and none is being given or still to be refused."""
        coming = self._expected_rejections > 0 or self.user_turn is UserTurnStatus.CLEARED
        return self.pending in ASKABLE and self.status is ResponseStatus.NONE and not coming

    def mark_requested(self, event_id: str) -> None:
        """The answer is asked for by this event."""
        self._requested_for = self.pending
        self.pending, self.status, self.request_event_id = PendingResponse.NONE, ResponseStatus.REQUESTED, event_id

    def abandon_turn(self) -> None:
        """No answer comes to the turn; a message typed in it needs its own."""
        if self.user_turn in COMPLETED:
            self.user_turn = UserTurnStatus.NONE
        if self.pending is PendingResponse.FOR_TURN:
            self.pending = PendingResponse.NONE
        if self.pending is PendingResponse.WITH_TURN:
            self.pending = PendingResponse.FOR_MESSAGE
