"""Table of systems: what uv answers becomes a cell, and an index that cannot be reached is not a missing build."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping, Sequence

import pytest

from scripts.platforms import (
    TARGETS,
    IndexUnreachable,
    Resolution,
    Target,
    pinned_lines,
    render_table,
    run_uv,
    try_target,
)
from tests.support.paths import ROOT

LINUX = Target("Linux", "x86_64-manylinux_2_28")
MAC = Target("Mac", "aarch64-apple-darwin", "14.0")
LINES = ("alpha==1.0", 'beta==2.0; sys_platform == "darwin"')


def fake_uv(unbuilt: Sequence[str], seen: list[Mapping[str, str]] | None = None) -> Callable[..., object]:
    """Return a runner for which these packages have no build."""

    def run(arguments: Sequence[str], text: str, variables: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        if seen is not None:
            seen.append(variables)
        if any(f"{name}==" in text for name in unbuilt):
            return subprocess.CompletedProcess(arguments, 1, "", "error: No solution found when resolving dependencies")
        return subprocess.CompletedProcess(arguments, 0, "alpha==1.0\nbeta==2.0\ngamma==3.0\n", "")

    return run


def test_try_target_with_all_builds_counts_the_packages() -> None:
    seen: list[Mapping[str, str]] = []
    assert try_target(LINES, MAC, "3.12", fake_uv([], seen)) == Resolution("Mac", "3.12", 3)  # type: ignore[arg-type]
    assert all(variables == {"MACOSX_DEPLOYMENT_TARGET": "14.0"} for variables in seen)


def test_try_target_without_a_build_names_the_pin() -> None:
    found = try_target(LINES, LINUX, "3.12", fake_uv(["beta"]))  # type: ignore[arg-type]
    assert (found.packages, found.missing, found.cell) == (0, ("beta",), "no: beta")


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (2, "error: Failed to fetch: `http://127.0.0.1:9/simple/alpha/`\n  cause: error sending request"),
        (1, "error: No solution found when resolving dependencies\nhint: ... When the network is disabled, ..."),
        (1, "/usr/bin/python: No module named uv"),
        (1, ""),
    ],
)
def test_try_target_without_the_index_raises_one_sentence(code: int, error: str) -> None:
    def run(*_: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess([], code, "", error)

    with pytest.raises(IndexUnreachable, match=r"^uv could not resolve the requirements: [^\n]+$"):
        try_target(LINES, LINUX, "3.12", run)


def test_uv_is_installed_and_knows_every_target() -> None:
    """Without a network, and with an empty list of requirements."""
    for target in TARGETS:
        done = run_uv(["pip", "compile", "--quiet", "--offline", "--python-platform", target.platform, "-"], "", {})
        assert (done.returncode, done.stderr) == (0, ""), target


def test_render_table_has_a_row_for_each_system() -> None:
    cells = [Resolution("A", "3.11", 9), Resolution("A", "3.12", 0, ("x", "y", "z", "w")), Resolution("B", "3.11", 0)]
    cells.append(Resolution("B", "3.12", 9))
    assert list(render_table(cells))[2:] == [
        "| A | yes | no: x, y, z and 1 more |",
        "| B | no: a package below these | yes |",
    ]


def test_pinned_lines_keep_markers_and_drop_comments() -> None:
    assert pinned_lines('# a\n--only-binary :all:  # b\n\nx==1  # c\ny==2; sys_platform == "darwin"  # d\n') == [
        "x==1",
        'y==2; sys_platform == "darwin"',
    ]
    assert len(pinned_lines((ROOT / "requirements.txt").read_text("utf-8"))) > 20
