"""The input audio buffer: received sound by its place in the stream, bounded, cut into turns."""

from __future__ import annotations

from offline.audio_formats import SAMPLES_PER_MS

MAX_MS = 300_000
"""Sound a client may collect before it commits: five minutes."""


class InputAudio:
    """Sound from `start` to `end`, both counted in samples received since the session began."""

    def __init__(self) -> None:
        self._data = bytearray()
        self.start = 0

    @property
    def end(self) -> int:
        """Samples received so far."""
        return self.start + len(self._data) // 2

    @property
    def ms(self) -> float:
        """Length of what is in the buffer."""
        return len(self._data) / 2 / SAMPLES_PER_MS

    def has_room(self, ms: float) -> bool:
        """Whether so much sound still fits."""
        return self.ms + ms <= MAX_MS

    def append(self, pcm: bytes) -> None:
        """Add received sound."""
        self._data += pcm

    def between(self, start: int, end: int) -> bytes:
        """The sound from sample `start` to sample `end`, as far as it is still here."""
        first = max(0, start - self.start)
        return bytes(self._data[first * 2 : max(first, end - self.start) * 2])

    def drop_before(self, sample: int) -> None:
        """Forget what was received before `sample`."""
        count = min(max(0, sample - self.start), len(self._data) // 2)
        del self._data[: count * 2]
        self.start += count
