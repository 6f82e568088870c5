"""Redaction: removes keys from everything that a client of the gateway is sent. Pure."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

from voicechat.protocol.endpoint import Endpoint
from voicechat.protocol.failures import Failure, failure_of_error

Event = dict[str, Any]

REDACTED = "(hidden)"
WRONG_KEY_MESSAGE = "The key that this server was set up with is not accepted. Its operator has to check it."
"""Replacement for the server's own message, which quotes the key cut short."""
MIN_SECRET_CHARS = 8
"""Characters. Anything shorter is no key, and would be found in ordinary words."""
_SECRET_PATTERN = re.compile(r"\b(?:sk|ek|org|proj|user)[-_][A-Za-z0-9_*.-]{8,}")


def secrets_of(endpoint: Endpoint) -> tuple[str, ...]:
    """What must never reach a client: keys in headers and in the address."""
    parts = urlsplit(endpoint.url)
    found = [value.removeprefix("Bearer ") for value in endpoint.headers.values()]
    found += [value for _, value in parse_qsl(parts.query)] + [parts.password or ""]
    return tuple(secret for secret in found if len(secret) >= MIN_SECRET_CHARS and secret != endpoint.model)


def encoded_variants(keys: Iterable[str]) -> tuple[str, ...]:
    """How these keys may stand in a message: as they are, in JSON, in an address, and in base64 of whatever they are a
    part of. Keys that are too short to be told from words are left out."""
    found: dict[str, None] = {}
    for key in keys:
        if len(key) < MIN_SECRET_CHARS:
            continue
        raw = key.encode("utf-8", "replace")
        found |= dict.fromkeys([key, json.dumps(key)[1:-1], quote(key), quote(key, safe="")])
        for before in range(3):  # bytes in front of it, in the group of three that base64 takes together
            text = base64.b64encode(bytes(before) + raw).decode()
            found[text[(before * 4 + 2) // 3 : (before + len(raw)) * 4 // 3]] = None
    return tuple(found)


def redact_text(text: str, secrets: Iterable[str]) -> str:
    """The text without the keys given, and without what has the form of a key or an account."""
    for secret in secrets:
        text = text.replace(secret, REDACTED)
    return _SECRET_PATTERN.sub(REDACTED, text)


def redact_event(event: Event, secrets: Iterable[str]) -> Event:
    """A server event without secrets in the words of its error: the same object where there was nothing to clean."""
    if event.get("type") == "error":
        error = _redact_error(event.get("error"), secrets)
        return event if error is None else {**event, "error": error}
    response = event.get("response")
    details = response.get("status_details") if isinstance(response, dict) else None
    error = _redact_error(details.get("error"), secrets) if isinstance(details, dict) else None
    if error is None or not isinstance(response, dict) or not isinstance(details, dict):
        return event
    return {**event, "response": {**response, "status_details": {**details, "error": error}}}


def _redact_error(error: object, secrets: Iterable[str]) -> Event | None:
    """The error in clean words; None when they are clean as they are."""
    if not isinstance(error, Mapping) or not isinstance(error.get("message"), str):
        return None
    old = error["message"]
    wrong_key = failure_of_error(error) is Failure.WRONG_KEY  # these messages quote the key, cut short in the middle
    new = WRONG_KEY_MESSAGE if wrong_key else redact_text(old, secrets)
    return None if new == old else {**error, "message": new}
