"""MCP tests in processes of their own: Gradio imports the MCP package wherever it finds it, which slows the others."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import ROOT

PACKAGES = ROOT / ".venv-apart" / "mcp"
"""Folder of the packages in requirements-mcp.txt, which `./test.sh` installs."""
FILES = sorted(Path(__file__).parent.glob("test_*_with_sdk.py"))


@pytest.mark.parametrize("file", FILES, ids=[file.stem for file in FILES])
@pytest.mark.timeout(300)
def test_mcp_with_its_package_passes(file: Path) -> None:
    assert (PACKAGES / "mcp").is_dir(), f"{PACKAGES} is missing: ./test.sh makes it from requirements-mcp.txt"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", str(file)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(PACKAGES), "PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0 and " passed" in done.stdout and " skipped" not in done.stdout, done.stdout[-5000:]
