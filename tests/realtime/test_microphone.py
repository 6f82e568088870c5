"""What the server is given of a microphone."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from realtime.microphone import EARLY_FRAMES, FRAME_S, STALLED_S, Microphone


def frame(number: int) -> bytes:
    return number.to_bytes(2, "little") * 480


def test_with_a_connection_sound_is_for_the_server_and_without_one_it_is_kept() -> None:
    microphone = Microphone()
    assert microphone.gives(frame(0), 0.0, up=True)
    assert microphone.early() == []
    for number in range(EARLY_FRAMES + 2):
        assert not microphone.gives(frame(number), 0.02 * number, up=False)
    assert microphone.early() == [frame(number) for number in range(2, EARLY_FRAMES + 2)]  # the newest five seconds
    assert microphone.early() == []
    microphone.gives(frame(1), 9.0, up=False)
    microphone.forget()
    assert microphone.early() == []


def test_no_silence_before_the_microphone_has_begun() -> None:
    assert not Microphone().stalls(100.0)


@given(st.lists(st.floats(0.0, 3.0), max_size=20))
def test_silence_fills_a_stall_and_never_more(pauses: list[float]) -> None:
    """Whatever the pauses: with what was filled in, the server is never more than a stall behind, nor ever ahead."""
    microphone, now, given_s = Microphone(), 0.0, 0.0
    microphone.gives(frame(0), now, up=True)
    for pause in pauses:
        filled = 0
        for _ in range(round(pause / FRAME_S)):
            now += FRAME_S
            filled += microphone.stalls(now)
        assert filled * FRAME_S <= max(0.0, pause - STALLED_S) + 2 * FRAME_S
        assert filled * FRAME_S >= pause - STALLED_S - 2 * FRAME_S
        microphone.gives(frame(1), now, up=True)
        given_s += filled * FRAME_S
    assert given_s <= now
