"""Candidate counter: limits the candidates that the page names for one connection after its offer. Pure.

aiortc keeps each of them, and compares each new one with all others.
"""

from __future__ import annotations

from collections import OrderedDict

from voicechat.security.sdp_limits import MAX_MDNS_CANDIDATES

MAX_TRICKLED_CANDIDATES = 192
"""Candidates of one connection. Firefox names each of its addresses for the audio, for RTCP and for the data channel,
before it knows that they share a transport: three times those of an offer."""
MAX_TRICKLED_MDNS_CANDIDATES = 3 * MAX_MDNS_CANDIDATES
"""Those of them with an mDNS name, each of which is looked up by multicast."""
MAX_COUNTED_CONNECTIONS = 1000
"""Connections whose candidates are counted; the least recently used are dropped first."""


class CandidateCounter:
    """Number of candidates of each connection."""

    def __init__(
        self,
        max_candidates: int = MAX_TRICKLED_CANDIDATES,
        max_mdns_candidates: int = MAX_TRICKLED_MDNS_CANDIDATES,
        max_connections: int = MAX_COUNTED_CONNECTIONS,
    ) -> None:
        self._counts: OrderedDict[str, tuple[int, int]] = OrderedDict()
        """Candidates of a connection, and those of them with an mDNS name."""
        self._max_candidates = max_candidates
        self._max_mdns_candidates = max_mdns_candidates
        self._max_connections = max_connections

    def add(self, connection_id: str, *, is_mdns: bool = False) -> bool:
        """Count a candidate; return False when the connection has too many. `is_mdns`: it has an mDNS name."""
        count, mdns_count = self._counts.get(connection_id, (0, 0))
        if count >= self._max_candidates or (is_mdns and mdns_count >= self._max_mdns_candidates):
            return False
        self._counts[connection_id] = (count + 1, mdns_count + is_mdns)
        self._counts.move_to_end(connection_id)
        while len(self._counts) > self._max_connections:
            self._counts.popitem(last=False)
        return True
