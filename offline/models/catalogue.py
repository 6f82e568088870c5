"""Tiers of the models: what the settings ask for, and which tiers a computer may try by itself.

A larger tier answers better and later. The tiers of the language model and of the Mandarin recognition are independent.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import TypeVar


class LlmTier(Enum):
    """Size of the language model."""

    SMALL = "small"
    """0.5B parameters: two processors suffice."""
    MEDIUM = "medium"
    """1.5B parameters."""
    LARGE = "large"
    """4B parameters."""


class SttTier(Enum):
    """Size of the Whisper model, which recognises Mandarin."""

    BASE = "base"
    SMALL = "small"
    TURBO = "turbo"
    """Large-v3 turbo. Never chosen automatically: its encoder alone takes seconds of a usual processor."""


class Automatic(Enum):
    """Choice by the computer's memory and speed."""

    AUTO = "auto"


LlmChoice = Automatic | LlmTier | Path
"""What OFFLINE_LLM asks for. A path is that of the user's own GGUF file."""
SttChoice = Automatic | SttTier

TierT = TypeVar("TierT", LlmTier, SttTier)

MEDIUM_MIN_PROCESSORS = 4
"""Processors from which on the medium language model is tried."""
LARGE_MIN_PROCESSORS = 8
"""Processors from which on the large language model is tried."""
LARGE_MIN_MEMORY_BYTES = 16 * 10**9
"""Memory of the computer from which on the large language model is tried. A computer with 16 GiB reports less."""
STT_SMALL_MIN_PROCESSORS = 5
"""Processors from which on Whisper small is used. It takes about three times as long as base, and captions come while
the language model and the voice work."""
FREE_MEMORY_PER_BYTE = 2
"""Bytes of free memory per byte of a model's file: its weights, its context and working memory."""
FREE_MEMORY_MARGIN_BYTES = 10**9
"""Bytes that stay free for other programs."""


def parse_llm_choice(environ: Mapping[str, str]) -> LlmChoice:
    """Return the choice of `OFFLINE_LLM`. Raises `ValueError` for a value that is neither a tier nor a path."""
    value = environ.get("OFFLINE_LLM", "").strip()
    named = _parse_name(value, LlmTier)
    if named is not None:
        return named
    if value.lower().endswith(".gguf") or "/" in value or "\\" in value:
        return Path(value).expanduser()
    raise ValueError("OFFLINE_LLM must be auto, small, medium, large or the path of a GGUF file.")


def parse_stt_choice(environ: Mapping[str, str]) -> SttChoice:
    """Return the choice of `OFFLINE_STT`. Raises `ValueError` for anything but a tier."""
    named = _parse_name(environ.get("OFFLINE_STT", "").strip(), SttTier)
    if named is None:
        raise ValueError("OFFLINE_STT must be auto, base, small or turbo.")
    return named


def _parse_name(value: str, tiers: type[TierT]) -> Automatic | TierT | None:
    if value.lower() in ("", Automatic.AUTO.value):
        return Automatic.AUTO
    return next((tier for tier in tiers if tier.value == value.lower()), None)


def candidate_llm_tiers(processors: int, memory_bytes: int) -> tuple[LlmTier, ...]:
    """Return the tiers to try on a computer with this many processors and bytes of memory, best first."""
    tiers = [LlmTier.SMALL]
    if processors >= MEDIUM_MIN_PROCESSORS:
        tiers.insert(0, LlmTier.MEDIUM)
    if processors >= LARGE_MIN_PROCESSORS and memory_bytes >= LARGE_MIN_MEMORY_BYTES:
        tiers.insert(0, LlmTier.LARGE)
    return tuple(tiers)


def candidate_stt_tiers(processors: int) -> tuple[SttTier, ...]:
    """Return the tiers above the base that are tried with this many processors, best first."""
    return (SttTier.SMALL,) if processors >= STT_SMALL_MIN_PROCESSORS else ()


def needs_examples(tier: LlmTier | None) -> bool:
    """Return whether prompts need example messages, as those of the smallest models do. None is that of the start."""
    return tier in (None, LlmTier.SMALL)


def fits_in_memory(size_bytes: int, free_bytes: int) -> bool:
    """Return whether a model with files of `size_bytes` may be loaded beside the present one."""
    return free_bytes >= FREE_MEMORY_PER_BYTE * size_bytes + FREE_MEMORY_MARGIN_BYTES
