"""Accessibility by axe-core in every state of the page, light and dark, in both languages, on a laptop and a phone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from tests.support.app.app_process import AppProcess
from tests.support.browser.axe import assert_no_axe_findings, axe_findings
from tests.support.browser.page_geometry import layout_faults, settle
from tests.support.browser.page_scripts import CALL_BUTTON
from tests.support.browser.page_states import STATES, show_interrupted_reply, show_state
from tests.support.browser.page_steps import close_settings, open_settings
from tests.support.browser.text_chat_page import TextChatPage
from voicechat.ui.i18n import Locale

pytestmark = pytest.mark.beside

SETTINGS_GROUPS = ("voice", "listening", "persona", "devices", "key", "display")
LAPTOP, PHONE, ZOOMED = (1280, 800), (360, 740), (640, 400)
"""Window sizes in CSS pixels. A laptop's page at 200 % zoom has half of its width and height."""
IN_VIEW = (CALL_BUTTON, "#voice-input textarea")


@pytest.fixture(params=["en", "zh-TW"])
def visited(request: pytest.FixtureRequest, echo_app: AppProcess, browser: Browser) -> Iterator[TextChatPage]:
    is_english = request.param == "en"
    page = TextChatPage(
        browser, echo_app.url, locale="en-US" if is_english else "zh-TW", tab="Voice" if is_english else "語音"
    )
    page.wait_for_stage("idle")
    yield page
    assert not page.errors
    page.close()


def assert_accessible(page: Page, state: str, locale: Locale, *needed: str) -> None:
    """Assert that nothing covers anything in a state, and that axe-core finds nothing.

    axe-core sees the light page in English on a laptop, and the dark page in Chinese on a phone.
    """
    seen = LAPTOP if locale == "en" else PHONE
    page.emulate_media(color_scheme="light" if locale == "en" else "dark")
    found: list[str] = []
    for size in (LAPTOP, PHONE, ZOOMED):
        page.set_viewport_size({"width": size[0], "height": size[1]})
        settle(page)
        faults = [*layout_faults(page, *needed), *(axe_findings(page) if size == seen else ())]
        found += [f"{state} {size}: {fault}" for fault in faults]
    page.set_viewport_size({"width": LAPTOP[0], "height": LAPTOP[1]})
    settle(page)
    assert not found, "\n".join(found)


def test_first_visit_settings_and_menus_are_accessible(visited: TextChatPage, request: pytest.FixtureRequest) -> None:
    locale: Locale = request.node.callspec.params["visited"]
    page = visited.page
    assert_accessible(page, "first visit", locale, *IN_VIEW)
    page.locator("#large-captions").click()
    assert_accessible(page, "large captions", locale, *IN_VIEW)
    page.locator("#large-captions").click()
    open_settings(page, *SETTINGS_GROUPS)
    assert_no_axe_findings(page, "settings")
    close_settings(page)
    visited.open_more_menu()
    assert_no_axe_findings(page, "More")
    page.locator('.row[data-press="#keys-open"]').click()
    assert_no_axe_findings(page, "keys")
    page.keyboard.press("Escape")
    page.locator("#text-tab-button").click()
    assert_accessible(page, "text, first visit", locale, "#text-input textarea")


def test_every_state_of_a_call_is_accessible(visited: TextChatPage, request: pytest.FixtureRequest) -> None:
    locale: Locale = request.node.callspec.params["visited"]
    page = visited.page
    for state in (each for each in STATES if each.stage in ("connecting", "waiting", "loading")):
        show_state(page, state, locale)
        assert_accessible(page, f"{state.stage}, empty", locale, CALL_BUTTON)
    show_state(page, next(each for each in STATES if each.stage == "ended"), locale)
    page.locator("#text-tab-button").click()
    visited.send_and_await_reply("| a | b |\n|---|---|\n| 1 | 2 |\n\n`code` and\n\n```python\nx = 1\n```")
    assert_no_axe_findings(page, "text chat")
    page.locator("#voice-tab-button").click()
    visited.start_call()
    for number, text in enumerate(("Good morning.", "Why are there tides?"), 1):
        visited.send_typed_message(text)
        visited.wait_until(
            "n => document.querySelectorAll('#voice-chat [data-testid=bot]').length === n"
            " && document.querySelector('#status [data-stage=listening]')",
            number,
        )
    show_interrupted_reply(page, locale)
    for state in STATES:
        show_state(page, state, locale)
        assert_accessible(page, state.stage, locale, CALL_BUTTON)
    page.locator("#large-captions").click()
    assert_accessible(page, "large captions in a call", locale, CALL_BUTTON)
