"""Accessible names: every control has a name of its own, in the page's language."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, expect

from tests.support.app.app_process import AppProcess
from tests.support.browser.browser_page import BrowserPage

pytestmark = pytest.mark.beside

CONTROL = re.compile(
    r'^\s*- (textbox|combobox|listbox|slider|spinbutton|checkbox|radio|button|tab)\b(?: "([^"]*)")?', re.M
)
GRADIO_CLASS_NAMES = {
    "",
    "Textbox",
    "Dropdown",
    "Number",
    "Slider",
    "Button",
    "HTML",
    "Chatbot",
    "Markdown",
    "Checkbox",
}
"""Names that Gradio gives to controls without a label, and no name."""
DRAWERS = ["#wishes", "#voice-devices-drawer", "#voice-export", "#own-key"]
LANGUAGE_SWITCH = {"en-US": "中文", "zh-TW": "English"}
CJK = re.compile(r"[\u4e00-\u9fff]")


@pytest.mark.parametrize("locale", LANGUAGE_SWITCH)
def test_every_control_is_named_in_the_page_language(echo_app: AppProcess, browser: Browser, locale: str) -> None:
    caller = BrowserPage(browser, echo_app.url, locale=locale)
    caller.wait_for_stage("idle")
    page, found = caller.page, []
    for tab in ("voice", "text"):
        page.locator(f"#{tab}-tab-button").click()
        for drawer in DRAWERS:
            header = page.locator(f"{drawer} button.label-wrap")
            if header.is_visible() and "open" not in (header.get_attribute("class") or ""):
                header.click()
        found += CONTROL.findall(page.locator("body").aria_snapshot())
    assert {role for role, _ in found} >= {"textbox", "combobox", "listbox", "slider", "button", "tab", "checkbox"}
    assert [control for control in found if control[1] in GRADIO_CLASS_NAMES] == []
    own = [name for _, name in found if name != LANGUAGE_SWITCH[locale]]
    assert [name for name in own if bool(CJK.search(name)) != (locale == "zh-TW")] == []
    caller.close()


@pytest.mark.parametrize(("locale", "name"), [("en-US", "Message"), ("zh-TW", "訊息")])
def test_message_boxes_are_named_message(echo_app: AppProcess, browser: Browser, locale: str, name: str) -> None:
    caller = BrowserPage(browser, echo_app.url, locale=locale)
    for tab in ("voice", "text"):
        caller.page.locator(f"#{tab}-tab-button").click()
        expect(caller.page.locator(f"#{tab}-input textarea")).to_have_accessible_name(name)
    caller.close()
