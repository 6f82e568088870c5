"""Accessible names: every control has a name of its own, in the page's language."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, expect

from tests.support.app.app_process import AppProcess
from tests.support.browser.browser_page import BrowserPage
from tests.support.browser.page_steps import open_settings
from voicechat.ui.settings_panel.call_preferences import parse_kept_preferences

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
GROUPS = ["voice", "listening", "persona", "devices", "key", "display"]
LANGUAGE_SWITCH = {"en-US": "中文（繁體）", "zh-TW": "English"}
CJK = re.compile(r"[\u4e00-\u9fff]")


@pytest.mark.parametrize("locale", LANGUAGE_SWITCH)
def test_every_control_is_named_in_the_page_language(echo_app: AppProcess, browser: Browser, locale: str) -> None:
    caller = BrowserPage(browser, echo_app.url, locale=locale)
    caller.wait_for_stage("idle")
    page, found = caller.page, []
    for tab in ("voice", "text"):
        page.locator(f"#{tab}-tab-button").click()
        open_settings(page, *GROUPS)
        found += CONTROL.findall(page.locator("body").aria_snapshot())
    assert {role for role, _ in found} >= {"textbox", "combobox", "slider", "button", "tab", "checkbox"}
    assert [control for control in found if control[1] in GRADIO_CLASS_NAMES] == []
    own = [name for _, name in found if name != LANGUAGE_SWITCH[locale]]
    assert [name for name in own if bool(CJK.search(name)) != (locale == "zh-TW")] == []
    caller.close()


@pytest.mark.parametrize(("locale", "default"), [("en-US", "Default"), ("zh-TW", "預設")])
def test_lists_of_the_settings_show_their_choice(
    echo_app: AppProcess, browser: Browser, locale: str, default: str
) -> None:
    caller = BrowserPage(browser, echo_app.url, locale=locale)
    caller.wait_for_stage("idle")
    open_settings(caller.page)
    expect(caller.page.locator("#settings-close")).to_be_focused()
    open_settings(caller.page, "voice", "listening")
    for field in ("wish-voice", "wish-model"):
        expect(caller.page.locator(f"#{field} input")).to_have_value(default)
        caller.page.locator(f"#{field} input").focus()
        caller.page.keyboard.press("Tab")
    kept = "() => JSON.parse(localStorage.getItem('voice-preferences') ?? 'null')"
    caller.page.locator("#wish-speed input[type=number]").fill("1.2")
    caller.page.keyboard.press("Tab")
    caller.wait_until(f"() => ({kept})()?.includes(1.2)")
    preferences = parse_kept_preferences(caller.page.evaluate("localStorage.getItem('voice-preferences')"))
    assert preferences is not None and (preferences.voice, preferences.model) == ("", ""), "nothing was chosen"
    noise = caller.page.locator("#wish-noise label")
    assert noise.count() == 4
    boxes = noise.evaluate_all("(all) => all.map((each) => [each.scrollWidth - each.clientWidth, each.offsetTop])")
    assert [over for over, _ in boxes if over > 0] == [] and len({top for _, top in boxes}) == 1, "a word has no room"
    caller.close()


@pytest.mark.parametrize(("locale", "name"), [("en-US", "Message"), ("zh-TW", "訊息")])
def test_message_boxes_are_named_message(echo_app: AppProcess, browser: Browser, locale: str, name: str) -> None:
    caller = BrowserPage(browser, echo_app.url, locale=locale)
    for tab in ("voice", "text"):
        caller.page.locator(f"#{tab}-tab-button").click()
        expect(caller.page.locator(f"#{tab}-input textarea")).to_have_accessible_name(name)
    caller.close()
