"""Uplink buffer: microphone frames while disconnected, and silence for a stalled microphone. Pure: time is passed in.

The beginning of a sentence survives the time until there is a connection. A stalled microphone counts as silence: a
server that gets no audio at all would never see the end of the turn.
"""

from __future__ import annotations

from collections import deque

from voicechat.audio.format import FRAME, FRAME_S

MAX_BUFFERED_FRAMES = 250
"""Frames of 20 ms kept while disconnected: 5 s."""
STALL_THRESHOLD_S = 1.0
"""Seconds without audio that count as silence. Browsers may save packets for silence, headsets stall. Not shorter: late
packets of a busy computer are not silence, and a pause between them would cut a turn in two."""
SILENCE_FRAME = bytes(2 * FRAME)
"""20 ms, int16 at 24 kHz."""


class UplinkBuffer:
    """Buffer of one call. Audio is int16 at 24 kHz, little-endian."""

    def __init__(self) -> None:
        self._buffered_frames: deque[bytes] = deque(maxlen=MAX_BUFFERED_FRAMES)
        self._audio_until: float | None = None
        """Time up to which there is audio or silence, in seconds of any clock; None before the first frame."""

    def push(self, pcm: bytes, now: float, *, is_connected: bool) -> bool:
        """Return True to send the frame now; keep it while disconnected."""
        self._audio_until = now
        if not is_connected:
            self._buffered_frames.append(pcm)
        return is_connected

    def drain(self) -> list[bytes]:
        """Return and remove the kept frames, the oldest first."""
        frames = list(self._buffered_frames)
        self._buffered_frames.clear()
        return frames

    def clear(self) -> None:
        """Drop the kept frames."""
        self._buffered_frames.clear()

    def needs_silence(self, now: float) -> bool:
        """Return True if 20 ms of silence are due. Ask once per 20 ms of a connection."""
        if self._audio_until is None or now - self._audio_until <= STALL_THRESHOLD_S:
            return False
        self._audio_until += FRAME_S
        return True
