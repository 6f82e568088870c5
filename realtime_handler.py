"""fastrtc's handler for one voice call: forwards frames, updates and the end of the connection to a `VoiceSession`.

fastrtc gets one `RealtimeHandler` as a prototype and copies it for every connection. State of one visitor is in
`Visitor`, which the page keeps in its session, never in the prototype.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from voicechat.audio.format import FRAME, Samples
from voicechat.audio.spooled_audio import DiskExecutor, new_disk_executor
from voicechat.audio.uplink_buffer import UplinkBuffer
from voicechat.config.settings import Settings
from voicechat.conversation.chinese import traditional_chinese
from voicechat.limits.admission import Admission, ConcurrencyLimits
from voicechat.limits.billing import BillingService
from voicechat.limits.waiting_queue import AdmissionController
from voicechat.protocol.failures import Failure
from voicechat.protocol.notices import Notice
from voicechat.session.call_handler import EndpointResolver
from voicechat.session.visitor import Visitor
from voicechat.session.voice_session import VoiceSession
from voicechat.tools.runtime import ToolRuntime
from voicechat.transport.stream_handler import PacedStreamHandler, StreamState
from voicechat.turn_taking.snapshot import CallStage, Snapshot

__all__ = ["CallStage", "EndpointResolver", "Failure", "Notice", "RealtimeHandler", "Snapshot", "Visitor"]

SILENCE_FRAME: Samples = np.zeros(FRAME, dtype=np.int16)


class RealtimeHandler(PacedStreamHandler):
    """Handler of one call, and prototype of all calls."""

    def __init__(
        self,
        settings: Settings,
        resolve_endpoint: EndpointResolver,
        admission: Admission | None = None,
        billing: BillingService | None = None,
        tools: ToolRuntime | None = None,
        *,
        disk_executor: DiskExecutor | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Any] = asyncio.sleep,
    ) -> None:
        super().__init__(clock, sleep)
        self.settings = settings
        self.resolve_endpoint = resolve_endpoint
        self.admission = admission or AdmissionController(ConcurrencyLimits.from_settings(settings))
        self.billing = billing or BillingService()
        self.tools = tools
        self.session: VoiceSession | None = None
        """The call; None in the prototype, and until the page has sent its inputs."""
        self._disk_executor = disk_executor or new_disk_executor()
        self._uplink_buffer = UplinkBuffer()
        traditional_chinese.to_traditional("准备")  # loads the tables now (70 ms, once), not in the middle of a call

    def copy(self) -> RealtimeHandler:
        """Return a fresh handler for one connection. It shares settings, admission and billing."""
        return RealtimeHandler(
            self.settings,
            self.resolve_endpoint,
            self.admission,
            self.billing,
            self.tools,
            disk_executor=self._disk_executor,
            clock=self.clock,
            sleep=self.sleep,
        )

    async def on_start(self, inputs: list[Any]) -> None:
        """`inputs[0]` is the page's `Visitor`."""
        visitor = inputs[0] if inputs and isinstance(inputs[0], Visitor) else Visitor(self.settings.remember_items)
        await self.billing.daily_quota.refresh(visitor.visitor_key)
        if self.stream_state is StreamState.CLOSED:
            return  # the browser has disconnected meanwhile
        if visitor.call is not None:
            visitor.call.end_by_user()  # a page has one call; the older one is a leftover
        self.session = visitor.call = VoiceSession(
            self,
            visitor,
            self._uplink_buffer,
            self.settings,
            lambda: self.resolve_endpoint(visitor.own_key),
            self.admission,
            self.billing,
            self._disk_executor,
            self.tools,
        )
        self.session.start()

    async def on_end(self) -> None:
        if self.session is not None:
            await self.session.close()

    def fail(self, error: Exception) -> None:
        if self.session is not None:
            self.session.fail(error)
        else:
            super().fail(error)

    def on_audio_frame(self, pcm: bytes) -> None:
        if self.session is not None:
            self.session.push_audio(pcm)
        else:
            self._uplink_buffer.push(pcm, self.clock(), is_connected=False)

    def next_audio_frame(self, now: float) -> Samples:
        return self.session.next_frame(now) if self.session is not None else SILENCE_FRAME

    def next_update(self, now: float) -> Snapshot | None:
        return self.session.next_update() if self.session is not None else None
