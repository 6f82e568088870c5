"""What a call's microphone has given, and what the server is given of it. Pure: the time is passed in.

A sentence begun while there is no connection is kept for it; and a microphone that stalls is silence, for a server that
gets no sound at all would wait for the end of the turn for ever.
"""

from __future__ import annotations

from collections import deque

from voicechat.audio.format import FRAME, FRAME_S

MAX_BUFFERED_FRAMES = 250
"""Of 20 ms, kept while there is no connection: 5 s."""
STALL_THRESHOLD_S = 1.0
"""No sound for so long is silence. Browsers may save packets for silence, headsets stall. Not shorter: late packets of
a busy computer are not silence, and a pause put between them would cut a turn in two."""
SILENCE_FRAME = bytes(2 * FRAME)
"""20 ms, int16 at 24 kHz."""


class UplinkBuffer:
    """Of one call. Sound is int16 at 24 kHz, little-endian."""

    def __init__(self) -> None:
        self._buffered_frames: deque[bytes] = deque(maxlen=MAX_BUFFERED_FRAMES)
        self._audio_until: float | None = None
        """Until when there has been sound (seconds, any clock); None: it has not begun."""

    def push(self, pcm: bytes, now: float, *, is_connected: bool) -> bool:
        """Returns whether this is for the server now. Without a connection (`up`) it is kept."""
        self._audio_until = now
        if not is_connected:
            self._buffered_frames.append(pcm)
        return is_connected

    def drain(self) -> list[bytes]:
        """What was kept, the oldest first; it is not kept any more."""
        kept = list(self._buffered_frames)
        self._buffered_frames.clear()
        return kept

    def clear(self) -> None:
        """What was kept is for nobody."""
        self._buffered_frames.clear()

    def needs_silence(self, now: float) -> bool:
        """Whether the server is due 20 ms of silence in its place. To be asked every 20 ms of a connection."""
        if self._audio_until is None or now - self._audio_until <= STALL_THRESHOLD_S:
            return False
        self._audio_until += FRAME_S
        return True
