"""Admission entries: what a replica knows of its tickets' entries in Redis, and what it asks `admission.lua` to do."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from voicechat.limits.admission import AdmissionKind, AdmissionTicket, ConcurrencyLimits

OFFLINE = "offline"
"""Name of the offline server's limit in the script, beside the kinds."""


@dataclass(slots=True)
class AdmissionEntry:
    """What Redis holds, or is about to hold, for one ticket."""

    id: str
    seq: int = 0
    """Number of arrival, by which the queue is ordered; 0 before the first answer."""
    is_entered: bool = False
    """Redis was asked to hold it. When it is missing there, it is lost."""
    awaits_switch: bool = False
    """The offline server was asked for a session."""
    decided: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(frozen=True, slots=True)
class AdmissionOperation:
    """Operation of the script on one entry."""

    name: str
    ticket: AdmissionTicket
    entry_id: str
    offline: bool = False


def limits_to_json(limits: ConcurrencyLimits) -> dict[str, int]:
    """Return the limits by their names in the script."""
    return {
        **{kind.value: limits.for_kind(kind) for kind in AdmissionKind},
        OFFLINE: limits.offline_sessions,
        "queue": limits.queue_length,
        "visitor": limits.calls_per_visitor,
    }
