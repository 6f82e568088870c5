"""Start of the app in its environment: models first, if the embedded server is used, then the page.

`start.sh` and `start.bat` run it. A wrong setting is reported by app.py.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from offline.engines import EnginesUnavailable, import_engines, require_engines
from offline.models import cli as models_cli
from voicechat.config.settings import ServerKind, Settings, SettingsError

ROOT = Path(__file__).resolve().parents[1]


def needs_embedded_server() -> bool:
    """Return whether the settings lead to the embedded server."""
    try:
        return Settings.load().server_kind is ServerKind.OFFLINE
    except SettingsError:
        return False


def fetch_models() -> int:
    """Download missing models. Return the exit code; without engines 0, after one sentence."""
    try:
        require_engines()
        import_engines()
    except EnginesUnavailable as error:
        print(f"{error} A key is needed: set OPENAI_API_KEY.", file=sys.stderr, flush=True)
        return 0
    return models_cli.main(["fetch"])


def run_app() -> int:
    """Run app.py in place of this process. On Windows, which cannot, wait for it and return its exit code."""
    command = [sys.executable, str(ROOT / "app.py")]
    if sys.platform != "win32":
        os.execv(command[0], command)
    return subprocess.run(command).returncode


def main(run: Callable[[], int] = run_app) -> int:
    """Prepare the models and run the app. Return the exit code."""
    try:
        status = fetch_models() if needs_embedded_server() else 0
        return status or run()
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    raise SystemExit(main())
