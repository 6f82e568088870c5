"""Fast path of audio packets through aioice and aiortc. `patched_internals` lists what this relies on.

By default a received packet is first parsed as STUN, which fails with an exception. It then waits in a queue for a
task, which parses unused header extensions. Here it goes from the socket to the receiver in one call.

A sent packet is by default built from five objects, kept for a retransmission that audio does not use, and passed
through six coroutines. Here it is a header before the payload. RTCP, DTLS and the data channel are not changed.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import logging
import random
import struct
import time
from collections.abc import Callable, Coroutine
from typing import Any

import pylibsrtp
from aiortc import rtcdtlstransport, rtp
from aiortc.mediastreams import MediaStreamError

from voicechat.dependency_checks import DependencyChanged, find_target, require_function, require_names

log = logging.getLogger(__name__)

MAX_STUN_FIRST_BYTE = 3
MIN_RTP_FIRST_BYTE, MAX_RTP_FIRST_BYTE = 128, 191
"""First byte of a packet by protocol (RFC 7983)."""
MIN_RTCP_SECOND_BYTE, MAX_RTCP_SECOND_BYTE = 192, 223
"""Second byte of an RTCP packet, which begins like RTP (RFC 5761)."""
DTLS_RUN_NAME, _SENDER_PREFIX = "_RTCDtlsTransport__run", "_RTCRtpSender__"
_SENDER_PRIVATE_NAMES = (
    *("mid", "rtp_header_extensions_map", "rtp_started", "rtp_exited", "track"),
    *("ntp_timestamp", "rtp_timestamp", "packet_count", "octet_count"),
)
DTLS_RUN = f"aiortc.rtcdtlstransport:RTCDtlsTransport.{DTLS_RUN_NAME}"
SENDER_LOOP = "aiortc.rtcrtpsender:RTCRtpSender._run_rtp"
STUN_RECEIVED = "aioice.ice:StunProtocol.datagram_received"
RELIED_ON = {
    "aiortc.rtcrtpsender:RTCRtpSender": {"_ssrc", *(f"{_SENDER_PREFIX}{name}" for name in _SENDER_PRIVATE_NAMES)},
    "aiortc.rtcdtlstransport:RTCDtlsTransport": {"_state", "_rx_srtp", "_tx_srtp", "_rtp_router", "transport"},
    "aiortc.rtcicetransport:RTCIceTransport": {"_connection"},
    "aioice.ice:Connection": {"_nominated"},
    "aioice.ice:StunProtocol": {"receiver", "local_candidate"},
}
"""Attributes that the replaced methods use, by the class whose code must know them."""
NTP_UNIX_OFFSET_S = 2_208_988_800
"""Seconds from 1900, the origin of NTP, to 1970."""


class _NullHeaderExtensionMap:
    """Stand-in for aiortc's map of header extensions, of which audio needs none."""

    _empty = rtp.HeaderExtensions()

    def get(self, profile: int, value: bytes) -> rtp.HeaderExtensions:
        return self._empty


_NULL_EXTENSION_MAP: Any = _NullHeaderExtensionMap()


def install_rtp_fast_path() -> None:
    """Shorten the path of audio packets in every connection from now on. A second call does nothing.

    aioice and aiortc have no setting for it: three of their methods are replaced. Raise DependencyChanged, with nothing
    replaced, when one of them is not as expected.
    """
    run = find_target(DTLS_RUN)
    if hasattr(run, "__wrapped__"):
        return
    if not inspect.iscoroutinefunction(run):
        raise DependencyChanged(DTLS_RUN, "not a coroutine function")
    require_function(DTLS_RUN, ("self",))
    received = require_function(STUN_RECEIVED, ("self", "data", "addr"))
    send_loop = require_function(SENDER_LOOP, ("self", "codec"))
    for target, names in RELIED_ON.items():
        require_names(target, names)
    find_target("aiortc.rtcrtpsender:RTCRtpSender")._run_rtp = _send_encoded_track(send_loop)
    setattr(find_target("aiortc.rtcdtlstransport:RTCDtlsTransport"), DTLS_RUN_NAME, _bypass_receive_queue(run))
    find_target("aioice.ice:StunProtocol").datagram_received = _skip_stun_parsing(received)


def _skip_stun_parsing(stock: Callable[..., None]) -> Callable[..., None]:
    """Return `StunProtocol.datagram_received` that passes other packets on without parsing them."""

    @functools.wraps(stock)
    def datagram_received(self: Any, data: bytes, addr: tuple[Any, ...]) -> None:
        if data and data[0] > MAX_STUN_FIRST_BYTE:
            self.receiver.data_received(data, self.local_candidate.component)
        else:
            stock(self, data, addr)

    return datagram_received


def _bypass_receive_queue(stock: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., Coroutine[Any, Any, None]]:
    """Return `RTCDtlsTransport.__run` that delivers audio past its queue while it runs."""

    @functools.wraps(stock)
    async def run(self: Any) -> None:
        connection = self.transport._connection
        deliver_to_queue = connection.data_received

        def data_received(data: bytes, component: int) -> None:
            if (
                len(data) > 1
                and MIN_RTP_FIRST_BYTE <= data[0] <= MAX_RTP_FIRST_BYTE
                and not MIN_RTCP_SECOND_BYTE <= data[1] <= MAX_RTCP_SECOND_BYTE
            ):
                _deliver_rtp_packet(self, data)
            else:
                deliver_to_queue(data, component)

        connection.data_received = data_received
        try:
            await stock(self)
        finally:
            del connection.data_received

    return run


def _deliver_rtp_packet(transport: Any, data: bytes) -> None:
    """Pass one packet to its receiver."""
    try:
        packet = rtp.RtpPacket.parse(transport._rx_srtp.unprotect(data), _NULL_EXTENSION_MAP)
    except (pylibsrtp.Error, ValueError):  # for another session, or malformed
        return
    receiver = transport._rtp_router.route_rtp(packet)
    if receiver is None:
        return
    handling = receiver._handle_rtp_packet(packet, arrival_time_ms=0)  # only video uses the arrival time
    try:
        handling.send(None)
    except StopIteration:
        return
    handling.close()  # only video waits here, to send feedback


# -------------------------------------------------------------------- to the browser


def _send_encoded_track(stock: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., Coroutine[Any, Any, None]]:
    """Return `RTCRtpSender._run_rtp` with a short loop for tracks that return encoded packets."""

    @functools.wraps(stock)
    async def run(self: Any, codec: Any) -> None:
        track = self.track
        if track is None or not hasattr(track, "next_packet") or codec.name.lower() != "opus":
            await stock(self, codec)
            return
        started, exited = getattr(self, f"{_SENDER_PREFIX}rtp_started"), getattr(self, f"{_SENDER_PREFIX}rtp_exited")
        started.set()
        try:
            await _run_send_loop(self, track, codec.payloadType)
        except (asyncio.CancelledError, ConnectionError, MediaStreamError):
            pass
        except Exception as error:
            log.error("rtp: sending ended error=%s", type(error).__name__)
        finally:
            track.stop()
            setattr(self, f"{_SENDER_PREFIX}track", None)
            exited.set()  # RTCRtpSender.stop() waits for it

    return run


async def _run_send_loop(sender: Any, track: Any, payload_type: int) -> None:
    """Send packets until the track ends (MediaStreamError) or the connection ends (ConnectionError)."""
    extensions = rtp.HeaderExtensions(mid=getattr(sender, f"{_SENDER_PREFIX}mid"))
    profile, value = getattr(sender, f"{_SENDER_PREFIX}rtp_header_extensions_map").set(extensions)
    extended = struct.pack("!HH", profile, len(value) // 4) + value if value else b""
    first = 0x90 if extended else 0x80
    sequence, origin, marker = random.randrange(0x8000), random.getrandbits(32), 0x80
    packets = octets = 0
    while True:
        payload, position = await track.next_packet()
        timestamp = (origin + position) & 0xFFFFFFFF
        head = struct.pack("!BBHLL", first, marker | payload_type, sequence, timestamp, sender._ssrc)
        transport = sender.transport
        pair = transport.transport._connection._nominated.get(1)
        if pair is None or transport._state is not rtcdtlstransport.State.CONNECTED:
            raise ConnectionError
        await pair.protocol.send_data(transport._tx_srtp.protect(head + extended + payload), pair.remote_addr)
        sequence, marker = (sequence + 1) & 0xFFFF, 0
        packets, octets = packets + 1, octets + len(payload)
        # Values of the sender's reports to the browser.
        setattr(sender, f"{_SENDER_PREFIX}ntp_timestamp", int((time.time() + NTP_UNIX_OFFSET_S) * 2**32))
        setattr(sender, f"{_SENDER_PREFIX}rtp_timestamp", timestamp)
        setattr(sender, f"{_SENDER_PREFIX}packet_count", packets)
        setattr(sender, f"{_SENDER_PREFIX}octet_count", octets)
