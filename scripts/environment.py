"""Virtual environment with pinned packages: `python -m scripts.environment FOLDER REQUIREMENTS_FILE...`.

Creates or updates the folder, and skips unchanged requirements. Every failure is one sentence on stderr and exit code
1. It uses the standard library only, because it runs before any package is installed.
"""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
import sys
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MIN_PYTHON, MAX_PYTHON = (3, 11), (3, 13)
"""Oldest and newest supported version of Python."""
STAMP_NAME = ".requirements"
"""File in the environment that holds the checksum of the installed requirements."""
LOG_NAME = "install.log"
"""File in the environment that holds pip's output after a failure."""
NETWORK_ERRORS = (
    *("Retrying (Retry", "NewConnectionError", "Max retries exceeded", "ProxyError", "Temporary failure in name"),
    *(
        "ReadTimeoutError",
        "ConnectTimeoutError",
        "Read timed out",
        "SSLError",
        "Connection reset",
        "Connection refused",
    ),
)
"""Words in pip's output when a package index cannot be reached."""
FOUND_VERSIONS = re.compile(r"\(from versions: (?!none\))[^)]")
"""Words in pip's output when it has read the index, and the wanted version is not among those that fit."""


class SetupFailed(Exception):
    """The environment cannot be made. The message is one sentence."""


def python_range() -> str:
    """Return the supported versions of Python in words."""
    minors = [f"{MIN_PYTHON[0]}.{minor}" for minor in range(MIN_PYTHON[1], MAX_PYTHON[1] + 1)]
    return f"{', '.join(minors[:-1])} or {minors[-1]}"


def require_python(version: Sequence[int]) -> None:
    """Raise SetupFailed unless this version of Python is supported."""
    if not MIN_PYTHON <= tuple(version[:2]) <= MAX_PYTHON:
        raise SetupFailed(f"Python {python_range()} is needed, and this is Python {version[0]}.{version[1]}.")


def system_name() -> str:
    """Return this system and its Python in words, for a sentence."""
    libc, libc_version = platform.libc_ver() if sys.platform == "linux" else ("", "")
    system = f"macOS {platform.mac_ver()[0]}" if sys.platform == "darwin" else platform.system()
    c_library = f" with {libc} {libc_version}" if libc else " without glibc" if sys.platform == "linux" else ""
    return f"{system}{c_library} on {platform.machine()}, Python {platform.python_version()}"


def remedy(system: str, machine: str) -> str:
    """Return a sentence on what to do where a package has no build, "" when nothing helps. `system`: sys.platform."""
    if system == "win32" and machine.upper() == "ARM64":
        return " Install the 64-bit Python for Intel and AMD processors, which Windows on Arm runs too."
    if system == "darwin":
        return " macOS 14 or later has one on Apple silicon, and macOS 13 or later on Intel."
    return ""


def explain_pip_failure(output: str, system: str, log: Path) -> str:
    """Return one sentence, and a remedy if there is one, for what pip printed. `system`: as from `system_name`."""
    if "dependencies for SOCKS" in output:
        return "pip cannot use a SOCKS proxy: set https_proxy to an HTTP proxy for this installation."
    if any(error in output for error in NETWORK_ERRORS) and not FOUND_VERSIONS.search(output):
        return "The packages cannot be downloaded, because the package index cannot be reached: check the network."
    if "No space left on device" in output or "Errno 28" in output:
        return "The packages cannot be installed, because the disk is full."
    if found := re.search(r"No matching distribution found for ([\w.-]+)", output):
        return (
            f"The package {found[1]} has no build for this system ({system}); docs/compatibility.md lists those that "
            f"work.{remedy(sys.platform, platform.machine())}"
        )
    errors = [line for line in output.splitlines() if line.startswith("ERROR: ")]
    reason = errors[-1].removeprefix("ERROR: ").rstrip(".") if errors else "pip failed"
    return f"The packages cannot be installed: {reason}. {log} has pip's output."


def environment_python(folder: Path) -> Path:
    """Return the path of the environment's Python."""
    return folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def is_usable(python: Path) -> bool:
    """Return whether an environment has a supported Python with pip. Debian without python3-venv leaves none."""
    code = f"import pip, sys; raise SystemExit(not {MIN_PYTHON} <= sys.version_info[:2] <= {MAX_PYTHON})"
    try:
        return subprocess.run([python, "-c", code], capture_output=True).returncode == 0
    except OSError:
        return False


def create_environment(folder: Path) -> None:
    """Create the environment with the Python that runs this. Raise SetupFailed."""
    require_python(tuple(sys.version_info[:2]))
    print(f"Creating {folder} with {sys.executable}", flush=True)
    try:
        shutil.rmtree(folder, ignore_errors=True)
        done = subprocess.run(
            [sys.executable, "-m", "venv", str(folder)], capture_output=True, text=True, errors="replace"
        )
    except OSError as error:
        raise SetupFailed(f"{error.filename or folder} cannot be used: {error.strerror}.") from error
    if done.returncode == 0:
        return
    shutil.rmtree(folder, ignore_errors=True)
    output = done.stdout + done.stderr
    if re.search(r"ensurepip|No module named '?venv", output):
        name = f"python{sys.version_info[0]}.{sys.version_info[1]}-venv"
        raise SetupFailed(f"{folder} cannot be created, because this Python lacks venv (Debian: apt install {name}).")
    reason = (output.strip().splitlines() or ["no reason given"])[-1].rstrip(".")
    raise SetupFailed(f"{folder} cannot be created: {reason}.")


def requirement_files(files: Sequence[Path]) -> Iterator[Path]:
    """Yield the files and those that they include by `-r`."""
    for file in files:
        yield file
        included = re.findall(r"^-r\s+(\S+)", file.read_text(encoding="utf-8"), re.MULTILINE)
        yield from requirement_files([file.parent / name for name in included])


def install(folder: Path, files: Sequence[Path], stamp_name: str = STAMP_NAME) -> None:
    """Install the requirements unless these are installed already. Raise SetupFailed.

    `stamp_name` is that of the file with their checksum: optional requirements have one of their own.
    """
    stamp, log = folder / stamp_name, folder / LOG_NAME
    wanted = str(zlib.crc32(b"".join(file.read_bytes() for file in requirement_files(files))))
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == wanted:
        return
    print(f"Installing packages from {', '.join(file.name for file in files)}", flush=True)
    command = [str(environment_python(folder)), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    for file in files:
        command += ["-r", str(file)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    if done.returncode:
        log.write_text(done.stdout, encoding="utf-8")
        raise SetupFailed(explain_pip_failure(done.stdout, system_name(), log))
    stamp.write_text(wanted, encoding="utf-8")


def main(arguments: Sequence[str]) -> int:
    """Make the environment. Return the exit code."""
    folder, files = Path(arguments[0]), [Path(name) for name in arguments[1:]]
    try:
        if not is_usable(environment_python(folder)):
            create_environment(folder)
        install(folder, files)
    except SetupFailed as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        print(f"{error.filename or folder} cannot be read or written: {error.strerror}.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
