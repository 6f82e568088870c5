"""Which reply is wanted, on its way, or being made. Pure; `call.py` decides what that means for the loudspeaker."""

from __future__ import annotations

from enum import Enum


class Reply(Enum):
    """The reply at the server."""

    NONE = "none"
    ASKED = "asked"
    """`response.create` was sent, `response.created` has not come."""
    ACTIVE = "active"


class Turn(Enum):
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
    FORGOTTEN = "forgotten"
    """Cleared while it was open. It is deleted once it is committed, and its answer is refused."""


class Want(Enum):
    """An answer to a typed message that has not been asked for yet."""

    NOTHING = "nothing"
    ANSWER = "answer"
    WITH_TURN = "with_turn"
    """Typed while speaking: the answer to the spoken turn will answer it too."""
    TURN = "turn"
    """One to a spoken turn, which the server does not give by itself."""


ENDED = frozenset({Turn.COMMITTED, Turn.COLLIDED})
TO_ASK = frozenset({Want.ANSWER, Want.TURN})


class Answers:
    """The states of the reply, the turn and the typed message, and what moves them together."""

    def __init__(self) -> None:
        self.reply = Reply.NONE
        self.reply_id = ""
        self.turn = Turn.NONE
        self.want = Want.NOTHING
        self.asked = ""
        """`event_id` of the last request for a reply; "" once what it was about was cleared."""
        self._asked_for = Want.NOTHING
        """What the last request for a reply was about."""
        self._refusals = 0
        """Replies to what was cleared that the server has yet to announce: they are refused then."""
        self._asked_again = False
        """The typed message has been asked about on a second connection already; there is no third."""

    def typed(self, hearing: bool) -> None:
        """A message was typed, while the visitor was speaking (`hearing`) or not: it wants an answer."""
        self.want = Want.WITH_TURN if hearing else Want.ANSWER
        self._asked_again = False

    def line_lost(self, unanswered: bool) -> None:
        """The connection is gone. An answer of which nothing has come (`unanswered`) is wanted from the next one."""
        self.nothing_coming()
        if unanswered and not self._asked_again:
            self.want, self._asked_again = Want.ANSWER, True

    @property
    def expected(self) -> bool:
        """An answer is being made, or is to come."""
        awaited = self.turn not in (Turn.NONE, Turn.DISMISSED)
        return awaited or self.reply is not Reply.NONE or self.want is not Want.NOTHING

    def nothing_coming(self) -> None:
        """No reply is being made or on its way."""
        self.reply, self.reply_id, self.asked = Reply.NONE, "", ""
        self.turn, self._refusals = Turn.NONE, 0

    def announced(self, reply_id: str, hearing: bool) -> None:
        """A reply is being made. It answers the turn unless the visitor is still speaking (`hearing`)."""
        self.reply, self.reply_id = Reply.ACTIVE, reply_id
        if self.turn in ENDED or not hearing:
            self.turn = Turn.NONE
        if self.want is Want.TURN:  # it is newer than that turn
            self.want = Want.NOTHING

    def refuses(self, reply_id: str, hearing: bool) -> bool:
        """Whether the reply that is announced now answers what was cleared. It is being made until it is cancelled."""
        if self._refusals:
            self._refusals -= 1
        elif self.turn is Turn.FORGOTTEN and not hearing:  # a server that does not say "committed"
            self.turn = Turn.NONE
        elif self.turn is Turn.DISMISSED:
            if self.reply is Reply.ASKED:
                return False
            self.turn = Turn.NONE
        else:
            return False
        self._refused(reply_id)
        return True

    def _refused(self, reply_id: str) -> None:
        if self.reply is not Reply.ACTIVE:
            self.reply, self.reply_id = Reply.ACTIVE, reply_id

    def undecided(self, reply_id: str) -> None:
        """A reply is announced to a sound of which is not known yet whether it is a turn: it is refused."""
        self._refused(reply_id)
        if self.turn in ENDED:
            self.turn = Turn.NONE

    def dismissed(self) -> None:
        """The sound was no turn."""
        self.turn = Turn.NONE if self.turn is Turn.NONE else Turn.DISMISSED

    def unanswered(self) -> None:
        """The server does not answer the turn by itself."""
        self.turn = Turn.NONE
        self.want = Want.TURN if self.want is Want.NOTHING else Want.ANSWER

    @property
    def kept_waiting(self) -> bool:
        """The server may have been kept from answering a turn, by a reply that is over now."""
        return self.turn is Turn.COLLIDED and self.reply is Reply.NONE

    def not_now(self) -> None:
        """What was asked for is refused: a reply is being made. Whatever that is, it knows of a spoken turn."""
        self.reply = Reply.ACTIVE
        self.want = Want.NOTHING if self._asked_for is Want.TURN else Want.ANSWER

    def refused_by_server(self) -> None:
        """A request for a reply to what was cleared was turned down: that reply will not come."""
        self._refusals = max(0, self._refusals - 1)

    def committed(self, collides: bool = False) -> None:
        """The turn is an item of the conversation now. `collides`: the server has been told not to interrupt."""
        if self.turn is Turn.FORGOTTEN:
            self.turn = Turn.NONE
            self._refusals += 1
        else:
            # Answers come in the order of what they answer: of what was before this turn none is on its way any more.
            self.turn = Turn.COLLIDED if collides and self.reply is Reply.ACTIVE else Turn.COMMITTED
            self._refusals = 0

    def stop(self) -> None:
        """The reply that is on its way is not wanted any more."""
        if self.reply is Reply.ASKED:
            self.reply = Reply.NONE
            self._refusals += 1
        if self.turn in ENDED:
            self.turn = Turn.NONE
            self._refusals += 1
        self.want, self.asked = Want.NOTHING, ""

    def clear(self) -> None:
        """The conversation is cleared: neither what is on its way is wanted any more, nor what is being said."""
        if self.turn is Turn.OPEN:
            self.turn = Turn.FORGOTTEN
        self.stop()

    def may_ask(self) -> bool:
        """Whether a typed message waits for its answer, and none is being given or still to be refused."""
        coming = self._refusals > 0 or self.turn is Turn.FORGOTTEN
        return self.want in TO_ASK and self.reply is Reply.NONE and not coming

    def ask(self, event_id: str) -> None:
        """The answer is asked for by this event."""
        self._asked_for = self.want
        self.want, self.reply, self.asked = Want.NOTHING, Reply.ASKED, event_id

    def turn_came_to_nothing(self) -> None:
        """No answer comes to the turn; a message typed in it needs its own."""
        if self.turn in ENDED:
            self.turn = Turn.NONE
        if self.want is Want.TURN:
            self.want = Want.NOTHING
        if self.want is Want.WITH_TURN:
            self.want = Want.ANSWER
