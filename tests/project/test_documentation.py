"""Links of the documentation, and the classes that the glossary names."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.paths import ROOT
from tests.support.source_rules import class_definitions

PAGES = sorted(
    path
    for path in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "tests").rglob("*.md")]
    if path.name != "CHANGELOG.md"
)
LINK = re.compile(r"\]\((?!https?:|mailto:)([^)#\s]*)(?:#([^)\s]*))?\)")
OPERATORS_PAGES = ("README.md", "README.zh-TW.md", "docs/deployment.md", "docs/scale.md")
"""Pages with commands for an installed app, whose packages only its own Python has."""
TERM_OWNER = re.compile(r"`(\w+)` in \[[^]]*\]\(([^)]*)\)")


def anchors_of(page: Path) -> set[str]:
    """Return the anchors that GitHub gives to a page's headings."""
    headings = re.findall(r"^#+ +(.*)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_existing_files_and_headings(page: Path) -> None:
    broken = []
    for target, anchor in LINK.findall(page.read_text("utf-8")):
        path = page.parent / target if target else page
        if not path.exists() or (anchor and path.suffix == ".md" and anchor not in anchors_of(path)):
            broken.append(f"{target}#{anchor}")
    assert not broken


def test_glossary_names_existing_classes() -> None:
    glossary = ROOT / "docs" / "glossary.md"
    owners = TERM_OWNER.findall(glossary.read_text("utf-8"))
    assert len(owners) > 40
    missing = [
        f"{name} in {target}"
        for name, target in owners
        if not (path := glossary.parent / target).exists() or name not in dict(class_definitions(path))
    ]
    assert not missing


@pytest.mark.parametrize("page", OPERATORS_PAGES)
def test_commands_for_operators_use_the_python_of_the_app(page: str) -> None:
    blocks = re.findall(r"^```bash\n(.*?)^```", (ROOT / page).read_text("utf-8"), re.DOTALL | re.MULTILINE)
    assert blocks
    assert not [line for line in "".join(blocks).splitlines() if re.match(r"(\w+=\S+ )*python3? ", line)]


def test_readmes_have_the_same_tables_with_the_same_settings() -> None:
    english, chinese = (
        [re.findall(r"`([A-Z][A-Z_]+)\b", row) for row in re.findall(r"^\|.*", (ROOT / name).read_text("utf-8"), re.M)]
        for name in ("README.md", "README.zh-TW.md")
    )
    assert english == chinese


def test_change_is_listed_under_one_version() -> None:
    entries = re.findall(r"^- .*", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert len(entries) == len(set(entries))
