"""Other commits of this repository, as folders."""

from __future__ import annotations

import io
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.support.local_machine import ROOT


def describe_commit(commit: str) -> str:
    """Return the short hash of a commit. Raises SystemExit when this repository does not have it."""
    command = ["git", "rev-parse", "--short", "--verify", "--quiet", f"{commit}^{{commit}}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"This repository has no commit {commit}.")
    return done.stdout.strip()


@contextmanager
def extracted_commit(commit: str) -> Iterator[Path]:
    """Yield a temporary folder with the files of a commit. The local `.env` is not among them."""
    archive = subprocess.run(["git", "archive", commit], cwd=ROOT, capture_output=True, check=True).stdout
    with tempfile.TemporaryDirectory(prefix="page_benchmark_") as folder:
        with tarfile.open(fileobj=io.BytesIO(archive)) as files:
            files.extractall(folder, filter="data")
        yield Path(folder)
