"""SCTP limits: what one peer may make aiortc keep or compute for its data channels. A peer beyond them is disconnected.

aiortc announces a receive window and a largest message and enforces neither: fragments whose message never ends, gaps
that are never filled and streams that are only named stay in memory. Some chunks cost seconds or never end: a
parameter of length 0, or an acknowledgement of 65,536 chunks again and again. `patched_internals` lists what this
relies on.

The page uses one data channel, for a few short messages a second.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import math
import struct
import time
from collections.abc import Callable, Coroutine
from typing import Any

from aiortc import rtcsctptransport

from voicechat.dependency_checks import find_target, require_function, require_names
from voicechat.limits.token_bucket import TokenBucket
from voicechat.logs import error_location

log = logging.getLogger(__name__)

MAX_HELD_CHUNKS = 1024
"""Received chunks that wait for the rest of their message, and received numbers after a gap. The announced window of
1 MiB is 904 full chunks."""
MAX_INBOUND_STREAMS = 32
"""Streams on which a peer has sent. A browser uses one for each data channel."""
MAX_RESET_BYTES = 2 * (12 + 2 * MAX_INBOUND_STREAMS)
"""Bytes of the parameters that reset streams: two, with 12 bytes and a number for each stream (RFC 6525, section 4)."""
MAX_DATA_CHANNELS = 8
"""Data channels of a connection. The page opens one."""
MAX_UNACKNOWLEDGED_CHUNKS = 1024
"""Chunks that wait to be sent or acknowledged: 40 seconds of updates to the page, and at most 1.2 MB."""
MAX_CHUNKS_PER_PACKET = 32
"""Chunks of a packet. A browser bundles an acknowledgement and a few messages."""
CHUNKS_PER_SECOND, CHUNK_BURST = 200.0, 2000.0
"""Chunks that a peer may send: on average, and at once. The page sends up to 25 a second."""
MAX_TSN_OFFSET = 0xFFFF
"""Numbers after a gap that an acknowledgement can name (RFC 9260, section 3.3.4)."""
MIN_PARAMETER_BYTES = 4
"""Bytes of a chunk's parameter: type and length."""
_RATE_NAME, _STOP_NAME = "_voicechat_chunk_rate", "_voicechat_stop"
"""Attributes of our own in aiortc's transport."""
_MODULE = "aiortc.rtcsctptransport"
_TRANSPORT = f"{_MODULE}:RTCSctpTransport"
_REPLACED = {
    f"{_MODULE}:decode_params": ("body",),
    f"{_MODULE}:parse_packet": ("data",),
    f"{_TRANSPORT}._handle_data": ("self", "data"),
    f"{_TRANSPORT}._receive_chunk": ("self", "chunk"),
    f"{_TRANSPORT}._data_channel_receive": ("self", "stream_id", "pp_id", "data"),
    f"{_TRANSPORT}._data_channel_send": ("self", "channel", "data"),
}
RELIED_ON = {
    _TRANSPORT: {
        *("_advertised_rwnd", "_inbound_streams", "_last_received_tsn", "_sack_misordered", "_local_tsn"),
        *("_outbound_queue", "_sent_queue", "_data_channels", "_data_channel_queue", "_abort", "transport"),
    },
    f"{_MODULE}:InboundStream": {"reassembly"},
}
"""Attributes that the replacements use, by the class whose code must know them."""


class SctpLimitExceeded(ConnectionError):
    """Peer beyond a limit. aiortc ends the connection for this kind of error. The message quotes nothing."""


def install_sctp_limits() -> None:
    """Enforce the limits in every connection from now on. A second call does nothing.

    aiortc has no setting for it: six of its functions are replaced. Raise DependencyChanged, with nothing replaced,
    when one of them is not as expected.
    """
    if hasattr(find_target(f"{_TRANSPORT}._handle_data"), "__wrapped__"):
        return
    stock = [require_function(target, parameters) for target, parameters in _REPLACED.items()]
    for target, names in RELIED_ON.items():
        require_names(target, names)
    transport = find_target(_TRANSPORT)
    rtcsctptransport.decode_params = _decode_params(stock[0])
    rtcsctptransport.parse_packet = _parse_packet(stock[1])
    transport._handle_data = _disconnect_on_error(stock[2])
    transport._receive_chunk = _check_chunks(stock[3])
    transport._data_channel_receive = _check_message_size(stock[4])
    transport._data_channel_send = _check_send_queue(stock[5])


# -------------------------------------------------------------------- parsing


def _decode_params(stock: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    """Return `decode_params` that raises ValueError for a parameter shorter than its header: it would never end."""

    @functools.wraps(stock)
    def decode_params(body: bytes) -> Any:
        position = 0
        while position <= len(body) - MIN_PARAMETER_BYTES:
            length = int.from_bytes(body[position + 2 : position + 4])
            if length < MIN_PARAMETER_BYTES:
                raise ValueError("parameter without a length")
            position += length + rtcsctptransport.padl(length)
        return stock(body)

    return decode_params


def _parse_packet(stock: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    """Return `parse_packet` that raises ValueError, which its caller ignores, for every malformed packet."""

    @functools.wraps(stock)
    def parse_packet(data: bytes) -> Any:
        try:
            parsed = stock(data)
        except (struct.error, IndexError) as error:
            raise ValueError("malformed packet") from error
        if len(parsed[3]) > MAX_CHUNKS_PER_PACKET:
            raise SctpLimitExceeded("too many chunks in a packet")
        return parsed

    return parse_packet


# -------------------------------------------------------------------- receiving

_Receive = Callable[..., Coroutine[Any, Any, None]]


def _disconnect_on_error(stock: _Receive) -> _Receive:
    """Return `_handle_data` that aborts the association, logs one line and raises ConnectionError for every error."""

    @functools.wraps(stock)
    async def handle_data(self: Any, data: bytes) -> None:
        try:
            await stock(self, data)
            return
        except SctpLimitExceeded as error:
            reason = str(error)
        except ConnectionError:
            raise
        except Exception as error:  # aiortc raises many kinds of error for chunks that no browser sends
            reason = error_location(error)
        log.warning("sctp: connection closed reason=%s", reason)
        await self._abort()
        raise SctpLimitExceeded(reason)

    return handle_data


def _check_chunks(stock: _Receive) -> _Receive:
    """Return `_receive_chunk` that checks each chunk before it, and the connection after it."""

    @functools.wraps(stock)
    async def receive_chunk(self: Any, chunk: Any) -> None:
        now = time.monotonic()
        if not hasattr(self, _RATE_NAME):
            setattr(self, _RATE_NAME, TokenBucket(CHUNKS_PER_SECOND, CHUNK_BURST, now))
        if getattr(self, _RATE_NAME).take(now) > 0:
            raise SctpLimitExceeded("too many chunks a second")
        if isinstance(chunk, rtcsctptransport.DataChunk):
            _check_data(self, chunk)
        elif isinstance(chunk, rtcsctptransport.SackChunk):
            _check_acknowledgement(self, chunk)
        elif isinstance(chunk, rtcsctptransport.ReconfigChunk):
            _check_reset(chunk)
        await stock(self, chunk)
        _check_held(self)

    return receive_chunk


def _check_data(transport: Any, chunk: Any) -> None:
    """Raise `SctpLimitExceeded` for data before the association, or too far after a gap."""
    if transport._last_received_tsn is None:
        raise SctpLimitExceeded("data before the association")
    offset = (chunk.tsn - transport._last_received_tsn) % rtcsctptransport.SCTP_TSN_MODULO
    if MAX_TSN_OFFSET < offset < rtcsctptransport.SCTP_TSN_MODULO // 2:
        raise SctpLimitExceeded("data too far after a gap")


def _check_acknowledgement(transport: Any, chunk: Any) -> None:
    """Raise `SctpLimitExceeded` unless the blocks follow each other and name sent chunks only."""
    sent = (transport._local_tsn - 1 - chunk.cumulative_tsn) % rtcsctptransport.SCTP_TSN_MODULO
    if sent >= rtcsctptransport.SCTP_TSN_MODULO // 2:
        raise SctpLimitExceeded("acknowledgement of chunks that were not sent")
    last = 0
    for start, end in chunk.gaps:
        if not last < start <= end <= sent:
            raise SctpLimitExceeded("acknowledgement of chunks that were not sent")
        last = end


def _check_reset(chunk: Any) -> None:
    """Raise `SctpLimitExceeded` for requests that name more streams than a peer may use."""
    if sum(len(value) for _, value in chunk.params) > MAX_RESET_BYTES:
        raise SctpLimitExceeded("too many streams")


def _check_held(transport: Any) -> None:
    """Raise `SctpLimitExceeded` when the peer makes the connection hold too much."""
    if transport._advertised_rwnd < 0:
        raise SctpLimitExceeded("receive window exceeded")
    if len(transport._inbound_streams) > MAX_INBOUND_STREAMS:
        raise SctpLimitExceeded("too many streams")
    held = sum(len(stream.reassembly) for stream in transport._inbound_streams.values())
    if held > MAX_HELD_CHUNKS or len(transport._sack_misordered) > MAX_HELD_CHUNKS:
        raise SctpLimitExceeded("too many unfinished messages")
    if len(transport._data_channels) > MAX_DATA_CHANNELS:
        raise SctpLimitExceeded("too many data channels")
    if _unacknowledged_chunks(transport) > MAX_UNACKNOWLEDGED_CHUNKS:
        raise SctpLimitExceeded("too many unacknowledged chunks")


def _check_message_size(stock: _Receive) -> _Receive:
    """Return `_data_channel_receive` that takes messages of the announced size only."""

    @functools.wraps(stock)
    async def data_channel_receive(self: Any, stream_id: int, pp_id: int, data: bytes) -> None:
        if len(data) > rtcsctptransport.LOCAL_MAX_MESSAGE_SIZE:
            raise SctpLimitExceeded("message too large")
        await stock(self, stream_id, pp_id, data)

    return data_channel_receive


# -------------------------------------------------------------------- sending


def _unacknowledged_chunks(transport: Any) -> int:
    """Return the number of chunks, sent or not, that the peer has not acknowledged."""
    waiting: int = sum(
        max(1, math.ceil(len(data) / rtcsctptransport.USERDATA_MAX_LENGTH))
        for _, _, data in transport._data_channel_queue
    )
    sent: int = len(transport._outbound_queue) + len(transport._sent_queue)
    return waiting + sent


def _check_send_queue(stock: Callable[..., None]) -> Callable[..., None]:
    """Return `_data_channel_send` that disconnects a peer which acknowledges nothing and drops the message."""

    @functools.wraps(stock)
    def data_channel_send(self: Any, channel: Any, data: bytes | str) -> None:
        if _unacknowledged_chunks(self) <= MAX_UNACKNOWLEDGED_CHUNKS:
            stock(self, channel, data)
        elif self.transport.state == "connected" and channel.readyState == "open":
            log.warning("sctp: connection closed reason=too many unacknowledged chunks")
            channel._setReadyState("closing")
            setattr(self, _STOP_NAME, asyncio.ensure_future(self.transport.stop()))  # a reference, or it may not run

    return data_channel_send
