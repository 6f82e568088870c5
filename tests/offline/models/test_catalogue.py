"""Catalogue of the tiers: manifest rows, settings, choice by processors and memory."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offline.models import cli, store
from offline.models.catalogue import (
    Automatic,
    LlmTier,
    SttTier,
    candidate_llm_tiers,
    candidate_stt_tiers,
    fits_in_memory,
    parse_llm_choice,
    parse_stt_choice,
)
from offline.models.store import ModelFile, ModelSpec, find_models, required_models
from voicechat.config.settings import Settings, SettingsError

RAW_MODELS: list[dict[str, Any]] = json.loads(store.MANIFEST_PATH.read_text("utf-8"))["models"]
TIERS = [raw for raw in RAW_MODELS if "llm_tier" in raw or "stt_tier" in raw]
GB = 10**9


@pytest.mark.parametrize("raw", TIERS, ids=lambda raw: raw["name"])
def test_manifest_row_of_a_tier_is_complete(raw: dict[str, Any]) -> None:
    assert raw["licence"] in ("Apache-2.0", "MIT")
    for file in raw["files"]:
        hub = file["sources"][0]
        assert hub["kind"] == "hub" and hub["repo"].count("/") == 1 and hub["path"] == file["name"]
        assert re.fullmatch("[0-9a-f]{40}", hub["revision"])
        assert re.fullmatch("[0-9a-f]{64}", file["sha256"]) and file["size"] > 0


def test_manifest_has_each_tier_once() -> None:
    tiers = [model.tier for model in store.read_manifest(environ={}) if model.tier is not None]
    assert len(tiers) == len(set(tiers))
    assert set(tiers) == {*LlmTier, *SttTier}
    sums = [file["sha256"] for raw in RAW_MODELS for file in raw["files"] if file["name"].endswith((".gguf", ".bin"))]
    assert len(sums) - len(set(sums)) == 0


@pytest.mark.parametrize(
    ("value", "choice"),
    [
        (None, Automatic.AUTO),
        ("", Automatic.AUTO),
        ("auto", Automatic.AUTO),
        ("small", LlmTier.SMALL),
        (" Medium ", LlmTier.MEDIUM),
        ("LARGE", LlmTier.LARGE),
        ("/models/own.gguf", Path("/models/own.gguf")),
        ("own.GGUF", Path("own.GGUF")),
        ("./small", Path("small")),
    ],
)
def test_llm_choice_of_a_setting(value: str | None, choice: object) -> None:
    environ = {} if value is None else {"OFFLINE_LLM": value}
    assert parse_llm_choice(environ) == choice
    assert Settings.from_env(environ).embedded.offline_llm == (value or "auto").strip(), (
        "the app accepts the same values"
    )


@pytest.mark.parametrize("value", ["huge", "qwen", "smal", "1.5b"])
def test_llm_choice_of_nonsense_names_the_values(value: str) -> None:
    with pytest.raises(ValueError, match="OFFLINE_LLM must be auto, small, medium, large or the path of a GGUF file"):
        parse_llm_choice({"OFFLINE_LLM": value})
    with pytest.raises(SettingsError, match="OFFLINE_LLM must be auto, small, medium, large"):
        Settings.from_env({"OFFLINE_LLM": value})


def test_stt_choice_of_a_setting() -> None:
    assert parse_stt_choice({}) is Automatic.AUTO
    assert parse_stt_choice({"OFFLINE_STT": "Turbo"}) is SttTier.TURBO
    with pytest.raises(ValueError, match="OFFLINE_STT must be auto, base, small or turbo"):
        parse_stt_choice({"OFFLINE_STT": "large"})


@pytest.mark.parametrize(
    ("processors", "memory_gb", "tiers"),
    [
        (1, 64, [LlmTier.SMALL]),
        (2, 64, [LlmTier.SMALL]),
        (4, 8, [LlmTier.MEDIUM, LlmTier.SMALL]),
        (8, 8, [LlmTier.MEDIUM, LlmTier.SMALL]),
        (8, 16, [LlmTier.LARGE, LlmTier.MEDIUM, LlmTier.SMALL]),
        (64, 0, [LlmTier.MEDIUM, LlmTier.SMALL]),
    ],
)
def test_candidate_llm_tiers(processors: int, memory_gb: int, tiers: list[LlmTier]) -> None:
    assert list(candidate_llm_tiers(processors, memory_gb * GB)) == tiers


@given(processors=st.integers(1, 256), memory=st.integers(0, 10**13))
def test_candidates_end_with_the_small_model_and_turbo_is_never_automatic(processors: int, memory: int) -> None:
    tiers = candidate_llm_tiers(processors, memory)
    assert tiers[-1] is LlmTier.SMALL and len(set(tiers)) == len(tiers)
    assert SttTier.TURBO not in candidate_stt_tiers(processors)
    assert (candidate_stt_tiers(processors) == ()) == (processors <= 4)


@given(size=st.integers(0, 10**11), free=st.integers(0, 10**12))
def test_model_fits_with_twice_its_size_and_a_gigabyte(size: int, free: int) -> None:
    assert fits_in_memory(size, free) == (free - 2 * size >= GB)


# ------------------------------------------------------------------ store


def test_required_models_without_a_choice_are_those_with_a_second_source() -> None:
    names = {model.name for model in required_models({})}
    assert names == {*CARRIED, store.SMART_TURN_NAME}
    assert {model.name for model in required_models({"OFFLINE_LLM": "own.gguf"})} == names - {store.LLM_NAME}


def test_required_models_include_the_chosen_tiers() -> None:
    wanted = {model.tier for model in required_models({"OFFLINE_LLM": "medium", "OFFLINE_STT": "turbo"})}
    assert wanted == {None, LlmTier.MEDIUM, SttTier.BASE, SttTier.TURBO}


DATA = b"model"


def place_models(root: Path, *there: str) -> list[ModelSpec]:
    """Return the models of the manifest with tiny files; those named in `there` are in the folder `root`."""
    sha256 = "9372c470eeadd5ecd9c3c74c2b3cb633f8e2f2fad799250a0f70d652b6b825e4"
    models = []
    for model in store.read_manifest(environ={}):
        files = tuple(ModelFile(file.name, len(DATA), sha256, ()) for file in model.files)
        models.append(ModelSpec(model.name, model.purpose, model.languages, model.licence, files, model.tier))
        if model.name in there:
            (root / model.name).mkdir()
            for file in files:
                (root / model.name / file.name).write_bytes(DATA)
    return models


CARRIED = (store.LLM_NAME, store.MOONSHINE_NAME, store.WHISPER_NAME, store.KOKORO_NAME)
ALL = (*CARRIED, *(raw["name"] for raw in TIERS if raw["name"] != store.WHISPER_NAME))


@pytest.mark.parametrize(
    ("choices", "there", "llm", "whisper", "missing"),
    [
        ({}, CARRIED, store.LLM_NAME, "whisper-base", ()),
        ({}, ALL, "qwen2.5-0.5b-instruct", "whisper-base", ()),
        ({"OFFLINE_LLM": "medium"}, ALL, "qwen2.5-1.5b-instruct", "whisper-base", ()),
        ({"OFFLINE_LLM": "large", "OFFLINE_STT": "turbo"}, ALL, "qwen3-4b-instruct-2507", "whisper-large-v3-turbo", ()),
        ({"OFFLINE_LLM": "small"}, CARRIED, store.LLM_NAME, "whisper-base", ("qwen2.5-0.5b-instruct",)),
        ({"OFFLINE_STT": "small"}, CARRIED, store.LLM_NAME, "whisper-base", ("whisper-small",)),
    ],
)
def test_find_models_takes_the_chosen_tier_or_what_is_there(
    tmp_path: Path, choices: dict[str, str], there: tuple[str, ...], llm: str, whisper: str, missing: tuple[str, ...]
) -> None:
    models = place_models(tmp_path, *there)
    found = find_models({"OFFLINE_MODELS": str(tmp_path), **choices}, models)
    assert found.llm is not None and found.whisper is not None
    assert (found.llm.parent.name, found.whisper.name, found.missing_tiers) == (llm, whisper, missing)
    assert found.languages == ("en", "zh")
    assert found.needs_examples == (found.llm_tier in (None, LlmTier.SMALL))


def test_command_line_with_a_wrong_choice_names_the_values(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OFFLINE_LLM", "huge")
    assert cli.main(["fetch"]) == 1
    assert capsys.readouterr().err == ("OFFLINE_LLM must be auto, small, medium, large or the path of a GGUF file.\n")
