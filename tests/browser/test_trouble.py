"""A call that does not come about or goes wrong: the button is green again, the microphone closed, and a hint says why.

And what is pressed in a call does what it says, whatever was pressed before.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from web.chatbox import STATIC

from .caller import BUTTON, Caller
from .conftest import App

GREEN = f'{BUTTON} [title="start recording"]'
OTHER_MICROPHONE = """() => {
  const box = document.getElementById("voice-device-microphone");
  box.selectedIndex = 1;
  box.dispatchEvent(new Event("change", { bubbles: true }));
}"""
LIVE = "caller.streams().at(-1).getAudioTracks().some((t) => t.readyState === 'live' && t.enabled)"
RELEASED = "() => caller.opened().flat().every((state) => state === 'ended')"


@pytest.fixture
def lonely(app: App, browser: Browser) -> Iterator[Caller]:
    """The page open, ready to call."""
    caller = Caller(browser, app.url)
    caller.stage("idle", timeout=60)
    yield caller
    caller.close()
    app.wait(lambda health: health["calls"] == 0, timeout=40)


def requests_of(page: Page, word: str, answer: object) -> None:
    """`answer(route)` the component's requests in which `word` stands."""

    def handle(route: Route) -> None:
        if word in (route.request.post_data or ""):
            answer(route)  # type: ignore[operator]
        else:
            route.continue_()

    page.route("**/component_server/**", handle)


def lost(caller: Caller, timeout: float = 20) -> None:
    caller.until(
        "() => document.getElementById('voice-hint').textContent.includes('connection was lost')", timeout=timeout
    )
    caller.page.wait_for_selector(GREEN, state="attached", timeout=5000)
    caller.until(RELEASED)


def works_again(caller: Caller) -> None:
    caller.page.unroute("**/component_server/**")
    caller.call()
    assert caller.page.evaluate(LIVE)
    caller.hang_up()


@pytest.mark.parametrize("way", ["unreachable", "broken"])
def test_a_server_that_is_gone_when_the_button_is_pressed(lonely: Caller, way: str) -> None:
    answers = {"unreachable": lambda route: route.abort(), "broken": lambda route: route.fulfill(status=502)}
    lonely.page.route("**/component_server/**", answers[way])
    lonely.press()
    lost(lonely)
    works_again(lonely)


def test_an_offer_that_is_never_answered(lonely: Caller) -> None:
    requests_of(lonely.page, '"offer"', lambda route: None)
    lonely.press()
    lonely.until(f"() => caller.opened().length && {LIVE}")
    lost(lonely)
    works_again(lonely)


def test_an_offer_that_is_refused(lonely: Caller) -> None:
    refusal = {"status": "failed", "meta": {"error": "concurrency_limit_reached", "limit": 1}}
    requests_of(lonely.page, '"offer"', lambda route: route.fulfill(json=refusal))
    lonely.press()
    lost(lonely)
    works_again(lonely)


def test_muting_while_push_to_talk_keeps_the_microphone_closed(caller: Caller) -> None:
    page = caller.page
    page.locator("#voice-devices-drawer button").first.click()
    caller.call()
    page.locator("#voice-push-to-talk").check()
    caller.until(f"() => !{LIVE}")
    page.locator("#voice-chat").click()
    page.keyboard.press("m")
    page.wait_for_selector('#voice-call button[aria-label="unmute mic"]', timeout=3000)
    page.keyboard.press("m")
    page.wait_for_selector('#voice-call button[aria-label="mute mic"]', timeout=3000)
    assert not page.evaluate(LIVE)
    page.keyboard.press("m")
    page.locator("#voice-push-to-talk").uncheck()
    page.wait_for_selector('#voice-call button[aria-label="unmute mic"]', timeout=3000)
    assert not page.evaluate(LIVE), "it says that it is muted"
    page.keyboard.press("m")
    caller.until(f"() => {LIVE}")
    page.locator("#voice-push-to-talk").check()
    page.evaluate(OTHER_MICROPHONE)  # of which the component does not know
    caller.until("() => caller.opened().length === 2 && caller.opened()[0].includes('ended')")
    page.keyboard.press("m")
    page.wait_for_selector('#voice-call button[aria-label="unmute mic"]', timeout=3000)
    caller.hang_up()


def test_the_keys_after_a_box_was_ticked_and_a_slider_moved(caller: Caller) -> None:
    page = caller.page
    box = page.locator("#voice-push-to-talk")
    page.locator("#voice-devices-drawer button").first.click()
    caller.call()
    for where in (box, page.locator("#voice-volume input[type=range]")):
        where.click()
        page.keyboard.down(" ")
        caller.until(f"() => {LIVE}", timeout=3)
        page.keyboard.up(" ")
        caller.until(f"() => !{LIVE}")
        expect(box).to_be_checked()
    page.keyboard.press("m")
    page.wait_for_selector('#voice-call button[aria-label="unmute mic"]', timeout=3000)
    page.locator("#voice-device-speaker").focus()
    page.keyboard.press("Tab")
    page.keyboard.press(" ")
    expect(box).not_to_be_checked()
    caller.hang_up()


def test_another_microphone_that_cannot_be_taken_is_closed_again(caller: Caller) -> None:
    caller.call()
    caller.page.evaluate(
        """() => { RTCRtpSender.prototype.replaceTrack = async () => {
            throw new DOMException("", "InvalidModificationError"); }; }"""
    )
    caller.page.evaluate(OTHER_MICROPHONE)
    caller.until("() => caller.opened().length === 2 && caller.opened()[1].includes('ended')", timeout=5)
    assert caller.microphones()[0] == ["live"]
    caller.hang_up()


def test_another_microphone_is_muted_before_anybody_hears_it(caller: Caller) -> None:
    caller.call()
    caller.page.locator('#voice-call button[aria-label="mute mic"]').click()
    caller.page.evaluate("""() => {
      const native = RTCRtpSender.prototype.replaceTrack;
      RTCRtpSender.prototype.replaceTrack = function (track) {
        window.was = track.enabled;
        return native.call(this, track);
      };
    }""")
    caller.page.evaluate(OTHER_MICROPHONE)
    caller.until("() => caller.opened().length === 2 && caller.opened()[0].includes('ended')")
    assert caller.page.evaluate("window.was") is False
    caller.hang_up()


SLOW = """(() => {
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


def test_of_two_quick_changes_of_the_microphone_the_last_one_counts(app: App, browser: Browser) -> None:
    caller = Caller(browser, app.url, after=SLOW)
    try:
        caller.call()
        caller.page.evaluate("() => Promise.all([voiceOtherMicrophone(), voiceOtherMicrophone()])")
        assert caller.microphones() == [["ended"], ["ended"], ["live"]]
        caller.hang_up()
        caller.until(RELEASED)
    finally:
        caller.close()


def test_what_the_buttons_are_called(app: App, browser: Browser) -> None:
    caller = Caller(browser, app.url, locale="zh-TW")
    try:
        page = caller.page
        caller.stage("idle", timeout=60)
        button = page.locator(BUTTON)
        expect(button).to_have_accessible_name("開始通話")
        assert not page.locator('#voice-call button[aria-label="select input source"]').is_visible()
        caller.call()
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


def test_a_browser_without_calls(app: App, browser: Browser) -> None:
    caller = Caller(browser, app.url, after="delete window.RTCPeerConnection;")
    try:
        caller.stage("idle", timeout=60)
        caller.page.locator("#voice-check-start").click()
        row = caller.page.locator('#voice-check [data-row="network"][data-state="trouble"]')
        expect(row).to_contain_text("no WebRTC")
        caller.press()
        expect(caller.page.locator("#voice-hint")).to_contain_text("no WebRTC")
        caller.page.wait_for_selector(GREEN, state="attached")
        caller.until(RELEASED)
    finally:
        caller.close()


# -------------------------------------------------------------------- for screen readers


@pytest.fixture
def reader(browser: Browser) -> Iterator[Page]:
    page = browser.new_page()
    page.set_content(
        '<div id="voice-timer"></div><div id="voice-chat"><div id="log"></div></div><div id="voice-figures"></div>'
    )
    page.add_script_tag(path=str(STATIC / "aloud.js"))
    page.evaluate("document.dispatchEvent(new Event('DOMContentLoaded'))")
    yield page
    page.close()


ADD = """(said) => { for (const words of [said].flat()) {
  document.getElementById("log").insertAdjacentHTML("beforeend", `<p data-testid="bot">${words}</p>`); } }"""
READ = "[...document.querySelectorAll('#read-aloud p')].map((p) => p.textContent)"


def test_a_text_that_has_settled_is_read_while_the_timer_runs(reader: Page) -> None:
    reader.evaluate(
        "setInterval(() => { document.getElementById('voice-timer').textContent = String(Date.now()); }, 200)"
    )
    reader.evaluate(ADD, "No full stop here")
    reader.wait_for_function(f"{READ}.includes('No full stop here')", timeout=4000)


def test_what_was_never_heard_is_not_read(reader: Page) -> None:
    reader.evaluate(ADD, 'This was said. <span class="unheard">This was not.</span>')
    reader.wait_for_function(f"{READ}.length")
    reader.wait_for_timeout(1700)
    assert reader.evaluate(READ) == ["This was said."]


def test_a_long_chat_that_loses_its_oldest_messages(reader: Page) -> None:
    reader.evaluate(ADD, [f"Number {i}." for i in range(6)])
    reader.wait_for_function(f"{READ}.length === 6")
    reader.evaluate("""() => document.querySelectorAll("#log p").forEach((p, i) => {
      p.textContent = i < 5 ? `Number ${i + 1}.` : "Something quite new."; })""")
    reader.wait_for_function(f"{READ}.at(-1) === 'Something quite new.'")
    assert len(reader.evaluate(READ)) == 7


def test_a_warning_is_read_once(reader: Page) -> None:
    for answer in range(3):
        reader.evaluate(
            """(n) => { document.getElementById("voice-figures").innerHTML =
                `<div class="figures">${n}<span class="warning">Nearly spent.</span></div>`; }""",
            answer,
        )
        reader.wait_for_timeout(50)
    assert reader.evaluate(READ) == ["Nearly spent."]
