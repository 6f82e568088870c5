"""Source text of another package's internals, read from its installed files without importing them.

Patches that are installed in this process change nothing here, and neither do imports.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

Scope = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
DEFINITIONS = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def source_hash(target: str) -> str:
    """Return the sha256 of the source of "module:Qualified.name", or of a file: "package/path/in/it".

    For a function or class its definition counts, for an attribute or variable every statement that assigns it. Raise
    LookupError when there is none.
    """
    if ":" not in target:
        package, _, path = target.partition("/")
        return hashlib.sha256((_package_folder(package) / path).read_bytes()).hexdigest()
    return hashlib.sha256(_source(target).encode()).hexdigest()


def _source(target: str) -> str:
    module, _, qualified_name = target.partition(":")
    scope: Scope = _parse(module)
    *outer, name = qualified_name.split(".")
    for step in outer:
        found = [node for node in _definitions(scope) if node.name == step]
        if not found:
            raise LookupError(f"{target}: no {step}")
        scope = found[-1]
    if isinstance(scope, ast.ClassDef):
        name = re.sub(rf"^_{scope.name}__", "__", name)  # a mangled name is written without its class
    definitions = [node for node in _definitions(scope) if node.name == name]
    statements = definitions or list(_bindings(scope, name))
    if not statements:
        raise LookupError(f"{target}: no definition")
    return "\n".join(ast.unparse(statement) for statement in statements)


@cache
def _parse(module: str) -> ast.Module:
    spec = importlib.util.find_spec(module.partition(".")[0])
    assert spec is not None and spec.submodule_search_locations is not None, module
    path = Path(spec.submodule_search_locations[0]).joinpath(*module.split(".")[1:])
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return ast.parse(file.read_text("utf-8"))


def _package_folder(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    assert spec is not None and spec.submodule_search_locations is not None, package
    return Path(spec.submodule_search_locations[0])


def _definitions(scope: Scope) -> Iterator[ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef]:
    """Definitions directly in a scope, also those under an `if` or `try`."""
    pending: list[ast.AST] = list(scope.body)
    while pending:
        node = pending.pop(0)
        if isinstance(node, DEFINITIONS):
            yield node
        else:
            pending.extend(ast.iter_child_nodes(node))


def _bindings(scope: Scope, name: str) -> Iterator[ast.stmt]:
    """Statements that bind `name` in a module, `self.name` in a class, or any `.name` in a function."""
    for node in ast.walk(scope):
        if isinstance(node, ast.Import | ast.ImportFrom):
            if any((alias.asname or alias.name) == name for alias in node.names):
                module = node.module if isinstance(node, ast.ImportFrom) else None
                yield ast.parse(f"from {module} import {name}" if module else f"import {name}").body[0]
        elif isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            flat = [part for each in targets for part in (each.elts if isinstance(each, ast.Tuple) else [each])]
            if any(_is_binding(part, scope, name) for part in flat):
                yield node


def _is_binding(target: ast.expr, scope: Scope, name: str) -> bool:
    if isinstance(target, ast.Name):
        return target.id == name
    if not isinstance(target, ast.Attribute) or target.attr != name or isinstance(scope, ast.Module):
        return False
    return not isinstance(scope, ast.ClassDef) or ast.unparse(target) == f"self.{name}"
