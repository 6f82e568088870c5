"""What an `error` of the server means for a call that goes on. Pure."""

from __future__ import annotations

import logging
from enum import Enum

from .answers import Answers, Reply, Turn
from .client_events import ANSWER, FORGIVABLE
from .failures import safe_word
from .fields import Event, string

log = logging.getLogger(__name__)

HARMLESS = frozenset({"response_cancel_not_active", "item_not_found"})
"""Errors that only say that something was over before our event arrived."""


class Meaning(Enum):
    """What to do about an error."""

    HARMLESS = "harmless"
    ASK = "ask"
    """A reply that was being waited for is not coming: whatever is wanted may be asked for now."""
    TURN_UNANSWERED = "turn_unanswered"
    """The server wanted to answer a spoken turn and could not, because another reply is being made."""
    FAILURE = "failure"


def asks(error: Event) -> bool:
    """It is about a request for a reply."""
    return string(error, "event_id").startswith(ANSWER)


def meaning_of(error: Event, answers: Answers, *, own_turns: bool) -> Meaning:
    """`error`: the object inside the event; `answers` learns what it says of them.

    `own_turns`: the server has been told not to interrupt, so that its own replies can collide.
    """
    code, about = string(error, "code"), string(error, "event_id")
    if about.startswith(ANSWER) and about != answers.asked:  # what it should have answered was cleared
        answers.refused_by_server()
        return Meaning.ASK
    if code == "conversation_already_has_active_response":
        if own_turns and not about and answers.reply is not Reply.ASKED:
            return Meaning.HARMLESS if answers.turn in (Turn.NONE, Turn.DISMISSED) else Meaning.TURN_UNANSWERED
        if answers.asked:  # another response was quicker than ours
            answers.not_now()
        return Meaning.HARMLESS
    if code in HARMLESS or about.startswith(FORGIVABLE):
        # The answer that was asked for meanwhile is not meant.
        if code == "response_cancel_not_active" and answers.reply is Reply.ACTIVE:
            answers.reply = Reply.NONE
            return Meaning.ASK
        return Meaning.HARMLESS
    log.warning("The server reports an error: code %s, field %s", safe_word(code), safe_word(error.get("param")))
    return Meaning.FAILURE
