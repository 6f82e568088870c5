"""The tokens of programs: brought as an API key is brought to OpenAI or Azure. Pure."""

from __future__ import annotations

import hmac
from collections.abc import Iterable

from starlette.datastructures import Headers

PROTOCOL = "openai-insecure-api-key."
"""A browser's WebSocket can set no header: OpenAI's way for it is a subprotocol with the key at its end."""


def brought(headers: Headers, subprotocols: Iterable[str] = ()) -> list[str]:
    """The tokens that a request brings, wherever one may stand."""
    found = []
    for value in headers.getlist("authorization"):
        kind, _, token = value.strip().partition(" ")
        if kind.lower() == "bearer":
            found.append(token.strip())
    found += [value.strip() for value in headers.getlist("api-key")]
    found += [name.removeprefix(PROTOCOL) for name in subprotocols if name.startswith(PROTOCOL)]
    return [token for token in found if token]


def is_known(tokens: Iterable[str], known: Iterable[str]) -> bool:
    """Whether one of them is among those that are known; takes as long whichever it is."""
    fits = False
    known = tuple(known)
    for token in tokens:
        for each in known:
            fits |= hmac.compare_digest(token.encode(), each.encode())
    return fits
