"""Microphone audio that the server receives."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from voicechat.audio.format import FRAME_S
from voicechat.audio.uplink_buffer import MAX_BUFFERED_FRAMES, STALL_THRESHOLD_S, UplinkBuffer


def frame(number: int) -> bytes:
    return number.to_bytes(2, "little") * 480


def test_with_a_connection_sound_is_for_the_server_and_without_one_it_is_kept() -> None:
    microphone = UplinkBuffer()
    assert microphone.push(frame(0), 0.0, is_connected=True)
    assert microphone.drain() == []
    for number in range(MAX_BUFFERED_FRAMES + 2):
        assert not microphone.push(frame(number), 0.02 * number, is_connected=False)
    assert microphone.drain() == [
        frame(number) for number in range(2, MAX_BUFFERED_FRAMES + 2)
    ]  # the newest five seconds
    assert microphone.drain() == []
    microphone.push(frame(1), 9.0, is_connected=False)
    microphone.clear()
    assert microphone.drain() == []


def test_no_silence_before_the_microphone_has_begun() -> None:
    assert not UplinkBuffer().needs_silence(100.0)


@given(st.lists(st.floats(0.0, 3.0), max_size=20))
def test_silence_fills_a_stall_and_never_more(pauses: list[float]) -> None:
    """Whatever the pauses: with what was filled in, the server is never more than a stall behind, nor ever ahead."""
    microphone, now, given_s = UplinkBuffer(), 0.0, 0.0
    microphone.push(frame(0), now, is_connected=True)
    for pause in pauses:
        filled = 0
        for _ in range(round(pause / FRAME_S)):
            now += FRAME_S
            filled += microphone.needs_silence(now)
        assert filled * FRAME_S <= max(0.0, pause - STALL_THRESHOLD_S) + 2 * FRAME_S
        assert filled * FRAME_S >= pause - STALL_THRESHOLD_S - 2 * FRAME_S
        microphone.push(frame(1), now, is_connected=True)
        given_s += filled * FRAME_S
    assert given_s <= now
