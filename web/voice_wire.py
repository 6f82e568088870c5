"""What goes over the web socket that carries a call where WebRTC cannot. Pure: time is handed in, in seconds.

Binary messages both ways: 20 ms of sound each, PCM16 mono 24 kHz little-endian, 960 bytes. Text messages: JSON objects
with a `type`; the page says how many frames it has taken, the server that the call is over. docs/voice_socket.md has it
on half a page.
"""

from __future__ import annotations

import json

from webrtc_edge import FRAME_S, RATE

FRAME_BYTES = round(RATE * FRAME_S) * 2
WINDOW = 40
"""Frames (0.8 s) on the way that the page has not said to have taken. A connection that stalls holds the reply up, and
what was handed out stays what was heard, to within this."""
STALL_S = 5.0
"""Who takes nothing for so long is gone."""
MAX_CONTROL = 1024
"""Characters of a text message."""
SURPLUS = 100
"""Frames (2 s) that may come ahead of the clock: what a stalled connection held back comes at once."""
DRIFT = 1.02
"""How much faster than ours a sound card's clock may run."""
ENDED = json.dumps({"type": "ended"})
"""The last text message of a call that was ended from the server's side."""

UNSUPPORTED = 1003
TOO_MUCH = 1008


class Refused(Exception):
    """The page sent what nobody understands; `code` is the close code."""

    def __init__(self, code: int) -> None:
        super().__init__(str(code))
        self.code = code


class Wire:
    """One socket's counts."""

    def __init__(self, now: float) -> None:
        self._since = now
        self._came = 0
        self._sent = 0
        self._taken = 0

    @property
    def room(self) -> bool:
        """One more frame may be sent."""
        return self._sent - self._taken < WINDOW

    def sent(self) -> None:
        """A frame was sent."""
        self._sent += 1

    def sound(self, frame: bytes, now: float) -> None:
        """A frame has come. Raises `Refused` for a wrong size, and for more sound than there is time."""
        if len(frame) != FRAME_BYTES:
            raise Refused(UNSUPPORTED)
        self._came += 1
        if self._came > SURPLUS + (now - self._since) / FRAME_S * DRIFT:
            raise Refused(TOO_MUCH)

    def control(self, text: str) -> None:
        """A text message has come. Unknown types are ignored. Raises `Refused` for what is no message."""
        if len(text) > MAX_CONTROL:
            raise Refused(TOO_MUCH)
        try:
            message = json.loads(text)
        except (ValueError, RecursionError):
            raise Refused(UNSUPPORTED) from None
        if not isinstance(message, dict):
            raise Refused(UNSUPPORTED)
        if message.get("type") != "taken":
            return
        frames = message.get("frames")
        if type(frames) is not int or not self._taken <= frames <= self._sent:
            raise Refused(UNSUPPORTED)
        self._taken = frames
