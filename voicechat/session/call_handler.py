"""Interface of a voice call, as the page and the audio socket use it.

`realtime_handler.RealtimeHandler` implements it. `app.py` hands the prototype in, so that nothing below imports it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from voicechat.config.settings import Endpoint, Settings
from voicechat.limits.budget import BillingService
from voicechat.limits.waiting_queue import AdmissionController
from voicechat.protocol.failures import Failure
from voicechat.transport.stream_handler import StreamState, TransportLease
from voicechat.turn_taking.snapshot import Snapshot

EndpointResolver = Callable[[str], Endpoint | Failure]
"""Return where a call that starts now connects. The argument is the visitor's own key, "" without one."""


class CallHandler(Protocol):
    """One voice call, and the prototype from which calls are copied."""

    settings: Settings
    resolve_endpoint: EndpointResolver
    admission: AdmissionController
    billing: BillingService
    clock: Callable[[], float]
    stream_state: StreamState

    @property
    def is_active(self) -> bool:
        """Whether the call is under way, the waiting queue included."""

    @property
    def snapshot(self) -> Snapshot | None:
        """What the page shows of the call; None before its start."""

    def copy(self) -> CallHandler:
        """Return a fresh call for one connection."""

    # ---------------------------------------------------------------- the visitor's side

    async def send_text(self, text: str) -> bool:
        """Send a typed message. Return whether the call took it."""

    async def interrupt(self) -> None:
        """Stop the reply that is spoken or generated."""

    async def clear(self) -> None:
        """Clear the conversation, here and at the server."""

    def end_by_user(self) -> None:
        """End the call because the visitor hung up."""

    def apply_preferences(self) -> None:
        """Apply the visitor's changed preferences."""

    # ---------------------------------------------------------------- the transport's side

    def take_over_transport(self) -> TransportLease:
        """Return the lease of a new transport, which supersedes the one before."""

    async def start_without_webrtc(self, inputs: list[Any]) -> None:
        """Start the call on an audio socket."""

    def push_audio(self, pcm: bytes) -> None:
        """Accept microphone audio: PCM16 mono at 24 kHz."""

    async def next_output(self, lease: TransportLease | None) -> Any:
        """Return the next frame, page update or end of the call."""

    async def on_disconnect(self, lease: TransportLease | None) -> None:
        """End the call when its transport is lost and no other has taken over."""
