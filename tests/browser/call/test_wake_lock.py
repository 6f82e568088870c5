"""Screen wake lock: held during a call, requested again on return, released at every end, and never an error."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.support.app.app_process import AppProcess
from tests.support.browser.browser_page import BrowserPage
from tests.support.browser.page_scripts import CALL_BUTTON, NO_UDP_SCRIPT, WEBSOCKET_NOTICE_SELECTOR

pytestmark = pytest.mark.beside

RECORD_LOCKS_SCRIPT = """
window.locks = [];  // locks that the browser granted
window.lockRequests = 0;
if (navigator.wakeLock) {
  const request = navigator.wakeLock.request.bind(navigator.wakeLock);
  navigator.wakeLock.request = async (type) => {
    window.lockRequests += 1;
    const granted = await request(type);
    window.locks.push(granted);
    return granted;
  };
}
window.setVisibility = (state) => {
  Object.defineProperty(document, "visibilityState", { configurable: true, get: () => state });
  document.dispatchEvent(new Event("visibilitychange"));
};
"""
"""Records the browser's own wake locks. A headless browser hides no page: `setVisibility` acts as if it did."""

REFUSED_SCRIPT = """
window.lockRequests = 0;
WakeLock.prototype.request = async () => {
  lockRequests += 1;
  throw new DOMException("low battery", "NotAllowedError");
};
"""
SLOW_LOCK_SCRIPT = """
const answer = navigator.wakeLock.request;
navigator.wakeLock.request = async (type) => {
  const granted = await answer(type);
  await new Promise((resolve) => { window.grantLock = resolve; });
  return granted;
};
"""
HELD_JS = "() => locks.filter((each) => !each.released).length === 1"
NONE_HELD_JS = "() => locks.length > 0 && locks.every((each) => each.released)"


@pytest.fixture
def open_pages(echo_app: AppProcess) -> Iterator[list[BrowserPage]]:
    pages: list[BrowserPage] = []
    yield pages
    for page in pages:
        page.close()
    echo_app.wait_for_health(lambda health: health["calls"] == 0, timeout=60)


def open_page(app: AppProcess, browser: Browser, pages: list[BrowserPage], before: str, after: str = "") -> BrowserPage:
    page = BrowserPage(browser, app.url, before=before, after=after)
    pages.append(page)
    return page


@pytest.mark.parametrize("path", ["", NO_UDP_SCRIPT], ids=["WebRTC", "web socket"])
def test_call_holds_one_lock_and_hang_up_releases_it(
    echo_app: AppProcess, browser: Browser, open_pages: list[BrowserPage], path: str
) -> None:
    caller = open_page(echo_app, browser, open_pages, path + RECORD_LOCKS_SCRIPT)
    caller.wait_for_stage("idle")
    assert caller.page.evaluate("lockRequests") == 0, "the screen may turn off outside a call"
    for calls in (1, 2):
        caller.start_call()
        if path:
            caller.page.wait_for_selector(WEBSOCKET_NOTICE_SELECTOR)
        caller.wait_until(HELD_JS, timeout=60)
        assert caller.page.evaluate("locks.length") == calls
        caller.page.evaluate("voiceSwitchMicrophone()")  # the same call
        caller.wait_until(f"() => caller.opened().length === {calls * 2}")
        caller.hang_up()
        caller.wait_until(NONE_HELD_JS, timeout=60)
        assert caller.page.evaluate("lockRequests") == calls


def test_return_to_the_page_requests_the_lock_again(
    echo_app: AppProcess, browser: Browser, open_pages: list[BrowserPage]
) -> None:
    caller = open_page(echo_app, browser, open_pages, RECORD_LOCKS_SCRIPT)
    caller.start_call()
    caller.wait_until(HELD_JS, timeout=60)
    # Browsers release the lock of a page that is hidden.
    caller.page.evaluate("async () => { setVisibility('hidden'); await locks[0].release(); }")
    assert caller.page.evaluate("lockRequests") == 1
    caller.page.evaluate("setVisibility('visible')")
    caller.wait_until(HELD_JS, timeout=60)
    assert caller.page.evaluate("lockRequests") == 2
    caller.page.evaluate("setVisibility('visible')")
    assert caller.page.evaluate("lockRequests") == 2, "it is still held"
    caller.hang_up()
    caller.wait_until(NONE_HELD_JS, timeout=60)
    caller.page.evaluate("setVisibility('hidden'); setVisibility('visible')")
    assert caller.page.evaluate("lockRequests") == 2, "no call"


END_BY_FAILURE = {
    "unplugged": "() => { const [track] = caller.streams()[0].getTracks(); track.stop(); "
    "track.dispatchEvent(new Event('ended')); }",
    "left page": "() => window.dispatchEvent(new PageTransitionEvent('pagehide'))",
    "lost connection": "() => voiceCallControl.connectionLost(null)",
}


@pytest.mark.parametrize("end", END_BY_FAILURE)
def test_failed_call_releases_the_lock(
    echo_app: AppProcess, browser: Browser, open_pages: list[BrowserPage], end: str
) -> None:
    caller = open_page(echo_app, browser, open_pages, RECORD_LOCKS_SCRIPT)
    caller.start_call()
    caller.wait_until(HELD_JS, timeout=60)
    caller.page.evaluate(END_BY_FAILURE[end])
    caller.wait_until(NONE_HELD_JS, timeout=60)


def test_lock_that_is_granted_after_the_hang_up_is_released(
    echo_app: AppProcess, browser: Browser, open_pages: list[BrowserPage]
) -> None:
    caller = open_page(echo_app, browser, open_pages, RECORD_LOCKS_SCRIPT, SLOW_LOCK_SCRIPT)
    caller.start_call()
    caller.wait_until("() => window.grantLock")
    caller.hang_up()
    caller.page.evaluate("grantLock()")
    caller.wait_until(NONE_HELD_JS, timeout=60)


@pytest.mark.parametrize("script", [REFUSED_SCRIPT, "delete Navigator.prototype.wakeLock;"], ids=["refused", "missing"])
def test_call_works_without_the_lock(
    echo_app: AppProcess, browser: Browser, open_pages: list[BrowserPage], script: str
) -> None:
    caller = open_page(echo_app, browser, open_pages, script)
    caller.start_call()
    if script == REFUSED_SCRIPT:
        caller.wait_until("() => lockRequests === 1")
    caller.send_typed_message("hello")
    caller.page.locator("#voice-chat [data-testid=bot]").first.wait_for()
    caller.hang_up()
    assert caller.page.get_attribute(CALL_BUTTON, "data-state") == "start"
    assert caller.page.inner_text("#voice-hint p") == ""
