"""API tokens of programs, sent the way OpenAI or Azure clients send an API key. Pure."""

from __future__ import annotations

import hmac
from collections.abc import Iterable

from starlette.datastructures import Headers

API_KEY_SUBPROTOCOL_PREFIX = "openai-insecure-api-key."
"""Subprotocol prefix that carries a key. A browser's WebSocket cannot set headers, so OpenAI defines this way."""


def extract_tokens(headers: Headers, subprotocols: Iterable[str] = ()) -> list[str]:
    """Return all tokens of a request: from Authorization, api-key and the subprotocols."""
    found = []
    for value in headers.getlist("authorization"):
        scheme, _, token = value.strip().partition(" ")
        if scheme.lower() == "bearer":
            found.append(token.strip())
    found += [value.strip() for value in headers.getlist("api-key")]
    found += [
        name.removeprefix(API_KEY_SUBPROTOCOL_PREFIX)
        for name in subprotocols
        if name.startswith(API_KEY_SUBPROTOCOL_PREFIX)
    ]
    return [token for token in found if token]


def has_valid_token(tokens: Iterable[str], valid_tokens: Iterable[str]) -> bool:
    """Return whether one of the tokens is valid, in constant time."""
    is_valid = False
    valid_tokens = tuple(valid_tokens)
    for token in tokens:
        for valid_token in valid_tokens:
            is_valid |= hmac.compare_digest(token.encode(), valid_token.encode())
    return is_valid
