"""Approval: what is asked before an acting tool runs, and what counts as a spoken yes or no. Pure."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

APPROVE_TOOL = "approve"
"""Name of the tool by which a model reports the visitor's spoken decision."""


class YesNo(enum.Enum):
    """Meaning of a whole turn."""

    YES = "yes"
    NO = "no"
    UNCLEAR = "unclear"


def match_yes_no(transcript: str) -> YesNo:
    """Return whether the whole turn is a yes or a no, in English or Mandarin. "Yes, but" is unclear."""
    raise NotImplementedError


@dataclass(frozen=True, slots=True)
class PendingApproval:
    """One acting call that awaits the visitor's decision, for the approval bar."""

    call_id: str
    approval_id: str
    """Short name for the model: "a1"."""
    name: str
    arguments: Mapping[str, Any] = field(repr=False)
    """The held arguments: exactly these run."""
    question: str = field(repr=False)
    by_voice: bool
    """False: by button only."""
    expires_at: float
    """Seconds of the caller's clock at which the call is refused."""
