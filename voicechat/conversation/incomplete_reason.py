"""Incomplete reason: why the rest of a message is missing. Pure.

The values are a fixed set: they are labels of metrics and codes of the page's texts. The server's own words for a
reason, which may be anything, stop here.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from voicechat.protocol.server_events import ResponseDone


class IncompleteReason(StrEnum):
    """Reason why the rest of a message is missing."""

    LENGTH_LIMIT = "max_output_tokens"
    """The reply reached the session's limit of output tokens."""
    CONTENT_FILTER = "content_filter"
    SERVER_FAILURE = "failed"
    CONNECTION_LOST = "connection_lost"
    TRANSCRIPTION_FAILED = "transcription_failed"
    """The model heard the turn; only its text is missing."""
    OTHER = "other"
    """A reason that the server does not give, or gives in words of its own."""


_BY_SERVER_REASON: Mapping[str, IncompleteReason] = {
    "max_output_tokens": IncompleteReason.LENGTH_LIMIT,
    "max_response_output_tokens": IncompleteReason.LENGTH_LIMIT,  # the beta dialect's name of the setting
    "max_tokens": IncompleteReason.LENGTH_LIMIT,
    "length": IncompleteReason.LENGTH_LIMIT,  # finish reason of chat completions, which some servers pass on
    "content_filter": IncompleteReason.CONTENT_FILTER,
    "content_policy_violation": IncompleteReason.CONTENT_FILTER,
}
TURN_DETECTED = "turn_detected"
"""Reason of a cancellation because the server heard the visitor: an interruption."""


def reason_of_ending(event: ResponseDone) -> IncompleteReason | None:
    """Return why a response has not all of its content; None for a complete or interrupted one.

    A cancellation that the call asked for never gets here: its response is stale. Any other one is the server's own.
    """
    if event.status == "completed" or is_interruption(event):
        return None
    if event.status == "failed":
        return _BY_SERVER_REASON.get(event.error_code, IncompleteReason.SERVER_FAILURE)
    return _BY_SERVER_REASON.get(event.reason, IncompleteReason.OTHER)


def is_interruption(event: ResponseDone) -> bool:
    """Return whether the server cancelled the response because it heard the visitor."""
    return event.status == "cancelled" and event.reason == TURN_DETECTED
