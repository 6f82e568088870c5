"""The turn detector: its clock, its patience, and what real speech detection makes of sound."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import given
from hypothesis import strategies as st

from offline.audio_formats import SAMPLES_PER_MS
from offline.turn_detection import (
    PAUSE_WINDOWS,
    START_WINDOWS,
    WINDOW,
    Ear,
    Heard,
    Phase,
    Signal,
    TurnDetector,
    silero,
)
from offline.work import SAMPLE_RATE
from tests.offline.agents_process import ROOT
from tests.offline.scripted import loudness, silence, tone

VAD: dict[str, Any] = {
    "type": "server_vad",
    "threshold": 0.5,
    "prefix_padding_ms": 300,
    "silence_duration_ms": 200,
}


def run(probabilities: list[float], *, padding_ms: int = 300, silence_ms: int = 200, origin: int = 0) -> list[Heard]:
    """All signals for a row of probabilities."""
    detector = TurnDetector(0.5, padding_ms, silence_ms, origin)
    return [heard for probability in probabilities for heard in detector.feed(probability)]


def signals(heard: list[Heard]) -> list[Signal]:
    return [one.signal for one in heard]


def test_a_turn() -> None:
    heard = run([0.0] * 20 + [0.9] * 10 + [0.0] * 10)
    assert signals(heard) == [Signal.STARTED, Signal.PAUSED, Signal.STOPPED]
    assert heard[0].sample == 20 * WINDOW - 300 * 24
    assert heard[1].sample == (30 + PAUSE_WINDOWS) * WINDOW
    assert heard[2].sample == 36 * WINDOW  # 192 ms, the whole windows in 200 ms


def test_a_click_is_no_turn() -> None:
    assert run([0.0] * 5 + [0.99] * (START_WINDOWS - 1) + [0.0] * 20) == []


def test_the_padding_does_not_reach_back_before_the_beginning_or_into_the_turn_before() -> None:
    assert run([0.9] * 5, origin=1000)[0].sample == 1000
    heard = run([0.9] * 5 + [0.0] * 6 + [0.0] * 2 + [0.9] * 5)
    stopped, again = heard[2], heard[3]
    assert (stopped.signal, again.signal) == (Signal.STOPPED, Signal.STARTED)
    assert again.sample == stopped.sample


def test_a_wavering_probability_does_not_end_a_turn() -> None:
    assert signals(run([0.9] * 5 + [0.4] * 50)) == [Signal.STARTED]


def test_speech_after_a_pause_goes_on() -> None:
    heard = run([0.9] * 5 + [0.0] * 5 + [0.9] * 5 + [0.0] * 3 + [0.9] * 2 + [0.0] * 6)
    assert signals(heard) == [Signal.STARTED, Signal.PAUSED, Signal.RESUMED, Signal.PAUSED, Signal.STOPPED]


@pytest.mark.parametrize("silence_ms", [0, 32, 100, 200, 450, 1000])
def test_the_end_comes_no_later_than_asked(silence_ms: int) -> None:
    heard = run([0.9] * 5 + [0.0] * 50, silence_ms=silence_ms)
    waited = (heard[-1].sample - 5 * WINDOW) / 24
    assert heard[-1].signal is Signal.STOPPED
    assert max(32, silence_ms - 32) <= waited <= max(32, silence_ms)


def test_silence_counts_from_where_the_voice_ends_not_from_where_the_detector_notices() -> None:
    def end(levels: list[float]) -> int:
        detector = TurnDetector(0.5, 0, 200)
        rows = zip([0.9] * 12 + [0.1] * 10, levels, strict=True)
        return [heard for probability, level in rows for heard in detector.feed(probability, level)][-1].sample

    noticed = end([1000.0] * 22)
    assert end([1000.0] * 10 + [5.0] * 12) == noticed - 2 * WINDOW
    assert end([1000.0] * 5 + [5.0] * 17) == noticed - 3 * WINDOW  # a detector that is sure is believed longer
    assert end([1000.0] * 10 + [200.0] * 12) == noticed  # in a noisy room only the probability counts


@given(
    st.lists(st.tuples(st.floats(0, 1), st.floats(0, 30_000)), max_size=300), st.integers(0, 600), st.integers(0, 600)
)
def test_signals_alternate_and_the_clock_goes_forward(
    row: list[tuple[float, float]], padding: int, silence_ms: int
) -> None:
    detector = TurnDetector(0.5, padding, silence_ms)
    allowed = {
        None: {Signal.STARTED},
        Signal.STARTED: {Signal.PAUSED, Signal.STOPPED},
        Signal.PAUSED: {Signal.RESUMED, Signal.STOPPED},
        Signal.RESUMED: {Signal.PAUSED, Signal.STOPPED},
        Signal.STOPPED: {Signal.STARTED},
    }
    last, turn_end = None, 0
    for index, (probability, level) in enumerate(row):
        for heard in detector.feed(probability, level):
            assert heard.signal in allowed[last]
            last = heard.signal
            assert 0 <= heard.sample <= (index + 1) * WINDOW
            if last is Signal.STARTED:
                assert heard.sample >= turn_end
            elif last is Signal.STOPPED:
                turn_end = heard.sample
    assert detector.in_turn == (last not in (None, Signal.STOPPED))


def test_an_abandoned_turn_is_over() -> None:
    detector = TurnDetector(0.5, 300, 200)
    for _ in range(10):
        detector.feed(0.9)
    detector.abandon(10 * WINDOW)
    assert detector.phase is Phase.SILENCE
    assert signals([heard for _ in range(5) for heard in detector.feed(0.9)]) == [Signal.STARTED]


@pytest.mark.parametrize("piece", [1, 100, 480, 4096])
def test_the_ear_judges_the_same_however_sound_is_cut(piece: int) -> None:
    sound = silence(320) + tone(500) + silence(500)
    ear = Ear(VAD, loudness, 0)
    heard = [one for start in range(0, len(sound), piece * 2) for one in ear.hear(sound[start : start + piece * 2])]
    whole = Ear(VAD, loudness, 0).hear(sound)
    assert heard == whole and signals(whole) == [Signal.STARTED, Signal.PAUSED, Signal.STOPPED]
    assert abs(whole[0].sample / 24 - 20) <= 32


def test_the_real_detector_hears_no_speech_in_tones_and_silence() -> None:
    ear = Ear(VAD, silero(), 0)
    assert ear.hear(silence(1000) + tone(1000) + silence(1000)) == []


@pytest.mark.parametrize("length_ms", [1, 5, 20, 60])
def test_the_real_detector_begins_no_turn_at_clicks_and_knocks(length_ms: int) -> None:
    source = np.random.default_rng(length_ms)
    sound = source.normal(0, 10, 10 * SAMPLE_RATE)
    for start in range(SAMPLE_RATE, len(sound) - SAMPLE_RATE, SAMPLE_RATE * 7 // 10):
        count = length_ms * SAMPLES_PER_MS
        sound[start : start + count] += source.normal(0, 8000, count) * np.exp(-np.arange(count) / count * 4)
    ear = Ear(VAD, silero(), 0)
    assert ear.hear(np.clip(sound, -32768, 32767).astype(np.int16).tobytes()) == []


@pytest.mark.parametrize("file", ["en/michael-05.flac", "en/sense-880.flac", "en/cards-1.flac", "zh/yunyang-13.flac"])
def test_the_beginning_of_speech_is_told_within_200_ms(file: str) -> None:
    """In received sound, so whatever the computer: it is what a barge-in waits for."""
    samples, rate = soundfile.read(ROOT / "tests" / "speech" / file, dtype="float32")
    voice = soxr.resample(samples, rate, SAMPLE_RATE)
    step = 10 * SAMPLES_PER_MS
    levels = np.sqrt((voice[: len(voice) // step * step].reshape(-1, step) ** 2).mean(axis=1))
    audible = levels > levels.max() * 10 ** (-25 / 20)
    onset_ms = 1000 + 10 * next(at for at in range(len(audible)) if audible[at] and audible[at : at + 8].sum() >= 6)
    sound = silence(1000) + (np.clip(voice, -1, 1) * 32767).astype(np.int16).tobytes()
    ear = Ear(VAD, silero(), 0)
    piece = 20 * SAMPLES_PER_MS * 2
    told_ms = next(20 * (at + 1) for at in range(len(sound) // piece) if ear.hear(sound[at * piece : (at + 1) * piece]))
    assert onset_ms < told_ms <= onset_ms + 200
