"""What a program is told when its connection cannot be, or ends: one `error` event, and a close code. Pure.

Sentences are ours, because servers quote keys, account names and prompts in theirs. Where the server's own words go
through (an error in the middle of a session), what looks like a key or an account is taken out.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

from realtime.failures import Failure, failure_of_error
from realtime.settings import Endpoint
from realtime.snapshot import Notice
from realtime.usage import Budget

Event = dict[str, Any]

UNREACHABLE = "The Realtime server behind this one cannot be reached. Try again later."
LOST = "The connection to the Realtime server was lost."
HIDDEN = "(hidden)"
SHORTEST_SECRET = 8
"""Characters. Anything shorter is no key, and would be found in ordinary words."""

_LOOKS_SECRET = re.compile(r"\b(?:sk|ek|org|proj|user)[-_][A-Za-z0-9_*.-]{8,}")


@dataclass(frozen=True, slots=True)
class Farewell:
    """How a connection ends: `code` and `reason` of the close frame."""

    code: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Word:
    """An error that ends a connection: its code and sentence, and the close code that goes with it."""

    code: str
    close: int
    message: str
    type: str = "invalid_request_error"

    def event(self, event_id: str) -> Event:
        """The protocol's `error` event, in GA."""
        error = {"type": self.type, "code": self.code, "message": self.message, "param": None, "event_id": None}
        return {"type": "error", "event_id": event_id, "error": error}

    @property
    def farewell(self) -> Farewell:
        """When the server itself has not said how it ends."""
        return Farewell(self.close, f"{self.type}.{self.code}")


FULL = Word("session_limit_reached", 1013, "As many programs are connected as this server takes. Try again later.")
FAULT = Word("server_error", 1011, "This server failed and has to end the session.", type="server_error")

_WORDS = {
    Failure.WRONG_KEY: Word(
        "invalid_api_key",
        3000,
        "The key that this server was set up with is not accepted. Its operator has to check it.",
    ),
    Failure.MODEL_NOT_FOUND: Word(
        "model_not_found",
        4004,
        "The model that this server was set up with does not exist. Its operator has to choose.",
    ),
    Failure.WRONG_ADDRESS: Word(
        "server_unreachable",
        1014,
        "There is no Realtime server at the address that this server was set up with. Its operator has to check it.",
        type="server_error",
    ),
    Failure.QUOTA: Word(
        "insufficient_quota",
        1008,
        "The account that this server was set up with has no money left.",
        type="insufficient_quota",
    ),
    Failure.DAY_SPENT: Word(
        "day_budget_spent",
        1008,
        "As much as a day may cost the operator of this server is spent. Try again tomorrow.",
        type="insufficient_quota",
    ),
    Failure.SERVER_FULL: Word(
        "session_limit_reached", 1013, "The Realtime server takes no more conversations now. Try again later."
    ),
    Failure.LOADING: Word(
        "server_loading", 1013, "The models are still being loaded. Try again in a few seconds.", type="server_error"
    ),
    Failure.REFUSED_SETTINGS: Word(
        "settings_refused",
        1011,
        "The Realtime server refuses the settings that this server was set up with. Its operator has to check them.",
        type="server_error",
    ),
    Failure.SERVER_ERROR: Word(
        "server_error", 1011, "The Realtime server failed. Try again later.", type="server_error"
    ),
    Failure.EXPIRED: Word("session_expired", 1001, "The session has reached its longest duration."),
}
SPENT = {
    Budget.DAY_SPENT: _WORDS[Failure.DAY_SPENT],
    Budget.CALL_SPENT: Word(
        "session_budget_spent",
        1008,
        "As much as one session may cost its operator is spent.",
        type="insufficient_quota",
    ),
}
EXPIRED = _WORDS[Failure.EXPIRED]
IDLE = Word("session_idle", 1001, "Neither side has sent an event for a long time. Connect again when there is more.")
VISITOR_DAY = Word(
    "visitor_day_spent",
    1008,
    "You have been in spoken sessions as long as one visitor may in a day. Come back tomorrow.",
    type="insufficient_quota",
)
CLOSING = Word("server_closing", 1012, "This server is closing. Connect again in a minute.", type="server_error")
REFUSALS = {Notice.SERVER_BUSY: FULL, Notice.CLOSING: CLOSING}
"""By why there is no place."""
_UNREACHABLE = Word("server_unreachable", 1014, UNREACHABLE, type="server_error")


def word(failure: Failure) -> Word:
    """What a client is told of a failure before its session began."""
    return _WORDS.get(failure, _UNREACHABLE)


def farewell_of_close(code: int | None, reason: str, secrets: Iterable[str] = ()) -> Farewell:
    """The server's close frame -> the client's: the same where that may be sent. `code` is None where there was none.

    No code at all (1005) is a normal end. What stands for a lost connection (1006 and the like) becomes 1011.
    """
    if code == 1005:
        return Farewell(1000)
    if code is None or not (1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999):
        return Farewell(1011, LOST)
    return Farewell(code, without_secrets(reason, secrets))


def secrets_of(endpoint: Endpoint) -> tuple[str, ...]:
    """What must never reach a client: keys in headers and in the address."""
    parts = urlsplit(endpoint.url)
    found = [value.removeprefix("Bearer ") for value in endpoint.headers.values()]
    found += [value for _, value in parse_qsl(parts.query)] + [parts.password or ""]
    return tuple(secret for secret in found if len(secret) >= SHORTEST_SECRET and secret != endpoint.model)


def spellings(keys: Iterable[str]) -> tuple[str, ...]:
    """How these keys may stand in a message: as they are, in JSON, in an address, and in base64 of whatever they are a
    part of. Keys that are too short to be told from words are left out."""
    found: dict[str, None] = {}
    for key in keys:
        if len(key) < SHORTEST_SECRET:
            continue
        raw = key.encode("utf-8", "replace")
        found |= dict.fromkeys([key, json.dumps(key)[1:-1], quote(key), quote(key, safe="")])
        for before in range(3):  # bytes in front of it, in the group of three that base64 takes together
            text = base64.b64encode(bytes(before) + raw).decode()
            found[text[(before * 4 + 2) // 3 : (before + len(raw)) * 4 // 3]] = None
    return tuple(found)


def without_secrets(text: str, secrets: Iterable[str]) -> str:
    """The text without the keys given, and without what has the form of a key or an account."""
    for secret in secrets:
        text = text.replace(secret, HIDDEN)
    return _LOOKS_SECRET.sub(HIDDEN, text)


def cleaned(event: Event, secrets: Iterable[str]) -> Event:
    """A server event without secrets in the words of its error: the same object where there was nothing to clean."""
    if event.get("type") == "error":
        error = _cleaned(event.get("error"), secrets)
        return event if error is None else {**event, "error": error}
    response = event.get("response")
    details = response.get("status_details") if isinstance(response, dict) else None
    error = _cleaned(details.get("error"), secrets) if isinstance(details, dict) else None
    if error is None or not isinstance(response, dict) or not isinstance(details, dict):
        return event
    return {**event, "response": {**response, "status_details": {**details, "error": error}}}


def _cleaned(error: object, secrets: Iterable[str]) -> Event | None:
    """The error in clean words; None when they are clean as they are."""
    if not isinstance(error, Mapping) or not isinstance(error.get("message"), str):
        return None
    old = error["message"]
    wrong_key = failure_of_error(error) is Failure.WRONG_KEY  # these messages quote the key, cut short in the middle
    new = _WORDS[Failure.WRONG_KEY].message if wrong_key else without_secrets(old, secrets)
    return None if new == old else {**error, "message": new}
