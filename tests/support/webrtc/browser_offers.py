"""Offers as browsers send them, and the same from a computer with many networks.

Chromium's were recorded from the installed browser. Firefox's and Safari's have the lines of published recordings.
"""

from __future__ import annotations

_FINGERPRINT = "a=fingerprint:sha-256 " + ":".join(f"{17 * digit:02X}" for digit in range(16)) * 2
_CHROMIUM_TRANSPORT = (
    "a=ice-ufrag:0G3o",
    "a=ice-pwd:DgNK78RtdHv9M1vsiTx4gmea",
    "a=ice-options:trickle",
    _FINGERPRINT,
    "a=setup:actpass",
)
_FIREFOX_TRANSPORT = ("a=ice-pwd:fce81d64f1d26d475024b43a01d32730", "a=ice-ufrag:a387c063", "a=setup:actpass")
_HEADER_EXTENSIONS = (
    "a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level",
    "a=extmap:2 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time",
    "a=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01",
    "a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid",
)
_CHANNEL = ("a=sctp-port:5000", "a=max-message-size:262144")
_STREAM = "e968096b-78cd-4f7e-a7f3-a500be964d05 5415a29f-f599-4d0f-9181-01f0ebfa4b4c"
_CHROMIUM_AUDIO = (
    "m=audio 9 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110 126",
    "c=IN IP4 0.0.0.0",
    "a=rtcp:9 IN IP4 0.0.0.0",
    *_CHROMIUM_TRANSPORT,
    "a=mid:0",
    *_HEADER_EXTENSIONS,
    "a=sendrecv",
    f"a=msid:{_STREAM}",
    "a=rtcp-mux",
    "a=rtcp-rsize",
    "a=rtcp-xr:rcvr-rtt=all",
    "a=rtpmap:111 opus/48000/2",
    "a=rtcp-fb:111 transport-cc",
    "a=fmtp:111 minptime=10;useinbandfec=1",
    "a=rtpmap:63 red/48000/2",
    "a=fmtp:63 111/111",
    "a=rtpmap:9 G722/8000",
    "a=rtpmap:0 PCMU/8000",
    "a=rtpmap:8 PCMA/8000",
    "a=rtpmap:13 CN/8000",
    "a=rtpmap:110 telephone-event/48000",
    "a=rtpmap:126 telephone-event/8000",
    "a=ssrc:382547929 cname:QX2u9tV/ve/jsPPg",
    f"a=ssrc:382547929 msid:{_STREAM}",
)
_SAFARI_AUDIO = (
    "m=audio 9 UDP/TLS/RTP/SAVPF 111 103 9 102 0 8 105 13 110 113 126",
    *_CHROMIUM_AUDIO[1:-2],
    "a=rtpmap:103 ISAC/16000",
    "a=rtpmap:102 ILBC/8000",
    "a=rtpmap:105 CN/16000",
    "a=rtpmap:113 telephone-event/16000",
    "a=ssrc:1001 cname:abc",
    f"a=ssrc:1001 msid:{_STREAM}",
    "a=ssrc:1001 mslabel:e968096b-78cd-4f7e-a7f3-a500be964d05",
    "a=ssrc:1001 label:5415a29f-f599-4d0f-9181-01f0ebfa4b4c",
)
_FIREFOX_AUDIO = (
    "m=audio 9 UDP/TLS/RTP/SAVPF 109 9 0 8 101",
    "c=IN IP4 0.0.0.0",
    "a=sendrecv",
    "a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level",
    "a=extmap:2/recvonly urn:ietf:params:rtp-hdrext:csrc-audio-level",
    "a=extmap:3 urn:ietf:params:rtp-hdrext:sdes:mid",
    "a=fmtp:109 maxplaybackrate=48000;stereo=1;useinbandfec=1",
    "a=fmtp:101 0-15",
    *_FIREFOX_TRANSPORT,
    "a=mid:0",
    "a=msid:{1195e3e2-4586-4813-a250-b428a5dceff0} {02aa8736-ee44-425c-a7da-53e434dcf236}",
    "a=rtcp-mux",
    "a=rtpmap:109 opus/48000/2",
    "a=rtpmap:9 G722/8000/1",
    "a=rtpmap:0 PCMU/8000",
    "a=rtpmap:8 PCMA/8000",
    "a=rtpmap:101 telephone-event/8000/1",
    "a=ssrc:1351558007 cname:{436f99b2-d718-43f0-9c3b-47fd51935dff}",
)
_CHROMIUM_SESSION = ("v=0", "o=- 6946087311301434643 2 IN IP4 127.0.0.1", "s=-", "t=0 0")
_FIREFOX_SESSION = (
    "v=0",
    "o=mozilla...THIS_IS_SDPARTA-128.0 5024891937826637357 0 IN IP4 0.0.0.0",
    "s=-",
    "t=0 0",
    _FINGERPRINT,
    "a=ice-options:trickle",
    "a=msid-semantic:WMS *",
)


def _channel(transport: tuple[str, ...], mid: int, *further: str) -> tuple[str, ...]:
    head = ("m=application 9 UDP/DTLS/SCTP webrtc-datachannel", "c=IN IP4 0.0.0.0")
    return (*head, *transport, f"a=mid:{mid}", *_CHANNEL, *further)


CALL_OFFERS: dict[str, tuple[str, ...]] = {
    "chromium": (
        *_CHROMIUM_SESSION,
        "a=group:BUNDLE 0 1",
        "a=extmap-allow-mixed",
        "a=msid-semantic: WMS e968096b-78cd-4f7e-a7f3-a500be964d05",
        *_CHROMIUM_AUDIO,
        *_channel(_CHROMIUM_TRANSPORT, 1),
    ),
    "safari": (
        *_CHROMIUM_SESSION,
        "a=group:BUNDLE 0 1",
        "a=extmap-allow-mixed",
        "a=msid-semantic: WMS e968096b-78cd-4f7e-a7f3-a500be964d05",
        *_SAFARI_AUDIO,
        *_channel(_CHROMIUM_TRANSPORT, 1),
    ),
    "firefox": (
        *_FIREFOX_SESSION,
        "a=group:BUNDLE 0 1",
        *_FIREFOX_AUDIO,
        *_channel(_FIREFOX_TRANSPORT, 1, "a=sendrecv"),
    ),
}
CHECK_OFFERS: dict[str, tuple[str, ...]] = {
    "chromium": (*_CHROMIUM_SESSION, "a=group:BUNDLE 0", *_channel(_CHROMIUM_TRANSPORT, 0)),
    "firefox": (*_FIREFOX_SESSION, "a=group:BUNDLE 0", *_channel(_FIREFOX_TRANSPORT, 0, "a=sendrecv")),
}
"""Lines of offers of a call, and of the page's UDP check, without candidates."""


def candidates(networks: int) -> list[str]:
    """Return the candidates of a computer with this number of networks, all with IPv4, IPv6, STUN and TURN."""
    tail = "generation 0 ufrag 0G3o network-id {0} network-cost 10"
    templates = (
        "a=candidate:40860332{0}4 1 udp 2122194687 192.168.{0}.2 5{0}076 typ host " + tail,
        "a=candidate:41099937{0}0 1 udp 2122265343 2001:db8:1234:5678:9abc:def0:1234:{0}000 3{0}148 typ host " + tail,
        "a=candidate:23700462{0}0 1 tcp 1518214911 192.168.{0}.2 9 typ host tcptype active " + tail,
        "a=candidate:23188207{0}4 1 tcp 1518285567 2001:db8:1234:5678:9abc:def0:1234:{0}000 9 typ host tcptype active "
        + tail,
        "a=candidate:82316304{0}9 1 udp 1686052607 203.0.113.{0} 6{0}000 typ srflx raddr 192.168.{0}.2 rport 5{0}076 "
        + tail,
        "a=candidate:92217087{0}1 1 udp 41885439 198.51.100.{0} 6{0}100 typ relay raddr 203.0.113.{0} rport 6{0}000 "
        + tail,
    )
    return [template.format(network) for network in range(1, networks + 1) for template in templates]


def join_lines(*lines: str) -> str:
    """Return an SDP of these lines."""
    return "".join(f"{line}\r\n" for line in lines)
