"""Autoplay: a page that came back by itself, and may not play sound before a press, offers its call."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, expect

from tests.support.app.app_process import AppProcess
from tests.support.browser.page_scripts import NO_UDP_SCRIPT
from tests.support.browser.resumed_page import ResumablePage

pytestmark = pytest.mark.beside

NOTE_CALL_JS = """() => sessionStorage.setItem("voice-call-up",
  JSON.stringify({ seconds: 5, redial: true, at: Date.now() }))"""
"""Notes a call as a page does that leaves by itself."""
PRESS_JS = "addEventListener('pointerdown', () => { window.isPressed = true; }, true);"
REFUSED_JS = "Promise.reject(new DOMException('no gesture', 'NotAllowedError'))"
BLOCK_ELEMENTS = (
    PRESS_JS
    + f"""{{ const play = HTMLMediaElement.prototype.play;
  HTMLMediaElement.prototype.play = function () {{ return window.isPressed ? play.call(this) : {REFUSED_JS}; }}; }}"""
)
"""Refuses the sound of media elements before a press."""
BLOCK_CONTEXTS = (
    PRESS_JS
    + """{ const Native = window.AudioContext; window.AudioContext = class extends Native {
  get state() { return window.isPressed ? super.state : "suspended"; }
  resume() { return window.isPressed ? super.resume() : new Promise(() => {}); } }; }"""
)
"""Suspends audio contexts before a press."""
BLOCK_CALL = (
    PRESS_JS
    + f"""{{ const play = HTMLMediaElement.prototype.play; window.refusals = 0;
  HTMLMediaElement.prototype.play = function () {{
    if (window.isPressed || !this.closest("#voice-call")) return play.call(this);
    window.refusals += 1;
    return {REFUSED_JS}; }}; }}"""
)
"""Refuses the sound of a call before a press, and allows other elements."""


class BlockedPage(ResumablePage):
    """A page that comes back with a noted call, in a browser that refuses sound."""

    def __init__(self, browser: Browser, url: str, block: str, before: str = "") -> None:
        super().__init__(browser, url, before=before)
        self.wait_for_stage("idle")
        self.page.evaluate(NOTE_CALL_JS)
        self.page.add_init_script(block)
        self.reload()

    def assert_call_begins_with_a_press(self) -> None:
        self.wait_until_call_is_offered()
        assert self.page.evaluate("voiceCallControl.isWanted()") is False
        self.page.locator("#voice-resume-call").click()
        self.wait_for_stage("listening", "hearing", "thinking", "speaking")
        expect(self.page.locator("#voice-resume")).to_be_hidden()
        self.wait_until("() => document.querySelector('#voice-call audio')?.paused === false")
        self.hang_up()
        assert not self.errors
        self.close()


@pytest.mark.parametrize("block", [BLOCK_ELEMENTS, BLOCK_CONTEXTS], ids=["media element", "audio context"])
def test_page_that_may_not_play_sound_does_not_dial_by_itself(
    echo_app: AppProcess, browser: Browser, block: str
) -> None:
    page = BlockedPage(browser, echo_app.url, block)
    page.assert_call_begins_with_a_press()


@pytest.mark.parametrize("before", ["", NO_UDP_SCRIPT], ids=["WebRTC", "web socket"])
def test_redialled_call_whose_sound_is_refused_ends_and_is_offered(
    echo_app: AppProcess, browser: Browser, before: str
) -> None:
    page = BlockedPage(browser, echo_app.url, BLOCK_CALL, before)
    page.wait_until("() => window.refusals > 0")
    page.assert_call_begins_with_a_press()
