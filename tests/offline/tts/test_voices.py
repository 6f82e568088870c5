"""Speakers of a voice: which engine and style speaks a clause, missing styles, and the real model with two styles."""

from __future__ import annotations

import logging
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hibari import Hibari

from offline.audio import FloatAudio, duration_s
from offline.models.store import find_models, models_dir, optional_models
from offline.protocol.voices import HIBARI, SPEAKERS, VOICE_IDS, voice_pair
from offline.tts.kokoro import Kokoro
from offline.tts.styles import Style, VoiceStyles
from offline.tts.synthesizer import Synthesizer, load_english_voice, load_mandarin_voice

SPEECH: FloatAudio = (0.3 * np.sin(np.arange(24_000) / 8)).astype(np.float32)
STYLE_IDS = [each for each in SPEAKERS if each not in (HIBARI, "zf_xiaoxiao")]


class FakeHibari:
    """English engine that keeps what it says."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def __call__(self, text: str, speed: float) -> FloatAudio:
        self.said.append(text)
        return SPEECH

    def phonemize(self, text: str) -> list[str]:
        return [text.upper()]

    split_sentences = staticmethod(Hibari.split_sentences)


class FakeKokoro:
    """Engine with styles that keeps the phonemes, and the first number of the style; None for the default."""

    def __init__(self) -> None:
        self.said: list[tuple[str, float | None]] = []

    def __call__(self, phonemes: str, speed: float, voice_style: Style | None = None) -> FloatAudio:
        self.said.append((phonemes, None if voice_style is None else float(voice_style.flat[0])))
        return SPEECH


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with all styles, the numbers of each being its place in the list."""
    for number, name in enumerate(STYLE_IDS):
        np.full((510, 1, 256), number, np.float32).tofile(tmp_path / f"{name}.bin")
    return tmp_path


def styles_in(folder: Path) -> VoiceStyles:
    def find(voice: str) -> Path | None:
        path = folder / f"{voice}.bin"
        return path if path.exists() else None

    return VoiceStyles(find)


@pytest.mark.parametrize("voice", ["", *VOICE_IDS])
def test_clause_is_spoken_by_the_pair_of_the_voice(folder: Path, voice: str) -> None:
    hibari, kokoro, pair = FakeHibari(), FakeKokoro(), voice_pair(voice)
    synthesizer: Any = Synthesizer(hibari, kokoro, styles_in(folder))  # type: ignore[arg-type]
    assert synthesizer.synthesize("Hello.", 1.0, voice) and synthesizer.synthesize("你好。", 1.0, voice)
    numbers = {name: float(number) for number, name in enumerate(STYLE_IDS)}
    mandarin = ("ni↓xau↓.", numbers.get(pair.mandarin))
    if pair.english == HIBARI:
        assert hibari.said == ["Hello."] and kokoro.said == [mandarin]
    else:
        phonemes = "həlˈQ." if pair.english.startswith("b") else "HELLO."
        assert hibari.said == [] and kokoro.said == [(phonemes, numbers[pair.english]), mandarin]


def test_missing_style_falls_back_to_the_default_with_one_log_line_until_its_file_comes(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    away = {name: (folder / f"{name}.bin").rename(folder / name) for name in ("am_michael", "zm_yunxi")}
    hibari, kokoro = FakeHibari(), FakeKokoro()
    synthesizer: Any = Synthesizer(hibari, kokoro, styles_in(folder))  # type: ignore[arg-type]
    assert not {"am_michael", "zm_yunxi"} & set(synthesizer.speakers)
    with caplog.at_level(logging.WARNING):
        for text in ("Hello.", "Hello.", "你好。", "你好。"):
            assert synthesizer.synthesize(text, 1.0, "ash")
    assert hibari.said == ["Hello."] * 2 and {style for _, style in kokoro.said} == {None}
    assert [record.message for record in caplog.records] == [
        f"tts: voice is missing, using the default voice={name}" for name in away
    ]
    for name, path in away.items():
        path.rename(folder / f"{name}.bin")
    kokoro.said.clear()
    assert synthesizer.speakers == tuple(SPEAKERS)
    assert synthesizer.synthesize("Hello.", 1.0, "ash") and synthesizer.synthesize("你好。", 1.0, "ash")
    assert [style for _, style in kokoro.said] == [STYLE_IDS.index(name) for name in away]


def test_speakers_are_those_whose_engines_are_there(folder: Path) -> None:
    styles, hibari, kokoro = styles_in(folder), FakeHibari(), FakeKokoro()
    make: Any = Synthesizer
    assert make(hibari, None, styles).speakers == (HIBARI,)
    assert make(None, kokoro, styles).speakers == tuple(each for each in SPEAKERS if each.startswith("z"))
    assert make(hibari, kokoro).speakers == (HIBARI, "zf_xiaoxiao")
    assert make(None, None, styles).speakers == ()
    assert make(hibari, None, styles).synthesize("Hello.", 1.0, "am_puck") and hibari.said == ["Hello."]


def test_style_is_read_once(folder: Path) -> None:
    styles = styles_in(folder)
    first = styles.get("am_puck")
    tracemalloc.start()
    for _ in range(20):
        assert styles.get("am_puck") is first
    grown, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert grown < 10_000, "a style has 522,240 bytes"


def test_style_of_another_size_is_an_error(tmp_path: Path) -> None:
    np.zeros(256, np.float32).tofile(tmp_path / "am_puck.bin")
    with pytest.raises(ValueError, match="reshape"):
        styles_in(tmp_path).get("am_puck")


# ------------------------------------------------------------------ the real model


@pytest.fixture(scope="module")
def real() -> tuple[Synthesizer, Kokoro]:
    store = find_models()
    assert store.kokoro is not None
    kokoro = load_mandarin_voice(store.kokoro, 2)
    return Synthesizer(load_english_voice(), kokoro, VoiceStyles(store.style_file)), kokoro


@pytest.mark.models
def test_all_styles_of_the_manifest_can_be_used_after_a_fetch(real: tuple[Synthesizer, Kokoro]) -> None:
    (model,) = optional_models({})
    assert {each.name for each in (models_dir() / model.name).glob("*.bin")} == {each.name for each in model.files}
    assert real[0].speakers == tuple(SPEAKERS)


@pytest.mark.models
@pytest.mark.parametrize(
    ("text", "voices"),
    [
        ("你好，今天天氣很好。", ("alloy", "zf_xiaoyi", "zm_yunxi")),
        ("It will be fine today.", ("af_bella", "am_michael", "bm_george")),
    ],
    ids=["Mandarin", "English"],
)
def test_styles_of_the_real_model_give_different_speech_of_usual_length_and_level(
    real: tuple[Synthesizer, Kokoro], text: str, voices: tuple[str, ...]
) -> None:
    clips = [real[0].synthesize(text, 1.0, voice) for voice in voices]
    assert len(set(clips)) == len(voices)
    for clip in clips:
        samples = np.frombuffer(clip, "<i2").astype(np.float32) / 32768
        assert 0.8 < duration_s(clip) < 4.0
        assert -36 < 20 * np.log10(np.sqrt(np.mean(samples**2))) < -12
