"""Peer of a real WebRTC connection over loopback that sends SCTP chunks of its own making."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiortc import RTCConfiguration, RTCDataChannel, RTCPeerConnection
from aiortc.rtcsctptransport import Chunk, DataChunk, RTCSctpTransport, serialize_packet

FIRST, LAST, UNORDERED = 2, 1, 4
"""Flags of a data chunk (RFC 9260, section 3.3.1)."""
BINARY, DCEP = 53, 50
"""Protocol ids: a binary message, and the opening of a data channel (RFC 8832)."""


class RawChunk(Chunk):
    """Chunk of any type with any body."""

    def __init__(self, kind: int, body: bytes, flags: int = 0) -> None:
        super().__init__(flags, body)
        self.type = kind


class Chunks(Chunk):
    """Several chunks of one packet."""

    def __init__(self, *chunks: Chunk) -> None:
        super().__init__()
        self.chunks = chunks

    def __bytes__(self) -> bytes:
        return b"".join(map(bytes, self.chunks))


class HostilePeer:
    """Client side of a connection whose server side is `server`."""

    def __init__(self, client: RTCPeerConnection, server: RTCPeerConnection, channel: RTCDataChannel) -> None:
        self.client, self.server, self.channel = client, server, channel
        self.closed = asyncio.Event()
        self.server_channels: list[RTCDataChannel] = []
        server.on("connectionstatechange", self._on_state)
        assert server.sctp is not None
        self.server_sctp: RTCSctpTransport = server.sctp

    def _on_state(self) -> None:
        if self.server.connectionState == "closed":
            self.closed.set()

    @property
    def sctp(self) -> RTCSctpTransport:
        assert self.client.sctp is not None
        return self.client.sctp

    def data(
        self,
        user_data: bytes = b"x",
        flags: int = 0,
        *,
        stream: int = 1,
        sequence: int = 0,
        skip: int = 0,
        kind: int = BINARY,
    ) -> DataChunk:
        """Return the next data chunk; `skip` numbers are left out before it."""
        chunk = DataChunk(flags=flags)
        chunk.tsn = (self.sctp._local_tsn + skip) % 2**32
        self.sctp._local_tsn = (chunk.tsn + 1) % 2**32
        chunk.stream_id, chunk.stream_seq, chunk.protocol, chunk.user_data = stream, sequence, kind, user_data
        return chunk

    async def send(self, *chunks: Chunk) -> None:
        """Send one packet, and let the server receive it."""
        sctp = self.sctp
        packet = serialize_packet(
            sctp._local_port, sctp._remote_port or 0, sctp._remote_verification_tag, Chunks(*chunks)
        )
        await sctp.transport._send_data(packet)
        for _ in range(4):
            await asyncio.sleep(0)

    def ignore_answers(self) -> None:
        """Neither read nor acknowledge what the server sends from now on."""

        async def ignore(data: bytes) -> None:
            """Drop a packet."""

        self.sctp._handle_data = ignore  # type: ignore[method-assign]

    @staticmethod
    def opening(label: bytes = b"more") -> bytes:
        """Return the message that opens a data channel."""
        return struct.pack("!BBHLHH", 3, 0, 0, 0, len(label), 0) + label


@asynccontextmanager
async def hostile_peer() -> AsyncIterator[HostilePeer]:
    """Yield a peer with an open data channel."""
    client, server = (RTCPeerConnection(RTCConfiguration(iceServers=[])) for _ in range(2))
    channel = client.createDataChannel("text")
    opened = asyncio.Event()
    channel.on("open", opened.set)
    received: list[RTCDataChannel] = []
    server.on("datachannel", received.append)
    await client.setLocalDescription(await client.createOffer())
    await server.setRemoteDescription(client.localDescription)
    await server.setLocalDescription(await server.createAnswer())
    await client.setRemoteDescription(server.localDescription)
    try:
        async with asyncio.timeout(10):
            await opened.wait()
        peer = HostilePeer(client, server, channel)
        peer.server_channels = received
        yield peer
    finally:
        await client.close()
        await server.close()
