"""A whole call on a phone: small, dark, in Chinese, with a thumb."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, expect

from tests.speech import clip

from .caller import BUTTON, Caller
from .conftest import App
from .test_call import wait_for_whole_reply
from .test_looks import SIZES, serious


@pytest.fixture
def phone(app: App, browser: Browser) -> Caller:
    width, height = SIZES["phone"]
    caller = Caller(browser, app.url, locale="zh-TW", scheme="dark")
    caller.page.set_viewport_size({"width": width, "height": height})
    return caller


def test_a_call_on_a_phone(app: App, phone: Caller) -> None:
    page = phone.page
    try:
        page.get_by_role("button", name="先不用").click()
        phone.call()
        said = phone.say(clip("en", "human", 1).samples)
        wait_for_whole_reply(phone, said.end)
        phone.type("Please tell me a long story about a lighthouse keeper and his cat, in many sentences.")
        phone.stage("speaking")
        phone.until_loud(phone.now())
        stop = page.locator("#voice-stop")
        expect(stop).to_be_visible()
        page.evaluate("scrollTo(0, 0)")
        button = page.locator(BUTTON).bounding_box()
        width, height = SIZES["phone"]
        assert button is not None and button["y"] + button["height"] <= height, "hanging up needs no scrolling"
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        stop.click()
        page.wait_for_selector("#voice-chat .unheard")  # something is struck out: that too can be read
        phone.stage("listening")
        expect(stop).to_be_hidden()
        found = serious(Axe().run(page).response)
        assert not found, found
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        phone.hang_up()
        phone.until("() => caller.opened().flat().every((state) => state === 'ended')")
        assert not phone.errors
    finally:
        phone.close()
    app.wait(lambda health: health["calls"] == 0, timeout=10)
