"""The turn detector: its clock, its patience, and what real speech detection makes of sound."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import given
from hypothesis import strategies as st

from offline.audio import SAMPLE_RATE, SAMPLES_PER_MS
from offline.stt.turn_detection import (
    MIN_PAUSE_WINDOWS,
    MIN_SPEECH_WINDOWS,
    RECEIVED_WINDOW_SAMPLES,
    DetectorPhase,
    TurnDetector,
    TurnSegmenter,
    TurnSignal,
    TurnSignalKind,
    create_silero_vad,
)
from tests.support.offline.scripted_models import silence, tone, tone_probability
from tests.support.paths import SPEECH

VAD: dict[str, Any] = {
    "type": "server_vad",
    "threshold": 0.5,
    "prefix_padding_ms": 300,
    "silence_duration_ms": 200,
}


def detect(
    probabilities: list[float], *, padding_ms: int = 300, silence_ms: int = 200, origin: int = 0
) -> list[TurnSignal]:
    """All signals for a row of probabilities."""
    detector = TurnDetector(0.5, padding_ms, silence_ms, origin)
    return [heard for probability in probabilities for heard in detector.feed(probability)]


def signals(heard: list[TurnSignal]) -> list[TurnSignalKind]:
    return [one.kind for one in heard]


def test_a_turn() -> None:
    heard = detect([0.0] * 20 + [0.9] * 10 + [0.0] * 10)
    assert signals(heard) == [TurnSignalKind.STARTED, TurnSignalKind.PAUSED, TurnSignalKind.STOPPED]
    assert heard[0].sample == 20 * RECEIVED_WINDOW_SAMPLES - 300 * 24
    assert heard[1].sample == (30 + MIN_PAUSE_WINDOWS) * RECEIVED_WINDOW_SAMPLES
    assert heard[2].sample == 36 * RECEIVED_WINDOW_SAMPLES  # 192 ms, the whole windows in 200 ms


def test_a_click_is_no_turn() -> None:
    assert detect([0.0] * 5 + [0.99] * (MIN_SPEECH_WINDOWS - 1) + [0.0] * 20) == []


def test_the_padding_does_not_reach_back_before_the_beginning_or_into_the_turn_before() -> None:
    assert detect([0.9] * 5, origin=1000)[0].sample == 1000
    heard = detect([0.9] * 5 + [0.0] * 6 + [0.0] * 2 + [0.9] * 5)
    stopped, again = heard[2], heard[3]
    assert (stopped.kind, again.kind) == (TurnSignalKind.STOPPED, TurnSignalKind.STARTED)
    assert again.sample == stopped.sample


def test_a_wavering_probability_does_not_end_a_turn() -> None:
    assert signals(detect([0.9] * 5 + [0.4] * 50)) == [TurnSignalKind.STARTED]


def test_speech_after_a_pause_goes_on() -> None:
    heard = detect([0.9] * 5 + [0.0] * 5 + [0.9] * 5 + [0.0] * 3 + [0.9] * 2 + [0.0] * 6)
    assert signals(heard) == [
        TurnSignalKind.STARTED,
        TurnSignalKind.PAUSED,
        TurnSignalKind.RESUMED,
        TurnSignalKind.PAUSED,
        TurnSignalKind.STOPPED,
    ]


@pytest.mark.parametrize("silence_ms", [0, 32, 100, 200, 450, 1000])
def test_the_end_comes_no_later_than_asked(silence_ms: int) -> None:
    heard = detect([0.9] * 5 + [0.0] * 50, silence_ms=silence_ms)
    waited = (heard[-1].sample - 5 * RECEIVED_WINDOW_SAMPLES) / 24
    assert heard[-1].kind is TurnSignalKind.STOPPED
    assert max(32, silence_ms - 32) <= waited <= max(32, silence_ms)


def test_silence_counts_from_where_the_voice_ends_not_from_where_the_detector_notices() -> None:
    def end(levels: list[float]) -> int:
        detector = TurnDetector(0.5, 0, 200)
        rows = zip([0.9] * 12 + [0.1] * 10, levels, strict=True)
        return [heard for probability, level in rows for heard in detector.feed(probability, level)][-1].sample

    noticed = end([1000.0] * 22)
    assert end([1000.0] * 10 + [5.0] * 12) == noticed - 2 * RECEIVED_WINDOW_SAMPLES
    assert (
        end([1000.0] * 5 + [5.0] * 17) == noticed - 3 * RECEIVED_WINDOW_SAMPLES
    )  # a detector that is sure is believed longer
    assert end([1000.0] * 10 + [200.0] * 12) == noticed  # in a noisy room only the probability counts


@given(
    st.lists(st.tuples(st.floats(0, 1), st.floats(0, 30_000)), max_size=300), st.integers(0, 600), st.integers(0, 600)
)
def test_signals_alternate_and_the_clock_goes_forward(
    row: list[tuple[float, float]], padding: int, silence_ms: int
) -> None:
    detector = TurnDetector(0.5, padding, silence_ms)
    allowed = {
        None: {TurnSignalKind.STARTED},
        TurnSignalKind.STARTED: {TurnSignalKind.PAUSED, TurnSignalKind.STOPPED},
        TurnSignalKind.PAUSED: {TurnSignalKind.RESUMED, TurnSignalKind.STOPPED},
        TurnSignalKind.RESUMED: {TurnSignalKind.PAUSED, TurnSignalKind.STOPPED},
        TurnSignalKind.STOPPED: {TurnSignalKind.STARTED},
    }
    last, turn_end = None, 0
    for index, (probability, level) in enumerate(row):
        for heard in detector.feed(probability, level):
            assert heard.kind in allowed[last]
            last = heard.kind
            assert 0 <= heard.sample <= (index + 1) * RECEIVED_WINDOW_SAMPLES
            if last is TurnSignalKind.STARTED:
                assert heard.sample >= turn_end
            elif last is TurnSignalKind.STOPPED:
                turn_end = heard.sample
    is_in_turn = detector.phase in (DetectorPhase.SPEECH, DetectorPhase.FALLING, DetectorPhase.PAUSED)
    assert is_in_turn == (last not in (None, TurnSignalKind.STOPPED))


def test_an_abandoned_turn_is_over() -> None:
    detector = TurnDetector(0.5, 300, 200)
    for _ in range(10):
        detector.feed(0.9)
    detector.abandon_turn(10 * RECEIVED_WINDOW_SAMPLES)
    assert detector.phase is DetectorPhase.SILENCE
    assert signals([heard for _ in range(5) for heard in detector.feed(0.9)]) == [TurnSignalKind.STARTED]


@pytest.mark.parametrize("piece", [1, 100, 480, 4096])
def test_segmenter_result_does_not_depend_on_chunk_size(piece: int) -> None:
    sound = silence(320) + tone(500) + silence(500)
    ear = TurnSegmenter(VAD, tone_probability, 0)
    heard = [one for start in range(0, len(sound), piece * 2) for one in ear.feed(sound[start : start + piece * 2])]
    whole = TurnSegmenter(VAD, tone_probability, 0).feed(sound)
    assert heard == whole and signals(whole) == [TurnSignalKind.STARTED, TurnSignalKind.PAUSED, TurnSignalKind.STOPPED]
    assert abs(whole[0].sample / 24 - 20) <= 32


def test_the_real_detector_hears_no_speech_in_tones_and_silence() -> None:
    ear = TurnSegmenter(VAD, create_silero_vad(), 0)
    assert ear.feed(silence(1000) + tone(1000) + silence(1000)) == []


@pytest.mark.parametrize("length_ms", [1, 5, 20, 60])
def test_the_real_detector_begins_no_turn_at_clicks_and_knocks(length_ms: int) -> None:
    source = np.random.default_rng(length_ms)
    sound = source.normal(0, 10, 10 * SAMPLE_RATE)
    for start in range(SAMPLE_RATE, len(sound) - SAMPLE_RATE, SAMPLE_RATE * 7 // 10):
        count = length_ms * SAMPLES_PER_MS
        sound[start : start + count] += source.normal(0, 8000, count) * np.exp(-np.arange(count) / count * 4)
    ear = TurnSegmenter(VAD, create_silero_vad(), 0)
    assert ear.feed(np.clip(sound, -32768, 32767).astype(np.int16).tobytes()) == []


@pytest.mark.parametrize("file", ["en/michael-05.flac", "en/sense-880.flac", "en/cards-1.flac", "zh/yunyang-13.flac"])
def test_the_beginning_of_speech_is_told_within_200_ms(file: str) -> None:
    """In received sound, so whatever the computer: it is what a barge-in waits for."""
    samples, rate = soundfile.read(SPEECH / file, dtype="float32")
    voice = soxr.resample(samples, rate, SAMPLE_RATE)
    step = 10 * SAMPLES_PER_MS
    levels = np.sqrt((voice[: len(voice) // step * step].reshape(-1, step) ** 2).mean(axis=1))
    audible = levels > levels.max() * 10 ** (-25 / 20)
    onset_ms = 1000 + 10 * next(at for at in range(len(audible)) if audible[at] and audible[at : at + 8].sum() >= 6)
    sound = silence(1000) + (np.clip(voice, -1, 1) * 32767).astype(np.int16).tobytes()
    ear = TurnSegmenter(VAD, create_silero_vad(), 0)
    piece = 20 * SAMPLES_PER_MS * 2
    told_ms = next(20 * (at + 1) for at in range(len(sound) // piece) if ear.feed(sound[at * piece : (at + 1) * piece]))
    assert onset_ms < told_ms <= onset_ms + 200
