"""Failures: classifies HTTP responses, error events and close frames into one code for a missing connection. Pure.

The page translates the code, and the log may hold it. The server's own texts only help to choose the code, because
servers quote keys and prompts in them. One exception reaches the page: the close reason of a refusal that no rule here
knows (`QUOTES_SERVER`), at most 123 bytes, through `server_words.scrub_server_words`.

A key is blamed only when the server blames it: by HTTP 401, close code 3000, an error code, or a word about the key.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from enum import StrEnum


class Failure(StrEnum):
    """Reason why there is no connection. The value is a code, never a sentence."""

    WRONG_KEY = "wrong_key"
    WRONG_OWN_KEY = "wrong_own_key"
    """The visitor's own key is wrong."""
    FORBIDDEN = "forbidden"
    """The server knows the key, or did not ask for it, and denies access: permission, account or network."""
    FORBIDDEN_OWN_KEY = "forbidden_own_key"
    REGION = "region"
    """The server does not serve the country of this computer."""
    MODEL_NOT_FOUND = "model_not_found"
    MODEL_NOT_FOUND_OWN_KEY = "model_not_found_own_key"
    QUOTA = "quota"
    QUOTA_OWN_KEY = "quota_own_key"
    SERVER_FULL = "server_full"
    UNREACHABLE = "unreachable"
    PROXY_REFUSED = "proxy_refused"
    """The proxy of the network refuses the connection to the server, or cannot be used as it is set."""
    WRONG_ADDRESS = "wrong_address"
    """The server at the address is not a Realtime server."""
    UNTRUSTED_CERTIFICATE = "untrusted_certificate"
    """The server's TLS certificate is not trusted, so it was not sent the key."""
    UNANSWERED = "unanswered"
    """The server accepted the connection, and sent no event in `UNANSWERED_TIMEOUT_S` of `reconnecting_client`."""
    LOST = "lost"
    INACTIVE = "inactive"
    """The server closed a connection without traffic, or without speech."""
    EXPIRED = "expired"
    """The server's own time limit for one session (60 minutes at OpenAI)."""
    REFUSED_SETTINGS = "refused_settings"
    REFUSED = "refused"
    """The server closed by a policy (code 1008), for a reason that is not known here, or for none."""
    REFUSED_OWN_KEY = "refused_own_key"
    CLOSED = "closed"
    """The server closed with a code of its own (3000-4999) whose meaning is not known here."""
    SERVER_ERROR = "server_error"
    DAILY_BUDGET_SPENT = "day_spent"
    """The operator's daily budget is spent."""
    LOADING = "loading"
    """The embedded server is not ready yet."""
    EMBEDDED_UNREACHABLE = "embedded_unreachable"
    """Of the embedded servers by address none answers. A call waits for one, and ends with `UNREACHABLE`."""
    KEY_NEEDED = "key_needed"
    """The embedded server does not run on this computer, and no other server is set."""


RETRYABLE = frozenset(
    {
        Failure.UNREACHABLE,
        Failure.LOST,
        Failure.INACTIVE,
        Failure.EXPIRED,
        Failure.CLOSED,
        Failure.SERVER_FULL,
        Failure.SERVER_ERROR,
        Failure.LOADING,
        Failure.EMBEDDED_UNREACHABLE,
    }
)
"""Failures that a retry can overcome."""

FATAL = frozenset(
    {
        Failure.WRONG_KEY,
        Failure.REGION,
        Failure.MODEL_NOT_FOUND,
        Failure.QUOTA,
        Failure.EXPIRED,
    }
)
"""Failures after which a session cannot be used, whether or not the server closes its socket at once."""

QUOTES_SERVER = frozenset({Failure.REFUSED, Failure.REFUSED_OWN_KEY, Failure.CLOSED})
"""Failures whose sentence is followed by the server's scrubbed close reason, because only that explains them."""

OWN_KEY_VARIANTS = {
    Failure.WRONG_KEY: Failure.WRONG_OWN_KEY,
    Failure.FORBIDDEN: Failure.FORBIDDEN_OWN_KEY,
    Failure.MODEL_NOT_FOUND: Failure.MODEL_NOT_FOUND_OWN_KEY,
    Failure.QUOTA: Failure.QUOTA_OWN_KEY,
    Failure.REFUSED: Failure.REFUSED_OWN_KEY,
}
"""Failure with the operator's key -> the same with a visitor's own key, which the visitor can act on."""


class ConnectionFailed(Exception):
    """The connection could not be opened, or the server ended it. The exception's text is the failure's code."""

    def __init__(self, failure: Failure, server_words: str = "") -> None:
        """`server_words`: what of the server's close reason may be shown to the visitor; "" for nothing."""
        super().__init__(failure.value)
        self.failure = failure
        self.server_words = server_words


FAILURE_BY_CODE = {
    "invalid_api_key": Failure.WRONG_KEY,
    "authentication_error": Failure.WRONG_KEY,
    "unauthorized": Failure.WRONG_KEY,
    "ip_not_authorized": Failure.FORBIDDEN,
    "permissiondenied": Failure.FORBIDDEN,
    "permission_denied": Failure.FORBIDDEN,
    "insufficient_permissions": Failure.FORBIDDEN,
    "account_deactivated": Failure.FORBIDDEN,
    "unsupported_country_region_territory": Failure.REGION,
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
    "beta_api_shape_disabled": Failure.REFUSED_SETTINGS,
    "model_load_error": Failure.SERVER_ERROR,
    "server_error": Failure.SERVER_ERROR,
}
"""Code or type of an `error` object, in lower case -> failure. Some servers write it into a close reason or body."""

_BY_STATUS = {
    401: Failure.WRONG_KEY,
    402: Failure.QUOTA,
    403: Failure.FORBIDDEN,
    407: Failure.UNREACHABLE,
    408: Failure.UNREACHABLE,
    425: Failure.UNREACHABLE,
    429: Failure.SERVER_FULL,
    451: Failure.REGION,
    503: Failure.SERVER_FULL,
}

_BY_CLOSE = {
    1008: Failure.REFUSED,
    1013: Failure.SERVER_FULL,
    3000: Failure.WRONG_KEY,  # registered at IANA as "Unauthorized", and used by OpenAI for a wrong key
    3003: Failure.FORBIDDEN,  # registered at IANA as "Forbidden"
    4004: Failure.MODEL_NOT_FOUND,
}

_NAME_OF_KEY = (
    r"(?:api|access|subscription|secret)[\s_-]?key|credentials?|jwt"
    r"|(?:access |bearer |auth )?token(?!\W+(?:count|limit|budget|usage|in json|at position))"
    # A bare "key" or "token" may be a word of JSON or of a prompt.
    r"|(?:(?<=\byour )|(?<=\bthe )|(?<=\bthis )|(?<=\bprovided )|(?<=\bsupplied ))key(?!\s*[:'\"`\u2018\u201c])"
)
_DENIED = r"invalid|incorrect|wrong|bad|missing|malformed|unknown|expired|revoked|rejected|disabled|inactive|required"
_RULES: tuple[tuple[Failure, re.Pattern[str]], ...] = tuple(
    (failure, re.compile(pattern))
    for failure, pattern in (
        (
            Failure.WRONG_KEY,
            rf"\b(?:{_DENIED}|no)\W+(?:(?:or|and|your|the|an?|{_DENIED})\W+){{0,3}}(?:{_NAME_OF_KEY})\b"
            rf"|\b(?:{_NAME_OF_KEY})\W+(?:(?:is|was|has|have|been|found)\W+){{0,2}}"
            rf"(?:{_DENIED}|not (?:found|valid|accepted|recognised|recognized|provided))\b"
            rf"|^\W*(?:{_DENIED}|no) key\W*$",
        ),
        (
            Failure.REGION,
            r"\b(?:country|region|territory|location)\b[^.]*\b(?:not\b|unsupported|unavailable|block|restrict|forbid)"
            r"|\bunsupported (?:country|region|territory|location)",
        ),
        (
            Failure.FORBIDDEN,
            r"\b(?:account|user|project|organi[sz]ation|team|subscription)\W+(?:is|was|has been)\W+"
            r"(?:inactive|disabled|deactivated|suspended|blocked|banned)",
        ),
        (Failure.INACTIVE, r"\binactiv|\bidle\b|\bno (?:audio|activity|input|speech|data)\b[^.]*\b(?:received|for)\b"),
        (
            Failure.EXPIRED,
            r"\bduration\b|\btime limit\b|\bsession (?:has )?(?:expired|timed out)\b"
            r"|\b(?:maximum|max)\b[^.]*\b(?:length|lifetime|time|minutes|hours)\b",
        ),
        (
            Failure.QUOTA,
            r"\bcurrent quota\b|\binsufficient (?:quota|balance|funds)\b|\bcredits?\b|\bbilling\b|\bpayment\b"
            r"|\bquota (?:(?:is|was|has been) )?(?:exceeded|exhausted|reached|used up)\b"
            r"(?!.*\bper (?:second|minute)\b)",
        ),
        (
            Failure.MODEL_NOT_FOUND,
            r"\b(?:models?|deployment)\b.*\b(?:not (?:found|exist|supported|available)|invalid|unknown)\b"
            r"|\b(?:no|not have) access to\b.*\bmodel\b"
            r"|\b(?:unknown|invalid|no such|unsupported|missing) (?:model|deployment)\b",
        ),
        (
            Failure.SERVER_FULL,
            r"\b(?:limit|capacity|busy|overloaded|full)\b|\btoo many\b|\bin use\b|\bonly one\b|\bat once\b"
            r"|\b(?:connections?|clients?)\b[^.]*\b(?:reached|exceeded)\b"
            r"|\balready (?:connected|active|running)\b|\bconcurren|\bno (?:free|available|workers?)\b"
            r"|\brate.limit|\bper (?:second|minute)\b|\bmaintenance\b",
        ),
        (Failure.SERVER_ERROR, r"\bservice (?:is )?(?:temporarily |currently )?unavailable\b"),
        (Failure.LOST, r"\btimed?[ -]?out\b|\bkeep-?alive\b"),
        (
            Failure.WRONG_KEY,
            r"\bapi[\s_-]?key\b|\bunauthori[sz]ed\b|\bunauthenticated\b"
            r"|\bauthentication (?:(?:is|was|has) )?(?:failed|failure|required|needed|missing|unsuccessful|error)\b"
            r"|\b(?:failed|invalid|missing|no|requires?) authentication\b"
            r"|\b(?:failed to|could not|cannot) authenticate\b",
        ),
        (
            Failure.FORBIDDEN,
            r"\bforbidden\b|\b(?:permission|access) (?:is |was )?denied\b|\bnot (?:authori[sz]ed|permitted)\b",
        ),
    )
)
"""Patterns in the words of a refusal, in lower case. The first that matches counts: "too many connections for this API
key" is about capacity, and "your account is inactive" does not heal as "inactive" does."""

_BROKEN_CONNECTION_CODES = frozenset({1000, 1001, 1005, 1006, 1011, 1012, 1015})
"""Close codes of a normal end, of a server that stops or restarts, and of a broken connection."""
_EXPLAINED_BY_WORDS = frozenset({Failure.EXPIRED, Failure.INACTIVE, Failure.QUOTA, Failure.REGION})
"""Failures that the reason can name beside one of these codes. "No workers, try later" is a lost connection there."""

MAX_ERROR_BODY_BYTES = 64 * 1024
"""Bytes of an HTTP error response that are read."""
MAX_PLAIN_BODY_CHARS = 500
"""Characters of an HTTP response that is taken for a sentence. Longer ones are pages, which hold any word."""


def for_own_key(failure: Failure) -> Failure:
    """Return the failure for the page where the visitor's own key was used."""
    return OWN_KEY_VARIANTS.get(failure, failure)


def failure_of_error(error: object) -> Failure | None:
    """Return the failure for an `error` object of the protocol; None when the session can go on.

    Only codes count: within a session, the message of a harmless error may hold any word.
    """
    if not isinstance(error, Mapping):
        return None
    for key in ("code", "type"):
        found = FAILURE_BY_CODE.get(str(error.get(key) or "").lower())
        if found is not None:
            return found
    return None


def failure_of_status(status: int, body: bytes = b"") -> Failure:
    """Return the failure for an HTTP response instead of a WebSocket.

    An error code in its body precedes the status. A sentence in the body precedes the statuses 400, 403 and 404, which
    servers use for wrong keys, unknown models, full servers and blocked regions alike.
    """
    texts = list(_body_texts(body))
    for text in texts:
        if (named := FAILURE_BY_CODE.get(text.lower())) is not None:
            return named
    if status in (400, 403, 404):
        for text in texts:
            if (found := _failure_of_words(text)) is not None:
                return Failure.UNREACHABLE if found is Failure.LOST else found
    return _BY_STATUS.get(status, Failure.SERVER_ERROR if status >= 500 else Failure.WRONG_ADDRESS)


def failure_of_proxy_status(status: int) -> Failure:
    """Return the failure for a proxy's HTTP response to CONNECT. 4xx asks for other settings; others may pass."""
    is_refusal = 400 <= status < 500 and status not in (408, 425, 429)
    return Failure.PROXY_REFUSED if is_refusal else Failure.UNREACHABLE


def failure_of_close(code: int | None, reason: str, last_error: object = None) -> Failure:
    """Return the failure for a close frame. `code`: None without a frame. `last_error`: `error` object before it.

    A code in the reason precedes the error, and the error precedes other words of the reason. The error's message
    counts only where the close code tells a refusal, and the reason does not explain it.
    """
    named = next(
        (FAILURE_BY_CODE[word] for word in re.findall(r"[a-z_]+", reason.lower()) if word in FAILURE_BY_CODE), None
    )
    found = named or failure_of_error(last_error) or _failure_of_words(reason)
    if code is None or code in _BROKEN_CONNECTION_CODES:
        explained = named or failure_of_error(last_error) or (found if found in _EXPLAINED_BY_WORDS else None)
        return explained or Failure.LOST
    if found is None and isinstance(last_error, Mapping):
        found = _failure_of_words(last_error.get("message"))
    if found is not None:
        return found
    if code == 4000 and (not reason or reason.startswith("invalid_request_error")):
        return Failure.REFUSED_SETTINGS
    return _BY_CLOSE.get(code, Failure.CLOSED if code >= 3000 else Failure.LOST)


def loggable_code(text: object, secrets: Collection[str] = ()) -> str:
    """Return an error code or close reason for the log: itself in the form of an identifier, else "(not shown)".

    `secrets`: texts that it must not contain.
    """
    is_code = isinstance(text, str) and re.fullmatch(r"[a-z_.]{1,80}", text)
    return str(text) if is_code and not any(secret in str(text) for secret in secrets) else "(not shown)"


def _failure_of_words(text: object) -> Failure | None:
    """Return the failure that a sentence of the server names; None when it names none."""
    words = text[:MAX_PLAIN_BODY_CHARS].lower() if isinstance(text, str) else ""
    return next((failure for failure, pattern in _RULES if pattern.search(words)), None)


def _body_texts(body: bytes) -> Iterator[str]:
    """Yield the code and the sentences of an HTTP error response, as servers and their frameworks write it."""
    body = body[:MAX_ERROR_BODY_BYTES]
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        text = body.decode("utf-8", "replace").strip()
        if len(text) <= MAX_PLAIN_BODY_CHARS and "<" not in text:
            yield text
        return
    if not isinstance(answer, dict):
        return
    error = answer.get("error")
    for table in (error, answer) if isinstance(error, dict) else (answer,):
        for name in ("code", "type", "message", "error", "detail"):
            if isinstance(table.get(name), str):
                yield table[name]
