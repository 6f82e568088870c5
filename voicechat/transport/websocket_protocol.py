"""What goes over the web socket that carries a call where WebRTC cannot. Pure: time is handed in, in seconds.

Binary messages both ways: 20 ms of sound each, PCM16 mono 24 kHz little-endian, 960 bytes. Text messages: JSON objects
with a `type`; the page says how many frames it has taken, the server that the call is over. docs/audio_websocket.md has it
on half a page.
"""

from __future__ import annotations

import json

from voicechat.audio.format import FRAME_S, RATE
from voicechat.protocol.json_codec import InvalidJson, read_object

FRAME_BYTES = round(RATE * FRAME_S) * 2
MAX_UNACKED_FRAMES = 40
"""Frames (0.8 s) on the way that the page has not said to have taken. A connection that stalls holds the reply up, and
what was handed out stays what was heard, to within this."""
STALL_TIMEOUT_S = 5.0
"""Who takes nothing for so long is gone."""
MAX_CONTROL_CHARS = 1024
"""Characters of a text message."""
MAX_BURST_FRAMES = 100
"""Frames (2 s) that may come ahead of the clock: what a stalled connection held back comes at once."""
MAX_CLOCK_DRIFT = 1.02
"""How much faster than ours a sound card's clock may run."""
ENDED_MESSAGE = json.dumps({"type": "ended"})
"""The last text message of a call that was ended from the server's side."""

CLOSE_UNSUPPORTED_DATA = 1003
CLOSE_POLICY_VIOLATION = 1008


class ProtocolViolation(Exception):
    """The page sent what nobody understands; `code` is the close code."""

    def __init__(self, close_code: int) -> None:
        super().__init__(str(close_code))
        self.close_code = close_code


class FlowControl:
    """One socket's counts."""

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
        """A frame was sent."""
        self._sent_frames += 1

    def on_audio(self, frame: bytes, now: float) -> None:
        """A frame has come. Raises `Refused` for a wrong size, and for more sound than there is time."""
        if len(frame) != FRAME_BYTES:
            raise ProtocolViolation(CLOSE_UNSUPPORTED_DATA)
        self._received_frames += 1
        if self._received_frames > MAX_BURST_FRAMES + (now - self._started_at) / FRAME_S * MAX_CLOCK_DRIFT:
            raise ProtocolViolation(CLOSE_POLICY_VIOLATION)

    def on_control(self, text: str) -> None:
        """A text message has come. Unknown types are ignored. Raises `Refused` for what is no message."""
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
