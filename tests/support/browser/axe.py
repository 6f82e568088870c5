"""Accessibility violations of a page, as axe-core finds them."""

from __future__ import annotations

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from .page_geometry import settle


def axe_findings(page: Page) -> list[str]:
    """Return the violations of any impact that axe-core finds in the present state."""
    found = Axe().run(page).response["violations"]
    return [f"{each['id']}: {node['html'][:160]} {node['failureSummary']}" for each in found for node in each["nodes"]]


def assert_no_axe_findings(page: Page, state: str) -> None:
    """Assert that axe-core finds nothing in a state, light and dark."""
    for scheme in ("dark", "light"):
        page.emulate_media(color_scheme=scheme)
        settle(page)
        assert not axe_findings(page), (state, scheme)
