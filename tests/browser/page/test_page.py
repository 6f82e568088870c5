"""The page: its language, and the settings that it keeps."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.support.app.app_process import AppProcess
from tests.support.browser.browser_page import BrowserPage
from tests.support.browser.page_scripts import CALL_BUTTON
from tests.support.browser.page_steps import open_settings

pytestmark = pytest.mark.beside


@pytest.fixture
def open_page(echo_app: AppProcess, browser: Browser) -> Iterator[BrowserPage]:
    caller = BrowserPage(browser, echo_app.url, locale="zh-TW")
    yield caller
    errors = caller.errors
    caller.close()
    assert not errors


def test_page_uses_the_browser_language_and_switches_it(open_page: BrowserPage) -> None:
    page = open_page.page
    button = page.locator(CALL_BUTTON)
    expect(page.locator("#app-title")).to_have_text("即時語音對話")
    expect(button).to_have_attribute("data-word", "通話")
    open_page.wait_for_stage("idle", timeout=60)
    expect(page.locator("#status")).to_contain_text("準備好了")
    for title, button_text, ready in (("Realtime Voice Chat", "Call", "Ready."), ("即時語音對話", "通話", "準備好了")):
        page.locator("#other-language").click()
        expect(page.locator("#app-title")).to_have_text(title)
        expect(button).to_have_attribute("data-word", button_text)
        expect(page.locator("#status")).to_contain_text(ready)
    assert page.evaluate("document.documentElement.lang") == "zh-Hant-TW"


def test_language_switch_keeps_the_conversation(open_page: BrowserPage) -> None:
    page = open_page.page
    page.get_by_role("tab", name="文字", exact=True).click()
    page.locator("#text-input textarea").fill("hi")
    page.keyboard.press("Enter")
    page.wait_for_selector("#text-chat [data-testid=user]")
    page.locator("#other-language").click()
    expect(page.locator("#app-title")).to_have_text("Realtime Voice Chat")
    expect(page.locator("#text-chat [data-testid=user]")).to_contain_text("hi")


def test_language_switch_during_a_call_needs_confirmation(open_page: BrowserPage) -> None:
    page, asked = open_page.page, []
    open_page.start_call()
    page.once("dialog", lambda dialog: (asked.append(dialog.message), dialog.dismiss()))
    page.locator("#other-language").click()
    assert len(asked) == 1 and "切換語言" in asked[0]
    expect(page.locator("#app-title")).to_have_text("即時語音對話")
    expect(page.locator(CALL_BUTTON)).to_have_attribute("data-state", "stop")
    open_page.hang_up()


def test_settings_show_their_values_in_the_page_language(open_page: BrowserPage) -> None:
    page = open_page.page
    open_page.wait_for_stage("idle", timeout=60)
    open_settings(page, "voice", "listening", "persona")
    expect(page.locator("#wish-pace label").first).to_have_text("短")
    expect(page.locator("#wish-persona label.selected")).to_have_text("一般助理")


def test_settings_of_calls_are_kept_for_the_next_visit(open_page: BrowserPage, echo_app: AppProcess) -> None:
    page = open_page.page
    open_page.wait_for_stage("idle", timeout=60)
    open_settings(page, "listening")
    page.locator("#wish-pace label").filter(has_text="短").click()
    page.wait_for_function("() => JSON.parse(localStorage.getItem('voice-preferences') ?? '[]').includes('quick')")
    later = open_page.context.new_page()
    later.goto(echo_app.url)
    later.locator('#status [data-stage="idle"]').wait_for()
    open_settings(later, "listening")
    expect(later.locator("#wish-pace label.selected")).to_have_text("短")
    later.close()
