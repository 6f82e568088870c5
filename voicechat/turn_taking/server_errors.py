"""What an `error` of the server means for a call that goes on. Pure."""

from __future__ import annotations

import logging
from enum import Enum

from voicechat.protocol.client_events import IGNORABLE_ERROR_PREFIXES, RESPONSE_EVENT_PREFIX
from voicechat.protocol.event_fields import Event, get_string
from voicechat.protocol.failures import loggable_code

from .response_tracker import ResponseStatus, ResponseTracker, UserTurnStatus

log = logging.getLogger(__name__)

HARMLESS_CODES = frozenset({"response_cancel_not_active", "item_not_found"})
"""Errors that only say that something was over before our event arrived."""


class ErrorAction(Enum):
    """What to do about an error."""

    IGNORE = "harmless"
    REQUEST_RESPONSE = "ask"
    """A reply that was being waited for is not coming: whatever is wanted may be asked for now."""
    TURN_UNANSWERED = "turn_unanswered"
    """The server wanted to answer a spoken turn and could not, because another reply is being made."""
    FAILURE = "failure"


def is_about_response_request(error: Event) -> bool:
    """It is about a request for a reply."""
    return get_string(error, "event_id").startswith(RESPONSE_EVENT_PREFIX)


def classify_error(error: Event, responses: ResponseTracker, *, client_side: bool) -> ErrorAction:
    """`error`: the object inside the event; `answers` learns what it says of them.

    `client_side`: the server has been told not to interrupt, so that its own replies can collide.
    """
    code, about = get_string(error, "code"), get_string(error, "event_id")
    if (
        about.startswith(RESPONSE_EVENT_PREFIX) and about != responses.request_event_id
    ):  # what it should have answered was cleared
        responses.drop_stale_request()
        return ErrorAction.REQUEST_RESPONSE
    if code == "conversation_already_has_active_response":
        if client_side and not about and responses.status is not ResponseStatus.REQUESTED:
            return (
                ErrorAction.IGNORE
                if responses.user_turn in (UserTurnStatus.NONE, UserTurnStatus.DISMISSED)
                else ErrorAction.TURN_UNANSWERED
            )
        if responses.request_event_id:  # another response was quicker than ours
            responses.defer_request()
        return ErrorAction.IGNORE
    if code in HARMLESS_CODES or about.startswith(IGNORABLE_ERROR_PREFIXES):
        # The answer that was asked for meanwhile is not meant.
        if code == "response_cancel_not_active" and responses.status is ResponseStatus.ACTIVE:
            responses.status = ResponseStatus.NONE
            return ErrorAction.REQUEST_RESPONSE
        return ErrorAction.IGNORE
    log.warning(
        "The server reports an error: code %s, field %s", loggable_code(code), loggable_code(error.get("param"))
    )
    return ErrorAction.FAILURE
