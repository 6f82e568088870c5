"""How long a voice has lasted, from the microphone's loudness."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicechat.audio.voice_activity import EnergyVad


def vad_after(*stretches: tuple[int, int]) -> EnergyVad:
    """(ms, level) one after the other."""
    microphone = EnergyVad()
    for ms, level in stretches:
        for _ in range(ms // 20):
            microphone.push(np.full(480, level, np.int16))
    return microphone


def test_a_voice_is_counted_from_its_beginning() -> None:
    assert vad_after((600, 0), (300, 3000)).voice_duration_s(0.15) == pytest.approx(0.3)


def test_a_closed_mouth_inside_a_word_is_part_of_the_voice() -> None:
    assert vad_after((600, 10), (200, 3000), (80, 10), (120, 2000)).voice_duration_s(0.3) == pytest.approx(0.4)


def test_a_voice_that_has_ended_does_not_grow() -> None:
    assert vad_after((600, 10), (240, 3000), (80, 10)).voice_duration_s(0.2) == pytest.approx(0.32 - 0.0, abs=0.1)
    assert vad_after((600, 10), (240, 3000), (100, 10)).voice_duration_s(0.2) == 0.0


def test_two_coughs_are_two() -> None:
    assert vad_after((600, 10), (200, 3000), (160, 10), (200, 3000)).voice_duration_s(0.5) == pytest.approx(0.2)


def test_the_echo_of_a_cough_in_a_room_is_no_voice() -> None:
    tail = [(20, round(3000 * 0.7**step)) for step in range(1, 20)]
    assert vad_after((600, 10), (200, 3000), *tail).voice_duration_s(0.3) == 0.0


def test_steady_noise_is_no_voice() -> None:
    assert vad_after((1500, 500)).voice_duration_s(0.2) == 0.0
    assert vad_after((800, 500), (200, 5000)).voice_duration_s(0.1) == pytest.approx(0.2)


@given(st.lists(st.integers(0, 32767), max_size=120), st.floats(0, 5))
def test_it_is_never_longer_than_what_was_heard_since(levels: list[int], noticed: float) -> None:
    microphone = vad_after(*((20, level) for level in levels))
    assert 0 <= microphone.voice_duration_s(noticed) <= min(len(levels) * 0.02, noticed + 0.32) + 1e-9


def test_silence_and_nothing() -> None:
    assert EnergyVad().voice_duration_s(1.0) == 0.0
    assert vad_after((1000, 0)).voice_duration_s(1.0) == 0.0
    microphone = EnergyVad()
    microphone.push(np.zeros(0, np.int16))
    assert microphone.voice_duration_s(0.1) == 0.0
