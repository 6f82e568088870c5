"""The waiting line as visitors see it: one place for calls, two pages, and a server that only listens."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from .caller import BUTTON, Caller
from .conftest import App, running_app
from .echo import echoing


@pytest.fixture
def small_app(tmp_path: Path) -> Iterator[App]:
    with (
        echoing() as echo,
        running_app(tmp_path / "log.txt", REALTIME_URL=echo.url, REALTIME_API_KEY="sk-nobody", MAX_CALLS="1") as app,
    ):
        app.wait(lambda health: health["status"] == "ok")
        yield app


def test_the_second_visitor_waits_and_is_in_when_the_first_hangs_up(small_app: App, browser: Browser) -> None:
    first, second = Caller(browser, small_app.url), Caller(browser, small_app.url, locale="zh-TW")
    try:
        first.call()
        second.stage("idle")
        second.press()
        second.stage("waiting")
        assert "第 1 位" in second.status()
        button = second.page.locator(BUTTON)
        expect(button).to_have_attribute("data-state", "wait")
        expect(button).to_have_accessible_name("取消排隊")
        expect(button).to_have_css("background-color", "rgb(217, 119, 6)")
        assert second.page.inner_text("#voice-timer") == ""
        first.hang_up()
        second.stage("listening", timeout=10)
        expect(button).to_have_attribute("data-state", "stop")
        # The other way round, and this time the line is left.
        first.press()
        first.stage("waiting")
        expect(first.page.locator(BUTTON)).to_have_accessible_name("Leave the line")
        first.press()
        first.stage("ended", timeout=10)
        first.until("() => caller.opened().flat().every((state) => state === 'ended')")
        assert not first.errors and not second.errors
    finally:
        first.close()
        second.close()
    small_app.wait(lambda health: health["calls"] == 0, timeout=10)
