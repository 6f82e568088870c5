"""Errors of the server during a call that goes on: what each means for the reply. Pure."""

from __future__ import annotations

import logging
from enum import Enum

from voicechat.protocol.client_events import IGNORABLE_ERROR_PREFIXES, RESPONSE_EVENT_PREFIX
from voicechat.protocol.failures import loggable_code
from voicechat.protocol.server_events import ServerError

from .response_tracker import ResponseTracker
from .user_turn import UserTurnStatus

log = logging.getLogger(__name__)

HARMLESS_CODES = frozenset({"response_cancel_not_active", "item_not_found"})
"""Codes of errors that only report that our event came too late."""


class ErrorAction(Enum):
    """Reaction to an error."""

    IGNORE = "ignore"
    REQUEST_RESPONSE = "request_response"
    """The awaited reply does not come: a wanted one may be requested now."""
    TURN_UNANSWERED = "turn_unanswered"
    """The server could not answer a spoken turn, because another reply is being made."""
    FAILURE = "failure"


def is_about_response_request(error: ServerError) -> bool:
    """Return whether the error is about a `response.create` of ours."""
    return error.event_id.startswith(RESPONSE_EVENT_PREFIX)


def classify_error(error: ServerError, tracker: ResponseTracker, *, client_side: bool) -> ErrorAction:
    """Return the reaction to an error, and report to `tracker` what it says of the reply.

    `client_side`: the server does not interrupt its own replies, so that two of them can collide.
    """
    code, registry = error.code, tracker.registry
    if is_about_response_request(error) and error.event_id != tracker.request_event_id:
        tracker.drop_stale_request()  # the message that it was for was cleared
        return ErrorAction.REQUEST_RESPONSE
    if code == "conversation_already_has_active_response":
        if client_side and not error.event_id and not registry.is_requested:
            awaited = tracker.user_turn not in (UserTurnStatus.NONE, UserTurnStatus.DISMISSED)
            return ErrorAction.TURN_UNANSWERED if awaited else ErrorAction.IGNORE
        if tracker.request_event_id:  # another response was quicker than ours
            tracker.defer_request()
        return ErrorAction.IGNORE
    if code in HARMLESS_CODES or error.event_id.startswith(IGNORABLE_ERROR_PREFIXES):
        # A reply that was requested meanwhile is not meant.
        if code == "response_cancel_not_active" and registry.is_busy:
            registry.release()
            return ErrorAction.REQUEST_RESPONSE
        return ErrorAction.IGNORE
    field = loggable_code(error.error.get("param"))
    log.warning("call: server error code=%s field=%s", loggable_code(code), field)
    return ErrorAction.FAILURE
