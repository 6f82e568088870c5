"""Notices: codes of the messages that the page shows a visitor about a call or text session."""

from __future__ import annotations

from enum import StrEnum


class Notice(StrEnum):
    """Code of a message for the visitor, beside every `Failure`. The page has the sentences."""

    SERVER_BUSY = "server_busy"
    """All slots are taken, and the waiting queue is full."""
    VISITOR_CALL_LIMIT = "visitor_busy"
    """This visitor has the most calls that one visitor may have at once."""
    VISITOR_DAILY_QUOTA = "visitor_day"
    """This visitor's daily quota of call time is used up."""
    CLOSING = "closing"
    """The app is shutting down and takes no new calls."""
    CLOSING_SOON = "closing_soon"
    """The app is shutting down and ends this call in `Snapshot.seconds`."""
    IDLE = "idle_timeout"
    TIME_LIMIT = "time_limit"
    NO_MICROPHONE = "no_microphone"
    """The page stopped sending audio, even silence."""
    REPLY_FAILED = "reply_failed"
    """One response failed; the call goes on."""
    AWAITING_SERVER = "awaiting_server"
    """The server has no free connection; the app tries again."""
    SERVER_SILENT = "server_silent"
    """The server accepted the connection, and has not sent any event."""
    RENEWING = "renewing"
    """The server session is about to expire; the call goes on in a new one."""
    PREFERENCE_REJECTED = "wish_refused"
    """The server rejected changed call preferences; the call goes on with the former ones."""
    MESSAGE_TOO_LONG = "message_too_long"
    INTERNAL = "internal_error"
