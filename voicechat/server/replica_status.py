"""Status of this replica for `/health` and `/metrics`: the slots taken here and at all, and whether Redis answers."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from voicechat.limits.admission import Admission, AdmissionKind


class SharedStateStatus(StrEnum):
    """Whether the replicas' common state can be used."""

    OK = "ok"
    UNREACHABLE = "unreachable"
    """Redis does not answer: this replica decides by its share of the limits."""
    MEMORY = "memory"
    """There is one process, without `REDIS_URL`."""


@dataclass(frozen=True, slots=True)
class SlotUse:
    """Slots of one kind of session."""

    here: int
    """Taken at this replica."""
    everywhere: int
    """Taken at all replicas together, as far as this one knows."""
    limit: int
    """The most that all replicas together may have."""


def shared_state_status(is_reachable: bool | None) -> SharedStateStatus:
    """Return the status. `is_reachable`: Redis answered the newest request; None without Redis."""
    if is_reachable is None:
        return SharedStateStatus.MEMORY
    return SharedStateStatus.OK if is_reachable else SharedStateStatus.UNREACHABLE


def slot_use(admission: Admission) -> dict[AdmissionKind, SlotUse]:
    """Return the slots taken, by kind of session."""
    counts = admission.count_everywhere()
    return {
        kind: SlotUse(admission.count_admitted(kind), counts.admitted[kind], admission.limits.for_kind(kind))
        for kind in AdmissionKind
    }
