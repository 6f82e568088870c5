"""Whisper models of several sizes: mel bins and vocabulary of the model's own files, with a fake CTranslate2."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from offline.stt import recognizers
from offline.stt.log_mel import log_mel
from offline.stt.recognizers import MANDARIN_CONTEXT, Whisper

TOKENS = ["<|startoftranscript|>", "<|zh|>", "<|en|>", "<|transcribe|>", "<|notimestamps|>", "Hello", "Ġthere", "."]
TOKENS += ["<|startofprev|>", *recognizers._byte_level_alphabet()]


class FakeCtranslateWhisper:
    """Model of CTranslate2 that hears "Hello there." in everything, and keeps the shapes of its input."""

    def __init__(self, n_mels: int) -> None:
        self.n_mels = n_mels
        self.shapes: list[tuple[int, ...]] = []
        self.contexts: list[list[int]] = []
        """Tokens before each task."""

    def encode(self, features: Any) -> Any:
        self.shapes.append(tuple(features.shape))
        return features

    def generate(self, encoded: Any, prompts: list[list[int]], **options: Any) -> Any:
        (prompt,) = prompts
        self.contexts.append(prompt[: prompt.index(0)])
        assert prompt[prompt.index(0) :] in ([0, 1, 3, 4], [0, 2, 3, 4])

        class Result:
            no_speech_prob = 0.0
            sequences_ids = ([5, 6, 7],)
            scores = (-0.2,)

        return [Result()]

    def detect_language(self, encoded: Any) -> list[list[tuple[str, float]]]:
        return [[("<|zh|>", 0.25), ("<|en|>", 0.75)]]


@pytest.mark.parametrize(
    ("vocabulary", "text", "bins"),
    [("vocabulary.txt", "\n".join(TOKENS), 80), ("vocabulary.json", json.dumps(TOKENS), 128)],
)
def test_whisper_reads_mel_bins_and_vocabulary_of_its_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, vocabulary: str, text: str, bins: int
) -> None:
    (tmp_path / vocabulary).write_text(text, encoding="utf-8")
    fake = FakeCtranslateWhisper(bins)
    monkeypatch.setattr(recognizers, "_open_whisper", lambda folder, threads: fake)
    whisper = Whisper(tmp_path, 1)
    audio = np.zeros(16_000, np.float32)
    assert whisper.transcribe(audio, "en") == "Hello there."
    assert whisper.mandarin_probability(audio) == 0.25
    assert fake.shapes == [(1, bins, 800)] * 2
    assert whisper.transcribe(audio, "zh") == "Hello there."
    english, mandarin = fake.contexts
    assert english == [] and TOKENS[mandarin[0]] == "<|startofprev|>"
    byte_by_character = recognizers._byte_level_alphabet()
    raw = bytes(byte_by_character[character] for token in mandarin[1:] for character in TOKENS[token])
    assert raw.decode("utf-8") == MANDARIN_CONTEXT


@pytest.mark.parametrize("bins", [80, 128])
def test_tone_is_in_the_same_part_of_the_mel_scale_for_all_sizes(bins: int) -> None:
    tone = np.sin(2 * np.pi * 1000 * np.arange(16_000) / 16_000).astype(np.float32)
    features = log_mel(tone, 100, bins)
    assert features.shape == (bins, 100)
    # 1000 Hz is 15 mel of 45.2 on Slaney's scale.
    assert int(features[:, 50].argmax()) / bins == pytest.approx(15 / 45.2, abs=0.02)
