"""Limits of the data channel, against a real peer over DTLS that breaks each of them."""

from __future__ import annotations

import asyncio
import gc
import logging
import struct
import tracemalloc
from collections.abc import AsyncIterator, Callable
from itertools import count

import pytest
from aiortc.rtcsctptransport import (
    LOCAL_MAX_MESSAGE_SIZE,
    USERDATA_MAX_LENGTH,
    Chunk,
    ForwardTsnChunk,
    ReconfigChunk,
    SackChunk,
    StreamAddOutgoingParam,
    StreamResetOutgoingParam,
)

from tests.support.webrtc.hostile_data_channel import (
    DCEP,
    FIRST,
    LAST,
    UNORDERED,
    HostilePeer,
    RawChunk,
    hostile_peer,
)
from voicechat.transport.sctp_limits import install_sctp_limits

MAX_PACKETS = 12_000
"""Packets after which a peer that is still connected counts as unlimited."""
MAX_MEMORY_MB = 4.0
"""Megabytes that one peer may make both ends of the test keep."""
FULL = b"x" * USERDATA_MAX_LENGTH

Attack = Callable[[HostilePeer], AsyncIterator[tuple[Chunk, ...]]]


@pytest.fixture(autouse=True)
def limits() -> None:
    install_sctp_limits()


async def unfinished_message(peer: HostilePeer) -> AsyncIterator[tuple[Chunk, ...]]:
    yield (peer.data(FULL, FIRST),)
    while True:
        yield (peer.data(FULL),)


async def tiny_fragments(peer: HostilePeer) -> AsyncIterator[tuple[Chunk, ...]]:
    yield (peer.data(b"x", FIRST),)
    while True:
        yield tuple(peer.data(b"x") for _ in range(16))


async def empty_fragments(peer: HostilePeer) -> AsyncIterator[tuple[Chunk, ...]]:
    while True:
        yield tuple(peer.data(b"", FIRST if number == 0 else 0) for number in range(16))


async def unordered_fragments(peer: HostilePeer) -> AsyncIterator[tuple[Chunk, ...]]:
    while True:
        yield (peer.data(FULL, FIRST | UNORDERED),)


async def message_without_its_beginning(peer: HostilePeer) -> AsyncIterator[tuple[Chunk, ...]]:
    while True:
        yield (peer.data(FULL, LAST),)


async def later_messages_only(peer: HostilePeer) -> AsyncIterator[tuple[Chunk, ...]]:
    for number in count(2):
        yield (peer.data(FULL, FIRST | LAST, sequence=number & 0x7FFF),)


async def gaps_that_are_never_filled(peer: HostilePeer) -> AsyncIterator[tuple[Chunk, ...]]:
    while True:
        yield tuple(peer.data(b"", FIRST | LAST | UNORDERED, skip=1) for _ in range(16))


async def gap_of_half_the_numbers(peer: HostilePeer) -> AsyncIterator[tuple[Chunk, ...]]:
    while True:
        yield (peer.data(b"x", FIRST | LAST | UNORDERED, skip=100_000),)


async def one_message_of_many_streams(peer: HostilePeer) -> AsyncIterator[tuple[Chunk, ...]]:
    for number in count(2):
        yield (peer.data(b"x", FIRST, stream=number & 0xFFFF),)


async def finished_messages_of_many_streams(peer: HostilePeer) -> AsyncIterator[tuple[Chunk, ...]]:
    for number in count(2):
        yield (peer.data(b"x", FIRST | LAST, stream=number & 0xFFFF),)


async def streams_of_forward_tsn(peer: HostilePeer) -> AsyncIterator[tuple[Chunk, ...]]:
    for number in count():
        peer.data()
        chunk = ForwardTsnChunk()
        chunk.cumulative_tsn = peer.sctp._local_tsn - 1
        chunk.streams = [((number * 200 + each) & 0xFFFF, 0) for each in range(200)]
        yield (chunk,)


async def many_data_channels(peer: HostilePeer) -> AsyncIterator[tuple[Chunk, ...]]:
    for number in count(3, 2):
        yield (peer.data(peer.opening(), FIRST | LAST, stream=number & 0xFFFF, kind=DCEP),)


async def channel_opened_twice(peer: HostilePeer) -> AsyncIterator[tuple[Chunk, ...]]:
    while True:
        yield (peer.data(peer.opening(), FIRST | LAST, stream=2, kind=DCEP),)


async def channels_closed_and_opened_again(peer: HostilePeer) -> AsyncIterator[tuple[Chunk, ...]]:
    for number in count():
        sequence = (peer.sctp._reconfig_request_seq + number) % 2**32
        reset = ReconfigChunk()
        reset.params.append((13, bytes(StreamResetOutgoingParam(sequence, 0, peer.sctp._local_tsn - 1, [3]))))
        yield (peer.data(peer.opening(), FIRST | LAST, stream=3, kind=DCEP), reset)


async def reset_requests(peer: HostilePeer) -> AsyncIterator[tuple[Chunk, ...]]:
    for number in count():
        reset = ReconfigChunk()
        reset.params.append((13, bytes(StreamResetOutgoingParam(number, 0, 0, list(range(500))))))
        yield (reset,)


async def reset_requests_for_one_stream(peer: HostilePeer) -> AsyncIterator[tuple[Chunk, ...]]:
    for number in count():
        reset = ReconfigChunk()
        reset.params.append((13, bytes(StreamResetOutgoingParam(number, 0, 0, [9]))))
        yield (reset,) * 16


async def requests_for_more_streams(peer: HostilePeer) -> AsyncIterator[tuple[Chunk, ...]]:
    for number in count():
        chunk = ReconfigChunk()
        chunk.params.append((17, bytes(StreamAddOutgoingParam(number, 0xFFFF))))
        yield (chunk,) * 8


async def heartbeats(peer: HostilePeer) -> AsyncIterator[tuple[Chunk, ...]]:
    while True:
        yield (RawChunk(4, struct.pack("!HH", 1, 504) + bytes(500)),)


async def empty_packets_of_chunks(peer: HostilePeer) -> AsyncIterator[tuple[Chunk, ...]]:
    while True:
        yield (RawChunk(11, b""),) * 200


async def acknowledgement_of_all_numbers(peer: HostilePeer) -> AsyncIterator[tuple[Chunk, ...]]:
    while True:
        sack = SackChunk()
        sack.cumulative_tsn = (peer.server_sctp._local_tsn - 1) % 2**32
        sack.gaps = [(1, 0xFFFF)] * 2
        yield (sack,)


async def acknowledgement_of_the_future(peer: HostilePeer) -> AsyncIterator[tuple[Chunk, ...]]:
    while True:
        sack = SackChunk()
        sack.cumulative_tsn = (peer.server_sctp._local_tsn + 1000) % 2**32
        yield (sack,)


async def echoes_without_acknowledgement(peer: HostilePeer) -> AsyncIterator[tuple[Chunk, ...]]:
    """The server answers each message with one of the same size, as fastrtc does, and none is acknowledged."""
    echo = peer.server_channels[0]
    echo.on("message", lambda message: echo.readyState == "open" and echo.send(message))
    for number in count(1):
        yield (peer.data(FULL, FIRST | LAST, sequence=number & 0xFFFF),)


async def message_larger_than_announced(peer: HostilePeer) -> AsyncIterator[tuple[Chunk, ...]]:
    fragments = LOCAL_MAX_MESSAGE_SIZE // USERDATA_MAX_LENGTH + 1
    while True:
        for number in range(fragments):
            flags = (FIRST if number == 0 else 0) | (LAST if number == fragments - 1 else 0)
            yield (peer.data(FULL, flags | UNORDERED),)


async def text_that_is_not_utf8(peer: HostilePeer) -> AsyncIterator[tuple[Chunk, ...]]:
    for number in count(1):
        yield (peer.data(b"canary\xff", FIRST | LAST, sequence=number & 0xFFFF, kind=51),)


async def second_start_with_other_numbers(peer: HostilePeer) -> AsyncIterator[tuple[Chunk, ...]]:
    yield (peer.data(FULL, FIRST),)
    while True:
        yield (peer.data(b"x", FIRST | LAST, skip=2**31 - 1),)


ATTACKS: list[Attack] = [
    unfinished_message,
    tiny_fragments,
    empty_fragments,
    unordered_fragments,
    message_without_its_beginning,
    later_messages_only,
    gaps_that_are_never_filled,
    gap_of_half_the_numbers,
    one_message_of_many_streams,
    finished_messages_of_many_streams,
    streams_of_forward_tsn,
    many_data_channels,
    channel_opened_twice,
    channels_closed_and_opened_again,
    reset_requests,
    reset_requests_for_one_stream,
    requests_for_more_streams,
    heartbeats,
    empty_packets_of_chunks,
    acknowledgement_of_all_numbers,
    acknowledgement_of_the_future,
    echoes_without_acknowledgement,
    message_larger_than_announced,
    text_that_is_not_utf8,
    second_start_with_other_numbers,
]


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda each: each.__name__)
async def test_peer_beyond_a_limit_is_disconnected_with_one_line(
    attack: Attack, caplog: pytest.LogCaptureFixture
) -> None:
    async with hostile_peer() as peer:
        peer.ignore_answers()
        gc.collect()
        tracemalloc.start()
        packets = 0
        try:
            with caplog.at_level(logging.INFO):
                async for chunks in attack(peer):
                    if peer.closed.is_set() or packets >= MAX_PACKETS:
                        break
                    packets += 1
                    await peer.send(*chunks)
                kept_mb = tracemalloc.get_traced_memory()[1] / 2**20
                print(f"{attack.__name__}: {packets} packets, {kept_mb:.2f} MB")  # noqa: T201
                assert packets < MAX_PACKETS, f"unlimited, {kept_mb:.1f} MB"
                async with asyncio.timeout(30):
                    await peer.closed.wait()
        finally:
            tracemalloc.stop()
        assert kept_mb < MAX_MEMORY_MB
        lines = [record.getMessage() for record in caplog.records if record.name.startswith("voicechat")]
        assert len(lines) == 1 and lines[0].startswith("sctp: connection closed reason="), lines
        assert "canary" not in caplog.text and "Traceback" not in caplog.text


@pytest.mark.parametrize(
    "chunk",
    [
        RawChunk(4, struct.pack("!HH", 1, 0) + bytes(40)),
        RawChunk(130, struct.pack("!HH", 13, 3)),
        RawChunk(0, b"x"),
        RawChunk(3, bytes(8)),
        RawChunk(3, struct.pack("!LLHH", 0, 0, 50, 50)),
        RawChunk(192, bytes(5)),
        RawChunk(7, b"x"),
        RawChunk(99, b"unknown"),
    ],
    ids=lambda chunk: f"type {chunk.type}",
)
@pytest.mark.timeout(20)
async def test_malformed_packet_is_ignored(chunk: Chunk, caplog: pytest.LogCaptureFixture) -> None:
    async with hostile_peer() as peer:
        await peer.send(chunk)
        received = asyncio.Event()
        peer.server_channels[0].on("message", lambda _: received.set())
        peer.channel.send("hello")
        async with asyncio.timeout(30):
            await received.wait()
        assert "Traceback" not in caplog.text


async def test_largest_message_and_many_small_ones_pass_both_ways() -> None:
    async with hostile_peer() as peer:
        messages: list[bytes] = [b"y" * LOCAL_MAX_MESSAGE_SIZE, *(b"%d" % number for number in range(300))]
        for sender, receiver in (
            (peer.channel, peer.server_channels[0]),
            (peer.server_channels[0], peer.channel),
        ):
            arrived: list[bytes] = []
            complete = asyncio.Event()

            def on_message(message: bytes, arrived: list[bytes] = arrived, complete: asyncio.Event = complete) -> None:
                arrived.append(message)
                if len(arrived) == len(messages):
                    complete.set()

            receiver.on("message", on_message)
            for message in messages:
                sender.send(message)
            async with asyncio.timeout(20):
                await complete.wait()
            assert arrived == messages
        assert not peer.closed.is_set()


async def test_channels_opened_and_closed_in_turns_pass() -> None:
    async with hostile_peer() as peer:
        for _ in range(20):
            channel = peer.client.createDataChannel("more")
            opened, closed = asyncio.Event(), asyncio.Event()
            channel.on("open", opened.set)
            channel.on("close", closed.set)
            async with asyncio.timeout(10):
                await opened.wait()
                channel.close()
                await closed.wait()
        assert not peer.closed.is_set()


async def test_silent_peer_is_disconnected_when_nothing_is_acknowledged(caplog: pytest.LogCaptureFixture) -> None:
    async with hostile_peer() as peer:
        peer.ignore_answers()
        channel = peer.server_channels[0]
        with caplog.at_level(logging.INFO):
            for _ in range(2000):
                if channel.readyState == "open":
                    channel.send("update")
            async with asyncio.timeout(30):
                await peer.closed.wait()
        assert [record.getMessage() for record in caplog.records if record.name.startswith("voicechat")] == [
            "sctp: connection closed reason=too many unacknowledged chunks"
        ]
