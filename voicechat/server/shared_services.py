"""Shared services: what this replica shares with others over Redis. Without `REDIS_URL` everything is in memory."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from voicechat.config.settings import Settings
from voicechat.limits.admission import Admission, AdmissionKind, ConcurrencyLimits
from voicechat.limits.waiting_queue import AdmissionController

if TYPE_CHECKING:
    from voicechat.shared_state.redis_connection import RedisConnection
    from voicechat.shared_state.shared_admission import SharedAdmissionController


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


class SharedServices:
    """Services of one process that its replicas have in common."""

    def __init__(self, settings: Settings) -> None:
        self.replica_id = secrets.token_hex(4)
        """Random name of this process."""
        self.connection: RedisConnection | None = None
        self._shared_admission: SharedAdmissionController | None = None
        limits = ConcurrencyLimits.from_settings(settings)
        if settings.scale.redis_url:  # imported here only: 7 MB
            from voicechat.shared_state.redis_connection import RedisConnection
            from voicechat.shared_state.shared_admission import SharedAdmissionController

            self.connection = RedisConnection.open(settings.scale.redis_url, settings.scale.redis_prefix)
            self._shared_admission = SharedAdmissionController(limits, self.connection, self.replica_id)
        self.admission: Admission = self._shared_admission or AdmissionController(limits)

    @property
    def status(self) -> SharedStateStatus:
        """Whether Redis answered the newest request."""
        if self.connection is None:
            return SharedStateStatus.MEMORY
        return SharedStateStatus.OK if self.connection.is_reachable else SharedStateStatus.UNREACHABLE

    def slot_use(self) -> dict[AdmissionKind, SlotUse]:
        """Return the slots taken, by kind of session."""
        admission, counts = self.admission, self.admission.count_everywhere()
        return {
            kind: SlotUse(admission.count_admitted(kind), counts.admitted[kind], admission.limits.for_kind(kind))
            for kind in AdmissionKind
        }

    @asynccontextmanager
    async def run_in_background(self) -> AsyncIterator[None]:
        """Keep in touch with Redis in this event loop."""
        async with AsyncExitStack() as stack:
            if self.connection is not None and self._shared_admission is not None:
                await stack.enter_async_context(self.connection.run_in_background())
                await stack.enter_async_context(self._shared_admission.run_in_background())
            yield
