"""Text chat: typed messages in, snapshots out in batches, around the Realtime connection of `BaseSession`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any

from voicechat.config.session_update import SessionMode, build_session_update
from voicechat.config.settings import Endpoint, Settings
from voicechat.conversation.conversation import Conversation
from voicechat.limits.admission import Admission, AdmissionKind
from voicechat.limits.billing import BillingService
from voicechat.tools.calls.call_admission import RecentCalls
from voicechat.tools.runtime import ToolRuntime
from voicechat.turn_taking.snapshot import Snapshot
from voicechat.upstream.reconnecting_client import EndpointSource

from .base_session import BaseSession

BATCH_INTERVAL_S = 0.08
"""Seconds between two snapshots. A page that gets every word is slower, not quicker."""
HEARTBEAT_INTERVAL_S = 2.0
"""Seconds between two snapshots of an unchanged chat. They show that the page still takes them."""
RECONNECT_GRACE_S = 1.0
"""Seconds that a page which stopped taking snapshots has to come back."""
NO_LIMIT_S = 10 * 365 * 86_400
"""Seconds that a chat may last: without limit. An idle chat costs nothing, and `chat_idle_seconds` ends it."""


class TextSession(BaseSession):
    """One chat, from Connect to Disconnect. `conversation` outlives it and belongs to the visitor."""

    mode = SessionMode.TEXT
    admission_kind = AdmissionKind.CHAT

    def __init__(
        self,
        settings: Settings,
        endpoint_source: EndpointSource,
        admission: Admission,
        conversation: Conversation,
        billing: BillingService | None = None,
        *,
        visitor_key: str = "",
        resume_id: str = "",
        tools: ToolRuntime | None = None,
        disabled_tools: frozenset[str] = frozenset(),
        timezone: str = "",
        recent_calls: RecentCalls | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Any] = asyncio.sleep,
    ) -> None:
        super().__init__(
            settings.with_changes(
                idle_seconds=settings.chat_idle_seconds, max_call_seconds=NO_LIMIT_S, output_latency_ms=0
            ),
            endpoint_source,
            admission,
            billing or BillingService(),
            conversation,
            visitor_key,
            resume_id=resume_id,
            tools=tools,
            disabled_tools=disabled_tools,
            timezone=timezone,
            recent_calls=recent_calls,
            clock=clock,
            sleep=sleep,
        )
        self._changed = asyncio.Event()
        self.is_watched = False
        """A page reads `snapshots()`."""

    def _preferred_update(self, endpoint: Endpoint) -> dict[str, Any]:
        tools = self._declared_tools(endpoint)
        return build_session_update(self.settings, SessionMode.TEXT, kind=endpoint.kind, tools=tools)

    def _check_presence(self, now: float) -> None:
        if now - self._last_seen_at > self.settings.vanished_seconds:
            self.end_by_user()

    def _on_change(self) -> None:
        self._changed.set()

    async def snapshots(self) -> AsyncIterator[Snapshot]:
        """Yield the snapshot now and after each change, the last one included. For one reader, the page."""
        self.is_watched = True
        try:
            while True:
                self._last_seen_at = self.clock()
                self._changed.clear()
                yield self.snapshot
                if not self.is_active and not self._changed.is_set():
                    return
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._changed.wait(), HEARTBEAT_INTERVAL_S)
                await asyncio.sleep(BATCH_INTERVAL_S)
        finally:
            self.is_watched = False
            self._last_seen_at = min(
                self._last_seen_at, self.clock() - self.settings.vanished_seconds + RECONNECT_GRACE_S
            )
