"""Input audio buffer: received audio by sample position, with bounded length."""

from __future__ import annotations

from offline.audio import duration_ms

MAX_BUFFER_MS = 300_000
"""Milliseconds of audio that a client may append before it commits."""


class InputAudioBuffer:
    """Audio from `start_sample` to `end_sample`, counted in samples (24 kHz) since the session began."""

    def __init__(self) -> None:
        self._data = bytearray()
        self.start_sample = 0

    @property
    def end_sample(self) -> int:
        """Samples received so far."""
        return self.start_sample + len(self._data) // 2

    @property
    def duration_ms(self) -> float:
        """Milliseconds of audio in the buffer."""
        return duration_ms(self._data)

    def has_room(self, ms: float) -> bool:
        """Return whether `ms` milliseconds fit in."""
        return self.duration_ms + ms <= MAX_BUFFER_MS

    def append(self, pcm: bytes) -> None:
        """Append received audio (PCM16 at 24 kHz)."""
        self._data += pcm

    def get_range(self, start: int, end: int) -> bytes:
        """Return the audio between two samples, as far as it is in the buffer."""
        first = max(0, start - self.start_sample)
        return bytes(self._data[first * 2 : max(first, end - self.start_sample) * 2])

    def drop_before(self, sample: int) -> None:
        """Drop the audio before `sample`."""
        count = min(max(0, sample - self.start_sample), len(self._data) // 2)
        del self._data[: count * 2]
        self.start_sample += count
