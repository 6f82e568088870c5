"""Loader of Python tools: the operator's files and folders, and the included examples."""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from voicechat.config.env_values import SettingsError
from voicechat.tools.python.python_tool import PythonTool

EXAMPLES = "examples"
"""Word in TOOLS for the included tools."""
EXAMPLES_PACKAGE = "voicechat.tools.examples"
_MODULE_PREFIX = "operator_tools_"
_UNKNOWN_ARGUMENT = re.compile(r"unexpected keyword argument '([A-Za-z_]\w*)'")


def load_tools(setting: str, notes: str = "") -> list[PythonTool[Any, Any]]:
    """Return the tools that TOOLS names, each once. Raise SettingsError, one sentence for each mistake.

    `notes` is the folder that the included `search_notes` searches; without it that tool is left out.
    """
    tools: dict[int, PythonTool[Any, Any]] = {}
    sentences: list[str] = []
    for source in (word.strip() for word in setting.split(",") if word.strip()):
        try:
            found = _load_examples(notes) if source == EXAMPLES else _load_operator_tools(source)
        except SettingsError as error:
            sentences.extend(error.sentences)
            continue
        if not found:
            sentences.append(f"TOOLS: {source} has no function with @tool.")
        tools.update((id(tool), tool) for tool in found)
    if sentences:
        raise SettingsError(*sentences)
    return list(tools.values())


def find_tools(module: ModuleType) -> list[PythonTool[Any, Any]]:
    """Return the tools among the names of a module, imported ones included."""
    return [value for value in vars(module).values() if isinstance(value, PythonTool)]


def _load_examples(notes: str) -> list[PythonTool[Any, Any]]:
    included: list[PythonTool[Any, Any]] = importlib.import_module(EXAMPLES_PACKAGE).example_tools(notes)
    return included


def _load_operator_tools(source: str) -> list[PythonTool[Any, Any]]:
    return [tool for module in _load_source(source) for tool in find_tools(module)]


def _load_source(source: str) -> Iterator[ModuleType]:
    path = Path(source).expanduser()
    if path.is_dir():
        for file in sorted(path.glob("*.py")):
            if not file.name.startswith("_"):
                yield _load_file(file)
    elif path.is_file() and path.suffix == ".py":
        yield _load_file(path)
    else:
        raise SettingsError(f"TOOLS: {source} is neither a .py file, nor a folder, nor the word {EXAMPLES}.")


def _load_file(path: Path) -> ModuleType:
    """Return the module in a file. The folder of the file is searched for its imports, after all others."""
    path = path.resolve()
    name = _MODULE_PREFIX + path.stem
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise SettingsError(f"TOOLS: {path.name} cannot be loaded.")
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # types of the signature are looked up there
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise SettingsError(f"TOOLS: {path.name} cannot be loaded: {_describe(error, path)}.") from None
    return module


def _describe(error: Exception, path: Path) -> str:
    """Return the kind of an error and its line in the file. Its message may hold a secret of the file.

    A misspelt argument, such as one of `@tool`, is named.
    """
    line = error.lineno if isinstance(error, SyntaxError) else None
    frame = error.__traceback__
    while frame is not None:
        if frame.tb_frame.f_code.co_filename == str(path):
            line = frame.tb_lineno
        frame = frame.tb_next
    kind = type(error).__name__
    if isinstance(error, TypeError) and (unknown := _UNKNOWN_ARGUMENT.search(str(error))):
        kind += f", unknown argument {unknown[1]}"
    return f"{kind} in line {line}" if line else kind
