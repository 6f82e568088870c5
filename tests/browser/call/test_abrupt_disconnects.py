"""Abrupt ends of a call: unplugged microphone, closed tab, killed browser, sleeping computer."""

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
from tests.support.browser.page_scripts import (
    MICROPHONES_RELEASED_JS,
    NO_UDP_SCRIPT,
    START_BUTTON_SELECTOR,
    WEBSOCKET_NOTICE_SELECTOR,
)
from tests.support.browser.text_chat_page import TextChatPage
from tests.support.realtime.fake_echo_server import EchoRealtimeServer

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
    """Yield a function that waits until app and server have no call and no chat left; it returns the seconds."""

    def wait(seconds: float) -> float:
        begun = time.monotonic()
        echo_app.wait_for_health(
            lambda health: (health["calls"], health["chats"], echo_server.open_connections) == (0, 0, 0), seconds
        )
        return time.monotonic() - begun

    yield wait
    wait(20)


def open_call(browser: Browser, app: AppProcess, before: str) -> BrowserPage:
    caller = BrowserPage(browser, app.url, before=before)
    caller.start_call()
    if before:
        caller.page.wait_for_selector(WEBSOCKET_NOTICE_SELECTOR)
    assert app.health()["calls"] == 1
    return caller


@TRANSPORTS
def test_unplugged_microphone_ends_the_call(
    echo_app: AppProcess, browser: Browser, wait_until_empty: Callable[[float], float], before: str
) -> None:
    caller = open_call(browser, echo_app, before)
    caller.page.evaluate(UNPLUG_MICROPHONE_JS)
    hint = "The microphone was disconnected."
    caller.wait_until(f"() => document.getElementById('voice-hint').textContent.startsWith('{hint}')")
    caller.page.wait_for_selector(START_BUTTON_SELECTOR, state="attached")
    caller.wait_until(MICROPHONES_RELEASED_JS)
    wait_until_empty(2)
    caller.wait_for_stage("ended")
    caller.start_call()  # with another microphone
    caller.hang_up()
    assert not caller.errors
    caller.close()


@TRANSPORTS
def test_closed_tab_ends_the_call(
    echo_app: AppProcess, browser: Browser, wait_until_empty: Callable[[float], float], before: str
) -> None:
    open_call(browser, echo_app, before).close()
    wait_until_empty(2)


@pytest.mark.long
def test_closed_tab_ends_the_chat(
    echo_app: AppProcess, browser: Browser, wait_until_empty: Callable[[float], float]
) -> None:
    typist = TextChatPage(browser, echo_app.url)
    assert typist.send_and_await_reply("Hello") == "Hello"
    typist.close()
    wait_until_empty(2)


def launch_separate_browser(playwright: Playwright) -> tuple[Browser, set[psutil.Process]]:
    """Yield a separate browser, and the processes that do not belong to it."""
    others = set(psutil.Process().children(recursive=True))
    return launch_chromium(playwright), others


def signal_other_children(others: set[psutil.Process], number: signal.Signals) -> None:
    for one in psutil.Process().children(recursive=True):
        if one not in others:
            with suppress(ProcessLookupError):
                os.kill(one.pid, number)


@pytest.mark.long
def test_killed_browser_ends_the_call(
    echo_app: AppProcess, playwright: Playwright, wait_until_empty: Callable[[float], float]
) -> None:
    browser, others = launch_separate_browser(playwright)
    open_call(browser, echo_app, "")
    signal_other_children(others, signal.SIGKILL)
    wait_until_empty(5)


@pytest.mark.long
@TRANSPORTS
def test_sleeping_computer_ends_the_call(
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
        caller.wait_for_stage("ended", timeout=60)
        shown = caller.status_text() + caller.page.inner_text("#voice-hint")
        assert "The microphone stopped sending sound" in shown or "connection was lost" in shown
        caller.page.wait_for_selector(START_BUTTON_SELECTOR, state="attached")
        caller.wait_until(MICROPHONES_RELEASED_JS)
        caller.start_call()
        caller.hang_up()
        assert not caller.errors
    finally:
        browser.close()
