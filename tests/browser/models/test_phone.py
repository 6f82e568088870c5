"""A call on a phone: small screen, dark scheme, Chinese."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, expect

from tests.data.speech import load_clip
from tests.support.app.app_process import AppProcess
from tests.support.browser.browser_page import BrowserPage
from tests.support.browser.page_scripts import CALL_BUTTON
from tests.support.browser.page_steps import VIEWPORT_SIZES, serious_violations, wait_for_whole_reply


@pytest.fixture
def phone(app: AppProcess, browser: Browser) -> BrowserPage:
    width, height = VIEWPORT_SIZES["phone"]
    caller = BrowserPage(browser, app.url, locale="zh-TW", scheme="dark")
    caller.page.set_viewport_size({"width": width, "height": height})
    return caller


def test_call_on_a_phone(app: AppProcess, phone: BrowserPage) -> None:
    page = phone.page
    try:
        page.get_by_role("button", name="先不用").click()
        phone.start_call()
        speech = phone.play_speech(load_clip("en", "human", 1).samples)
        wait_for_whole_reply(phone, speech.end_s)
        phone.send_typed_message(
            "Please tell me a long story about a lighthouse keeper and his cat, in many sentences."
        )
        phone.wait_for_stage("speaking")
        phone.wait_until_loud(phone.audio_clock_s())
        stop = page.locator("#voice-stop")
        expect(stop).to_be_enabled()
        button = page.locator(CALL_BUTTON).bounding_box()
        width, height = VIEWPORT_SIZES["phone"]
        assert button is not None and button["y"] + button["height"] <= height, "hanging up needs no scrolling"
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        stop.click()
        page.wait_for_selector("#voice-chat .unheard")  # struck-through text must be readable too
        phone.wait_for_stage("listening")
        expect(stop).to_be_disabled()
        found = serious_violations(Axe().run(page).response)
        assert not found, found
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        phone.hang_up()
        phone.wait_until("() => caller.opened().flat().every((state) => state === 'ended')")
        assert not phone.errors
    finally:
        phone.close()
    app.wait_for_health(lambda health: health["calls"] == 0, timeout=60)
