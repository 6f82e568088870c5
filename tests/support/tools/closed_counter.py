"""Closed counter: a thing that a tool keeps."""

from __future__ import annotations


class ClosedCounter:
    """A thing that counts how often it was closed."""

    def __init__(self) -> None:
        self.closed = 0

    def close(self) -> None:
        """Count one more."""
        self.closed += 1
