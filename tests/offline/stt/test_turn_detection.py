"""Turn detector: time in samples, silence policies, and the real voice activity detector with recorded speech."""

from __future__ import annotations

from pathlib import Path
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
    find_silero_model,
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
    """Return all signals for a sequence of probabilities."""
    detector = TurnDetector(0.5, padding_ms, silence_ms, origin)
    return [signal for probability in probabilities for signal in detector.feed(probability)]


def kinds(signals: list[TurnSignal]) -> list[TurnSignalKind]:
    return [signal.kind for signal in signals]


def test_turn_detector_for_one_turn_returns_its_signals() -> None:
    signals = detect([0.0] * 20 + [0.9] * 10 + [0.0] * 10)
    assert kinds(signals) == [TurnSignalKind.STARTED, TurnSignalKind.PAUSED, TurnSignalKind.STOPPED]
    assert signals[0].sample == 20 * RECEIVED_WINDOW_SAMPLES - 300 * 24
    assert signals[1].sample == (30 + MIN_PAUSE_WINDOWS) * RECEIVED_WINDOW_SAMPLES
    assert signals[2].sample == 36 * RECEIVED_WINDOW_SAMPLES  # 192 ms, the whole windows in 200 ms


def test_turn_detector_for_a_click_returns_nothing() -> None:
    assert detect([0.0] * 5 + [0.99] * (MIN_SPEECH_WINDOWS - 1) + [0.0] * 20) == []


def test_turn_detector_padding_stops_at_the_origin_and_at_the_last_turn() -> None:
    assert detect([0.9] * 5, origin=1000)[0].sample == 1000
    signals = detect([0.9] * 5 + [0.0] * 6 + [0.0] * 2 + [0.9] * 5)
    stopped, again = signals[2], signals[3]
    assert (stopped.kind, again.kind) == (TurnSignalKind.STOPPED, TurnSignalKind.STARTED)
    assert again.sample == stopped.sample


def test_turn_detector_with_a_wavering_probability_continues_the_turn() -> None:
    assert kinds(detect([0.9] * 5 + [0.4] * 50)) == [TurnSignalKind.STARTED]


def test_turn_detector_with_speech_after_a_pause_resumes_the_turn() -> None:
    signals = detect([0.9] * 5 + [0.0] * 5 + [0.9] * 5 + [0.0] * 3 + [0.9] * 2 + [0.0] * 6)
    assert kinds(signals) == [
        TurnSignalKind.STARTED,
        TurnSignalKind.PAUSED,
        TurnSignalKind.RESUMED,
        TurnSignalKind.PAUSED,
        TurnSignalKind.STOPPED,
    ]


@pytest.mark.parametrize("silence_ms", [0, 32, 100, 200, 450, 1000])
def test_turn_detector_ends_the_turn_within_the_silence(silence_ms: int) -> None:
    signals = detect([0.9] * 5 + [0.0] * 50, silence_ms=silence_ms)
    waited = (signals[-1].sample - 5 * RECEIVED_WINDOW_SAMPLES) / 24
    assert signals[-1].kind is TurnSignalKind.STOPPED
    assert max(32, silence_ms - 32) <= waited <= max(32, silence_ms)


def test_turn_detector_counts_silence_from_the_end_of_the_voice() -> None:
    def end(levels: list[float]) -> int:
        detector = TurnDetector(0.5, 0, 200)
        rows = zip([0.9] * 12 + [0.1] * 10, levels, strict=True)
        return [signal for probability, level in rows for signal in detector.feed(probability, level)][-1].sample

    noticed = end([1000.0] * 22)
    assert end([1000.0] * 10 + [5.0] * 12) == noticed - 2 * RECEIVED_WINDOW_SAMPLES
    assert (
        end([1000.0] * 5 + [5.0] * 17) == noticed - 3 * RECEIVED_WINDOW_SAMPLES
    )  # a confident probability outweighs the level for longer
    assert end([1000.0] * 10 + [200.0] * 12) == noticed  # in a noisy room only the probability counts


@given(
    st.lists(st.tuples(st.floats(0, 1), st.floats(0, 30_000)), max_size=300), st.integers(0, 600), st.integers(0, 600)
)
def test_turn_detector_with_any_input_keeps_the_order_of_signals(
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
        for signal in detector.feed(probability, level):
            assert signal.kind in allowed[last]
            last = signal.kind
            assert 0 <= signal.sample <= (index + 1) * RECEIVED_WINDOW_SAMPLES
            if last is TurnSignalKind.STARTED:
                assert signal.sample >= turn_end
            elif last is TurnSignalKind.STOPPED:
                turn_end = signal.sample
    is_in_turn = detector.phase in (DetectorPhase.SPEECH, DetectorPhase.FALLING, DetectorPhase.PAUSED)
    assert is_in_turn == (last not in (None, TurnSignalKind.STOPPED))


def test_abandon_turn_returns_to_silence() -> None:
    detector = TurnDetector(0.5, 300, 200)
    for _ in range(10):
        detector.feed(0.9)
    detector.abandon_turn(10 * RECEIVED_WINDOW_SAMPLES)
    assert detector.phase is DetectorPhase.SILENCE
    assert kinds([signal for _ in range(5) for signal in detector.feed(0.9)]) == [TurnSignalKind.STARTED]


@pytest.mark.parametrize("piece", [1, 100, 480, 4096])
def test_turn_segmenter_with_any_chunk_size_returns_the_same_signals(piece: int) -> None:
    sound = silence(320) + tone(500) + silence(500)
    segmenter = TurnSegmenter(VAD, tone_probability, 0)
    chunks = (sound[start : start + piece * 2] for start in range(0, len(sound), piece * 2))
    signals = [signal for chunk in chunks for signal in segmenter.feed(chunk)]
    whole = TurnSegmenter(VAD, tone_probability, 0).feed(sound)
    assert signals == whole and kinds(whole) == [TurnSignalKind.STARTED, TurnSignalKind.PAUSED, TurnSignalKind.STOPPED]
    assert abs(whole[0].sample / 24 - 20) <= 32


def test_silero_vad_for_tones_and_silence_starts_no_turn() -> None:
    segmenter = TurnSegmenter(VAD, create_silero_vad(), 0)
    assert segmenter.feed(silence(1000) + tone(1000) + silence(1000)) == []


@pytest.mark.parametrize("length_ms", [1, 5, 20, 60])
def test_silero_vad_for_clicks_and_knocks_starts_no_turn(length_ms: int) -> None:
    source = np.random.default_rng(length_ms)
    sound = source.normal(0, 10, 10 * SAMPLE_RATE)
    for start in range(SAMPLE_RATE, len(sound) - SAMPLE_RATE, SAMPLE_RATE * 7 // 10):
        count = length_ms * SAMPLES_PER_MS
        sound[start : start + count] += source.normal(0, 8000, count) * np.exp(-np.arange(count) / count * 4)
    segmenter = TurnSegmenter(VAD, create_silero_vad(), 0)
    assert segmenter.feed(np.clip(sound, -32768, 32767).astype(np.int16).tobytes()) == []


@pytest.mark.parametrize("file", ["en/michael-05.flac", "en/sense-880.flac", "en/cards-1.flac", "zh/yunyang-13.flac"])
def test_silero_vad_reports_speech_within_200_ms(file: str) -> None:
    """Time counts in received audio, so the speed of the computer does not matter. Barge-in waits for this signal."""
    samples, rate = soundfile.read(SPEECH / file, dtype="float32")
    voice = soxr.resample(samples, rate, SAMPLE_RATE)
    step = 10 * SAMPLES_PER_MS
    levels = np.sqrt((voice[: len(voice) // step * step].reshape(-1, step) ** 2).mean(axis=1))
    audible = levels > levels.max() * 10 ** (-25 / 20)
    onset_ms = 1000 + 10 * next(at for at in range(len(audible)) if audible[at] and audible[at : at + 8].sum() >= 6)
    sound = silence(1000) + (np.clip(voice, -1, 1) * 32767).astype(np.int16).tobytes()
    segmenter = TurnSegmenter(VAD, create_silero_vad(), 0)
    piece = 20 * SAMPLES_PER_MS * 2
    chunks = (sound[start : start + piece] for start in range(0, len(sound) - piece + 1, piece))
    reported_ms = next(20 * (index + 1) for index, chunk in enumerate(chunks) if segmenter.feed(chunk))
    assert onset_ms < reported_ms <= onset_ms + 200


@pytest.mark.parametrize("name", ["ggml-silero-v6.2.0.bin", "models/silero_vad.onnx"])
def test_silero_model_is_found_in_both_releases_of_its_package(name: str, tmp_path: Path) -> None:
    model = tmp_path / name
    model.parent.mkdir(exist_ok=True)
    for path in (model, tmp_path / "__init__.py", tmp_path / "silero_vad.abi3.so"):
        path.write_bytes(b"")
    assert find_silero_model(tmp_path) == model
