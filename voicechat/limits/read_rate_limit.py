"""Rate limit for reading from a Realtime server. Pure: time is passed in, in seconds.

A server that sends without end would otherwise take a process in which others are talking. Unread messages wait in its
own socket.
"""

from __future__ import annotations

from .token_bucket import TokenBucket

MAX_MESSAGES_PER_S = 2000.0
"""Messages per second, each counted once more for every `EXTRA_MESSAGE_BYTES`. The fastest servers send some 200 of
10 kB."""
EXTRA_MESSAGE_BYTES = 8192
BURST_MESSAGES = 4000.0
"""Messages accepted at once."""


class ReadRateLimit:
    """Limit of one socket."""

    def __init__(self, now: float) -> None:
        self._bucket = TokenBucket(MAX_MESSAGES_PER_S, BURST_MESSAGES, now)

    def take(self, size_bytes: int, now: float) -> float:
        """Count a message of this many bytes or characters. Return seconds to wait before the next; 0.0 within the
        limit."""
        return self._bucket.take(now, 1 + size_bytes // EXTRA_MESSAGE_BYTES)
