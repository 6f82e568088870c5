"""A web socket that is read on while a few small messages wait.

uvicorn stops reading after every message until the app has taken it, and begins again: two calls of the system for each
20 ms of sound, 7 % of what a call over a web socket costs. Here it stops when several wait, or a large one. A client is
held back as before, a few messages later. uvicorn 0.54 is pinned.
"""

from __future__ import annotations

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

RECEIVE_EVENT = "uvicorn.protocols.websockets.websockets_sansio_impl:WebSocketsSansIOProtocol.send_receive_event_to_app"
MAX_QUEUED_MESSAGES = 8
"""Messages that may wait: 160 ms of sound."""
MAX_READ_AHEAD_BYTES = 8192
"""Bytes. 20 ms of sound have 960, in an event of the protocol some 1,500."""


class ReadAheadProtocol(WebSocketsSansIOProtocol):
    """One client's connection."""

    def send_receive_event_to_app(self) -> None:
        """A message is whole."""
        small = sum(map(len, self.frames)) <= MAX_READ_AHEAD_BYTES
        on = small and not self.read_paused and self.queue.qsize() < MAX_QUEUED_MESSAGES
        self.read_paused = self.read_paused or on  # so it is not paused
        super().send_receive_event_to_app()
        if on:
            self.read_paused = False
