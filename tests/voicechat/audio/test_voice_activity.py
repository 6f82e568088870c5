"""Duration of speech, from the microphone's loudness."""

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


def test_duration_counts_from_the_start_of_the_voice() -> None:
    assert vad_after((600, 0), (300, 3000)).voice_duration_s(0.15) == pytest.approx(0.3)


def test_duration_includes_a_short_gap() -> None:
    assert vad_after((600, 10), (200, 3000), (80, 10), (120, 2000)).voice_duration_s(0.3) == pytest.approx(0.4)


def test_duration_of_an_ended_voice_does_not_grow() -> None:
    assert vad_after((600, 10), (240, 3000), (80, 10)).voice_duration_s(0.2) == pytest.approx(0.32 - 0.0, abs=0.1)
    assert vad_after((600, 10), (240, 3000), (100, 10)).voice_duration_s(0.2) == 0.0


def test_duration_counts_two_coughs_apart() -> None:
    assert vad_after((600, 10), (200, 3000), (160, 10), (200, 3000)).voice_duration_s(0.5) == pytest.approx(0.2)


def test_duration_excludes_the_reverberation_of_a_cough() -> None:
    tail = [(20, round(3000 * 0.7**step)) for step in range(1, 20)]
    assert vad_after((600, 10), (200, 3000), *tail).voice_duration_s(0.3) == 0.0


def test_duration_of_steady_noise_is_zero() -> None:
    assert vad_after((1500, 500)).voice_duration_s(0.2) == 0.0
    assert vad_after((800, 500), (200, 5000)).voice_duration_s(0.1) == pytest.approx(0.2)


@given(st.lists(st.integers(0, 32767), max_size=120), st.floats(0, 5))
def test_duration_never_exceeds_the_audio_since_the_onset(levels: list[int], noticed: float) -> None:
    microphone = vad_after(*((20, level) for level in levels))
    assert 0 <= microphone.voice_duration_s(noticed) <= min(len(levels) * 0.02, noticed + 0.32) + 1e-9


def test_duration_without_audio_or_with_silence_is_zero() -> None:
    assert EnergyVad().voice_duration_s(1.0) == 0.0
    assert vad_after((1000, 0)).voice_duration_s(1.0) == 0.0
    microphone = EnergyVad()
    microphone.push(np.zeros(0, np.int16))
    assert microphone.voice_duration_s(0.1) == 0.0
