"""WebSocket protocol of uvicorn that keeps reading while a few small messages wait.

uvicorn by itself stops reading after every message until the app has received it: two system calls for each 20 ms of
audio, 7 % of a call's processor time. Here it stops after several messages or a large one. A client is still held back,
a few messages later.
"""

from __future__ import annotations

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

RECEIVE_EVENT = "uvicorn.protocols.websockets.websockets_sansio_impl:WebSocketsSansIOProtocol.send_receive_event_to_app"
MAX_QUEUED_MESSAGES = 8
"""Queued messages, 160 ms of audio, after which reading stops."""
MAX_READ_AHEAD_BYTES = 8192
"""Bytes of a message above which reading stops. 20 ms of audio have 960, in a Realtime event about 1,500."""


class ReadAheadProtocol(WebSocketsSansIOProtocol):
    """Connection of one client."""

    def send_receive_event_to_app(self) -> None:
        """Queue a complete message. Pause reading unless it is small and few are queued."""
        small = sum(map(len, self.frames)) <= MAX_READ_AHEAD_BYTES
        keeps_reading = small and not self.read_paused and self.queue.qsize() < MAX_QUEUED_MESSAGES
        self.read_paused = self.read_paused or keeps_reading  # uvicorn pauses only what is not paused yet
        super().send_receive_event_to_app()
        if keeps_reading:
            self.read_paused = False
