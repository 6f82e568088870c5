"""Base URLs of OpenAI-compatible endpoints: one form for all spellings. Pure."""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit

OPERATION_PATHS = ("/chat/completions", "/audio/speech", "/audio/transcriptions", "/models")
"""Paths that people copy along with a base URL."""


def parse_base_url(text: str, name: str) -> str:
    """Return a base URL in one form. An address without a path gets `/v1`. Raises `ValueError` naming `name`.

    Accepted with or without `/v1`, with a slash at its end, and with the path of an operation.
    """
    try:
        parts = urlsplit(text if "://" in text else f"http://{text}")
        is_valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_valid = False
    is_valid = is_valid and text.isprintable() and " " not in text
    if not is_valid or parts.username is not None or parts.query or parts.fragment:
        raise ValueError(
            f"{name} must be an http or https address without a user, such as http://127.0.0.1:11434/v1; "
            f"a key belongs in {name.removesuffix('_URL')}_API_KEY."
        )
    path = parts.path.rstrip("/")
    for operation in OPERATION_PATHS:
        path = path.removesuffix(operation)
    return urlunsplit((parts.scheme, parts.netloc, path.rstrip("/") or "/v1", "", ""))
