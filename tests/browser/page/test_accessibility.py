"""Accessibility by axe-core and no horizontal scrolling, from phone to wide screen, light and dark."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser

from tests.support.app.app_process import AppProcess
from tests.support.browser.browser_page import BrowserPage
from tests.support.browser.page_scripts import CALL_BUTTON
from tests.support.browser.page_steps import VIEWPORT_SIZES, serious_violations

pytestmark = pytest.mark.beside


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("locale", ["en-US", "zh-TW"])
def test_page_has_no_serious_accessibility_violations(
    app: AppProcess, browser: Browser, scheme: str, locale: str
) -> None:
    caller = BrowserPage(browser, app.url, locale=locale, scheme=scheme)
    try:
        page = caller.page
        caller.wait_for_stage("idle", timeout=60)
        for tab, drawers in (("voice", ["#wishes", "#voice-devices-drawer", "#voice-export"]), ("text", [])):
            page.locator(f"#{tab}-tab-button").click()
            for drawer in drawers:
                page.locator(f"{drawer} button").first.click()
            assert not serious_violations(Axe().run(page).response)
            for name, (width, height) in VIEWPORT_SIZES.items():
                page.set_viewport_size({"width": width, "height": height})
                page.evaluate("scrollTo(0, 0)")
                assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{tab} scrolls on a {name}"
                if tab == "voice" and name == "phone":
                    box = page.locator(CALL_BUTTON).bounding_box()
                    assert box is not None and box["width"] >= 64, "large enough for a thumb"
                    assert box["y"] + box["height"] <= height, "visible without scrolling"
        assert not caller.errors
    finally:
        caller.close()
