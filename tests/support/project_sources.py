"""Syntax trees of the project's own modules."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from .paths import ROOT

PACKAGES = ("voicechat", "offline", "network", "writing", "replicas")
ENTRY_MODULES = ("app", "realtime_handler")


@cache
def project_modules() -> dict[str, Path]:
    """Return every module of the app by its dotted name."""
    modules = {name: ROOT / f"{name}.py" for name in ENTRY_MODULES}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            modules[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return modules


@cache
def parse_module(name: str) -> ast.Module:
    """Return the syntax tree of a module."""
    return ast.parse(project_modules()[name].read_text("utf-8"))


def imported_modules(name: str) -> Iterator[str]:
    """Return the project's modules that a module imports anywhere in its code."""
    is_package = project_modules()[name].name == "__init__.py"
    for node in ast.walk(parse_module(name)):
        if isinstance(node, ast.Import):
            candidates = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = import_source(name, node, is_package=is_package)
            candidates = [f"{base}.{alias.name}" for alias in node.names]
            candidates = [each if each in project_modules() else base for each in candidates]
        else:
            continue
        yield from (each for each in candidates if each in project_modules() and each != name)


def import_source(name: str, node: ast.ImportFrom, *, is_package: bool) -> str:
    """Return the absolute name of the module that a `from` import names."""
    if not node.level:
        return node.module or ""
    parts = name.split(".")
    parent = parts[: len(parts) - node.level + is_package]
    return ".".join([*parent, *([node.module] if node.module else [])])


def private_attributes(tree: ast.Module) -> Iterator[tuple[str, bool]]:
    """Return (name, whether it is an attribute of `self` or `cls`) of every private attribute that is used."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and is_private(node.attr):
            yield node.attr, isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")


def defined_names(tree: ast.Module) -> set[str]:
    """Return the names of functions, classes, variables and attributes of `self` that a module defines."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and ast.unparse(node.value) == "self":
            names.add(node.attr)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and is_private(node.value):
            names.add(node.value)  # __slots__
    return names


def is_private(name: str) -> bool:
    """Return whether a name begins with one underscore."""
    return name.startswith("_") and not name.startswith("__")
