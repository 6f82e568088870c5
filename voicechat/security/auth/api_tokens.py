"""The tokens of programs: brought as an API key is brought to OpenAI or Azure. Pure."""

from __future__ import annotations

import hmac
from collections.abc import Iterable

from starlette.datastructures import Headers

API_KEY_SUBPROTOCOL_PREFIX = "openai-insecure-api-key."
"""A browser's WebSocket can set no header: OpenAI's way for it is a subprotocol with the key at its end."""


def extract_tokens(headers: Headers, subprotocols: Iterable[str] = ()) -> list[str]:
    """The tokens that a request brings, wherever one may stand."""
    found = []
    for value in headers.getlist("authorization"):
        kind, _, token = value.strip().partition(" ")
        if kind.lower() == "bearer":
            found.append(token.strip())
    found += [value.strip() for value in headers.getlist("api-key")]
    found += [
        name.removeprefix(API_KEY_SUBPROTOCOL_PREFIX)
        for name in subprotocols
        if name.startswith(API_KEY_SUBPROTOCOL_PREFIX)
    ]
    return [token for token in found if token]


def has_valid_token(tokens: Iterable[str], valid_tokens: Iterable[str]) -> bool:
    """Whether one of them is among those that are known; takes as long whichever it is."""
    fits = False
    valid_tokens = tuple(valid_tokens)
    for token in tokens:
        for each in valid_tokens:
            fits |= hmac.compare_digest(token.encode(), each.encode())
    return fits
