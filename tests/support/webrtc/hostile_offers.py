"""Offers that cost the most to answer: for each kind, lines that can be repeated without end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain, count

from .browser_offers import join_lines

_FINGERPRINT = "a=fingerprint:sha-256 " + ":".join(["AB"] * 32)
_TRANSPORT = ("a=ice-ufrag:abcd", f"a=ice-pwd:{'p' * 24}", _FINGERPRINT, "a=setup:actpass")
SESSION = ("v=0", "o=- 1 2 IN IP4 127.0.0.1", "s=-", "t=0 0")
AUDIO = (
    "m=audio 9 UDP/TLS/RTP/SAVPF 111",
    "c=IN IP4 0.0.0.0",
    *_TRANSPORT,
    "a=mid:0",
    "a=sendrecv",
    "a=rtcp-mux",
    "a=rtpmap:111 opus/48000/2",
)
CHANNEL = (
    "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
    "c=IN IP4 0.0.0.0",
    *_TRANSPORT,
    "a=mid:1",
    "a=sctp-port:5000",
    "a=max-message-size:262144",
)


def _line(template: str) -> Callable[[], Iterator[str]]:
    return lambda: (template.format(number) for number in count(1))


def _long_line(word: str) -> Callable[[], Iterator[str]]:
    """Return lines of which each is longer than the one before."""
    return lambda: ("a=ssrc-group:FID " + word * number for number in count(1))


AUDIO_KINDS: dict[str, Callable[[], Iterator[str]]] = {
    "sources": _line("a=ssrc:{} cname:x"),
    "codecs": _line("a=rtpmap:111 opus/48000/2"),
    "unknown codecs": _line("a=rtpmap:{} x/1"),
    "feedback for all codecs": _line("a=rtcp-fb:* nack {}"),
    "codec parameters": _line("a=fmtp:111 " + "{0}=1;" * 40),
    "header extensions": _line("a=extmap:{} urn:ietf:params:rtp-hdrext:sdes:mid"),
    "candidates": _line("a=candidate:{0} 1 udp 2122260223 10.0.0.7 {0} typ host generation 0"),
    "candidates of IPv6": _line("a=candidate:{0} 1 udp 2122260223 2001:db8::{0:x} 9 typ host generation 0"),
    "candidates over TCP": _line("a=candidate:{0} 1 tcp 1518280447 10.0.0.7 {0} typ host tcptype active"),
    "candidates with an mDNS name": _line(
        "a=candidate:{0} 1 udp 1 {0:04}f2a9e-7c6d-4e1f-8a2b-3c4d5e6f7a8b.local 9 typ host"
    ),
    "candidates with a host name": _line("a=candidate:{0} 1 udp 1 host{0}.example 9 typ host"),
    "candidates with many words": _line("a=candidate:{0} 1 udp 1 10.0.0.7 {0} typ host" + " raddr x" * 60),
    "fingerprints": lambda: (_FINGERPRINT for _ in count()),
    "restrictions": _line("a=rid:{} send"),
    "simulcast": _line("a=simulcast:send " + "{0};" * 100),
    "source groups": _line("a=ssrc-group:FID " + "{0} " * 100),
    "long numbers": _long_line("9"),
    "many numbers": _long_line("9 "),
    "sctp maps": _line("a=sctpmap:{} webrtc-datachannel 9"),
    "unknown attributes": _line("a=x{}"),
    "empty lines": lambda: ("" for _ in count()),
    "line separators of Unicode": lambda: ("\u2028" for _ in count()),
}
"""Lines after those of the audio section."""


def _sections(number: int) -> tuple[str, ...]:
    return tuple(
        chain.from_iterable((*AUDIO[:-1], f"a=rtpmap:111 opus/48000/2\r\na=mid:{each}") for each in range(number))
    )


def call_offer(*lines: str) -> str:
    """Return an offer of a call with these further lines in the audio section."""
    return join_lines(*SESSION, "a=group:BUNDLE 0 1", *AUDIO, *lines, *CHANNEL)


def check_offer(*lines: str) -> str:
    """Return an offer of a data channel alone with these further lines."""
    return join_lines(*SESSION, "a=group:BUNDLE 1", *CHANNEL, *lines)


def offers_with_sections(number: int) -> str:
    """Return an offer with this number of audio sections."""
    return join_lines(*SESSION, *_sections(number), *CHANNEL)


def largest(kind: str, fits: Callable[[str], bool], build: Callable[..., str] = call_offer) -> str:
    """Return the offer with the most lines of this kind that still fits."""
    lines: list[str] = []
    for line in AUDIO_KINDS[kind]():
        if not fits(build(*lines, line)):
            break
        lines.append(line)
    return build(*lines)


def combined(fits: Callable[[str], bool], build: Callable[..., str] = call_offer) -> str:
    """Return an offer with lines of all kinds in turns, as many as fit."""
    lines: list[str] = []
    open_kinds = [make() for make in AUDIO_KINDS.values()]
    while open_kinds:
        for kind in list(open_kinds):
            line = next(kind)
            if fits(build(*lines, line)):
                lines.append(line)
            else:
                open_kinds.remove(kind)
    return build(*lines)


def endless(kind: str, size: int, build: Callable[..., str] = call_offer) -> str:
    """Return an offer of about `size` characters with lines of this kind."""
    lines: list[str] = []
    total = len(build())
    for line in AUDIO_KINDS[kind]():
        total += len(line) + 2
        if total > size:
            break
        lines.append(line)
    return build(*lines)


def codecs_times_feedback(size: int, build: Callable[..., str] = call_offer) -> str:
    """Return an offer of about `size` characters in which each codec gets all feedback: the worst for aiortc."""
    codecs = [f"a=rtpmap:{number % 90} x/1" for number in range(size // 40)]
    feedback = ["a=rtcp-fb:* n"] * (size // 30)
    return build(*codecs, *feedback)
