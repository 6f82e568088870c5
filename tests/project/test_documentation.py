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
