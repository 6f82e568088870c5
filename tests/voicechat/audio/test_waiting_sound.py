"""Waiting sound: when it ticks, and how softly."""

from __future__ import annotations

import numpy as np

from voicechat.audio.format import FRAME, FRAME_S
from voicechat.audio.waiting_sound import DELAY_S, INTERVAL_S, LOUDNESS, WaitingSound

SILENCE = np.zeros(FRAME, dtype=np.int16)


def ticks_of(sound: WaitingSound, seconds: float, *, is_waiting: bool = True) -> list[float]:
    """Return the times at which a tick begins."""
    times, was_audible = [], False
    for index in range(round(seconds / FRAME_S)):
        now = index * FRAME_S
        frame = sound.mix(SILENCE, now, is_waiting=is_waiting)
        assert np.abs(frame).max() <= LOUDNESS
        is_audible = bool(frame.any())
        if is_audible and not was_audible:
            times.append(now)
        was_audible = is_audible
    return times


def test_ticks_begin_after_the_delay_and_come_regularly() -> None:
    times = ticks_of(WaitingSound(), 6.0)
    assert np.allclose(times, [DELAY_S, DELAY_S + INTERVAL_S, DELAY_S + 2 * INTERVAL_S], atol=FRAME_S)


def test_no_tick_sounds_while_nothing_is_awaited() -> None:
    assert ticks_of(WaitingSound(), 6.0, is_waiting=False) == []


def test_delay_starts_again_after_speech() -> None:
    sound = WaitingSound()
    assert sound.mix(SILENCE, 0.0, is_waiting=True) is SILENCE
    sound.mix(SILENCE, 1.0, is_waiting=False)
    assert not sound.mix(SILENCE, DELAY_S + 0.5, is_waiting=True).any()
