"""Redaction: removes secrets from the messages that a client of the gateway is sent. Pure."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Mapping
from urllib.parse import quote

from voicechat.protocol.event_fields import RawEvent
from voicechat.protocol.failures import Failure, failure_of_error

REDACTED = "(hidden)"
WRONG_KEY_MESSAGE = "The key that this server was set up with is not accepted. Its operator has to check it."
"""Replacement for the server's own message, which quotes parts of the key."""
_SECRET_PATTERN = re.compile(r"\b(?:sk|ek|org|proj|user)[-_][A-Za-z0-9_*.-]{8,}")


def encoded_variants(credentials: Iterable[str]) -> tuple[str, ...]:
    """Return the forms of these credentials in a message: plain, in JSON, in an address, and inside base64."""
    found: dict[str, None] = {}
    for key in credentials:
        raw = key.encode("utf-8", "replace")
        found |= dict.fromkeys([key, json.dumps(key)[1:-1], quote(key), quote(key, safe="")])
        for before in range(3):  # bytes before the key in its group of three, which base64 encodes together
            text = base64.b64encode(bytes(before) + raw).decode()
            found[text[(before * 4 + 2) // 3 : (before + len(raw)) * 4 // 3]] = None
    return tuple(found)


def redact_text(text: str, secrets: Iterable[str]) -> str:
    """Return the text without these secrets, and without anything in the form of a key or an account."""
    for secret in secrets:
        text = text.replace(secret, REDACTED)
    return _SECRET_PATTERN.sub(REDACTED, text)


def redact_event(event: RawEvent, secrets: Iterable[str]) -> RawEvent:
    """Return a server event without secrets in its error message: the same object when it holds none."""
    if event.get("type") == "error":
        error = _redact_error(event.get("error"), secrets)
        return event if error is None else {**event, "error": error}
    response = event.get("response")
    details = response.get("status_details") if isinstance(response, dict) else None
    error = _redact_error(details.get("error"), secrets) if isinstance(details, dict) else None
    if error is None or not isinstance(response, dict) or not isinstance(details, dict):
        return event
    return {**event, "response": {**response, "status_details": {**details, "error": error}}}


def _redact_error(error: object, secrets: Iterable[str]) -> RawEvent | None:
    """Return the error with a clean message; None when it is clean already."""
    if not isinstance(error, Mapping) or not isinstance(error.get("message"), str):
        return None
    old = error["message"]
    wrong_key = failure_of_error(error) is Failure.WRONG_KEY  # these messages quote parts of the key
    new = WRONG_KEY_MESSAGE if wrong_key else redact_text(old, secrets)
    return None if new == old else {**error, "message": new}
