"""Smart Turn: features against the reference implementation's, and the model's probabilities."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from offline.audio import STT_SAMPLE_RATE, FloatAudio
from offline.models.store import find_models
from offline.stt.smart_turn import CONTEXT_SAMPLES, SmartTurn, turn_features
from tests.support.paths import SPEECH

REFERENCE: list[dict[str, Any]] = json.loads((SPEECH.parent / "smart_turn_features.json").read_text("utf-8"))["clips"]


def chirp(seconds: float) -> FloatAudio:
    """Return a rising tone whose loudness wavers three times per second."""
    t = np.arange(int(seconds * STT_SAMPLE_RATE)) / STT_SAMPLE_RATE
    sound = 0.3 * np.sin(2 * np.pi * (200 * t + 150 * t * t)) * (0.5 + 0.5 * np.sin(2 * np.pi * 3 * t))
    return sound.astype(np.float32)


def clip(name: str) -> FloatAudio:
    """Return the audio of a clip of the reference: a chirp of the named seconds, a recording, or its first half."""
    if name.startswith("chirp-"):
        return chirp(float(name.removeprefix("chirp-").removesuffix("s")))
    samples, rate = soundfile.read(SPEECH / name.removesuffix(" half"), dtype="float32")
    assert rate == STT_SAMPLE_RATE
    audio: FloatAudio = samples[: len(samples) // 2] if name.endswith(" half") else samples
    return audio


@pytest.mark.parametrize("reference", REFERENCE, ids=lambda each: each["clip"])
def test_turn_features_equal_those_of_the_reference(reference: dict[str, Any]) -> None:
    features = turn_features(clip(reference["clip"]))
    assert features.shape == (80, 800) and features.dtype == np.float32
    assert np.abs(features[::10, ::50] - np.array(reference["features"])).max() < 2e-4


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 3 * CONTEXT_SAMPLES), st.floats(0, 1, width=32))
def test_turn_features_hear_the_last_eight_seconds(samples: int, level: float) -> None:
    noise = (np.random.default_rng(samples).standard_normal(samples) * level).astype(np.float32)
    features = turn_features(noise)
    assert features.shape == (80, 800) and bool(np.isfinite(features).all())
    assert np.array_equal(features, turn_features(noise[-CONTEXT_SAMPLES:]))
    if samples < CONTEXT_SAMPLES:
        in_front = np.zeros(CONTEXT_SAMPLES - samples, np.float32)
        assert np.array_equal(features, turn_features(np.concatenate([in_front, noise])))


@pytest.mark.models
def test_smart_turn_hears_finished_and_unfinished_turns() -> None:
    path = find_models().smart_turn
    assert path is not None, "The models are missing: run ./test.sh, or python -m offline.models fetch."
    model = SmartTurn(path, 2)
    recordings = [each for each in REFERENCE if "/" in each["clip"]]
    assert len(recordings) == 3
    for each in recordings:
        assert model.end_probability(clip(each["clip"])) == pytest.approx(each["probability"], abs=0.1), each["clip"]
    whole = clip("en/sense-920.flac")
    assert model.end_probability(whole) > 0.5 > model.end_probability(whole[: 2 * STT_SAMPLE_RATE])
