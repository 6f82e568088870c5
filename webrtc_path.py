"""The way of a sound packet through aioice and aiortc, made short. aioice 0.13 and aiortc 1.16 are pinned.

As it is, each one is first taken for STUN until that fails with an exception, then waits in a queue for a task, which
reads header extensions that nobody asks for. Here it goes from the socket to the receiver in one go. Everything else,
RTCP and DTLS and the data channel, goes as ever.
"""

from __future__ import annotations

import functools
import inspect
import logging
from collections.abc import Callable, Coroutine
from typing import Any

import aioice.ice
import pylibsrtp
from aiortc import rtcdtlstransport, rtp

log = logging.getLogger(__name__)

LAST_STUN = 3
FIRST_RTP, LAST_RTP = 128, 191
"""First bytes of packets (RFC 7983)."""
FIRST_RTCP, LAST_RTCP = 192, 223
"""Second bytes of what begins like RTP (RFC 5761)."""
_RUN = "_RTCDtlsTransport__run"


class _Unread:
    """Takes the place of aiortc's map of header extensions: none of them says anything about sound."""

    _none = rtp.HeaderExtensions()

    def get(self, profile: int, value: bytes) -> rtp.HeaderExtensions:
        return self._none


_UNREAD: Any = _Unread()


def install_path() -> bool:
    """Make it short for every connection from now on. False, and all stays as it was, when aioice or aiortc is not as
    expected.

    They have no setting for it: two methods of theirs are replaced. A second call does nothing.
    """
    transport, protocol = rtcdtlstransport.RTCDtlsTransport, aioice.ice.StunProtocol
    try:
        run, received = vars(transport)[_RUN], protocol.datagram_received
        if hasattr(run, "__wrapped__"):
            return True
        if not inspect.iscoroutinefunction(run) or list(inspect.signature(received).parameters) != [
            "self",
            "data",
            "addr",
        ]:
            raise TypeError
        for owner, name in ((transport, "_handle_rtp_data"), (aioice.ice.Connection, "data_received")):
            getattr(owner, name)
        setattr(transport, _RUN, _short(run))
        protocol.datagram_received = _unless_stun(received)  # type: ignore[method-assign]
    except (AttributeError, KeyError, TypeError) as error:
        log.warning(
            "aioice or aiortc is not as expected (%s): calls cost more than they need to.", type(error).__name__
        )
        return False
    return True


def _unless_stun(stock: Callable[..., None]) -> Callable[..., None]:
    """Of `StunProtocol`: what cannot be STUN is not parsed as if it were."""

    @functools.wraps(stock)
    def datagram_received(self: Any, data: bytes, addr: tuple[Any, ...]) -> None:
        if data and data[0] > LAST_STUN:
            self.receiver.data_received(data, self.local_candidate.component)
        else:
            stock(self, data, addr)

    return datagram_received


def _short(stock: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., Coroutine[Any, Any, None]]:
    """Of `RTCDtlsTransport`, once it is connected: sound goes past the queue until the end."""

    @functools.wraps(stock)
    async def run(self: Any) -> None:
        connection = self.transport._connection
        theirs = connection.data_received

        def data_received(data: bytes, component: int) -> None:
            if len(data) > 1 and FIRST_RTP <= data[0] <= LAST_RTP and not FIRST_RTCP <= data[1] <= LAST_RTCP:
                _sound(self, data)
            else:
                theirs(data, component)

        connection.data_received = data_received
        try:
            await stock(self)
        finally:
            del connection.data_received

    return run


def _sound(transport: Any, data: bytes) -> None:
    """One packet, to the receiver it is for."""
    try:
        packet = rtp.RtpPacket.parse(transport._rx_srtp.unprotect(data), _UNREAD)
    except (pylibsrtp.Error, ValueError):  # not meant for us, or misshapen
        return
    receiver = transport._rtp_router.route_rtp(packet)
    if receiver is None:
        return
    handling = receiver._handle_rtp_packet(packet, arrival_time_ms=0)  # only video asks when it arrived
    try:
        handling.send(None)
    except StopIteration:
        return
    handling.close()  # it would wait: only video does, for feedback of its own
