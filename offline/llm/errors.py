"""Errors and token counts of the language model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


class LlmError(Exception):
    """The language model failed. The message contains nothing of the conversation."""


class ContextLengthError(LlmError):
    """The prompt exceeds the language model's context window."""


@dataclass(frozen=True, slots=True)
class LlmUsage:
    """Token counts of one reply. `cached_tokens` are those of the prompt that were already in the slot."""

    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    finish_reason: Literal["stop", "length", "stopped"] = "stop"
    log_probability: float | None = None
    """Sum of the log-probabilities of the tokens so far; None when the request did not ask for them."""
