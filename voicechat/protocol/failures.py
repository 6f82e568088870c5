"""Failures: classifies HTTP responses, error events and close frames into one code for a missing connection. Pure.

The page translates the code, and the log may hold it. The server's own texts stay out of both, because servers quote
keys and prompts in them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from enum import StrEnum


class Failure(StrEnum):
    """Reason why there is no connection. The value is a code, never a sentence."""

    WRONG_KEY = "wrong_key"
    WRONG_OWN_KEY = "wrong_own_key"
    """The visitor's own key is wrong."""
    MODEL_NOT_FOUND = "model_not_found"
    QUOTA = "quota"
    SERVER_FULL = "server_full"
    UNREACHABLE = "unreachable"
    PROXY_REFUSED = "proxy_refused"
    """The proxy of the network refuses the connection to the server, or cannot be used as it is set."""
    WRONG_ADDRESS = "wrong_address"
    """The server at the address is not a Realtime server."""
    LOST = "lost"
    EXPIRED = "expired"
    """The server's own time limit for one session (60 minutes at OpenAI)."""
    REFUSED_SETTINGS = "refused_settings"
    SERVER_ERROR = "server_error"
    DAILY_BUDGET_SPENT = "day_spent"
    """The operator's daily budget is spent."""
    LOADING = "loading"
    """The embedded server is not ready yet."""


RETRYABLE = frozenset({Failure.UNREACHABLE, Failure.LOST, Failure.EXPIRED, Failure.SERVER_ERROR, Failure.LOADING})
"""Failures that a retry can overcome."""

FATAL = frozenset({Failure.WRONG_KEY, Failure.MODEL_NOT_FOUND, Failure.QUOTA, Failure.EXPIRED})
"""Failures after which a session cannot be used, whether or not the server closes its socket at once."""


class ConnectionFailed(Exception):
    """The connection could not be opened, or the server ended it. The exception's text is the failure's code."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.value)
        self.failure = failure


_BY_CODE = {
    "invalid_api_key": Failure.WRONG_KEY,
    "authentication_error": Failure.WRONG_KEY,
    "unauthorized": Failure.WRONG_KEY,
    "model_not_found": Failure.MODEL_NOT_FOUND,
    "invalid_model": Failure.MODEL_NOT_FOUND,
    "missing_model": Failure.MODEL_NOT_FOUND,
    "deploymentnotfound": Failure.MODEL_NOT_FOUND,
    "insufficient_quota": Failure.QUOTA,
    "billing_hard_limit_reached": Failure.QUOTA,
    "credit_balance_exhausted": Failure.QUOTA,
    "session_limit_reached": Failure.SERVER_FULL,
    "too_many_sessions": Failure.SERVER_FULL,
    "server_busy": Failure.SERVER_FULL,
    "server_full": Failure.SERVER_FULL,
    "server_overloaded": Failure.SERVER_FULL,
    "session_expired": Failure.EXPIRED,
    "model_load_error": Failure.SERVER_ERROR,
    "server_error": Failure.SERVER_ERROR,
}

_BY_STATUS = {
    401: Failure.WRONG_KEY,
    402: Failure.QUOTA,
    403: Failure.WRONG_KEY,
    404: Failure.MODEL_NOT_FOUND,
    407: Failure.UNREACHABLE,
    408: Failure.UNREACHABLE,
    425: Failure.UNREACHABLE,
    429: Failure.SERVER_FULL,
    503: Failure.SERVER_FULL,
}

_BY_CLOSE = {
    1008: Failure.WRONG_KEY,
    1013: Failure.SERVER_FULL,
    3000: Failure.WRONG_KEY,
    4000: Failure.REFUSED_SETTINGS,
    4004: Failure.MODEL_NOT_FOUND,
}

_CAPACITY_HINTS = ("limit", "too many", "capacity", "busy", "full")
"""Words in the reason of a close with 1008 ("policy violation") for capacity, not for a wrong key."""

MAX_ERROR_BODY_BYTES = 64 * 1024
"""Bytes of an HTTP error response that are read."""


def failure_of_error(error: object) -> Failure | None:
    """Return the failure for an `error` object of the protocol; None when the session can go on."""
    if not isinstance(error, Mapping):
        return None
    for key in ("code", "type"):
        found = _BY_CODE.get(str(error.get(key) or "").lower())
        if found is not None:
            return found
    return None


def failure_of_status(status: int, body: bytes = b"") -> Failure:
    """Return the failure for an HTTP response instead of a WebSocket. An error code in its body precedes its status."""
    try:
        answer = json.loads(body[:MAX_ERROR_BODY_BYTES])
    except (ValueError, RecursionError):
        answer = None
    named = failure_of_error(answer.get("error", answer)) if isinstance(answer, dict) else None
    if named is not None:
        return named
    return _BY_STATUS.get(status, Failure.SERVER_ERROR if status >= 500 else Failure.WRONG_ADDRESS)


def failure_of_proxy_status(status: int) -> Failure:
    """Return the failure for a proxy's HTTP response to CONNECT. 4xx asks for other settings; others may pass."""
    is_refusal = 400 <= status < 500 and status not in (408, 425, 429)
    return Failure.PROXY_REFUSED if is_refusal else Failure.UNREACHABLE


def failure_of_close(code: int | None, reason: str, last: Failure | None) -> Failure:
    """Return the failure for a close frame and the last error event before it."""
    reason = reason.lower()
    for word in re.split(r"[.\s]+", reason):
        if word in _BY_CODE:
            return _BY_CODE[word]
    if last is not None:
        return last
    if "maximum duration" in reason:  # comes with 1001, which otherwise means that the server is shutting down
        return Failure.EXPIRED
    if code == 1008 and any(sign in reason for sign in _CAPACITY_HINTS):
        return Failure.SERVER_FULL
    return _BY_CLOSE.get(code or 0, Failure.LOST)


def loggable_code(text: object) -> str:
    """Return an error code or close reason for the log: itself in the form of an identifier, else "(not shown)"."""
    return text if isinstance(text, str) and re.fullmatch(r"[a-z_.]{1,80}", text) else "(not shown)"
