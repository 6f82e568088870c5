"""Command line of the model store: download missing model files or verify those on disk.

python -m offline.models fetch    download missing files (exit code 1 without all files for English)
python -m offline.models check    read every file again and compare its sha256

`fetch` downloads the models of a start, the voices to choose from, and tiers that `OFFLINE_LLM` and `OFFLINE_STT` name.
It downloads no others.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence

from .downloader import ModelDownloader
from .store import (
    MANIFEST_PATH,
    ModelStore,
    find_models,
    is_intact,
    models_dir,
    optional_models,
    read_manifest,
    required_models,
)


def _report_availability(store: ModelStore, environ: Mapping[str, str]) -> int:
    if store.llm is None and store.custom_llm is not None:
        print(store.missing_message, file=sys.stderr)
        return 1
    if not store.languages:
        print("The offline server cannot work without these files. Run this command again once a source is reachable,")
        print(f"or put the files into {models_dir(environ)} by hand (names, sizes and sums: {MANIFEST_PATH}).")
        return 1
    if "zh" not in store.languages:
        print("Mandarin is not available; the offline server works in English only.")
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m offline.models", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("command", choices=["fetch", "check"])
    command = parser.parse_args(argv).command
    environ = os.environ
    try:
        root, required = models_dir(environ), required_models(environ)
    except (RuntimeError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    if command == "fetch":
        try:
            failures = ModelDownloader(root).fetch([*required, *optional_models(environ)])
        except OSError as error:
            print(f"The models cannot be kept in {root}: {error.strerror or error}.", file=sys.stderr)
            return 1
        for failure in failures:
            print(failure, file=sys.stderr)
    else:
        for model in (each for each in read_manifest() if each in required or (root / each.name).is_dir()):
            for file in model.files:
                path = root / model.name / file.name
                state = "ok" if is_intact(path, file, rehash=True) else ("damaged" if path.exists() else "missing")
                print(f"{state:8} {model.name}/{file.name}")
    return _report_availability(find_models(environ), environ)
