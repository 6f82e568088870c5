"""Jitter buffer for a visitor's voice: bounded, and never waits for packets that are lost. Replaces aiortc's."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from voicechat.dependency_checks import DependencyChanged, find_target, require_function

MAX_EARLY_PACKETS = 250
"""Packets of the microphone, 5 s, kept until the call takes them: they come before the data channel is open."""


def _sequence_distance(origin: int, number: int) -> int:
    """From one 16-bit sequence number forward to another."""
    return (number - origin) & 0xFFFF


class VoiceJitterBuffer:
    """Packets in order with at most `GAP` of them (20 ms each) held back.

    aiortc's own buffer holds four back from the start, and after one lost packet up to sixteen for the rest of the
    call: there is no retransmission for audio, so a hole is never filled. Here a hole is given up as soon as more than
    `GAP` newer packets wait behind it. With Opus one packet is one frame.
    """

    MAX_HELD_PACKETS = 2
    RESET_DISTANCE = 100
    """Sequence numbers this far away mean that the sender began anew."""

    def __init__(self, make_frame: Callable[..., Any]) -> None:
        self._make_frame = make_frame
        self._next_sequence: int | None = None
        self._held_packets: dict[int, Any] = {}

    def add(self, packet: Any) -> tuple[bool, Any | None]:
        """aiortc's contract: (whether to ask for a key frame, the next complete frame or None)."""
        number = packet.sequence_number
        if self._next_sequence is None:
            self._next_sequence = number
        ahead = _sequence_distance(self._next_sequence, number)
        if self.RESET_DISTANCE <= ahead <= 0x10000 - self.RESET_DISTANCE:
            self._held_packets.clear()
            self._next_sequence = number
        elif ahead >= 0x8000:
            return False, None  # too late: what follows it was already played
        self._held_packets[number] = packet
        if self._next_sequence not in self._held_packets:
            if len(self._held_packets) <= self.MAX_HELD_PACKETS:
                return False, None
            origin = self._next_sequence
            self._next_sequence = min(self._held_packets, key=partial(_sequence_distance, origin))
        head = self._held_packets.pop(self._next_sequence)
        self._next_sequence = (self._next_sequence + 1) & 0xFFFF
        return False, self._make_frame(data=head._data, timestamp=head.timestamp)


def install_jitter_buffer() -> None:
    """Give audio receivers `VoiceJitterBuffer`. A second call does nothing.

    aiortc has no setting for it: the name that its receiver looks up is replaced. Raise DependencyChanged, with nothing
    replaced, when aiortc is not as expected.
    """
    stock = find_target("aiortc.rtcrtpreceiver:JitterBuffer")
    if isinstance(stock, _JitterBufferFactory):
        return
    if stock is not find_target("aiortc.jitterbuffer:JitterBuffer"):
        raise DependencyChanged("aiortc.rtcrtpreceiver:JitterBuffer", "not aiortc's own")
    require_function("aiortc.jitterbuffer:JitterBuffer", ("capacity", "prefetch", "is_video"))
    make_frame = require_function("aiortc.jitterbuffer:JitterFrame", ("data", "timestamp"))
    find_target("aiortc.rtcrtpreceiver").JitterBuffer = _JitterBufferFactory(stock, make_frame)


class _JitterBufferFactory:
    """Stands in for aiortc's JitterBuffer class: ours for audio, theirs for video."""

    def __init__(self, stock: Any, make_frame: Callable[..., Any]) -> None:
        self._stock = stock
        self._make_frame = make_frame

    def __call__(self, capacity: int, prefetch: int = 0, is_video: bool = False) -> Any:
        return self._stock(capacity, prefetch, is_video) if is_video else VoiceJitterBuffer(self._make_frame)
