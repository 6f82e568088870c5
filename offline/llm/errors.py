"""Errors and token usage of a language model backend."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


class LlmError(Exception):
    """The language model could not answer. The text holds nothing of the conversation."""


class ContextLengthError(LlmError):
    """The conversation does not fit into the language model's window."""


@dataclass(frozen=True, slots=True)
class LlmUsage:
    """Tokens of one reply; `cached` are those of the prompt that had not to be read again."""

    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    finish_reason: Literal["stop", "length", "stopped"] = "stop"
