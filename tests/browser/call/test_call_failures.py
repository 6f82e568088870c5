"""Failing calls: the button turns green again, the microphone is closed, and a hint gives the reason.

Also combinations of mute, push-to-talk and device changes during a call.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, Route, ViewportSize, expect

from tests.support.app.app_process import AppProcess
from tests.support.browser.browser_page import BrowserPage
from tests.support.browser.page_scripts import CALL_BUTTON, MICROPHONES_RELEASED_JS, START_BUTTON_SELECTOR

pytestmark = pytest.mark.beside

SELECT_OTHER_MICROPHONE_JS = """() => {
  const box = document.getElementById("voice-device-microphone");
  box.selectedIndex = 1;
  box.dispatchEvent(new Event("change", { bubbles: true }));
}"""
BESIDE_THE_PANEL: ViewportSize = {"width": 1280, "height": 800}
"""Size at which the open settings panel leaves room for the title and the volume."""
MICROPHONE_LIVE_JS = "caller.streams().at(-1).getAudioTracks().some((t) => t.readyState === 'live' && t.enabled)"


@pytest.fixture
def idle_page(echo_app: AppProcess, browser: Browser) -> Iterator[BrowserPage]:
    """Yield a page that is ready to call."""
    caller = BrowserPage(browser, echo_app.url)
    caller.wait_for_stage("idle", timeout=60)
    yield caller
    caller.close()
    echo_app.wait_for_health(lambda health: health["calls"] == 0, timeout=40)


def route_component_requests(page: Page, text: str, answer: object) -> None:
    """Call `answer(route)` for the component's requests whose body contains `text`."""

    def handle(route: Route) -> None:
        if text in (route.request.post_data or ""):
            answer(route)  # type: ignore[operator]
        else:
            route.continue_()

    page.route("**/component_server/**", handle)


def wait_for_connection_lost(caller: BrowserPage, timeout: float = 20) -> None:
    caller.wait_until(
        "() => document.getElementById('voice-hint').textContent.includes('connection was lost')", timeout=timeout
    )
    caller.page.wait_for_selector(START_BUTTON_SELECTOR, state="attached", timeout=60_000)
    caller.wait_until(MICROPHONES_RELEASED_JS)


def assert_call_works(caller: BrowserPage) -> None:
    caller.page.unroute("**/component_server/**")
    caller.start_call()
    assert caller.page.evaluate(MICROPHONE_LIVE_JS)
    caller.hang_up()


@pytest.mark.allowed_page_errors("component_server", "ERR_FAILED", "status of 502")
@pytest.mark.parametrize("failure", ["unreachable", "broken"])
def test_unreachable_server_resets_the_button(idle_page: BrowserPage, failure: str) -> None:
    answers = {"unreachable": lambda route: route.abort(), "broken": lambda route: route.fulfill(status=502)}
    idle_page.page.route("**/component_server/**", answers[failure])
    idle_page.press_call_button()
    wait_for_connection_lost(idle_page)
    assert_call_works(idle_page)


def test_unanswered_offer_resets_the_button(idle_page: BrowserPage) -> None:
    route_component_requests(idle_page.page, '"offer"', lambda route: None)
    idle_page.press_call_button()
    idle_page.wait_until(f"() => caller.opened().length && {MICROPHONE_LIVE_JS}")
    wait_for_connection_lost(idle_page)
    assert_call_works(idle_page)


def test_refused_offer_resets_the_button(idle_page: BrowserPage) -> None:
    refusal = {"status": "failed", "meta": {"error": "concurrency_limit_reached", "limit": 1}}
    route_component_requests(idle_page.page, '"offer"', lambda route: route.fulfill(json=refusal))
    idle_page.press_call_button()
    wait_for_connection_lost(idle_page)
    assert_call_works(idle_page)


def test_mute_and_push_to_talk_together_keep_the_microphone_closed(echo_caller: BrowserPage) -> None:
    page = echo_caller.page
    page.set_viewport_size(BESIDE_THE_PANEL)
    echo_caller.open_settings("devices")
    echo_caller.start_call()
    page.locator("#voice-push-to-talk").check()
    echo_caller.wait_until(f"() => !{MICROPHONE_LIVE_JS}")
    page.locator("#app-title").click()
    page.keyboard.press("m")
    page.wait_for_selector('#voice-call button[aria-label="unmute mic"]', timeout=60_000)
    page.keyboard.press("m")
    page.wait_for_selector('#voice-call button[aria-label="mute mic"]', timeout=60_000)
    assert not page.evaluate(MICROPHONE_LIVE_JS)
    page.keyboard.press("m")
    page.locator("#voice-push-to-talk").uncheck()
    page.wait_for_selector('#voice-call button[aria-label="unmute mic"]', timeout=60_000)
    assert not page.evaluate(MICROPHONE_LIVE_JS), "the button shows muted"
    page.keyboard.press("m")
    echo_caller.wait_until(f"() => {MICROPHONE_LIVE_JS}")
    page.locator("#voice-push-to-talk").check()
    page.evaluate(SELECT_OTHER_MICROPHONE_JS)  # the component does not know this stream
    echo_caller.wait_until("() => caller.opened().length === 2 && caller.opened()[0].includes('ended')")
    page.keyboard.press("m")
    page.wait_for_selector('#voice-call button[aria-label="unmute mic"]', timeout=60_000)
    echo_caller.hang_up()


def test_space_bar_talks_after_a_click_on_a_checkbox_or_slider(echo_caller: BrowserPage) -> None:
    page = echo_caller.page
    box = page.locator("#voice-push-to-talk")
    page.set_viewport_size(BESIDE_THE_PANEL)
    echo_caller.open_settings("devices")
    echo_caller.start_call()
    for control in (box, page.locator("#voice-volume input[type=range]")):
        control.click()
        page.keyboard.down(" ")
        echo_caller.wait_until(f"() => {MICROPHONE_LIVE_JS}", timeout=60)
        page.keyboard.up(" ")
        echo_caller.wait_until(f"() => !{MICROPHONE_LIVE_JS}")
        expect(box).to_be_checked()
    page.keyboard.press("m")
    page.wait_for_selector('#voice-call button[aria-label="unmute mic"]', timeout=60_000)
    page.locator("#voice-device-speaker").focus()
    page.keyboard.press("Tab")
    page.keyboard.press(" ")
    expect(box).not_to_be_checked()
    echo_caller.hang_up()


def test_failed_microphone_change_closes_the_new_microphone(echo_caller: BrowserPage) -> None:
    echo_caller.start_call()
    echo_caller.page.evaluate(
        """() => { RTCRtpSender.prototype.replaceTrack = async () => {
            throw new DOMException("", "InvalidModificationError"); }; }"""
    )
    echo_caller.page.evaluate(SELECT_OTHER_MICROPHONE_JS)
    echo_caller.wait_until("() => caller.opened().length === 2 && caller.opened()[1].includes('ended')", timeout=60)
    assert echo_caller.microphone_track_states()[0] == ["live"]
    echo_caller.hang_up()


def test_changed_microphone_is_muted_before_it_is_sent(echo_caller: BrowserPage) -> None:
    echo_caller.start_call()
    echo_caller.page.locator('#voice-call button[aria-label="mute mic"]').click()
    echo_caller.page.evaluate("""() => {
      const native = RTCRtpSender.prototype.replaceTrack;
      RTCRtpSender.prototype.replaceTrack = function (track) {
        window.trackWasEnabled = track.enabled;
        return native.call(this, track);
      };
    }""")
    echo_caller.page.evaluate(SELECT_OTHER_MICROPHONE_JS)
    echo_caller.wait_until("() => caller.opened().length === 2 && caller.opened()[0].includes('ended')")
    assert echo_caller.page.evaluate("window.trackWasEnabled") is False
    echo_caller.hang_up()


SLOW_MICROPHONE_SCRIPT = """(() => {
  const open = navigator.mediaDevices.getUserMedia;
  let count = 0;
  navigator.mediaDevices.getUserMedia = async (asked) => {
    count += 1;
    const [first, stream] = [count === 2, await open(asked)];
    if (first) await new Promise((resolve) => setTimeout(resolve, 500));
    return stream;
  };
})();"""
"""Delays the first of two microphone changes, so that it opens after the second."""


def test_last_of_two_quick_microphone_changes_wins(echo_app: AppProcess, browser: Browser) -> None:
    caller = BrowserPage(browser, echo_app.url, after=SLOW_MICROPHONE_SCRIPT)
    try:
        caller.start_call()
        caller.page.evaluate("() => Promise.all([voiceSwitchMicrophone(), voiceSwitchMicrophone()])")
        assert caller.microphone_track_states() == [["ended"], ["ended"], ["live"]]
        caller.hang_up()
        caller.wait_until(MICROPHONES_RELEASED_JS)
    finally:
        caller.close()


def test_call_buttons_have_accessible_names(echo_app: AppProcess, browser: Browser) -> None:
    caller = BrowserPage(browser, echo_app.url, locale="zh-TW")
    try:
        page = caller.page
        caller.wait_for_stage("idle", timeout=60)
        button = page.locator(CALL_BUTTON)
        expect(button).to_have_accessible_name("開始通話")
        assert not page.locator('#voice-call button[aria-label="select input source"]').is_visible()
        caller.start_call()
        expect(button).to_have_accessible_name("掛斷")
        page.get_by_role("button", name="麥克風靜音", exact=True).click()
        expect(page.locator('#voice-call button[aria-label="unmute mic"]')).to_have_accessible_name("取消麥克風靜音")
        expect(page.locator("#voice-speaker")).to_have_accessible_name("喇叭靜音")
        page.on("dialog", lambda dialog: dialog.dismiss())
        with page.expect_event("dialog"):  # a running call needs a confirmation too
            page.locator("#other-language").click()
        caller.hang_up()
        expect(button).to_have_accessible_name("開始通話")
    finally:
        caller.close()


def test_browser_without_webrtc_shows_a_hint(echo_app: AppProcess, browser: Browser) -> None:
    caller = BrowserPage(browser, echo_app.url, after="delete window.RTCPeerConnection;")
    try:
        caller.wait_for_stage("idle", timeout=60)
        caller.page.locator("#voice-check-start").click()
        row = caller.page.locator('#voice-check [data-row="network"][data-state="trouble"]')
        expect(row).to_contain_text("no WebRTC")
        caller.press_call_button()
        expect(caller.page.locator("#voice-hint")).to_contain_text("no WebRTC")
        caller.page.wait_for_selector(START_BUTTON_SELECTOR, state="attached")
        caller.wait_until(MICROPHONES_RELEASED_JS)
    finally:
        caller.close()
