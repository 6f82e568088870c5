"""Waiting queue in the browser: one call slot, two pages, and a server that only listens."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.support.app.app_process import AppProcess, running_app
from tests.support.browser.browser_page import BrowserPage
from tests.support.browser.page_errors import LOST_SERVER_ERRORS
from tests.support.browser.page_scripts import CALL_BUTTON
from tests.support.realtime.fake_echo_server import running_echo_server

pytestmark = pytest.mark.beside

CALL_ENDED = '#status [data-notice="closing"]:is([data-stage="ended"], [data-stage="loading"])'
"""Status after a call that the shutdown has ended. The stage of the closing server follows half a second later."""


@pytest.fixture
def one_call_app(tmp_path: Path) -> Iterator[AppProcess]:
    with (
        running_echo_server() as echo,
        running_app(tmp_path / "log.txt", REALTIME_URL=echo.url, REALTIME_API_KEY="sk-unused", MAX_CALLS="1") as app,
    ):
        app.wait_for_health(lambda health: health["status"] == "ok")
        yield app


@LOST_SERVER_ERRORS
def test_queued_visitor_connects_when_the_first_hangs_up(one_call_app: AppProcess, browser: Browser) -> None:
    first, second = BrowserPage(browser, one_call_app.url), BrowserPage(browser, one_call_app.url, locale="zh-TW")
    try:
        first.start_call()
        second.wait_for_stage("idle")
        second.press_call_button()
        second.wait_for_stage("waiting")
        assert "第 1 位" in second.status_text()
        button = second.page.locator(CALL_BUTTON)
        expect(button).to_have_attribute("data-state", "wait")
        expect(button).to_have_accessible_name("取消排隊")
        expect(button).to_have_css("background-color", "rgb(180, 92, 5)")
        assert second.page.inner_text("#voice-timer") == ""
        first.hang_up()
        second.wait_for_stage("listening", timeout=60)
        expect(button).to_have_attribute("data-state", "stop")
        # The other way round: the second visitor leaves the queue.
        first.press_call_button()
        first.wait_for_stage("waiting")
        expect(first.page.locator(CALL_BUTTON)).to_have_accessible_name("Leave the queue")
        first.press_call_button()
        first.wait_for_stage("ended", timeout=60)
        first.wait_until("() => caller.opened().flat().every((state) => state === 'ended')")
        assert not first.errors and not second.errors
        # Shutdown: the page shows the notice, then the end of the call; then the process ends.
        one_call_app.process.terminate()
        second.page.wait_for_selector('#status [data-notice="closing_soon"]', timeout=60_000)
        assert "10 秒" in second.status_text()
        second.page.wait_for_selector(CALL_ENDED, timeout=60_000)
        assert one_call_app.process.wait(10) == 0
    finally:
        first.close()
        second.close()
