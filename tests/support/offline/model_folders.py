"""Model folders for tests: the real models under another path, some of them damaged; engines with narrow paths."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from offline.models.store import find_models, mark_checked, models_dir, read_manifest, required_models

NAMES = ("王小明", "Ünï cödé folder", "模型 😀", "Пользователь", "e\u0301 nfd")
"""Names that a legacy code page cannot write."""


def link_models(root: Path) -> None:
    """Create the folder `root` with links to all model files of this computer."""
    source = models_dir()
    for model in required_models({}):
        folder = root / model.name
        folder.mkdir(parents=True)
        for each in (source / model.name).iterdir():
            (folder / each.name).symlink_to(each)


def damage_model(root: Path, name: str) -> None:
    """Replace the files of the model `name` in a folder of links by zeros that pass the check at the start."""
    (model,) = (each for each in read_manifest() if each.name == name)
    for file in model.files:
        path = root / name / file.name
        for each in (path, path.with_name(f"{file.name}.checked")):
            each.unlink()
        path.touch()
        os.truncate(path, file.size_bytes)
        mark_checked(path, file.sha256)
    assert find_models({"OFFLINE_MODELS": str(root)}).languages, "the damage is not found before loading"


def refuse_wide_paths(engine: Callable[..., Any]) -> Callable[..., Any]:
    """Return the engine's constructor as it behaves with narrow strings: paths of other letters than ASCII fail."""

    def construct(source: Any, *arguments: Any, **options: Any) -> Any:
        if not isinstance(source, bytes) and not str(source).isascii():
            raise RuntimeError(f"Unable to open file {str(source)!a}")
        return engine(source, *arguments, **options)

    return construct
