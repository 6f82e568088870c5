"""The input audio buffer: received sound by its place in the stream, bounded, cut into turns."""

from __future__ import annotations

from offline.audio import duration_ms

MAX_BUFFER_MS = 300_000
"""Sound a client may collect before it commits: five minutes."""


class InputAudioBuffer:
    """Sound from `start` to `end`, both counted in samples received since the session began."""

    def __init__(self) -> None:
        self._data = bytearray()
        self.start_sample = 0

    @property
    def end_sample(self) -> int:
        """Samples received so far."""
        return self.start_sample + len(self._data) // 2

    @property
    def duration_ms(self) -> float:
        """Length of what is in the buffer."""
        return duration_ms(self._data)

    def has_room(self, ms: float) -> bool:
        """Whether so much sound still fits."""
        return self.duration_ms + ms <= MAX_BUFFER_MS

    def append(self, pcm: bytes) -> None:
        """Add received sound."""
        self._data += pcm

    def get_range(self, start: int, end: int) -> bytes:
        """The sound from sample `start` to sample `end`, as far as it is still here."""
        first = max(0, start - self.start_sample)
        return bytes(self._data[first * 2 : max(first, end - self.start_sample) * 2])

    def drop_before(self, sample: int) -> None:
        """Forget what was received before `sample`."""
        count = min(max(0, sample - self.start_sample), len(self._data) // 2)
        del self._data[: count * 2]
        self.start_sample += count
