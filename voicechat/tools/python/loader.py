"""Loader of Python tools: the operator's files and folders, and the included examples."""

from __future__ import annotations

import importlib
import importlib.util
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


def load_tools(setting: str) -> list[PythonTool[Any, Any]]:
    """Return the tools that TOOLS names, each once. Raise SettingsError, one sentence for each mistake."""
    tools: dict[int, PythonTool[Any, Any]] = {}
    sentences: list[str] = []
    for source in (word.strip() for word in setting.split(",") if word.strip()):
        try:
            found = [tool for module in _load_source(source) for tool in find_tools(module)]
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


def _load_source(source: str) -> Iterator[ModuleType]:
    if source == EXAMPLES:
        yield importlib.import_module(EXAMPLES_PACKAGE)
        return
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
    """Return the kind of an error and its line in the file. Its message may hold a secret of the file."""
    line = error.lineno if isinstance(error, SyntaxError) else None
    frame = error.__traceback__
    while frame is not None:
        if frame.tb_frame.f_code.co_filename == str(path):
            line = frame.tb_lineno
        frame = frame.tb_next
    return f"{type(error).__name__} in line {line}" if line else type(error).__name__
