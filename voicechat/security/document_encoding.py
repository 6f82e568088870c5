"""Document encoding: compresses HTML documents for clients that accept gzip. Pure.

Gradio's page carries the configuration of all components, the scripts and the style sheets in its document, which gzip
makes five times smaller. A document holds no secret and repeats nothing of a request but the address, so its
compressed length reveals nothing.
"""

from __future__ import annotations

import gzip
from collections import OrderedDict

COMPRESSION_LEVEL = 6
"""Level of gzip. A higher one takes longer, and saves less than 1 %."""


def accepts_gzip(accept_encoding: str) -> bool:
    """Return whether a header Accept-Encoding allows gzip (RFC 9110, section 12.5.3). Malformed weights count as 0."""
    weights: dict[str, float] = {}
    for each in accept_encoding.lower().split(","):
        name, _, parameter = each.partition(";")
        weights[name.strip()] = _parse_weight(parameter)
    named = [weights[name] for name in ("gzip", "x-gzip") if name in weights]
    return max(named or [weights.get("*", 0.0)]) > 0


def _parse_weight(parameter: str) -> float:
    """Return the weight of `q=0.5`; 1 without a parameter."""
    if not parameter.strip():
        return 1.0
    name, _, value = parameter.partition("=")
    try:
        return float(value) if name.strip() == "q" else 0.0
    except ValueError:
        return 0.0


class DocumentEncoder:
    """Compresses documents, and keeps the newest results: almost all visitors get the same document."""

    MAX_KEPT = 4
    """Documents kept. They differ by the address of the page only."""

    def __init__(self) -> None:
        self._kept: OrderedDict[bytes, bytes] = OrderedDict()

    @property
    def kept_count(self) -> int:
        """Number of kept results."""
        return len(self._kept)

    def compress(self, document: bytes) -> bytes:
        """Return the document in the format of gzip."""
        found = self._kept.pop(document, None)
        if found is None:
            found = gzip.compress(document, COMPRESSION_LEVEL, mtime=0)
        self._kept[document] = found
        if len(self._kept) > self.MAX_KEPT:
            self._kept.popitem(last=False)
        return found
