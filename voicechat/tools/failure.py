"""Failure of a tool with a reason for the model."""

from __future__ import annotations


class ToolFailure(Exception):
    """A call that failed for a reason which the model may read. The text of any other exception is kept from it."""
