"""What goes away in the middle of a call: microphone, tab, browser, computer. All is freed, and it is said."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import psutil
import pytest
from playwright.sync_api import Browser, Playwright

from tests.support.app.app_process import AppProcess
from tests.support.browser.browser_page import BrowserPage
from tests.support.browser.chromium import launch_chromium
from tests.support.browser.text_chat_page import TextChatPage
from tests.support.realtime.fake_echo_server import EchoRealtimeServer

from .test_call_failures import MICROPHONES_RELEASED_JS, START_BUTTON_SELECTOR
from .test_websocket_fallback import NO_UDP_SCRIPT, WEBSOCKET_NOTICE_SELECTOR

TRANSPORTS = pytest.mark.parametrize(
    "before", ["", pytest.param(NO_UDP_SCRIPT, marks=pytest.mark.long)], ids=["WebRTC", "web socket"]
)


UNPLUG_MICROPHONE_JS = """() => {
  const [track] = caller.streams()[0].getTracks();
  track.stop();
  track.dispatchEvent(new Event("ended"));
}"""


@pytest.fixture
def wait_until_empty(echo_app: AppProcess, echo_server: EchoRealtimeServer) -> Iterator[Callable[[float], float]]:
    """`nobody(seconds)`: within so long, no call and no chat is left, here and at the server. Returns the seconds."""

    def nobody(seconds: float) -> float:
        begun = time.monotonic()
        echo_app.wait_for_health(
            lambda health: (health["calls"], health["chats"], echo_server.open_connections) == (0, 0, 0), seconds
        )
        return time.monotonic() - begun

    yield nobody
    nobody(20)


def open_call(browser: Browser, house: AppProcess, before: str) -> BrowserPage:
    caller = BrowserPage(browser, house.url, before=before)
    caller.start_call()
    if before:
        caller.page.wait_for_selector(WEBSOCKET_NOTICE_SELECTOR)
    assert house.health()["calls"] == 1
    return caller


@TRANSPORTS
def test_a_microphone_that_is_pulled_out(
    echo_app: AppProcess, browser: Browser, wait_until_empty: Callable[[float], float], before: str
) -> None:
    caller = open_call(browser, echo_app, before)
    caller.page.evaluate(UNPLUG_MICROPHONE_JS)
    caller.wait_until("() => document.getElementById('voice-hint').textContent.startsWith('The microphone went away.')")
    caller.page.wait_for_selector(START_BUTTON_SELECTOR, state="attached")
    caller.wait_until(MICROPHONES_RELEASED_JS)
    wait_until_empty(2)
    caller.wait_for_stage("ended")
    caller.start_call()  # with another one
    caller.hang_up()
    assert not caller.errors
    caller.close()


@TRANSPORTS
def test_a_tab_that_is_closed_in_a_call(
    echo_app: AppProcess, browser: Browser, wait_until_empty: Callable[[float], float], before: str
) -> None:
    open_call(browser, echo_app, before).close()
    wait_until_empty(2)


@pytest.mark.long
def test_a_tab_that_is_closed_in_a_chat(
    echo_app: AppProcess, browser: Browser, wait_until_empty: Callable[[float], float]
) -> None:
    typist = TextChatPage(browser, echo_app.url)
    assert typist.send_and_await_reply("Hello") == "Hello"
    typist.close()
    wait_until_empty(2)


def launch_separate_browser(playwright: Playwright) -> tuple[Browser, set[psutil.Process]]:
    """A browser of one's own, and the processes that are none of it."""
    others = set(psutil.Process().children(recursive=True))
    return launch_chromium(playwright), others


def signal_other_children(others: set[psutil.Process], number: signal.Signals) -> None:
    for one in psutil.Process().children(recursive=True):
        if one not in others:
            with suppress(ProcessLookupError):
                os.kill(one.pid, number)


@pytest.mark.long
def test_a_browser_that_is_killed_in_a_call(
    echo_app: AppProcess, playwright: Playwright, wait_until_empty: Callable[[float], float]
) -> None:
    browser, others = launch_separate_browser(playwright)
    open_call(browser, echo_app, "")
    signal_other_children(others, signal.SIGKILL)
    wait_until_empty(5)


@pytest.mark.long
@TRANSPORTS
def test_a_computer_that_falls_asleep_in_a_call(
    echo_app: AppProcess, playwright: Playwright, wait_until_empty: Callable[[float], float], before: str
) -> None:
    browser, others = launch_separate_browser(playwright)
    try:
        caller = open_call(browser, echo_app, before)
        signal_other_children(others, signal.SIGSTOP)
        try:
            wait_until_empty(5)
        finally:
            signal_other_children(others, signal.SIGCONT)
        caller.wait_for_stage("ended", timeout=20)
        said = caller.status_text() + caller.page.inner_text("#voice-hint")
        assert "The microphone stopped sending sound" in said or "connection was lost" in said
        caller.page.wait_for_selector(START_BUTTON_SELECTOR, state="attached")
        caller.wait_until(MICROPHONES_RELEASED_JS)
        caller.start_call()
        caller.hang_up()
        assert not caller.errors
    finally:
        browser.close()
