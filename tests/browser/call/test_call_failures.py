"""A call that does not come about or goes wrong: the button is green again, the microphone closed, and a hint says why.

And what is pressed in a call does what it says, whatever was pressed before.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.support.app.app_process import AppProcess
from tests.support.browser.browser_page import CALL_BUTTON, BrowserPage
from voicechat.ui.widgets.chatbox import STATIC_DIR

START_BUTTON_SELECTOR = f'{CALL_BUTTON} [title="start recording"]'
SELECT_OTHER_MICROPHONE_JS = """() => {
  const box = document.getElementById("voice-device-microphone");
  box.selectedIndex = 1;
  box.dispatchEvent(new Event("change", { bubbles: true }));
}"""
MICROPHONE_LIVE_JS = "caller.streams().at(-1).getAudioTracks().some((t) => t.readyState === 'live' && t.enabled)"
MICROPHONES_RELEASED_JS = "() => caller.opened().flat().every((state) => state === 'ended')"


@pytest.fixture
def idle_page(app: AppProcess, browser: Browser) -> Iterator[BrowserPage]:
    """The page open, ready to call."""
    caller = BrowserPage(browser, app.url)
    caller.wait_for_stage("idle", timeout=60)
    yield caller
    caller.close()
    app.wait_for_health(lambda health: health["calls"] == 0, timeout=40)


def route_component_requests(page: Page, word: str, answer: object) -> None:
    """`answer(route)` the component's requests in which `word` stands."""

    def handle(route: Route) -> None:
        if word in (route.request.post_data or ""):
            answer(route)  # type: ignore[operator]
        else:
            route.continue_()

    page.route("**/component_server/**", handle)


def wait_for_connection_lost(caller: BrowserPage, timeout: float = 20) -> None:
    caller.wait_until(
        "() => document.getElementById('voice-hint').textContent.includes('connection was lost')", timeout=timeout
    )
    caller.page.wait_for_selector(START_BUTTON_SELECTOR, state="attached", timeout=5000)
    caller.wait_until(MICROPHONES_RELEASED_JS)


def assert_call_works(caller: BrowserPage) -> None:
    caller.page.unroute("**/component_server/**")
    caller.start_call()
    assert caller.page.evaluate(MICROPHONE_LIVE_JS)
    caller.hang_up()


@pytest.mark.parametrize("way", ["unreachable", "broken"])
def test_a_server_that_is_gone_when_the_button_is_pressed(idle_page: BrowserPage, way: str) -> None:
    answers = {"unreachable": lambda route: route.abort(), "broken": lambda route: route.fulfill(status=502)}
    idle_page.page.route("**/component_server/**", answers[way])
    idle_page.press_call_button()
    wait_for_connection_lost(idle_page)
    assert_call_works(idle_page)


def test_an_offer_that_is_never_answered(idle_page: BrowserPage) -> None:
    route_component_requests(idle_page.page, '"offer"', lambda route: None)
    idle_page.press_call_button()
    idle_page.wait_until(f"() => caller.opened().length && {MICROPHONE_LIVE_JS}")
    wait_for_connection_lost(idle_page)
    assert_call_works(idle_page)


def test_an_offer_that_is_refused(idle_page: BrowserPage) -> None:
    refusal = {"status": "failed", "meta": {"error": "concurrency_limit_reached", "limit": 1}}
    route_component_requests(idle_page.page, '"offer"', lambda route: route.fulfill(json=refusal))
    idle_page.press_call_button()
    wait_for_connection_lost(idle_page)
    assert_call_works(idle_page)


def test_muting_while_push_to_talk_keeps_the_microphone_closed(caller: BrowserPage) -> None:
    page = caller.page
    page.locator("#voice-devices-drawer button").first.click()
    caller.start_call()
    page.locator("#voice-push-to-talk").check()
    caller.wait_until(f"() => !{MICROPHONE_LIVE_JS}")
    page.locator("#voice-chat").click()
    page.keyboard.press("m")
    page.wait_for_selector('#voice-call button[aria-label="unmute mic"]', timeout=3000)
    page.keyboard.press("m")
    page.wait_for_selector('#voice-call button[aria-label="mute mic"]', timeout=3000)
    assert not page.evaluate(MICROPHONE_LIVE_JS)
    page.keyboard.press("m")
    page.locator("#voice-push-to-talk").uncheck()
    page.wait_for_selector('#voice-call button[aria-label="unmute mic"]', timeout=3000)
    assert not page.evaluate(MICROPHONE_LIVE_JS), "it says that it is muted"
    page.keyboard.press("m")
    caller.wait_until(f"() => {MICROPHONE_LIVE_JS}")
    page.locator("#voice-push-to-talk").check()
    page.evaluate(SELECT_OTHER_MICROPHONE_JS)  # of which the component does not know
    caller.wait_until("() => caller.opened().length === 2 && caller.opened()[0].includes('ended')")
    page.keyboard.press("m")
    page.wait_for_selector('#voice-call button[aria-label="unmute mic"]', timeout=3000)
    caller.hang_up()


def test_the_keys_after_a_box_was_ticked_and_a_slider_moved(caller: BrowserPage) -> None:
    page = caller.page
    box = page.locator("#voice-push-to-talk")
    page.locator("#voice-devices-drawer button").first.click()
    caller.start_call()
    for where in (box, page.locator("#voice-volume input[type=range]")):
        where.click()
        page.keyboard.down(" ")
        caller.wait_until(f"() => {MICROPHONE_LIVE_JS}", timeout=3)
        page.keyboard.up(" ")
        caller.wait_until(f"() => !{MICROPHONE_LIVE_JS}")
        expect(box).to_be_checked()
    page.keyboard.press("m")
    page.wait_for_selector('#voice-call button[aria-label="unmute mic"]', timeout=3000)
    page.locator("#voice-device-speaker").focus()
    page.keyboard.press("Tab")
    page.keyboard.press(" ")
    expect(box).not_to_be_checked()
    caller.hang_up()


def test_another_microphone_that_cannot_be_taken_is_closed_again(caller: BrowserPage) -> None:
    caller.start_call()
    caller.page.evaluate(
        """() => { RTCRtpSender.prototype.replaceTrack = async () => {
            throw new DOMException("", "InvalidModificationError"); }; }"""
    )
    caller.page.evaluate(SELECT_OTHER_MICROPHONE_JS)
    caller.wait_until("() => caller.opened().length === 2 && caller.opened()[1].includes('ended')", timeout=5)
    assert caller.microphone_track_states()[0] == ["live"]
    caller.hang_up()


def test_another_microphone_is_muted_before_anybody_hears_it(caller: BrowserPage) -> None:
    caller.start_call()
    caller.page.locator('#voice-call button[aria-label="mute mic"]').click()
    caller.page.evaluate("""() => {
      const native = RTCRtpSender.prototype.replaceTrack;
      RTCRtpSender.prototype.replaceTrack = function (track) {
        window.was = track.enabled;
        return native.call(this, track);
      };
    }""")
    caller.page.evaluate(SELECT_OTHER_MICROPHONE_JS)
    caller.wait_until("() => caller.opened().length === 2 && caller.opened()[0].includes('ended')")
    assert caller.page.evaluate("window.was") is False
    caller.hang_up()


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
"""The first other microphone opens after the second one."""


def test_of_two_quick_changes_of_the_microphone_the_last_one_counts(app: AppProcess, browser: Browser) -> None:
    caller = BrowserPage(browser, app.url, after=SLOW_MICROPHONE_SCRIPT)
    try:
        caller.start_call()
        caller.page.evaluate("() => Promise.all([voiceSwitchMicrophone(), voiceSwitchMicrophone()])")
        assert caller.microphone_track_states() == [["ended"], ["ended"], ["live"]]
        caller.hang_up()
        caller.wait_until(MICROPHONES_RELEASED_JS)
    finally:
        caller.close()


def test_what_the_buttons_are_called(app: AppProcess, browser: Browser) -> None:
    caller = BrowserPage(browser, app.url, locale="zh-TW")
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
        expect(page.locator('#voice-call button[aria-label="mute audio"]')).to_have_accessible_name("喇叭靜音")
        page.on("dialog", lambda dialog: dialog.dismiss())
        with page.expect_event("dialog"):  # a call is asked about too
            page.locator("#other-language").click()
        caller.hang_up()
        expect(button).to_have_accessible_name("開始通話")
    finally:
        caller.close()


def test_a_browser_without_calls(app: AppProcess, browser: Browser) -> None:
    caller = BrowserPage(browser, app.url, after="delete window.RTCPeerConnection;")
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


# -------------------------------------------------------------------- for screen readers


@pytest.fixture
def screen_reader_page(browser: Browser) -> Iterator[Page]:
    page = browser.new_page()
    page.set_content(
        '<div id="voice-timer"></div><div id="voice-chat"><div id="log"></div></div><div id="voice-figures"></div>'
    )
    page.add_script_tag(path=str(STATIC_DIR / "screen_reader.js"))
    page.evaluate("document.dispatchEvent(new Event('DOMContentLoaded'))")
    yield page
    page.close()


ADD_MESSAGE_JS = """(said) => { for (const words of [said].flat()) {
  document.getElementById("log").insertAdjacentHTML("beforeend", `<p data-testid="bot">${words}</p>`); } }"""
SPOKEN_TEXTS_JS = "[...document.querySelectorAll('#read-aloud p')].map((p) => p.textContent)"


def test_a_text_that_has_settled_is_read_while_the_timer_runs(screen_reader_page: Page) -> None:
    screen_reader_page.evaluate(
        "setInterval(() => { document.getElementById('voice-timer').textContent = String(Date.now()); }, 200)"
    )
    screen_reader_page.evaluate(ADD_MESSAGE_JS, "No full stop here")
    screen_reader_page.wait_for_function(f"{SPOKEN_TEXTS_JS}.includes('No full stop here')", timeout=4000)


def test_what_was_never_heard_is_not_read(screen_reader_page: Page) -> None:
    screen_reader_page.evaluate(ADD_MESSAGE_JS, 'This was said. <span class="unheard">This was not.</span>')
    screen_reader_page.wait_for_function(f"{SPOKEN_TEXTS_JS}.length")
    screen_reader_page.wait_for_timeout(1700)
    assert screen_reader_page.evaluate(SPOKEN_TEXTS_JS) == ["This was said."]


def test_a_long_chat_that_loses_its_oldest_messages(screen_reader_page: Page) -> None:
    screen_reader_page.evaluate(ADD_MESSAGE_JS, [f"Number {i}." for i in range(6)])
    screen_reader_page.wait_for_function(f"{SPOKEN_TEXTS_JS}.length === 6")
    screen_reader_page.evaluate("""() => document.querySelectorAll("#log p").forEach((p, i) => {
      p.textContent = i < 5 ? `Number ${i + 1}.` : "Something quite new."; })""")
    screen_reader_page.wait_for_function(f"{SPOKEN_TEXTS_JS}.at(-1) === 'Something quite new.'")
    assert len(screen_reader_page.evaluate(SPOKEN_TEXTS_JS)) == 7


def test_a_warning_is_read_once(screen_reader_page: Page) -> None:
    for answer in range(3):
        screen_reader_page.evaluate(
            """(n) => { document.getElementById("voice-figures").innerHTML =
                `<div class="figures">${n}<span class="warning">Nearly spent.</span></div>`; }""",
            answer,
        )
        screen_reader_page.wait_for_timeout(50)
    assert screen_reader_page.evaluate(SPOKEN_TEXTS_JS) == ["Nearly spent."]
