"""SDP limits: what an offer may contain at most, checked by one pass over its lines before anything parses it. Pure.

aiortc's parser and aioice compare lines with lines: without limits, an offer of 30,000 bytes holds the event loop, and
with it every call, for more than a second. An offer within these limits costs less than 10 ms of processor time in all,
of which half is the same for every offer. `tests/voicechat/transport/test_offer_cost.py` measures the worst ones.

The app knows offers for audio and a data channel only, so video, simulcast and RIDs need no room. "Browsers" below are
the offers of Chromium, Firefox and Safari in `tests/support/webrtc/browser_offers.py`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from types import MappingProxyType

MAX_OFFER_BYTES = 32_000
"""Bytes of a request with an offer. JSON needs up to twice the characters of the SDP."""
MAX_SDP_CHARS = 12_000
"""Characters of an SDP. Browsers: 1,900 for a call, 600 for a data channel, and 90 to 180 for each candidate."""
MAX_LINES = 256
"""Lines of an SDP. Browsers: up to 70, and the candidates."""
MAX_LINE_CHARS = 600
"""Characters of a line. An ICE password may have 256; browsers stay below 200."""
MAX_SECTIONS = 2
"""Media sections: audio and the data channel."""
MAX_FORMATS = 24
"""Payload types of a media section. Browsers: 5 to 14 for audio."""
MAX_DIGITS = 20
"""Digits of a number. The longest ones are the 64 bits of the session id."""
MAX_CANDIDATES = 64
"""Candidates of an offer. A computer with eight networks, each with IPv4 and IPv6, UDP and TCP, a STUN and a TURN
server, has 48."""
MAX_MDNS_CANDIDATES = 8
"""Candidates with an mDNS name, each of which is looked up by multicast. A browser that may not use the microphone yet
hides its addresses so, and names only those of the default route: one or two, over UDP and TCP."""
MAX_ATTRIBUTES: Mapping[str, int] = MappingProxyType(
    {
        "candidate": MAX_CANDIDATES,
        "rtpmap": MAX_FORMATS,
        "fmtp": MAX_FORMATS,
        "rtcp-fb": 12,  # 1 or 2
        "extmap": 16,  # 3 to 5
        "ssrc": 8,  # 2 to 4
        "fingerprint": 8,  # one for each section; other programs send three
    }
)
"""Lines of an offer by the name of the attribute. In comments: what browsers send."""
MAX_OTHER_ATTRIBUTES = 8
"""Lines of an offer for each other attribute. Browsers send one for each section."""
MDNS_SUFFIX = ".local"
_TOO_LONG_NUMBER = re.compile(rf"\d{{{MAX_DIGITS + 1}}}")


class OfferTooLarge(ValueError):
    """Offer with more of something than any browser sends. The message names the limit and quotes nothing."""


def check_sdp_limits(sdp: str) -> None:
    """Raise `OfferTooLarge` unless the SDP is within all limits. Takes 0.2 ms for the largest one.

    Whether the SDP is valid is left to its parser.
    """
    if len(sdp) > MAX_SDP_CHARS:
        raise OfferTooLarge("The sdp is too long.")
    lines = sdp.splitlines()  # as aiortc reads it
    if len(lines) > MAX_LINES:
        raise OfferTooLarge("The sdp has too many lines.")
    if max(map(len, lines), default=0) > MAX_LINE_CHARS:
        raise OfferTooLarge("The sdp has a line that is too long.")
    if _TOO_LONG_NUMBER.search(sdp):
        raise OfferTooLarge("The sdp has a number that is too long.")
    sections = [line for line in lines if line.startswith("m=")]
    if len(sections) > MAX_SECTIONS:
        raise OfferTooLarge("The sdp has too many media sections.")
    if any(len(line.split()) > MAX_FORMATS + 3 for line in sections):
        raise OfferTooLarge("The sdp has too many payload types.")
    attributes = [line[2:] for line in lines if line.startswith("a=")]
    counts = Counter(attribute.partition(":")[0] for attribute in attributes)
    for name, count in counts.items():
        if count > MAX_ATTRIBUTES.get(name, MAX_OTHER_ATTRIBUTES):
            raise OfferTooLarge("The sdp has too many lines of one attribute.")
    candidates = [attribute for attribute in attributes if attribute.startswith("candidate:")]
    if sum(MDNS_SUFFIX in candidate.lower() for candidate in candidates) > MAX_MDNS_CANDIDATES:
        raise OfferTooLarge("The sdp has too many mDNS candidates.")
