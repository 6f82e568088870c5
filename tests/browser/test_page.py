"""The page itself: its languages and what belongs to all of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from .caller import BUTTON, Caller
from .conftest import App


@pytest.fixture
def open_page(app: App, browser: Browser) -> Iterator[Caller]:
    caller = Caller(browser, app.url, locale="zh-TW")
    yield caller
    errors = caller.errors
    caller.close()
    assert not errors


def test_the_browsers_language_and_the_switch(open_page: Caller) -> None:
    page = open_page.page
    button = page.locator(BUTTON)
    expect(page.locator("#app-title")).to_have_text("即時語音對話")
    expect(button).to_have_attribute("data-word", "通話")
    open_page.stage("idle", timeout=60)
    expect(page.locator("#status")).to_contain_text("準備好了")
    for title, word, ready in (("Realtime Voice Chat", "Call", "Ready."), ("即時語音對話", "通話", "準備好了")):
        page.locator("#other-language").click()
        expect(page.locator("#app-title")).to_have_text(title)
        expect(button).to_have_attribute("data-word", word)
        expect(page.locator("#status")).to_contain_text(ready)
    assert page.evaluate("document.documentElement.lang") == "zh-Hant-TW"


def test_whoever_has_said_something_is_asked_before_the_language_changes(open_page: Caller) -> None:
    page, asked = open_page.page, []
    page.get_by_role("tab", name="文字", exact=True).click()
    page.locator("#text-input textarea").fill("hi")
    page.keyboard.press("Enter")
    page.wait_for_selector("#text-chat [data-testid=user]")
    page.on("dialog", lambda dialog: (asked.append(dialog.message), dialog.dismiss()))
    page.locator("#other-language").click()
    assert len(asked) == 1 and "切換語言" in asked[0]
    expect(page.locator("#app-title")).to_have_text("即時語音對話")
    expect(page.locator("#text-chat [data-testid=user]")).to_contain_text("hi")
