"""Jitter buffer of the microphone: order, losses and bounds, in place of aiortc's."""

from __future__ import annotations

import random

import pytest
from aiortc import rtcrtpreceiver
from aiortc.jitterbuffer import JitterBuffer, JitterFrame
from hypothesis import given
from hypothesis import strategies as st

from voicechat.dependency_checks import DependencyChanged
from voicechat.transport.jitter_buffer import VoiceJitterBuffer, install_jitter_buffer


class FakeRtpPacket:
    def __init__(self, number: int) -> None:
        self.sequence_number = number & 0xFFFF
        self.timestamp = number * 960
        self._data = str(number).encode()


def pass_through_buffer(numbers: list[int]) -> list[int]:
    buffer = VoiceJitterBuffer(JitterFrame)
    frames = []
    for number in numbers:
        key_frame, frame = buffer.add(FakeRtpPacket(number))
        assert key_frame is False
        if frame is not None:
            frames.append(int(frame.data))
    return frames


def test_packets_in_order_are_not_delayed() -> None:
    numbers = list(range(65_500, 65_600))
    assert pass_through_buffer(numbers) == numbers


def test_swapped_packets_are_reordered() -> None:
    assert pass_through_buffer([1, 2, 4, 3, 5, 6]) == [1, 2, 3, 4, 5]


def test_lost_packet_delays_briefly_and_once() -> None:
    numbers = [number for number in range(1000) if number % 50 != 10]
    frames = pass_through_buffer(numbers)
    assert frames == numbers[: len(frames)]
    assert len(numbers) - len(frames) <= VoiceJitterBuffer.MAX_HELD_PACKETS


def test_restarted_sender_is_followed() -> None:
    assert pass_through_buffer([1, 2, 3, 40_000, 40_001])[3:] == [40_000, 40_001]


def test_stock_buffer_stays_late_after_losses() -> None:
    """The reason for ours: should a newer aiortc do better, ours can go."""
    stock = JitterBuffer(capacity=16, prefetch=4)
    delivered = sum(stock.add(FakeRtpPacket(n))[1] is not None for n in range(300) if n != 100)
    assert 299 - delivered > 2 * VoiceJitterBuffer.MAX_HELD_PACKETS


@given(st.lists(st.floats(0, 60), min_size=1, max_size=200), st.integers(0, 0xFFFF), st.randoms(use_true_random=False))
def test_any_network_gives_packets_once_in_order_and_bounded(
    delays: list[float], first: int, chance: random.Random
) -> None:
    sent = [(first + n, n * 20 + delay) for n, delay in enumerate(delays) if chance.random() > 0.05]
    arriving = [number for number, _ in sorted(sent, key=lambda packet: packet[1])]
    buffer = VoiceJitterBuffer(JitterFrame)
    last = -1
    for number in arriving:
        _, frame = buffer.add(FakeRtpPacket(number))
        if frame is not None:
            assert int(frame.data) > last
            last = int(frame.data)
        assert len(buffer._held_packets) <= VoiceJitterBuffer.MAX_HELD_PACKETS + 1


def test_install_replaces_only_the_audio_buffer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rtcrtpreceiver, "JitterBuffer", JitterBuffer)
    install_jitter_buffer()
    installed = rtcrtpreceiver.JitterBuffer
    install_jitter_buffer()
    assert rtcrtpreceiver.JitterBuffer is installed, "a second call changes nothing"
    assert isinstance(rtcrtpreceiver.JitterBuffer(capacity=16, prefetch=4), VoiceJitterBuffer)
    assert isinstance(rtcrtpreceiver.JitterBuffer(capacity=512, is_video=True), JitterBuffer)


def test_install_with_other_aiortc_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    for other in (object, None):
        monkeypatch.setattr(rtcrtpreceiver, "JitterBuffer", other)
        with pytest.raises(DependencyChanged, match=r"aiortc\.rtcrtpreceiver:JitterBuffer"):
            install_jitter_buffer()
        assert rtcrtpreceiver.JitterBuffer is other
