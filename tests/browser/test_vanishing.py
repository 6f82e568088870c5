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

from .caller import Caller
from .conftest import App, chromium
from .echo import Echo
from .test_fallback import NO_UDP, OVER_WEB
from .test_trouble import GREEN, RELEASED
from .typist import Typist

WAYS = pytest.mark.parametrize(
    "before", ["", pytest.param(NO_UDP, marks=pytest.mark.long)], ids=["WebRTC", "web socket"]
)


PULLED_OUT = """() => {
  const [track] = caller.streams()[0].getTracks();
  track.stop();
  track.dispatchEvent(new Event("ended"));
}"""


@pytest.fixture
def nobody(house: App, echo: Echo) -> Iterator[Callable[[float], float]]:
    """`nobody(seconds)`: within so long, no call and no chat is left, here and at the server. Returns the seconds."""

    def nobody(seconds: float) -> float:
        begun = time.monotonic()
        house.wait(lambda health: (health["calls"], health["chats"], echo.live) == (0, 0, 0), seconds)
        return time.monotonic() - begun

    yield nobody
    nobody(20)


def in_a_call(browser: Browser, house: App, before: str) -> Caller:
    caller = Caller(browser, house.url, before=before)
    caller.call()
    if before:
        caller.page.wait_for_selector(OVER_WEB)
    assert house.health()["calls"] == 1
    return caller


@WAYS
def test_a_microphone_that_is_pulled_out(
    house: App, browser: Browser, nobody: Callable[[float], float], before: str
) -> None:
    caller = in_a_call(browser, house, before)
    caller.page.evaluate(PULLED_OUT)
    caller.until("() => document.getElementById('voice-hint').textContent.startsWith('The microphone went away.')")
    caller.page.wait_for_selector(GREEN, state="attached")
    caller.until(RELEASED)
    nobody(2)
    caller.stage("ended")
    caller.call()  # with another one
    caller.hang_up()
    assert not caller.errors
    caller.close()


@WAYS
def test_a_tab_that_is_closed_in_a_call(
    house: App, browser: Browser, nobody: Callable[[float], float], before: str
) -> None:
    in_a_call(browser, house, before).close()
    nobody(2)


@pytest.mark.long
def test_a_tab_that_is_closed_in_a_chat(house: App, browser: Browser, nobody: Callable[[float], float]) -> None:
    typist = Typist(browser, house.url)
    assert typist.ask("Hello") == "Hello"
    typist.close()
    nobody(2)


def own_browser(playwright: Playwright) -> tuple[Browser, set[psutil.Process]]:
    """A browser of one's own, and the processes that are none of it."""
    others = set(psutil.Process().children(recursive=True))
    return chromium(playwright), others


def signal_all_but(others: set[psutil.Process], number: signal.Signals) -> None:
    for one in psutil.Process().children(recursive=True):
        if one not in others:
            with suppress(ProcessLookupError):
                os.kill(one.pid, number)


@pytest.mark.long
def test_a_browser_that_is_killed_in_a_call(
    house: App, playwright: Playwright, nobody: Callable[[float], float]
) -> None:
    browser, others = own_browser(playwright)
    in_a_call(browser, house, "")
    signal_all_but(others, signal.SIGKILL)
    nobody(5)


@pytest.mark.long
@WAYS
def test_a_computer_that_falls_asleep_in_a_call(
    house: App, playwright: Playwright, nobody: Callable[[float], float], before: str
) -> None:
    browser, others = own_browser(playwright)
    try:
        caller = in_a_call(browser, house, before)
        signal_all_but(others, signal.SIGSTOP)
        try:
            nobody(5)
        finally:
            signal_all_but(others, signal.SIGCONT)
        caller.stage("ended", timeout=20)
        said = caller.status() + caller.page.inner_text("#voice-hint")
        assert "No sound came from your microphone" in said or "connection was lost" in said
        caller.page.wait_for_selector(GREEN, state="attached")
        caller.until(RELEASED)
        caller.call()
        caller.hang_up()
        assert not caller.errors
    finally:
        browser.close()
