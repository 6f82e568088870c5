"""Error events: the `error` event and close code for a client whose session cannot begin, or ends. Pure.

The messages are the gateway's own, because servers quote keys, account names and prompts in theirs. Errors within a
session are forwarded without anything that looks like a key or an account (`redaction`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from voicechat.limits.admission import SLOT_LOST
from voicechat.limits.pricing import SpendStatus
from voicechat.protocol.event_fields import RawEvent
from voicechat.protocol.failures import Failure
from voicechat.protocol.notices import Notice

from .redaction import WRONG_KEY_MESSAGE, redact_text

UNREACHABLE_MESSAGE = "The Realtime server behind this one cannot be reached. Try again later."
CONNECTION_LOST_MESSAGE = "The connection to the Realtime server was lost."


@dataclass(frozen=True, slots=True)
class CloseFrame:
    """Close frame: the `code` and `reason` with which a connection ends."""

    code: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class TerminalError:
    """An error that ends a connection: its code, its message and the close code that goes with it."""

    code: str
    close_code: int
    message: str
    type: str = "invalid_request_error"

    def to_event(self, event_id: str) -> RawEvent:
        """Return the `error` event, in GA, with this id."""
        error = {"type": self.type, "code": self.code, "message": self.message, "param": None, "event_id": None}
        return {"type": "error", "event_id": event_id, "error": error}

    @property
    def close_frame(self) -> CloseFrame:
        """Return the close frame, for a server that has not sent one itself."""
        return CloseFrame(self.close_code, f"{self.type}.{self.code}")


SESSION_LIMIT_REACHED = TerminalError(
    "session_limit_reached", 1013, "As many programs are connected as this server takes. Try again later."
)
INTERNAL_ERROR = TerminalError(
    "server_error", 1011, "This server failed and has to end the session.", type="server_error"
)

_ERROR_BY_FAILURE = {
    Failure.WRONG_KEY: TerminalError(
        "invalid_api_key",
        3000,
        WRONG_KEY_MESSAGE,
    ),
    Failure.MODEL_NOT_FOUND: TerminalError(
        "model_not_found",
        4004,
        "The model that this server was set up with does not exist. Its operator has to choose.",
    ),
    Failure.WRONG_ADDRESS: TerminalError(
        "server_unreachable",
        1014,
        "The address that this server was set up with belongs to no Realtime server. Its operator has to check it.",
        type="server_error",
    ),
    Failure.PROXY_REFUSED: TerminalError(
        "server_unreachable",
        1014,
        "A proxy between this server and the Realtime server refuses the connection. Its operator has to check it.",
        type="server_error",
    ),
    Failure.UNTRUSTED_CERTIFICATE: TerminalError(
        "server_unreachable",
        1014,
        "The certificate of the Realtime server is not trusted. The operator of this server has to check it.",
        type="server_error",
    ),
    Failure.FORBIDDEN: TerminalError(
        "access_denied",
        1008,
        "The Realtime server denies access to the account that this server was set up with.",
        type="request_forbidden",
    ),
    Failure.REGION: TerminalError(
        "unsupported_country_region_territory",
        1008,
        "The Realtime server is not available in the country or region of this server.",
        type="request_forbidden",
    ),
    Failure.REFUSED: TerminalError(
        "connection_refused", 1008, "The Realtime server refused the connection because of its rules."
    ),
    Failure.CLOSED: TerminalError(
        "connection_closed", 1011, "The Realtime server closed the connection.", type="server_error"
    ),
    Failure.INACTIVE: TerminalError(
        "session_idle", 1001, "The Realtime server closed the connection after a time without activity."
    ),
    Failure.QUOTA: TerminalError(
        "insufficient_quota",
        1008,
        "The account that this server was set up with has no money left.",
        type="insufficient_quota",
    ),
    Failure.DAILY_BUDGET_SPENT: TerminalError(
        "day_budget_spent",
        1008,
        "As much as a day may cost the operator of this server is spent. Try again tomorrow.",
        type="insufficient_quota",
    ),
    Failure.SERVER_FULL: TerminalError(
        "session_limit_reached", 1013, "The Realtime server takes no more conversations now. Try again later."
    ),
    Failure.LOADING: TerminalError(
        "server_loading", 1013, "The models are still being loaded. Try again in a few seconds.", type="server_error"
    ),
    Failure.KEY_NEEDED: TerminalError(
        "embedded_server_unavailable",
        1011,
        "The embedded server does not run on this computer. Its operator has to set a key.",
        type="server_error",
    ),
    Failure.REFUSED_SETTINGS: TerminalError(
        "settings_refused",
        1011,
        "The Realtime server refuses the settings that this server was set up with. Its operator has to check them.",
        type="server_error",
    ),
    Failure.SERVER_ERROR: TerminalError(
        "server_error", 1011, "The Realtime server failed. Try again later.", type="server_error"
    ),
    Failure.EXPIRED: TerminalError("session_expired", 1001, "The session has reached its longest duration."),
}
BUDGET_ERRORS = {
    SpendStatus.DAY_EXCEEDED: _ERROR_BY_FAILURE[Failure.DAILY_BUDGET_SPENT],
    SpendStatus.CALL_EXCEEDED: TerminalError(
        "session_budget_spent",
        1008,
        "As much as one session may cost its operator is spent.",
        type="insufficient_quota",
    ),
}
SESSION_EXPIRED = _ERROR_BY_FAILURE[Failure.EXPIRED]
SESSION_IDLE = TerminalError(
    "session_idle", 1001, "Neither side has sent an event for a long time. Connect again when there is more."
)
VISITOR_QUOTA_EXCEEDED = TerminalError(
    "visitor_day_spent",
    1008,
    "You have been in spoken sessions as long as one visitor may in a day. Come back tomorrow.",
    type="insufficient_quota",
)
SERVER_CLOSING = TerminalError(
    "server_closing", 1012, "This server is closing. Connect again in a minute.", type="server_error"
)
SLOT_TAKEN = TerminalError(
    "slot_taken",
    1012,
    "This server did not run for a while, and another session has the slot. Connect again.",
    type="server_error",
)
ADMISSION_ERRORS: dict[Notice | Failure, TerminalError] = {
    Notice.SERVER_BUSY: SESSION_LIMIT_REACHED,
    Notice.CLOSING: SERVER_CLOSING,
    SLOT_LOST: SLOT_TAKEN,
}
"""Notice of the admission control -> error for the client."""
_SERVER_UNREACHABLE = TerminalError("server_unreachable", 1014, UNREACHABLE_MESSAGE, type="server_error")


def error_for_failure(failure: Failure, server_words: str = "") -> TerminalError:
    """Return the error for a failure before the client's session began.

    `server_words`: scrubbed close reason of the server, quoted after the message; "" for none.
    """
    error = _ERROR_BY_FAILURE.get(failure, _SERVER_UNREACHABLE)
    return replace(error, message=f'{error.message} It says: "{server_words}".') if server_words else error


def close_frame_for_client(code: int | None, reason: str, secrets: Iterable[str] = ()) -> CloseFrame:
    """Return the client's close frame for the server's: the same where it may be sent. `code`: None without a frame.

    A frame without a code (1005) is a normal end. Codes of a lost connection (1006 and similar) become 1011.
    """
    if code == 1005:
        return CloseFrame(1000)
    if code is None or not (1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999):
        return CloseFrame(1011, CONNECTION_LOST_MESSAGE)
    return CloseFrame(code, redact_text(reason, secrets))
