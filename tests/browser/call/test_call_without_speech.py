"""Calls in which nothing has to be said: the button, the microphone and the WebSocket, on the echo server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Route, expect

from tests.support.app.app_process import AppProcess
from tests.support.browser.browser_page import BrowserPage
from tests.support.browser.page_scripts import (
    CALL_BUTTON,
    MICROPHONES_RELEASED_JS,
    NO_UDP_SCRIPT,
    WEBSOCKET_NOTICE_SELECTOR,
)

pytestmark = pytest.mark.beside


@pytest.fixture
def caller(echo_caller: BrowserPage) -> BrowserPage:
    return echo_caller


@pytest.fixture
def pages_to_close(echo_app: AppProcess, browser: Browser) -> Iterator[list[BrowserPage]]:
    callers: list[BrowserPage] = []
    yield callers
    for caller in callers:
        errors = caller.errors
        caller.close()
        assert not errors
    echo_app.wait_for_health(lambda health: health["calls"] == 0, timeout=60)


def wait_until_released(app: AppProcess, caller: BrowserPage) -> None:
    caller.wait_until(MICROPHONES_RELEASED_JS)
    app.wait_for_health(lambda health: health["calls"] == 0, timeout=60)


def test_mute_is_kept_in_the_next_call(caller: BrowserPage) -> None:
    """The component keeps its icons, so the microphone behind a mute icon must stay muted."""
    tracks = "() => caller.streams().map((s) => s.getAudioTracks().map((t) => t.enabled))"
    caller.start_call()
    caller.page.locator('#voice-call button[aria-label="mute mic"]').click()
    caller.page.locator("#voice-speaker").click()
    caller.hang_up()
    caller.start_call()
    caller.page.wait_for_selector('#voice-call button[aria-label="unmute mic"]')
    expect(caller.page.locator("#voice-speaker")).to_have_attribute("aria-pressed", "true")
    assert caller.page.evaluate(tracks) == [[False], [False]]
    caller.wait_until("() => [...document.querySelectorAll('#voice-call audio')].some((a) => a.muted)")
    caller.page.locator('#voice-call button[aria-label="unmute mic"]').click()
    assert caller.page.evaluate(tracks) == [[False], [True]]
    caller.hang_up()


def test_blocked_site_data_still_closes_the_microphone(echo_app: AppProcess, browser: Browser) -> None:
    blocked = (
        """Object.defineProperty(window, "localStorage", { get() { throw new DOMException("", "SecurityError"); } });"""
    )
    caller = BrowserPage(browser, echo_app.url, before=blocked)
    try:
        caller.start_call()
        caller.hang_up()
        caller.wait_until("() => caller.opened().flat().every((state) => state === 'ended')")
        assert len(caller.microphone_track_states()) == 1
    finally:
        caller.close()


def test_blocked_microphone_shows_a_hint_and_resets_the_button(caller: BrowserPage) -> None:
    caller.wait_for_stage("idle")
    caller.page.evaluate("""() => { const devices = navigator.mediaDevices; window.denied = true; }""")
    caller.page.reload()
    caller.page.add_init_script("""navigator.mediaDevices.getUserMedia =
        async () => { throw new DOMException("Permission denied", "NotAllowedError"); };""")
    caller.page.reload(wait_until="domcontentloaded")
    caller.page.wait_for_selector(CALL_BUTTON)
    caller.wait_for_stage("idle")
    caller.press_call_button()
    caller.wait_until("() => document.getElementById('voice-hint').textContent.includes('microphone is blocked')")
    caller.page.wait_for_selector(f'{CALL_BUTTON} [title="start recording"]', state="attached")
    caller.wait_for_stage("ended")


def test_second_press_while_connecting_cancels_the_call(caller: BrowserPage) -> None:
    caller.wait_for_stage("idle")

    def never_answer_the_offer(route: Route) -> None:
        if '"offer"' not in (route.request.post_data or ""):
            route.continue_()

    caller.page.route("**/component_server/**", never_answer_the_offer)
    caller.press_call_button()
    caller.page.wait_for_selector(f'{CALL_BUTTON} [title="spinner"]', state="attached")
    caller.press_call_button()
    caller.page.wait_for_selector(f'{CALL_BUTTON} [title="start recording"]', state="attached")
    caller.page.unroute("**/component_server/**")
    caller.start_call()
    caller.hang_up()


def test_page_in_traditional_chinese(echo_app: AppProcess, browser: Browser) -> None:
    caller = BrowserPage(browser, echo_app.url, locale="zh-TW")
    try:
        caller.wait_for_stage("idle")
        assert "按綠色按鈕" in caller.status_text()
        assert caller.page.inner_text("#voice-send") == "送出"
    finally:
        caller.close()


def test_hang_up_before_the_fallback_opens_no_socket(
    echo_app: AppProcess, browser: Browser, pages_to_close: list[BrowserPage]
) -> None:
    caller = BrowserPage(browser, echo_app.url, before=NO_UDP_SCRIPT)
    pages_to_close.append(caller)
    opened: list[str] = []
    caller.page.on("websocket", lambda socket: opened.append(socket.url))
    caller.wait_for_stage("idle", "ended", "failed", timeout=60)
    caller.press_call_button()
    caller.page.wait_for_selector(f'{CALL_BUTTON} [title="spinner"]', state="attached")
    caller.wait_until("() => caller.peers().length === 1")
    caller.press_call_button()
    caller.wait_for_stage("ended")
    caller.wait_until("(t) => caller.now() > t", caller.audio_clock_s() + 4.0)
    assert opened == []
    assert caller.page.locator(f'{CALL_BUTTON} [title="start recording"]').count() == 1
    wait_until_released(echo_app, caller)


def test_lost_socket_is_replaced_once_then_the_call_ends(
    echo_app: AppProcess, browser: Browser, pages_to_close: list[BrowserPage]
) -> None:
    sockets = """(() => {
      const Socket = window.WebSocket;
      window.sockets = [];
      window.WebSocket = class extends Socket { constructor(...a) { super(...a); sockets.push(this); } };
    })();"""
    caller = BrowserPage(browser, echo_app.url, before=NO_UDP_SCRIPT + sockets)
    pages_to_close.append(caller)
    caller.start_call()
    for count in (1, 2):
        caller.wait_until(f"() => window.sockets.filter((s) => s.url.includes('voice-socket')).length === {count}")
        caller.wait_until("() => sockets.at(-1).readyState === 1")
        assert caller.page.evaluate("caller.opened()[0][0]") == "live"
        assert echo_app.health()["calls"] == 1
        caller.page.evaluate("sockets.at(-1).close(4001)")  # for the page the socket was closed by the server
    caller.wait_for_stage("ended")
    assert "connection was lost" in caller.page.inner_text("#voice-hint")
    wait_until_released(echo_app, caller)


AUDIO_CONTEXTS_SCRIPT = """(() => {
  const Context = window.AudioContext;
  window.contexts = [];
  window.AudioContext = class extends Context { constructor(...a) { super(...a); contexts.push(this); } };
})();"""


def test_suspended_audio_context_is_resumed(
    echo_app: AppProcess, browser: Browser, pages_to_close: list[BrowserPage]
) -> None:
    caller = BrowserPage(
        browser, echo_app.url, before=NO_UDP_SCRIPT, after=AUDIO_CONTEXTS_SCRIPT
    )  # contexts of the page, not of the fake devices
    pages_to_close.append(caller)
    caller.start_call()
    caller.page.wait_for_selector(WEBSOCKET_NOTICE_SELECTOR)
    caller.page.evaluate("Promise.all(contexts.map((each) => each.suspend()))")
    caller.wait_until(
        "() => contexts.some((each) => each.sampleRate === 24000 && each.state === 'running')", timeout=60
    )
    caller.hang_up()
    caller.wait_until("() => contexts.every((each) => each.state !== 'running')", timeout=60)
    wait_until_released(echo_app, caller)
