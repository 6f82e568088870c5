"""Result texts: what a model and a page are shown of a result. Pure."""

from __future__ import annotations

from .definition import ToolResult


def clean_text(text: str, limit: int) -> str:
    """Return `text` without control and bidi characters, at most `limit` characters."""
    raise NotImplementedError


def wrap_result(result: ToolResult, source: str, limit: int) -> str:
    """Return a result as JSON for the model: its text is data that names its source.

    Keys: `status` ("ok", "error"), `source`, `note`, `result`, and `speech` where the result has one.
    """
    raise NotImplementedError
