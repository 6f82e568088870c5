"""How fast one side of a conversation is listened to. Pure: time is handed in, in seconds.

A server that sends without end, or a program, would otherwise take all of a process in which others are talking. What
is not taken waits in its own socket.
"""

from __future__ import annotations

MOST_A_SECOND = 2000.0
"""Messages a second, each counted once more for every `BYTES` in it. The fastest servers send some 200 in a second, of
10 kB each."""
BYTES = 8192
BURST = 4000.0
"""So many may come at once."""


class Pace:
    """Of one socket."""

    def __init__(self, most_a_second: float = MOST_A_SECOND, burst: float = BURST) -> None:
        self._rate = most_a_second
        self._burst = burst
        self._room = burst
        self._at: float | None = None

    def wait(self, size: int, now: float) -> float:
        """A message of `size` bytes, or characters, has come. Returns seconds to wait before the next is taken: 0.0
        for whoever keeps within the bounds."""
        if self._at is not None:
            self._room = min(self._burst, self._room + (now - self._at) * self._rate)
        self._at = now
        self._room -= 1 + size // BYTES
        return max(0.0, -self._room / self._rate)
