"""Candidate counter: limits the candidates that the page names for one connection after its offer. Pure.

aiortc keeps each of them, and compares each new one with all others.
"""

from __future__ import annotations

from collections import OrderedDict

MAX_TRICKLED_CANDIDATES = 192
"""Candidates of one connection. Firefox names each of its addresses for the audio, for RTCP and for the data channel,
before it knows that they share a transport: three times those of an offer."""
MAX_COUNTED_CONNECTIONS = 1000
"""Connections whose candidates are counted; the least recently used are dropped first."""


class CandidateCounter:
    """Number of candidates of each connection."""

    def __init__(
        self, max_candidates: int = MAX_TRICKLED_CANDIDATES, max_connections: int = MAX_COUNTED_CONNECTIONS
    ) -> None:
        self._counts: OrderedDict[str, int] = OrderedDict()
        self._max_candidates = max_candidates
        self._max_connections = max_connections

    def add(self, connection_id: str) -> bool:
        """Count a candidate; return False when the connection has too many."""
        count = self._counts.get(connection_id, 0)
        if count >= self._max_candidates:
            return False
        self._counts[connection_id] = count + 1
        self._counts.move_to_end(connection_id)
        while len(self._counts) > self._max_connections:
            self._counts.popitem(last=False)
        return True
