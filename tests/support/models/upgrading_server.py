"""`python -m offline` with another manifest as its first argument, and without the quiet time before an upgrade."""

from __future__ import annotations

import os
import runpy
import sys
from collections.abc import Mapping
from pathlib import Path

from offline.models import store


def run(manifest: Path) -> None:
    """Run the server with the models of `manifest`."""
    read_manifest = store.read_manifest

    def read(path: Path = manifest, environ: Mapping[str, str] = os.environ) -> tuple[store.ModelSpec, ...]:
        return read_manifest(path, environ)

    store.read_manifest = read  # before other modules import its name
    from offline.upgrade import upgrade_plan

    assert upgrade_plan.upgrade_models.__kwdefaults__ is not None
    upgrade_plan.upgrade_models.__kwdefaults__["quiet_s"] = 0.0
    runpy.run_module("offline", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    run(Path(sys.argv.pop(1)))
