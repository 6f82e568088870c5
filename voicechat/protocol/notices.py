"""Notices: codes of what the page tells the visitor about a call or chat."""

from __future__ import annotations

from enum import StrEnum


class Notice(StrEnum):
    """What a visitor should be told, besides every `connection.Failure`. Codes; the page has the sentences."""

    SERVER_BUSY = "server_busy"
    """All places are taken, and the line is full."""
    VISITOR_CALL_LIMIT = "visitor_busy"
    """This visitor has as many calls as one may have at once."""
    VISITOR_DAILY_QUOTA = "visitor_day"
    """This visitor has been in calls as long as one may in a day."""
    CLOSING = "closing"
    """The app ends: there are no new calls."""
    CLOSING_SOON = "closing_soon"
    """The app ends, and this call soon: `Snapshot.seconds`."""
    IDLE = "idle_timeout"
    TIME_LIMIT = "time_limit"
    NO_MICROPHONE = "no_microphone"
    """Nothing came from the page any more, not even silence."""
    REPLY_FAILED = "reply_failed"
    """The server could not answer this time; the call goes on."""
    RENEWING = "renewing"
    """The server's time for one session is nearly up: the call goes on in a new one."""
    PREFERENCE_REJECTED = "wish_refused"
    """The server did not take what the visitor wants otherwise; the call goes on as it was."""
    MESSAGE_TOO_LONG = "message_too_long"
    INTERNAL = "internal_error"
