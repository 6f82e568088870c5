"""Protocol of the WebSocket that carries a call where WebRTC cannot. Pure: time is passed in, in seconds.

Binary messages, both ways: 20 ms of audio each, PCM16 mono 24 kHz little-endian, 960 bytes. Text messages: JSON objects
with a `type`. The page acknowledges frames, the server reports the end of the call. Reference: docs/audio_socket.md.
"""

from __future__ import annotations

import json

from voicechat.audio.format import FRAME, FRAME_S
from voicechat.protocol.json_codec import InvalidJson, read_object

FRAME_BYTES = FRAME * 2
MAX_UNACKED_FRAMES = 40
"""Frames (0.8 s) sent and not acknowledged. A stalled connection holds the reply up, and frames sent count as heard to
within this bound."""
STALL_TIMEOUT_S = 5.0
"""Seconds before a browser that takes nothing is disconnected."""
MAX_CONTROL_CHARS = 1024
"""Characters of a text message."""
MAX_BURST_FRAMES = 100
"""Frames (2 s) that may arrive ahead of the clock: a stalled connection delivers its backlog at once."""
MAX_CLOCK_DRIFT = 1.02
"""Speed of the fastest accepted sound card, relative to the server's clock."""
ENDED_MESSAGE = json.dumps({"type": "ended"})
"""Last text message of a call that the server's side has ended."""

CLOSE_UNSUPPORTED_DATA = 1003
CLOSE_POLICY_VIOLATION = 1008


class ProtocolViolation(Exception):
    """Invalid message from the page; `close_code` closes the socket."""

    def __init__(self, close_code: int) -> None:
        super().__init__(str(close_code))
        self.close_code = close_code


class FlowControl:
    """Frame counts of one socket."""

    def __init__(self, now: float) -> None:
        self._started_at = now
        self._received_frames = 0
        self._sent_frames = 0
        self._acked_frames = 0

    @property
    def can_send(self) -> bool:
        """One more frame may be sent."""
        return self._sent_frames - self._acked_frames < MAX_UNACKED_FRAMES

    def on_frame_sent(self) -> None:
        self._sent_frames += 1

    def on_audio(self, frame: bytes, now: float) -> None:
        """Count a received frame. Raise `ProtocolViolation` for a wrong size or for audio faster than real time."""
        if len(frame) != FRAME_BYTES:
            raise ProtocolViolation(CLOSE_UNSUPPORTED_DATA)
        self._received_frames += 1
        if self._received_frames > MAX_BURST_FRAMES + (now - self._started_at) / FRAME_S * MAX_CLOCK_DRIFT:
            raise ProtocolViolation(CLOSE_POLICY_VIOLATION)

    def on_control(self, text: str) -> None:
        """Apply a text message; ignore unknown types. Raise `ProtocolViolation` for an invalid one."""
        if len(text) > MAX_CONTROL_CHARS:
            raise ProtocolViolation(CLOSE_POLICY_VIOLATION)
        try:
            message = read_object(text, allow_nan=True)
        except InvalidJson:
            raise ProtocolViolation(CLOSE_UNSUPPORTED_DATA) from None
        if message.get("type") != "taken":
            return
        frames = message.get("frames")
        if type(frames) is not int or not self._acked_frames <= frames <= self._sent_frames:
            raise ProtocolViolation(CLOSE_UNSUPPORTED_DATA)
        self._acked_frames = frames
