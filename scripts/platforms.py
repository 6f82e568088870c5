"""Table of the systems on which every requirement has a build: `python -m scripts.platforms [--json]`.

uv resolves requirements.txt for each system as a dry run: with that system's environment markers, from built packages
only, and without installing. pip cannot: it evaluates markers for the system that it runs on.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

REQUIREMENTS = Path(__file__).resolve().parents[1] / "requirements.txt"
PYTHON_VERSIONS = ("3.11", "3.12", "3.13", "3.14")
NO_SOLUTION = "No solution found"
"""Words of uv for requirements that cannot be met, as opposed to an index that cannot be reached."""

MAX_NAMES = 3
"""Names of packages in one cell of the table."""
NETWORK_OFF = "network is disabled"
"""Words of uv that follow when it may only read its cache."""


@dataclass(frozen=True, slots=True)
class Target:
    """System that packages are built for."""

    name: str
    platform: str
    """uv's name of it."""
    macos: str = ""
    """Version of macOS, "" for other systems."""


TARGETS = (
    *(
        Target(f"Linux x86-64, glibc {glibc}", f"x86_64-manylinux_{glibc.replace('.', '_')}")
        for glibc in ("2.28", "2.35")
    ),
    *(
        Target(f"Linux Arm64, glibc {glibc}", f"aarch64-manylinux_{glibc.replace('.', '_')}")
        for glibc in ("2.28", "2.35")
    ),
    Target("Linux x86-64, musl", "x86_64-unknown-linux-musl"),
    Target("Linux Arm64, musl", "aarch64-unknown-linux-musl"),
    *(
        Target(f"macOS {macos}, Apple silicon", "aarch64-apple-darwin", f"{macos}.0")
        for macos in ("13", "14", "15", "26")
    ),
    *(Target(f"macOS {macos}, Intel", "x86_64-apple-darwin", f"{macos}.0") for macos in ("12", "13", "14", "26")),
    Target("Windows x64", "x86_64-pc-windows-msvc"),
    Target("Windows Arm64", "aarch64-pc-windows-msvc"),
)


@dataclass(frozen=True, slots=True)
class Resolution:
    """Outcome for one system and one version of Python."""

    target: str
    python: str
    packages: int
    """Number of packages to install; 0 when they cannot be."""
    missing: tuple[str, ...] = ()
    """Pinned requirements without a build for it."""

    @property
    def cell(self) -> str:
        if self.packages:
            return "yes"
        more = len(self.missing) - MAX_NAMES
        names = ", ".join(self.missing[:MAX_NAMES]) or "a package below these"
        return f"no: {names}{f' and {more} more' if more > 0 else ''}"


Runner = Callable[[Sequence[str], str, Mapping[str, str]], "subprocess.CompletedProcess[str]"]
"""Run a command with a text on its stdin and variables added to the environment."""


class IndexUnreachable(Exception):
    """The package index could not be asked. The message is one sentence."""


def run_uv(arguments: Sequence[str], text: str, variables: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run uv, which requirements-dev.txt installs; the exit status is 1 without it."""
    command = [sys.executable, "-m", "uv", *arguments]
    return subprocess.run(command, input=text, env={**os.environ, **variables}, capture_output=True, text=True)


def pinned_lines(requirements: str) -> list[str]:
    """Return the pinned requirements with their markers, without comments and options."""
    lines = (re.sub(r"\s+#.*", "", line).strip() for line in requirements.splitlines())
    return [line for line in lines if re.match(r"[\w.\[\],-]+==", line)]


def resolve(lines: Iterable[str], target: Target, python: str, run: Runner, *options: str) -> int | None:
    """Return how many packages the requirements need there; None when one has no build.

    Raises IndexUnreachable.
    """
    arguments = ["pip", "compile", "--quiet", "--no-header", "--no-annotate", "--only-binary", ":all:"]
    # With an interpreter named, uv looks for no other one, which may take seconds.
    arguments += ["--python", sys.executable, "--python-platform", target.platform, "--python-version", python]
    arguments += [*options, "-"]
    variables = {"MACOSX_DEPLOYMENT_TARGET": target.macos} if target.macos else {}
    done = run(arguments, "\n".join(lines), variables)
    if done.returncode == 0:
        return len(done.stdout.split())
    if NO_SOLUTION in done.stderr and NETWORK_OFF not in done.stderr:
        return None
    reason = next(iter(done.stderr.strip().splitlines()), "no reason given")
    raise IndexUnreachable(f"uv could not resolve the requirements: {reason}")


def try_target(lines: Sequence[str], target: Target, python: str, run: Runner) -> Resolution:
    """Return whether the requirements can be installed there, and what has no build. Raises IndexUnreachable."""
    # Resolving everything is slow where a pin has no build, because uv then tries all older releases of the others.
    if resolve(lines, target, python, run, "--no-deps") is None:
        missing = (line.split("==")[0] for line in lines if resolve([line], target, python, run, "--no-deps") is None)
        return Resolution(target.name, python, 0, tuple(dict.fromkeys(missing)))
    return Resolution(target.name, python, resolve(lines, target, python, run) or 0)


def render_table(resolutions: Iterable[Resolution]) -> Iterator[str]:
    """Yield the lines of a Markdown table: a row for each system, a column for each version of Python."""
    rows: dict[str, dict[str, str]] = {}
    for each in resolutions:
        rows.setdefault(each.target, {})[each.python] = each.cell
    pythons = list(dict.fromkeys(python for row in rows.values() for python in row))
    yield f"| system | {' | '.join(pythons)} |"
    yield "|---" * (1 + len(pythons)) + "|"
    for name, row in rows.items():
        yield f"| {name} | {' | '.join(row[python] for python in pythons)} |"


def main() -> None:
    """Resolve for every system, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m scripts.platforms", description=(__doc__ or "").split(":")[0])
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--python", action="append", choices=PYTHON_VERSIONS, help="only this version; may be repeated")
    arguments = parser.parse_args()
    lines = pinned_lines(REQUIREMENTS.read_text(encoding="utf-8"))
    pythons = arguments.python or PYTHON_VERSIONS
    try:
        found = []
        for target in TARGETS:
            print(f"Trying {target.name}", file=sys.stderr, flush=True)
            found += [try_target(lines, target, python, run_uv) for python in pythons]
    except IndexUnreachable as error:
        raise SystemExit(str(error)) from None
    if arguments.json:
        print(json.dumps([asdict(each) for each in found], indent=2))
    else:
        print("\n".join(render_table(found)))


if __name__ == "__main__":
    main()
