"""How fast a server is listened to. Pure: time is handed in, in seconds.

One that sends without end would otherwise take all of a process in which others are talking. What is not taken waits in
its own socket.
"""

from __future__ import annotations

from .token_bucket import TokenBucket

MAX_MESSAGES_PER_S = 2000.0
"""Messages a second, each counted once more for every `EXTRA_MESSAGE_BYTES` in it. The fastest servers send some 200 in a second, of
10 kB each."""
EXTRA_MESSAGE_BYTES = 8192
BURST_MESSAGES = 4000.0
"""So many may come at once."""


class ReadRateLimit:
    """Of one socket."""

    def __init__(self, now: float) -> None:
        self._bucket = TokenBucket(MAX_MESSAGES_PER_S, BURST_MESSAGES, now)

    def take(self, size_bytes: int, now: float) -> float:
        """A message of `size` bytes, or characters, has come. Returns seconds to wait before the next is taken: 0.0
        for whoever keeps within the bounds."""
        return self._bucket.take(now, 1 + size_bytes // EXTRA_MESSAGE_BYTES)
