"""Reasons why a source of a model file does not provide it."""

from __future__ import annotations


class SourceFailed(Exception):
    """A source cannot provide the file. The message is a short reason."""


class WrongData(SourceFailed):
    """A source has other data than the file."""
