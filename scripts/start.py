"""Start of the app in its environment: optional packages and models first, where they are used, then the page.

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
from replicas.programs import describe_packages, find_programs, missing_packages
from scripts.environment import SetupFailed, install
from voicechat.config.settings import ServerKind, Settings, SettingsError

ROOT = Path(__file__).resolve().parents[1]
MCP_STAMP_NAME = ".requirements-mcp"
"""File in the environment that holds the checksum of the installed MCP requirements."""


def needs_embedded_server() -> bool:
    """Return whether the settings lead to an embedded server on this computer."""
    try:
        settings = Settings.load()
        return settings.server_kind is ServerKind.OFFLINE and not settings.embedded.offline_url
    except SettingsError:
        return False


def needs_mcp() -> bool:
    """Return whether the settings name MCP servers."""
    try:
        return bool(Settings.load().tools.mcp_config)
    except SettingsError:
        return False


def install_mcp() -> int:
    """Install the optional MCP package, if it is not there yet. Return the exit code."""
    files = [ROOT / "requirements.txt", ROOT / "requirements-mcp.txt"]
    try:
        install(Path(sys.prefix), files, MCP_STAMP_NAME)
    except SetupFailed as error:
        print(error, file=sys.stderr, flush=True)
        return 1
    return 0


def missing_engines() -> str:
    """Return one sentence on why this computer cannot run the embedded server, "" when it can."""
    try:
        require_engines()
        import_engines()
    except EnginesUnavailable as error:
        return str(error)
    return ""


def fetch_models() -> int:
    """Download missing models. Return the exit code; without engines 0, after one sentence."""
    if reason := missing_engines():
        print(f"{reason} A key is needed: set OPENAI_API_KEY.", file=sys.stderr, flush=True)
        return 0
    return models_cli.main(["fetch"])


def reason_for_one_process(settings: Settings, platform: str = sys.platform) -> str:
    """Return one sentence on why several replicas cannot run here, "" when they can."""
    if platform == "win32":
        return "WORKERS does not work on Windows: one process is started."
    if settings.share:
        return "WORKERS does not work with a public link (SHARE): one process is started."
    needs_redis = not settings.scale.redis_url
    missing = missing_packages(find_programs(os.environ, needs_redis=needs_redis), needs_redis=needs_redis)
    if missing:
        return f"WORKERS needs {describe_packages(missing)}: one process is started."
    return ""


def replicas_command(settings: Settings) -> list[str]:
    """Return the command that runs several replicas with these settings."""
    command = [sys.executable, "-m", "replicas", "--workers", str(settings.scale.workers)]
    command += ["--host", settings.host, "--port", str(settings.port)]
    if settings.scale.replica_port:
        command += ["--replica-port", str(settings.scale.replica_port)]
    command += ["--drain-seconds", f"{settings.limits.drain_seconds:g}"]
    for network in settings.security.trusted_proxies:
        command += ["--trusted-proxy", str(network)]
    # Without its engines every replica asks visitors for a key by itself.
    if needs_embedded_server() and not missing_engines():
        command += ["--embedded-server", *(["--fetch"] if settings.fetch_models else [])]
    return command


def app_command() -> list[str]:
    """Return the command that runs the app as WORKERS says. Print one sentence where it has to be one process."""
    try:
        settings = Settings.load()
    except SettingsError:  # app.py reports it
        settings = Settings()
    if settings.scale.workers > 1:
        reason = reason_for_one_process(settings)
        if not reason:
            return replicas_command(settings)
        print(reason, file=sys.stderr, flush=True)
    return [sys.executable, str(ROOT / "app.py")]


def run_app() -> int:
    """Run the app in place of this process. On Windows, which cannot, wait for it and return its exit code."""
    command = app_command()
    if sys.platform != "win32":
        os.execv(command[0], command)
    return subprocess.run(command).returncode


def main(run: Callable[[], int] = run_app) -> int:
    """Prepare the models and run the app. Return the exit code."""
    try:
        status = install_mcp() if needs_mcp() else 0
        if not status and needs_embedded_server():
            status = fetch_models()
        return status or run()
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    raise SystemExit(main())
