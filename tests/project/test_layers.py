"""Order of dependence between packages, import circles, and private names that stay in their module."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from graphlib import TopologicalSorter

import pytest

from tests.support.paths import ROOT
from tests.support.project_sources import (
    defined_names,
    imported_modules,
    is_private,
    parse_module,
    private_attributes,
    project_modules,
)
from voicechat.patched_internals import INTERNAL_USES

DOCUMENTED_UNDERSCORE_NAMES = {"_replace", "_exit"}
"""Public in spite of their underscore: `namedtuple._replace` and `os._exit`."""


def run_import_linter() -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "1"}
    return subprocess.run(
        [*command, "--no-cache", "--no-logo"], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )


def test_import_contracts_of_pyproject_are_kept() -> None:
    result = run_import_linter()
    assert result.returncode == 0, result.stdout + result.stderr
    assert "0 broken" in result.stdout


def test_modules_have_no_import_circle() -> None:
    TopologicalSorter({name: set(imported_modules(name)) for name in project_modules()}).prepare()  # names a circle


@pytest.mark.parametrize("name", sorted(project_modules()))
def test_module_imports_no_private_name(name: str) -> None:
    private = [
        ast.unparse(node)
        for node in ast.walk(parse_module(name))
        if isinstance(node, ast.ImportFrom)
        and (
            any(is_private(alias.name) for alias in node.names)
            or any(is_private(part) for part in (node.module or "").split("."))
        )
    ]
    assert private == []


def test_module_uses_no_private_attribute_of_another_module() -> None:
    """Those of other packages are listed in `voicechat/patched_internals`, by the file that uses them."""
    everywhere = set().union(*(defined_names(parse_module(name)) for name in project_modules()))
    found = []
    for name, path in project_modules().items():
        file = path.relative_to(ROOT).as_posix()
        listed = {target.rpartition(".")[2] for use in INTERNAL_USES if use.used_in == file for target in use.sha256}
        own = defined_names(parse_module(name))
        for attribute, is_self in private_attributes(parse_module(name)):
            allowed = listed | DOCUMENTED_UNDERSCORE_NAMES | (everywhere if is_self else own)
            if attribute not in allowed:
                found.append(f"{file}: {attribute}")
    assert found == []
